/* SPDX-License-Identifier: MIT
 * Every family of models, in every form that its files come in, against diffusers in
 * float32: final latents and pictures. The models are made here, from names
 * (tests/golden/make_families.py says how).
 */
#include "common.h"

#include <sys/stat.h>

#include "formats/convert.h"
#include "formats/gguf_write.h"
#include "formats/gzip.h"
#include "image/run/run.h"
#include "kernels/quant.h"
#include "temp_dir.h"

#define LATENTS 1e-3 /* relative L2 */
#define PSNR    40   /* dB */

enum { SIZE = 32, SIDE = SIZE / 2, FAMILY_VALUES = SIDE * SIDE * 4 };

/* A tensor of the recipe, made on demand. */
typedef struct made {
    bt_tensor t;
    float *values; /* free() */
} made;

extern const bt_module bt_module_diffusion;

static cJSON *recipes;
static bt_store *golden;

/* ---- weights from names -------------------------------------------------------- */

static uint64_t fnv(const char *s)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (; *s; s++)
        h = (h ^ (uint8_t)*s) * 0x100000001B3u;
    return h;
}

static double uniform(uint64_t z)
{
    z += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (double)((z ^ (z >> 31)) >> 40) / 16777216;
}

/* Row of a recipe: [name, shape, mean, amplitude] */
static made make(const cJSON *row)
{
    made m = { .t = { .name = cJSON_GetArrayItem(row, 0)->valuestring, .dtype = BT_F32 } };
    const cJSON *dim;
    const double mean = cJSON_GetArrayItem(row, 2)->valuedouble;
    const double amp = cJSON_GetArrayItem(row, 3)->valuedouble;
    const uint64_t h = fnv(m.t.name);
    cJSON_ArrayForEach(dim, cJSON_GetArrayItem(row, 1)) m.t.dims[m.t.n_dims++] = dim->valueint;
    const size_t n = (size_t)bt_tensor_count(&m.t);
    m.values = malloc(n * sizeof *m.values);
    for (size_t i = 0; i < n; i++)
        m.values[i] = (float)(mean + amp * (uniform(h + i) - 0.5));
    m.t.data = (const uint8_t *)m.values;
    m.t.bytes = n * sizeof *m.values;
    return m;
}

static const cJSON *row_of(const cJSON *recipe, const char *name)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(recipe, "tensors"))
    {
        if (!strcmp(cJSON_GetArrayItem(row, 0)->valuestring, name))
            return row;
    }
    fail_msg("no tensor %s", name);
    return NULL;
}

static void turn(made *m)
{
    const int64_t rows = m->t.dims[0], cols = m->t.dims[1];
    float *to = malloc(m->t.bytes);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            to[c * rows + r] = m->values[r * cols + c];
    free(m->values);
    m->values = to;
    m->t.data = (const uint8_t *)to;
    m->t.dims[0] = cols, m->t.dims[1] = rows;
}

static void append(made *m, made *more)
{
    m->values = realloc(m->values, m->t.bytes + more->t.bytes);
    memcpy((uint8_t *)m->values + m->t.bytes, more->values, more->t.bytes);
    m->t.bytes += more->t.bytes;
    m->t.dims[0] += more->t.dims[0];
    m->t.data = (const uint8_t *)m->values;
    free(more->values);
}

/* Row of a one-file list: [name, operation, sources] */
static made compose(const cJSON *recipe, const cJSON *row)
{
    const char *op = cJSON_GetArrayItem(row, 1)->valuestring;
    const cJSON *sources = cJSON_GetArrayItem(row, 2), *source;
    made m = { 0 };
    cJSON_ArrayForEach(source, sources)
    {
        made one = make(row_of(recipe, source->valuestring));
        if (m.values)
            append(&m, &one);
        else
            m = one;
    }
    if (!strcmp(op, "turn"))
        turn(&m);
    if (!strcmp(op, "conv"))
        m.t.n_dims = 4, m.t.dims[2] = m.t.dims[3] = 1;
    m.t.name = cJSON_GetArrayItem(row, 0)->valuestring;
    return m;
}

/* ---- files ------------------------------------------------------------------------ */

static void free_all(made *list, int n)
{
    for (int i = 0; i < n; i++)
        free(list[i].values);
    free(list);
}

