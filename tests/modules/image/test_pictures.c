/* SPDX-License-Identifier: MIT
 * Whole pictures against diffusers' pipelines in float32 (make_pictures.py,
 * make_tiny_sd.py), and what must not change them.
 */
#include "common.h"
#include "walker.h"

#define TINY  BT_SOURCE_DIR "/tests/golden/tiny-sd"
#define ASSET BT_SOURCE_DIR "/assets/icons-128.gguf"

static const char *text_of(const cJSON *j, const char *key)
{
    const cJSON *v = cJSON_GetObjectItem(j, key);
    return v ? v->valuestring : NULL;
}

static double number_of(const cJSON *j, const char *key, double fallback)
{
    const cJSON *v = cJSON_GetObjectItem(j, key);
    return v ? v->valuedouble : fallback;
}

/* Index of the option "sampler". */
static int sampler_index(const char *name)
{
    static const char *const names[] = { "model", "ddim", "euler", "euler_a", "dpmpp_2m" };
    int i = 0;
    while (strcmp(names[i], name))
        i++;
    return i;
}

static uint8_t *golden_rgb(const bt_store *s, const char *picture, size_t *n)
{
    char name[64];
    snprintf(name, sizeof name, "%s.rgb", picture);
    int64_t *v = golden_ints(s, name, n);
    uint8_t *rgb = malloc(*n);
    for (size_t i = 0; i < *n; i++)
        rgb[i] = (uint8_t)v[i];
    free(v);
    return rgb;
}

static double compare(host *h, const bt_store *golden, const cJSON *j)
{
    sd_schedule_config *c = &((sd_model *)h->model)->schedule;
    sd_spacing spacing = c->spacing;
    size_t n, n_init;
    const char *name = text_of(j, "name"), *init = text_of(j, "init");
    const char *negative = text_of(j, "negative"), *space = text_of(j, "spacing");
    uint8_t *want = golden_rgb(golden, name, &n), *start = NULL;

    h->o.prompt = text_of(j, "prompt");
    h->o.negative = negative ? negative : "";
    h->o.sampler = sampler_index(text_of(j, "sampler"));
    h->o.seed = (int64_t)number_of(j, "seed", 0);
    h->o.steps = (int64_t)number_of(j, "steps", 0);
    h->o.cfg = number_of(j, "cfg", 0);
    h->o.strength = number_of(j, "strength", 0);
    h->o.width = (int64_t)number_of(j, "width", (double)BT_INT_UNSET);
    h->o.height = (int64_t)number_of(j, "height", (double)BT_INT_UNSET);
    if (space)
        c->spacing = strcmp(space, "leading") ? SD_SPACING_UNSET : SD_LEADING;
    if (init) {
        start = golden_rgb(golden, init, &n_init);
        h->init = (bt_image){ sizeof h->init, 128, 128, 3, start };
    }
    host_must_run(h);
    c->spacing = spacing;
    h->init.pixels = NULL;
    assert_int_equal(n, 3 * (size_t)h->pictures[0].width * (size_t)h->pictures[0].height);
    double db = golden_psnr_db(h->pictures[0].rgb, want, n);
    free(want), free(start);
    return db;
}

static void all_pictures(const char *path, const char *golden, bt_precision precision, int most,
                         double bound)
{
    bt_store *s = golden_open(golden);
    cJSON *side = side_json(golden);
    host *h = host_open(path, 2, precision);
    const cJSON *j;
    double worst = 999;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(side, "pictures"))
    {
        if (most-- == 0)
            break;
        double db = compare(h, s, j);
        print_message("%s %-8s %5.1f dB  %s\n", text_of(j, "name"), text_of(j, "sampler"), db,
                      text_of(j, "prompt"));
        worst = db < worst ? db : worst;
    }
    host_close(h);
    cJSON_Delete(side);
    bt_store_close(s);
    if (!(worst >= bound))
        fail_msg("%s: %.1f dB", golden, worst);
}

static void test_tiny(void **state)
{
    (void)state;
    all_pictures(TINY, "tiny_sd_pictures", BT_PREC_F32, -1, 40);
}

static void test_icons(void **state)
{
    (void)state;
    if (!icons_path())
        skip();
    all_pictures(icons_path(), "pictures", BT_PREC_F32, -1, 40);
}

/* What is shipped, as it is run: 5 prompts with 3 samplers each. */
static void test_asset(void **state)
{
    (void)state;
    all_pictures(ASSET, "pictures", BT_PREC_AUTO, GOLDEN_BRIEF ? 3 : 15, 25);
}

/* The shipped model begins in pure noise. Samplers that ask twice a step or remember find the
 * picture there too, in few steps: near to what DDIM makes of the same noise. */
static void test_pure_noise(void **state)
{
    (void)state;
    static const struct {
        const char *sampler;
        int automatic, steps;
    } cases[] = { { "heun", 0, 9 },
                  { "lms", 0, 20 },
                  { "plms", 1, 20 },
                  { "dpm2_a", 1, 20 },
                  { "restart", 1, 9 } };
    host *h = host_open(ASSET, 2, BT_PREC_AUTO);
    h->o.prompt = "castle";
    h->o.seed = 3;
    h->o.steps = 20;
    host_must_run(h);
    const size_t n = 3 * (size_t)h->pictures[0].width * (size_t)h->pictures[0].height;
    uint8_t *want = malloc(n);
    memcpy(want, h->pictures[0].rgb, n);
    for (int i = 0; i < (GOLDEN_BRIEF ? 2 : 5); i++) {
        h->o.sampler = (int)(sampler_named(cases[i].sampler) - sd_samplers) + 1;
        h->o.scheduler = cases[i].automatic ? SD_GRID_AUTOMATIC : SD_GRID_MODEL;
        h->o.steps = cases[i].steps;
        host_must_run(h);
        const double db = golden_psnr_db(h->pictures[0].rgb, want, n);
        print_message("%-8s %5.1f dB\n", cases[i].sampler, db);
        if (!(db >= 22))
            fail_msg("%s: %.1f dB", cases[i].sampler, db);
    }
    free(want);
    host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_icons),
        cmocka_unit_test(test_asset),
        cmocka_unit_test(test_pure_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
