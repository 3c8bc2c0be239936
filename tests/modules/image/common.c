/* SPDX-License-Identifier: MIT */
#include "common.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"

cJSON *side_json(const char *name)
{
    char file[128];
    snprintf(file, sizeof file, "%s.json", name);
    char *text = golden_text(file, NULL);
    cJSON *j = cJSON_Parse(text);
    free(text);
    assert_non_null(j);
    return j;
}

static float *transpose(const float *x, int rows, int cols)
{
    float *y = malloc(sizeof *y * (size_t)rows * (size_t)cols);
    assert_non_null(y);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            y[(size_t)c * (size_t)rows + (size_t)r] = x[(size_t)r * (size_t)cols + (size_t)c];
    return y;
}

float *to_nhwc(const float *x, int c, int h, int w) { return transpose(x, c, h * w); }

float *to_nchw(const float *x, int c, int h, int w) { return transpose(x, h * w, c); }

static void write_file(const char *root, const char *name, const void *data, size_t n)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    mkdir(path, 0700);
    *slash = '/';
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

const char *temp_model(const char *const *files)
{
    static const char index[] =
        "{\"unet\":[\"\",\"\"],\"vae\":[\"\",\"\"],\"text_encoder\":[\"\",\"\"],"
        "\"scheduler\":[\"\",\"\"],\"tokenizer\":[\"\",\"\"]}";
    static const char header[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    static char root[64];
    char weights[8 + sizeof header - 1 + 4] = { sizeof header - 1 };

    snprintf(root, sizeof root, "/tmp/bottega-test-XXXXXX");
    assert_non_null(mkdtemp(root));
    memcpy(weights + 8, header, sizeof header - 1);
    write_file(root, "model_index.json", index, sizeof index - 1);
    write_file(root, "unet/diffusion_pytorch_model.safetensors", weights, sizeof weights);
    for (; files[0]; files += 2)
        write_file(root, files[0], files[1], strlen(files[1]));
    return root;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

void remove_model(const char *path) { nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

const char *icons_path(void)
{
    const char *path = getenv("BOTTEGA_ICONS");
    if (!path)
        path = BT_SOURCE_DIR "/../shared/models/icons-128";
    return access(path, R_OK) == 0 ? path : NULL;
}

/* ---- the module without an engine ------------------------------------------ */

extern const bt_module bt_module_diffusion;

const bt_image *host_image_in(void *user, const char *name)
{
    const host *h = user;
    const bt_image *i = !strcmp(name, "init")       ? &h->init
                        : !strcmp(name, "mask")     ? &h->mask
                        : !strcmp(name, "control")  ? &h->controls[0]
                        : !strcmp(name, "control2") ? &h->controls[1]
                                                    : NULL;
    return i && i->pixels ? i : NULL;
}

static bt_status progress(void *user, const char *stage, int done, int total)
{
    host *h = user;
    (void)stage;
    assert_true(done >= 0 && done <= total);
    if (++h->progress_calls == h->cancel_after)
        atomic_store(&h->cancel, true);
    return atomic_load(&h->cancel) ? BT_ECANCELLED : BT_OK;
}

static bt_status image(void *user, int width, int height, const uint8_t *rgb, const char *info)
{
    host *h = user;
    size_t bytes = 3 * (size_t)width * (size_t)height;
    int i = h->n_pictures++;
    assert_true(i < 16);
    h->pictures[i].width = width;
    h->pictures[i].height = height;
    h->pictures[i].rgb = malloc(bytes);
    memcpy(h->pictures[i].rgb, rgb, bytes);
    h->pictures[i].info = strdup(info);
    return BT_OK;
}

static bt_status preview(void *user, int index, int width, int height, const uint8_t *rgb)
{
    host *h = user;
    assert_non_null(rgb);
    h->previews++;
    h->preview_w = width;
    h->preview_h = height;
    h->preview_shown |= 1L << index;
    h->preview_hash = bt_hash(BT_HASH_INIT, rgb, 3 * (size_t)width * (size_t)height);
    return BT_OK;
}

static bt_status report(void *user, const char *name, const char *json)
{
    host *h = user;
    size_t n = strlen(h->facts);
    snprintf(h->facts + n, sizeof h->facts - n, "%s=%s;", name, json);
    return BT_OK;
}

host *host_new(int threads, bt_precision precision)
{
    host *h = calloc(1, sizeof *h);
    assert_non_null(h);
    h->o = (sd_options){ .prompt = "",
                         .negative = "",
                         .lora = "",
                         .lora_dir = "",
                         .embedding = "",
                         .control = "",
                         .control_preprocess = "",
                         .model_hash = "",
                         .outpaint = "",
                         .inpaint_fill = -1,
                         .hires_scale = 1,
                         .hires_strength = 0.7,
                         .width = BT_INT_UNSET,
                         .height = BT_INT_UNSET,
                         .steps = BT_INT_UNSET,
                         .seed = 42,
                         .batch = 1,
                         .clip_skip = 1,
                         .cfg = NAN,
                         .strength = 0.75,
                         .eta = NAN,
                         .variation_seed = -1,
                         .sampler_seed = BT_INT_UNSET };
    bt_kernels_init(&h->kernels, bt_cpu_flags());
    h->compute = (bt_compute){ .kernels = &h->kernels, .threads = threads, .precision = precision };
    return h;
}

host *host_open(const char *path, int threads, bt_precision precision)
{
    host *h = host_new(threads, precision);
    bt_store *s;
    if (bt_store_open(path, &s, &h->error) ||
        bt_module_diffusion.open(s, &h->compute, &h->model, &h->error) ||
        bt_module_diffusion.job_open(h->model, &h->job, &h->error))
        fail_msg("%s", h->error.text);
    return h;
}

static void forget(host *h)
{
    for (int i = 0; i < h->n_pictures; i++) {
        free(h->pictures[i].rgb);
        free(h->pictures[i].info);
    }
    h->n_pictures = h->progress_calls = 0;
    h->facts[0] = 0;
    h->previews = 0;
    h->preview_shown = 0;
    h->error = (bt_error){ 0 };
    atomic_store(&h->cancel, false);
}

static bt_run run_of(host *h)
{
    return (bt_run){ .host = h,
                     .options = &h->o,
                     .cancel = &h->cancel,
                     .image_in = host_image_in,
                     .error = &h->error,
                     .progress = progress,
                     .preview = h->preview_interval ? preview : NULL,
                     .preview_interval = h->preview_interval,
                     .image = image,
                     .report = report };
}

bt_status host_run(host *h)
{
    forget(h);
    const bt_run r = run_of(h);
    return bt_module_diffusion.run(h->job, &r);
}

bt_status host_estimate(host *h, bt_estimate *out)
{
    const bt_run r = run_of(h);
    *out = (bt_estimate){ 0 };
    return bt_module_diffusion.estimate(h->job, &r, out);
}

void host_must_run(host *h)
{
    if (host_run(h) != BT_OK)
        fail_msg("%s", h->error.text);
}

void host_close(host *h)
{
    forget(h);
    if (h->job) {
        bt_module_diffusion.job_close(h->job);
        bt_module_diffusion.close(h->model);
    }
    free(h);
}