/* Half precision: as fp16 variants are stored. */
static void write_safetensors(const char *path, const made *list, int n, bt_dtype type)
{
    bt_buf b = { 0 };
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const size_t bytes = bt_row_bytes(type, list[i].t.bytes / sizeof(float));
        bt_buf_printf(&b, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "{", list[i].t.name,
                      type == BT_F16 ? "F16" : "F32");
        for (int d = 0; d < list[i].t.n_dims; d++)
            bt_buf_printf(&b, d ? ",%lld" : "%lld", (long long)list[i].t.dims[d]);
        bt_buf_printf(&b, "],\"data_offsets\":[%zu,%zu]}", at, at + bytes);
        at += bytes;
    }
    bt_buf_puts(&b, "}");
    const uint64_t header = b.len;
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(&header, 8, 1, f);
    fwrite(b.data, 1, b.len, f);
    for (int i = 0; i < n; i++) {
        const size_t values = list[i].t.bytes / sizeof(float);
        uint8_t *bytes = malloc(bt_row_bytes(type, values));
        assert_int_equal(bt_quantize_row(type, list[i].values, bytes, values), 0);
        fwrite(bytes, 1, bt_row_bytes(type, values), f);
        free(bytes);
    }
    fclose(f);
    bt_buf_free(&b);
}

static void write_gguf(const char *path, const made *list, int n)
{
    bt_gguf_writer w = { 0 };
    bt_error err = { 0 };
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (int i = 0; i < n; i++)
        assert_int_equal(bt_gguf_list(&w, &list[i].t, &err), BT_OK);
    assert_int_equal(bt_gguf_begin(&w, f, &err), BT_OK);
    for (int i = 0; i < n; i++) {
        bt_gguf_data(&w, list[i].values, list[i].t.bytes);
        bt_gguf_pad(&w);
    }
    assert_int_equal(bt_gguf_end(&w, &err), BT_OK);
    bt_gguf_writer_free(&w);
    fclose(f);
}

/* The recipe's list of this name as tensors; *n receives their number. */
static made *all_of(const cJSON *recipe, const char *list, int *n)
{
    const cJSON *rows = cJSON_GetObjectItem(recipe, list), *row;
    made *all = calloc((size_t)cJSON_GetArraySize(rows), sizeof *all);
    *n = 0;
    cJSON_ArrayForEach(row, rows)
    {
        all[(*n)++] = strcmp(list, "tensors") ? compose(recipe, row) : make(row);
    }
    return all;
}

