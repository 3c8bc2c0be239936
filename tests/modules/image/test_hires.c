/* SPDX-License-Identifier: MIT
 * A second, larger pass: against diffusers' parts (make_hires.py), and that each
 * picture is its own.
 */
#include "common.h"

#include "golden.h"

#define TINY BT_SOURCE_DIR "/tests/golden/tiny-sd"

enum { SIDE = 96 };

static host *open_host(void)
{
    host *h = host_open(TINY, 2, BT_PREC_F32);
    h->o.prompt = "a red cat";
    h->o.width = h->o.height = 64;
    h->o.seed = 5, h->o.steps = 6, h->o.cfg = 4;
    h->o.hires_scale = 1.5;
    h->o.hires_steps = 4;
    h->o.hires_strength = 0.5;
    return h;
}

static void test_diffusers(void **state)
{
    (void)state;
    static const char *const samplers[] = { "model", "ddim", "euler", "euler_a", "dpmpp_2m" };
    bt_store *s = golden_open("hires");
    cJSON *side = side_json("hires"), *j;
    host *h = open_host();
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(side, "pictures"))
    {
        char name[64];
        size_t n;
        h->o.sampler = 0;
        while (strcmp(samplers[h->o.sampler], cJSON_GetObjectItem(j, "sampler")->valuestring))
            h->o.sampler++;
        h->o.hires_strength = cJSON_GetObjectItem(j, "strength")->valuedouble;
        host_must_run(h);
        snprintf(name, sizeof name, "%s.rgb", cJSON_GetObjectItem(j, "name")->valuestring);
        int64_t *v = golden_ints(s, name, &n);
        assert_int_equal(n, 3 * SIDE * SIDE);
        assert_int_equal(h->pictures[0].width, SIDE);
        assert_int_equal(h->pictures[0].height, SIDE);
        static uint8_t want[3 * SIDE * SIDE];
        for (size_t i = 0; i < n; i++)
            want[i] = (uint8_t)v[i];
        free(v);
        const double db = golden_psnr_db(h->pictures[0].rgb, want, n);
        print_message("%s %s: %.1f dB\n", name, samplers[h->o.sampler], db);
        assert_true(db >= 40);
    }
    host_close(h);
    cJSON_Delete(side);
    bt_store_close(s);
}

static void test_upscalers(void **state)
{
    (void)state;
    static const char *const labels[] = { "Latent,", "Latent (nearest-exact),", "Lanczos,",
                                          "Nearest," };
    static uint8_t seen[4][3 * SIDE * SIDE];
    host *h = open_host();
    for (int i = 0; i < 4; i++) {
        h->o.hires_upscaler = i;
        host_must_run(h);
        assert_int_equal(h->pictures[0].width, SIDE);
        memcpy(seen[i], h->pictures[0].rgb, sizeof seen[i]);
        const char *at = strstr(h->pictures[0].info, "Hires upscaler: ");
        assert_memory_equal(at + 16, labels[i], strlen(labels[i]));
        assert_non_null(strstr(h->pictures[0].info, "Size: 64x64"));
        assert_non_null(strstr(h->pictures[0].info, "Denoising strength: 0.5"));
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(seen[k], seen[i], sizeof seen[i]);
    }
    host_close(h);
}

/* Picture i of a batch is the one of seed + i; an odd size is rounded down. */
static void test_batch(void **state)
{
    (void)state;
    host *h = open_host();
    h->o.hires_upscaler = 2;
    h->o.hires_scale = 1.2; /* 76.8 pixels: 72 */
    h->o.batch = 2;
    host_must_run(h);
    assert_int_equal(h->pictures[1].width, 72);
    static uint8_t second[3 * 72 * 72];
    memcpy(second, h->pictures[1].rgb, sizeof second);
    h->o.batch = 1;
    h->o.seed++;
    host_must_run(h);
    assert_memory_equal(h->pictures[0].rgb, second, sizeof second);
    host_close(h);
}

/* Previews are small, come when asked for, and change nothing. */
static void test_previews(void **state)
{
    (void)state;
    host *h = open_host();
    static uint8_t without[3 * 256 * 64];
    h->o.hires_scale = 1;
    h->o.width = 256;
    h->o.batch = 5;
    for (h->o.sampler = 1; h->o.sampler <= (GOLDEN_BRIEF ? 1 : 3); h->o.sampler++) {
        h->preview_interval = 0;
        host_must_run(h);
        memcpy(without, h->pictures[4].rgb, sizeof without);
        h->preview_interval = 2;
        host_must_run(h); /* after steps 2 and 4 of 6: the last one is the picture itself */
        assert_int_equal(h->previews, 2 * 5);
        assert_int_equal(h->preview_shown, 31);
        assert_int_equal(h->preview_w, 24 * 8);
        assert_int_equal(h->preview_h, 6 * 8);
        assert_memory_equal(without, h->pictures[4].rgb, sizeof without);
    }
    h->preview_interval = 1;
    h->o.batch = 1;
    h->o.hires_scale = 1.5;
    h->o.sampler = 1;
    host_must_run(h);
    assert_int_equal(h->previews, 5 + 3); /* of both passes */
    host_close(h);
}

/* What the network foresees follows from what it predicts: as the model says, or the option. */
static void test_preview_prediction(void **state)
{
    (void)state;
    host *h = open_host();
    sd_prediction *own = &((sd_model *)h->model)->schedule.prediction;
    uint64_t shown[3];
    h->o.hires_scale = 1;
    h->o.sampler = 1;
    h->preview_interval = 2;
    *own = SD_V;
    for (int i = 0; i < 3; i++) {
        host_must_run(h);
        shown[i] = h->preview_hash;
        *own = i == 0 ? SD_EPSILON : *own;
        h->o.prediction = i == 0 ? SD_V + 1 : 0;
    }
    assert_true(shown[0] == shown[1]);
    assert_true(shown[0] != shown[2]);
    host_close(h);
}

static void test_refused(void **state)
{
    (void)state;
    static uint8_t grey[64 * 64];
    host *h = open_host();
    h->init = (bt_image){ sizeof h->init, 64, 64, 1, grey };
    assert_int_equal(host_run(h), BT_EINVAL);
    assert_non_null(strstr(h->error.text, "hires_scale"));
    h->init.pixels = NULL;
    h->o.width = 16384, h->o.height = 8, h->o.hires_scale = 2;
    assert_int_equal(host_run(h), BT_EINVAL);
    assert_non_null(strstr(h->error.text, "too large"));
    host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diffusers),
        cmocka_unit_test(test_upscalers),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_previews),
        cmocka_unit_test(test_preview_prediction),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
