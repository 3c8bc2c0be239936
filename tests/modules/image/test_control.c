/* SPDX-License-Identifier: MIT
 * ControlNets against diffusers in float32, in each form of their files, and edges against
 * OpenCV. Models and nets are made here, from names (tests/golden/make_control.py).
 */
#include "recipe.h"

#include <sys/stat.h>

#include "formats/convert.h"
#include "image/run/run.h"
#include "temp_dir.h"

#define LATENTS 1e-3 /* relative L2 */
#define PSNR    40   /* dB */

/* Of a net's file. */
typedef enum form { NAMED, SET, FOLDER, OLD, OLD_BARE, GGUF, FORMS } form;
static const char *const form_names[] = { "diffusers", "with settings",  "folder",
                                          "original",  "original, bare", "own gguf" };

static cJSON *models, *nets;
static bt_store *golden;

/* ---- files ----------------------------------------------------------------------- */

/* A family's model, made once. */
static const char *model_of(const char *family)
{
    static char path[300];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", temp_dir, family);
    if (stat(path, &st) != 0)
        recipe_folder(path, cJSON_GetObjectItem(models, family), false);
    return path;
}

static void write_settings(const char *path, const cJSON *net)
{
    char *text = cJSON_PrintUnformatted(cJSON_GetObjectItem(net, "config"));
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(text);
}

/* "sd1.a" in this form; path receives where it is. */
static void write_net(const char *name, form as, char *path, size_t size)
{
    const cJSON *net = cJSON_GetObjectItem(nets, name);
    const char *own = strchr(name, '.') + 1;
    char prefix[8], folder[64], sub[128];
    snprintf(prefix, sizeof prefix, "%s/", own);
    snprintf(folder, sizeof folder, "%s/net-%d", temp_dir, as);
    mkdir(folder, 0700);
    snprintf(path, size, "%s/%s.safetensors", folder, name);
    switch (as) {
    case NAMED: recipe_part(path, net, "tensors", prefix); break;
    case OLD: recipe_part(path, net, "ldm", ""); break;
    case OLD_BARE: recipe_part(path, net, "ldm", "control_model."); break;
    case SET:
    case FOLDER:
        snprintf(sub, sizeof sub, "%s/%s", folder, name);
        mkdir(sub, 0700);
        snprintf(path, size, "%s/diffusion_pytorch_model.safetensors", sub);
        recipe_part(path, net, "tensors", prefix);
        strcat(sub, "/config.json");
        write_settings(sub, net);
        if (as == FOLDER)
            *strrchr(path, '/') = 0;
        break;
    default: {
        bt_store *s;
        bt_error err = { 0 };
        char from[300];
        write_net(name, NAMED, from, sizeof from);
        snprintf(path, size, "%s/%s.gguf", folder, name);
        assert_int_equal(bt_store_open(from, &s, &err), BT_OK);
        assert_int_equal(bt_convert_store(s, path, BT_F32, NULL, NULL, NULL, &err), BT_OK);
        bt_store_close(s);
    }
    }
}

/* ---- pictures ---------------------------------------------------------------------- */

/* One of the golden's tensors of bytes as a picture; free() its pixels. */
static bt_image picture(const char *name)
{
    const bt_tensor *t = bt_store_find(golden, name);
    assert_non_null(t);
    return (bt_image){ sizeof(bt_image), (int)t->dims[1], (int)t->dims[0],
                       t->n_dims > 2 ? (int)t->dims[2] : 1, family_bytes(golden, name) };
}