static void write_text(const char *root, const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    mkdir(path, 0700);
    *slash = '/';
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Component by component; the UNet in two shards, text encoders as the fp16 variant if
 * `half`. */
static void write_folder(const char *root, const cJSON *recipe, bool half)
{
    static const char *const folders[] = { "unet", "vae", "text_encoder", "text_encoder_2" };
    const cJSON *file;
    int n;
    made *all = all_of(recipe, "tensors", &n);
    mkdir(root, 0700);
    cJSON_ArrayForEach(file, cJSON_GetObjectItem(recipe, "files"))
    {
        char *text = cJSON_PrintUnformatted(file);
        write_text(root, file->string, text);
        free(text);
    }
    for (int k = 0; k < 4; k++) {
        const size_t len = strlen(folders[k]);
        int from = 0, to;
        while (from < n &&
               (strncmp(all[from].t.name, folders[k], len) || all[from].t.name[len] != '/'))
            from++;
        for (to = from;
             to < n && !strncmp(all[to].t.name, folders[k], len) && all[to].t.name[len] == '/';
             to++)
            all[to].t.name += len + 1;
        if (from == to)
            continue;
        char path[400];
        const char *base = k < 2 ? "diffusion_pytorch_model" : "model";
        if (k > 0) {
            snprintf(path, sizeof path, "%s/%s/%s%s.safetensors", root, folders[k], base,
                     half && k > 1 ? ".fp16" : "");
            write_safetensors(path, all + from, to - from, half && k > 1 ? BT_F16 : BT_F32);
            continue;
        }
        const int middle = (from + to) / 2;
        bt_buf map = { 0 };
        for (int i = from; i < to; i++)
            bt_buf_printf(&map, "%s\"%s\":\"%d.safetensors\"", i > from ? "," : "{\"weight_map\":{",
                          all[i].t.name, i >= middle);
        bt_buf_puts(&map, "}}");
        write_text(root, "unet/diffusion_pytorch_model.safetensors.index.json", map.data);
        bt_buf_free(&map);
        snprintf(path, sizeof path, "%s/unet/0.safetensors", root);
        write_safetensors(path, all + from, middle - from, BT_F32);
        snprintf(path, sizeof path, "%s/unet/1.safetensors", root);
        write_safetensors(path, all + middle, to - middle, BT_F32);
    }
    free_all(all, n);
}

/* ---- pictures ------------------------------------------------------------------------ */

static const char *text_of(const cJSON *j, const char *key)
{
    const cJSON *v = cJSON_GetObjectItem(j, key);
    return v ? v->valuestring : NULL;
}

static int sampler_index(const char *label)
{
    for (int i = 1;; i++) {
        sd_grid_kind kind;
        if (!strcmp(sd_sampler_chosen(i, &kind)->label, label))
            return i;
    }
}

static bt_status ignore_progress(void *user, const char *stage, int done, int total)
{
    (void)user, (void)stage, (void)done, (void)total;
    return BT_OK;
}

/* The latents that the decoder would get: the run without its end. */
static void final_latents(host *h, float *out)
{
    bt_error err = { 0 };
    bt_run r = { .host = h, .options = &h->o, .cancel = &h->cancel, .error = &err };
    r.progress = ignore_progress;
    sd_work k = { .j = h->job, .r = &r, .n = FAMILY_VALUES };
    assert_int_equal(sd_run_setup(h->model, &h->o, h->init.pixels ? &h->init : NULL,
                                  h->mask.pixels ? &h->mask : NULL, &k.s, &err),
                     BT_OK);
    sd_making pic;
    sd_asked *asked;
    if (sd_run_ask(h->model, &k.s, k.s.seed, NULL, &asked, &err) != BT_OK)
        fail_msg("%s", err.text);
    float *walk, *block = sd_run_lay_out(&k, &pic, 1, &walk);
    k.total = k.s.steps;
    if (sd_run_read_inputs(&k) != BT_OK || (k.s.init && sd_run_encode_init(&k) != BT_OK) ||
        (k.j->m->unet.in > 4 && sd_run_read_kept(&k) != BT_OK))
        fail_msg("%s", err.text);
    pic.asked = asked;
    sd_run_start(&k, &pic, 0);
    if (sd_run_denoise(&k, &pic, 1, 0, walk) != BT_OK)
        fail_msg("%s", err.text);
    memcpy(out, pic.p.x, FAMILY_VALUES * sizeof *out);
    bt_release(block);
    sd_asked_free(asked);
    sd_run_forget_inputs(&k);
    sd_grid_release(&k.s.grid);
}

static uint8_t *golden_bytes(const char *name)
{
    size_t n;
    int64_t *v = golden_ints(golden, name, &n);
    uint8_t *bytes = malloc(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)v[i];
    free(v);
    return bytes;
}

static void set_options(host *h, const cJSON *j)
{
    const cJSON *strength = cJSON_GetObjectItem(j, "strength");
    h->o.prompt = text_of(j, "prompt");
    h->o.negative = text_of(j, "negative");
    h->o.sampler = sampler_index(text_of(j, "sampler"));
    h->o.seed = cJSON_GetObjectItem(j, "seed")->valueint;
    h->o.steps = cJSON_GetObjectItem(j, "steps")->valueint;
    h->o.cfg = cJSON_GetObjectItem(j, "cfg")->valuedouble;
    h->o.width = h->o.height = SIZE;
    h->o.image_cfg = 1.5;
    h->o.strength = strength ? strength->valuedouble : 1;
}

/* Relative error of the latents; *db: of the picture. */
static double compare(host *h, const cJSON *j, double *db)
{
    float latents[FAMILY_VALUES];
    char name[64];
    size_t n;
    set_options(h, j);
    final_latents(h, latents);
    host_must_run(h);
    snprintf(name, sizeof name, "%s.latents", text_of(j, "name"));
    float *want = golden_floats(golden, name, &n), *rows = to_nhwc(want, 4, SIDE, SIDE);
    assert_int_equal(n, FAMILY_VALUES);
    const double e = golden_rel_l2(latents, rows, n);
    snprintf(name, sizeof name, "%s.rgb", text_of(j, "name"));
    uint8_t *rgb = golden_bytes(name);
    for (int i = 0; h->mask.pixels && i < 3 * SIZE * SIZE; i++)
        if (((const uint8_t *)h->mask.pixels)[i / 3] == 0) /* what is kept is pasted here */
            rgb[i] = h->pictures[0].rgb[i];
    *db = golden_psnr_db(h->pictures[0].rgb, rgb, 3 * SIZE * SIZE);
    free(want), free(rows), free(rgb);
    return e;
}

/* What is asked for, before a first picture is there: an estimate must do without; a model
 * that changes a picture says in the run that it is missing. */
static void check_without_picture(host *h)
{
    const bool edits = sd_edits((const sd_model *)h->model);
    uint8_t *pixels = h->init.pixels;
    bt_estimate e = { 0 };
    h->init.pixels = NULL;
    if (bt_module_diffusion.estimate(h->job, &h->o, &e, &h->error) != BT_OK)
        fail_msg("%s", h->error.text);
    assert_true(e.weights > 0 && e.arena > 0 && e.flops > 0);
    if (edits) {
        assert_int_equal(host_run(h), BT_EINVAL);
        assert_string_equal(h->error.text,
                            "this model changes a picture: it needs one to start from");
    }
    h->init.pixels = pixels;
}

/* All pictures of a family that the model at `path` makes. */
static void check(const char *family, const char *form, const char *path, double latents,
                  double psnr)
{
    cJSON *side = side_json("families");
    const cJSON *j;
    host *h = host_open(path, 2, BT_PREC_F32);
    uint8_t *init = golden_bytes("init"), *mask = golden_bytes("mask");
    if (!strcmp(family, "refiner") || !strcmp(family, "inpaint") || !strcmp(family, "ip2p"))
        h->init = (bt_image){ sizeof h->init, SIZE, SIZE, 3, init };
    if (!strcmp(family, "inpaint"))
        h->mask = (bt_image){ sizeof h->mask, SIZE, SIZE, 1, mask };
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(side, "pictures"))
    {
        double db;
        if (strcmp(text_of(j, "family"), family))
            continue;
        const double e = compare(h, j, &db);
        print_message("%-8s %-8s %-8s %.1e %6.1f dB\n", family, form, text_of(j, "sampler"), e, db);
        if (!(e <= latents && db >= psnr))
            fail_msg("%s of %s: latents %g, picture %.1f dB", form, text_of(j, "name"), e, db);
        if (GOLDEN_BRIEF)
            break;
    }
    check_without_picture(h);
    host_close(h);
    cJSON_Delete(side);
    free(init), free(mask);
}