/* The nets and pictures that one of the golden's jobs asks for. */
static void set_controls(host *h, const cJSON *job, form as, char *list, size_t size)
{
    const cJSON *c;
    const char *family = recipe_text(job, "family");
    int i = 0;
    *list = 0;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(job, "controls"))
    {
        char name[32], path[300];
        const size_t n = strlen(list);
        snprintf(name, sizeof name, "%s.%s", !strcmp(family, "inpaint") ? "sd1" : family,
                 recipe_text(c, "net"));
        write_net(name, as, path, sizeof path);
        snprintf(list + n, size - n, "%s%s:%g:%g:%g", n ? "," : "", path,
                 cJSON_GetObjectItem(c, "weight")->valuedouble,
                 cJSON_GetObjectItem(c, "start")->valuedouble,
                 cJSON_GetObjectItem(c, "end")->valuedouble);
        free((void *)(uintptr_t)h->controls[i].pixels);
        h->controls[i++] = picture(recipe_text(c, "picture"));
    }
    h->o.control = list;
}

static host *open_for(const cJSON *job, bt_precision precision, int threads)
{
    const char *family = recipe_text(job, "family");
    host *h = host_open(model_of(family), threads, precision);
    bt_store *pictures = golden_open("families");
    family_options(h, job);
    if (!strcmp(family, "inpaint") || cJSON_GetObjectItem(job, "strength"))
        h->init = (bt_image){ sizeof h->init, SIZE, SIZE, 3, family_bytes(pictures, "init") };
    if (!strcmp(family, "inpaint"))
        h->mask = (bt_image){ sizeof h->mask, SIZE, SIZE, 1, family_bytes(pictures, "mask") };
    bt_store_close(pictures);
    return h;
}

static void close_pictures(host *h)
{
    bt_image *all[] = { &h->init, &h->mask, &h->controls[0], &h->controls[1] };
    for (int i = 0; i < 4; i++)
        free((void *)(uintptr_t)all[i]->pixels);
    host_close(h);
}

static const cJSON *job_at(const cJSON *side, int i)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItem(side, "pictures"), i);
}

static void compare(const cJSON *job, form as)
{
    char list[1024], name[32];
    float latents[FAMILY_VALUES];
    size_t n;
    host *h = open_for(job, BT_PREC_F32, 2);
    set_controls(h, job, as, list, sizeof list);
    family_latents(h, latents);
    host_must_run(h);
    snprintf(name, sizeof name, "%s.latents", recipe_text(job, "name"));
    float *want = golden_floats(golden, name, &n), *rows = to_nhwc(want, 4, SIDE, SIDE);
    assert_int_equal(n, FAMILY_VALUES);
    const double e = golden_rel_l2(latents, rows, n);
    snprintf(name, sizeof name, "%s.rgb", recipe_text(job, "name"));
    uint8_t *rgb = family_bytes(golden, name);
    for (int i = 0; h->mask.pixels && i < 3 * SIZE * SIZE; i++)
        if (((const uint8_t *)h->mask.pixels)[i / 3] == 0) /* what is kept is pasted here */
            rgb[i] = h->pictures[0].rgb[i];
    const double db = golden_psnr_db(h->pictures[0].rgb, rgb, 3 * SIZE * SIZE);
    print_message("%s %-8s %-9s %-14s %.1e (moved %.2f) %6.1f dB\n", recipe_text(job, "name"),
                  recipe_text(job, "family"), recipe_text(job, "sampler"), form_names[as], e,
                  cJSON_GetObjectItem(job, "moved")->valuedouble, db);
    if (!(e <= LATENTS && db >= PSNR))
        fail_msg("latents %g, picture %.1f dB", e, db);
    free(want), free(rows), free(rgb);
    close_pictures(h);
}

static void test_pictures(void **state)
{
    (void)state;
    cJSON *side = side_json("control");
    const cJSON *job;
    int i = 0;
    cJSON_ArrayForEach(job, cJSON_GetObjectItem(side, "pictures"))
    {
        if (!GOLDEN_BRIEF || i % 4 == 3)
            compare(job, (form)(i % FORMS));
        i++;
    }
    for (int as = 0; as < FORMS && !GOLDEN_BRIEF; as++)
        compare(job_at(side, 6), (form)as);
    cJSON_Delete(side);
}

/* ---- the same bytes ------------------------------------------------------------------ */