static void test_folders(void **state)
{
    (void)state;
    const cJSON *recipe;
    char path[300];
    cJSON_ArrayForEach(recipe, recipes)
    {
        if (!cJSON_GetObjectItem(recipe, "files"))
            continue;
        snprintf(path, sizeof path, "%s/%s", temp_dir, recipe->string);
        write_folder(path, recipe, false);
        check(recipe->string, "folder", path, LATENTS, PSNR);
    }
}

/* Half precision costs what it costs; a wrong file would cost all. */
static void test_fp16(void **state)
{
    (void)state;
    write_folder(temp_path("half"), cJSON_GetObjectItem(recipes, "sd1"), true);
    check("sd1", "fp16", temp_path("half"), 3e-3, 50);
}

/* Learned words, and adapters with them, come and go: the other autoencoder stays. A word that
 * the prompt does not say changes nothing. */
static void check_with_words(host *h)
{
    const made word = { .t = { .name = "emb_params",
                               .dtype = BT_F32,
                               .n_dims = 2,
                               .dims = { 1, 32 },
                               .bytes = 32 * sizeof(float) },
                        .values = calloc(32, sizeof(float)) };
    uint8_t *was = h->pictures[0].rgb;
    write_safetensors(temp_path("word.safetensors"), &word, 1, BT_F32);
    h->pictures[0].rgb = NULL;
    h->o.embedding = temp_path("word.safetensors");
    host_must_run(h);
    assert_memory_equal(h->pictures[0].rgb, was, 3 * SIZE * SIZE);
    h->o.embedding = "";
    free(word.values), free(was);
}

/* sd1's first picture by another autoencoder. */
static double first_with_vae(const char *model, const char *vae, const char *want)
{
    cJSON *side = side_json("families");
    host *h = host_open(model, 2, BT_PREC_F32);
    uint8_t *rgb = golden_bytes(want);
    set_options(h, cJSON_GetArrayItem(cJSON_GetObjectItem(side, "pictures"), 0));
    h->o.vae = vae;
    host_must_run(h);
    const double db = golden_psnr_db(h->pictures[0].rgb, rgb, 3 * SIZE * SIZE);
    print_message("%s: %.1f dB\n", vae + strlen(temp_dir), db);
    check_with_words(h);
    h->o.vae = BT_SOURCE_DIR "/tests/golden/families.safetensors";
    assert_int_equal(host_run(h), BT_EUNSUPPORTED);
    assert_non_null(strstr(h->error.text, "holds no autoencoder"));
    host_close(h);
    cJSON_Delete(side);
    free(rgb);
    return db;
}