static uint8_t *bytes_of(const host *h, int i)
{
    uint8_t *copy = malloc(3 * SIZE * SIZE);
    memcpy(copy, h->pictures[i].rgb, 3 * SIZE * SIZE);
    return copy;
}

/* Picture i of a batch is the one that its seed makes alone, on any number of threads; a control
 * of weight 0 is none. */
static void test_same_bytes(void **state)
{
    (void)state;
    cJSON *side = side_json("control");
    char list[1024];
    host *h = open_for(job_at(side, 2), BT_PREC_AUTO, 1);
    set_controls(h, job_at(side, 2), NAMED, list, sizeof list);
    h->o.steps = 3;
    h->o.batch = 3;
    h->o.control_preprocess = "canny,none";
    host_must_run(h);
    uint8_t *want = bytes_of(h, 2);
    assert_non_null(strstr(h->pictures[0].info,
                           ", ControlNet 0: \"Module: canny, Model: sd1.a, Weight: 0.8, "));
    assert_non_null(strstr(h->pictures[0].info, "Threshold A: 100, Threshold B: 200, "));
    assert_non_null(strstr(h->pictures[0].info, ", ControlNet 1: \"Module: none, Model: sd1.b, "));
    h->o.batch = 1;
    h->o.seed += 2;
    host_must_run(h);
    assert_memory_equal(h->pictures[0].rgb, want, 3 * SIZE * SIZE);

    host *other = open_for(job_at(side, 2), BT_PREC_AUTO, 3);
    other->o = h->o;
    memcpy(other->controls, h->controls, sizeof h->controls);
    host_must_run(other);
    assert_memory_equal(other->pictures[0].rgb, want, 3 * SIZE * SIZE);

    other->o.control_preprocess = "";
    host_must_run(other);
    assert_memory_not_equal(other->pictures[0].rgb, want, 3 * SIZE * SIZE);
    free(want);

    char path[300], none[320];
    write_net("sd1.a", NAMED, path, sizeof path);
    snprintf(none, sizeof none, "%s:0", path);
    other->o.control = none;
    other->controls[1].pixels = NULL;
    host_must_run(other);
    want = bytes_of(other, 0);
    other->o.control = "";
    other->controls[0].pixels = NULL;
    host_must_run(other);
    assert_memory_equal(other->pictures[0].rgb, want, 3 * SIZE * SIZE);
    assert_null(strstr(other->pictures[0].info, "ControlNet"));
    free(want);
    host_close(other);
    close_pictures(h);
    cJSON_Delete(side);
}

/* A second pass at another size, prompts joined and long, a part of a picture: the picture that
 * is read follows, and steers. */
static void test_runs(void **state)
{
    (void)state;
    cJSON *side = side_json("control");
    char list[1024];
    host *h = open_for(job_at(side, 0), BT_PREC_F32, 2);
    bt_store *pictures = golden_open("families");
    set_controls(h, job_at(side, 0), OLD, list, sizeof list);
    h->o.steps = 2;
    for (int kind = 0; kind < 3; kind++) {
        h->o.hires_scale = kind == 0 ? 1.5 : 1;
        h->o.prompt = kind == 1 ? "a cat AND a dog BREAK with a hat :0.6" : "a cat";
        if (kind == 2) {
            h->init = (bt_image){ sizeof h->init, SIZE, SIZE, 3, family_bytes(pictures, "init") };
            h->mask = (bt_image){ sizeof h->mask, SIZE, SIZE, 1, family_bytes(pictures, "mask") };
            h->o.inpaint_area = 1;
        }
        host_must_run(h);
        const size_t n = 3 * (size_t)h->pictures[0].width * (size_t)h->pictures[0].height;
        assert_int_equal(h->pictures[0].width, kind == 0 ? 48 : SIZE);
        uint8_t *with = malloc(n);
        memcpy(with, h->pictures[0].rgb, n);
        const bt_image was = h->controls[0];
        h->o.control = "";
        h->controls[0].pixels = NULL;
        host_must_run(h);
        assert_memory_not_equal(h->pictures[0].rgb, with, n);
        h->o.control = list;
        h->controls[0] = was;
        free(with);
    }
    bt_store_close(pictures);
    close_pictures(h);
    cJSON_Delete(side);
}

/* ---- memory --------------------------------------------------------------------------- */

extern const bt_module bt_module_diffusion;

static uint64_t need_of(host *h)
{
    bt_estimate e = { 0 };
    assert_int_equal(host_estimate(h, &e), BT_OK);
    return e.weights + e.arena + e.caches;
}

/* What steers is counted; with less memory its weights go and come as all others. */
static void test_budget(void **state)
{
    (void)state;
    cJSON *side = side_json("control");
    char list[1024], path[300];
    host *h = open_for(job_at(side, 0), BT_PREC_F32, 2);
    set_controls(h, job_at(side, 0), NAMED, list, sizeof list);
    h->o.width = h->o.height = 96; /* so that the UNet takes more than the text encoder */
    h->o.steps = 1;
    const uint64_t with = need_of(h);
    h->o.control = "";
    const uint64_t without = need_of(h);
    struct stat st;
    write_net("sd1.a", NAMED, path, sizeof path);
    assert_int_equal(stat(path, &st), 0);
    if (with < without + (uint64_t)st.st_size)
        fail_msg("%g MB with, %g without", (double)with / 1e6, (double)without / 1e6);
    h->o.control = list;
    host_must_run(h);
    const size_t n = 3 * 96 * 96;
    uint8_t *want = malloc(n);
    memcpy(want, h->pictures[0].rgb, n);
    h->compute.cache_dir = temp_path("panels");
    h->compute.memory = with - 1;
    assert_true(need_of(h) < with);
    host_must_run(h);
    assert_memory_equal(h->pictures[0].rgb, want, n);
    free(want);
    close_pictures(h);
    cJSON_Delete(side);
}

/* ---- what is refused --------------------------------------------------------------------- */

static void must_fail(host *h, const char *control, const char *preprocess, const char *says)
{
    h->o.control = control;
    h->o.control_preprocess = preprocess;
    if (host_run(h) == BT_OK || !strstr(h->error.text, says) || strchr(h->error.text, '\n'))
        fail_msg("\"%s\", \"%s\": \"%s\" instead of \"%s\"", control, preprocess, h->error.text,
                 says);
}

/* A file with these tensors, of one value each. */
static const char *file_with(const char *const *names)
{
    static char path[300];
    static float one[1];
    made list[8];
    int n = 0;
    for (; names[n]; n++)
        list[n] = (made){ .t = { names[n], BT_F32, 1, { 1 }, .data = (void *)one, .bytes = 4 },
                          .values = one };
    snprintf(path, sizeof path, "%s/odd.safetensors", temp_dir);
    recipe_safetensors(path, list, n, BT_F32);
    return path;
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const odd[][3] = {
        { "lora_controlnet", "input_hint_block.0.weight" },
        { "controlnet_cond_embedding.conv_in.weight", "control_add_embedding.linear_1.weight" },
        { "adapter.body.0.resnets.0.block1.weight" },
        { "time_embed.0.weight" },
    };
    static const char *const says[] = { "a ControlLoRA", "a union ControlNet", "a T2I-Adapter",
                                        "no ControlNet" };
    cJSON *side = side_json("control");
    char list[1024], path[300], xl[300];
    host *h = open_for(job_at(side, 0), BT_PREC_F32, 1);
    set_controls(h, job_at(side, 0), NAMED, list, sizeof list);
    write_net("sd1.a", NAMED, path, sizeof path);
    write_net("sdxl.a", OLD, xl, sizeof xl);
    must_fail(h, xl, "", "which listens to 96 channels of text; the model is");
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        must_fail(h, file_with(odd[i]), "", says[i]);
    static const char *const ends[] = { ":1:0.5:0.5", ":1:0.9:0.1", ":1:-0.1", ":1:0:1.5" };
    for (int i = 0; i < 4; i++) {
        snprintf(list, sizeof list, "%s%s", path, ends[i]);
        must_fail(h, list, "", "no part of 0..1");
    }
    snprintf(list, sizeof list, "%s:heavy", path);
    must_fail(h, list, "", "a.safetensors:heavy");
    snprintf(list, sizeof list, "%s:2000", path);
    must_fail(h, list, "", "is not FILE, FILE:WEIGHT");
    must_fail(h, path, "sobel", "is not none, canny");
    must_fail(h, path, "canny:200:100", "is not none, canny");
    must_fail(h, path, "canny,canny", "more of them than ControlNets");
    must_fail(h, "a,b,c,d,e,f,g,h,i", "", "more than 8 ControlNets");
    must_fail(h, "", "", "more pictures (1) than ControlNets (0)");
    snprintf(list, sizeof list, "%s,%s", path, path);
    must_fail(h, list, "", "no picture for ControlNet 2 of 2");
    h->controls[1] = h->controls[0];
    h->o.control_preprocess = "";
    host_must_run(h); /* one file twice */
    h->controls[1].pixels = NULL;
    h->o.control = path;
    h->cancel_after = 3;
    assert_int_equal(host_run(h), BT_ECANCELLED);
    h->cancel_after = 0;
    host_must_run(h);
    close_pictures(h);
    cJSON_Delete(side);
}