/* Those of a list whose names begin with `prefix`, without it. */
static void write_part(const char *path, const cJSON *recipe, const char *list, const char *prefix)
{
    int n, k = 0;
    made *all = all_of(recipe, list, &n);
    for (int i = 0; i < n; i++) {
        if (strncmp(all[i].t.name, prefix, strlen(prefix))) {
            free(all[i].values);
            continue;
        }
        all[k] = all[i];
        all[k++].t.name += strlen(prefix);
    }
    write_safetensors(path, all, k, BT_F32);
    free_all(all, k);
}

static void test_other_vae(void **state)
{
    (void)state;
    const cJSON *sd1 = cJSON_GetObjectItem(recipes, "sd1");
    write_folder(temp_path("sd1v"), sd1, false);
    write_part(temp_path("ldm_vae.safetensors"), sd1, "ldm", "first_stage_model.");
    write_part(temp_path("vae.safetensors"), sd1, "tensors", "vae/");
    write_part(temp_path("taesd.safetensors"), cJSON_GetObjectItem(recipes, "taesd"), "tensors",
               "vae/");
    assert_true(first_with_vae(temp_path("sd1v"), temp_path("ldm_vae.safetensors"), "sd10.rgb") >=
                PSNR);
    assert_true(first_with_vae(temp_path("sd1v"), temp_path("vae.safetensors"), "sd10.rgb") >=
                PSNR);
    assert_true(first_with_vae(temp_path("sd1v"), temp_path("taesd.safetensors"), "taesd.rgb") >=
                PSNR);
}

/* The option outweighs what the file says, or what was guessed from its tensors. */
static void test_prediction(void **state)
{
    (void)state;
    cJSON *side = side_json("families");
    const cJSON *j;
    double db;
    write_folder(temp_path("sd2p"), cJSON_GetObjectItem(recipes, "sd2"), false);
    host *h = host_open(temp_path("sd2p"), 2, BT_PREC_F32);
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(side, "pictures"))
    {
        if (!strcmp(text_of(j, "name"), "sd20"))
            break;
    }
    h->o.prediction = 1 + SD_EPSILON;
    assert_true(compare(h, j, &db) > 0.1);
    h->o.prediction = 1 + SD_V;
    assert_true(compare(h, j, &db) <= LATENTS);
    host_close(h);
    cJSON_Delete(side);
}

static void test_one_file(void **state)
{
    (void)state;
    const cJSON *recipe;
    cJSON_ArrayForEach(recipe, recipes)
    {
        int n;
        bt_store *s;
        bt_error err = { 0 };
        if (!cJSON_GetObjectItem(recipe, "ldm") ||
            (GOLDEN_BRIEF && !cJSON_GetObjectItem(cJSON_GetObjectItem(recipe, "files"),
                                                  "text_encoder_2/config.json")))
            continue;
        made *all = all_of(recipe, "ldm", &n);
        write_safetensors(temp_path("one.safetensors"), all, n, BT_F32);
        free_all(all, n);
        check(recipe->string, "one file", temp_path("one.safetensors"), LATENTS, PSNR);

        assert_int_equal(bt_store_open(temp_path("one.safetensors"), &s, &err), BT_OK);
        assert_int_equal(bt_convert_store(s, temp_path("own.gguf"), BT_F32, NULL, NULL, NULL, &err),
                         BT_OK);
        bt_store_close(s);
        check(recipe->string, "own gguf", temp_path("own.gguf"), LATENTS, PSNR);

        all = all_of(recipe, "sdcpp", &n);
        write_gguf(temp_path("sdcpp.gguf"), all, n);
        free_all(all, n);
        check(recipe->string, "sd.cpp", temp_path("sdcpp.gguf"), LATENTS, PSNR);
    }
}

static int open_goldens(void **state)
{
    bt_packed_file f;
    bt_error err = { 0 };
    if (temp_dir_make(state) ||
        bt_packed_open(BT_SOURCE_DIR "/tests/golden/families_models.json", 64 << 20, &f, &err))
        return -1;
    recipes = cJSON_ParseWithLength(f.data, f.size);
    bt_packed_close(&f);
    golden = golden_open("families");
    return recipes ? 0 : -1;
}

static int close_goldens(void **state)
{
    cJSON_Delete(recipes);
    bt_store_close(golden);
    return temp_dir_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),    cmocka_unit_test(test_fp16),
        cmocka_unit_test(test_one_file),   cmocka_unit_test(test_other_vae),
        cmocka_unit_test(test_prediction),
    };
    return cmocka_run_group_tests(tests, open_goldens, close_goldens);
}