static void test_faults(void **state)
{
    (void)state;
#ifdef BT_FAULTS
    cJSON *side = side_json("control");
    char list[1024];
    host *h = open_for(job_at(side, 2), BT_PREC_F32, 1);
    set_controls(h, job_at(side, 2), OLD, list, sizeof list);
    h->o.control_preprocess = "canny,none";
    h->o.steps = 2;
    h->o.width = h->o.height = 8;
    host_must_run(h);
    long n = 1;
    for (;; n += 1 + n / 16) {
        sd_controls_close(&h->job->controls);
        bt_fault_after(n);
        const bt_status st = host_run(h);
        if (bt_fault_after(0) > 0)
            break;
        if (st != BT_ENOMEM || !h->error.text[0])
            fail_msg("allocation %ld: status %d, \"%s\"", n, st, h->error.text);
    }
    print_message("%ld allocations\n", n);
    host_must_run(h);
    close_pictures(h);
    cJSON_Delete(side);
#endif
}

/* ---- edges --------------------------------------------------------------------------------- */

static void test_canny(void **state)
{
    (void)state;
    cJSON *side = side_json("control");
    const cJSON *j;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(side, "canny"))
    {
        char name[64];
        snprintf(name, sizeof name, "canny.%s", recipe_text(j, "name"));
        bt_image img = picture(name);
        strcat(name, ".edges");
        uint8_t *want = family_bytes(golden, name);
        uint8_t *got = sd_picture_canny(img.pixels, img.width, img.height, img.channels,
                                        cJSON_GetObjectItem(j, "low")->valuedouble,
                                        cJSON_GetObjectItem(j, "high")->valuedouble);
        const size_t n = (size_t)img.width * (size_t)img.height;
        int edges = 0;
        assert_memory_equal(got, want, n);
        for (size_t i = 0; i < n; i++)
            edges += got[i] == 255;
        assert_int_equal(edges, cJSON_GetObjectItem(j, "found")->valueint);
        assert_true(edges > 0);
        bt_release(got);
        free(want);
        free((void *)(uintptr_t)img.pixels);
    }
    cJSON_Delete(side);
}

static int open_goldens(void **state)
{
    if (temp_dir_make(state) || !(models = recipe_open("families_models")) ||
        !(nets = recipe_open("control_models")))
        return -1;
    golden = golden_open("control");
    return 0;
}

static int close_goldens(void **state)
{
    cJSON_Delete(models);
    cJSON_Delete(nets);
    bt_store_close(golden);
    return temp_dir_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canny),      cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_runs),
        cmocka_unit_test(test_budget),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, open_goldens, close_goldens);
}
