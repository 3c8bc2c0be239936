/* SPDX-License-Identifier: MIT
 * Repainting a part of a picture: against diffusers (make_inpaint.py), and what
 * stays as it was.
 */
#include "common.h"

#include "golden.h"

#define TINY BT_SOURCE_DIR "/tests/golden/tiny-sd"

enum { S = 64 };
static uint8_t init[3 * S * S], mask[S * S];

static host *open_host(void)
{
    host *h = host_open(TINY, 2, BT_PREC_F32);
    for (int i = 0; i < S * S; i++) {
        init[3 * i] = (uint8_t)(4 * (i % S)), init[3 * i + 1] = (uint8_t)(4 * (i / S));
        mask[i] = i % S >= 24 && i / S < 40 ? 255 : 0;
    }
    h->init = (bt_image){ sizeof h->init, S, S, 3, init };
    h->mask = (bt_image){ sizeof h->mask, S, S, 1, mask };
    h->o.prompt = "a red cat";
    h->o.steps = 2;
    return h;
}

static void close_host(host *h)
{
    h->init.pixels = h->mask.pixels = NULL;
    host_close(h);
}

static void test_diffusers(void **state)
{
    (void)state;
    static const char *const samplers[] = { "model", "ddim", "euler", "euler_a", "dpmpp_2m" };
    bt_store *s = golden_open("inpaint");
    cJSON *side = side_json("inpaint"), *j;
    host *h = open_host();
    uint8_t want[3 * S * S], got[3 * S * S];
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(side, "pictures"))
    {
        char name[64];
        size_t n, marked = 0;
        h->o.sampler = 0;
        while (strcmp(samplers[h->o.sampler], cJSON_GetObjectItem(j, "sampler")->valuestring))
            h->o.sampler++;
        h->o.seed = 5, h->o.steps = 8, h->o.cfg = 4;
        h->o.strength = cJSON_GetObjectItem(j, "strength")->valuedouble;
        host_must_run(h);
        snprintf(name, sizeof name, "%s.rgb", cJSON_GetObjectItem(j, "name")->valuestring);
        int64_t *rgb = golden_ints(s, name, &n);
        assert_int_equal(n, 3 * S * S);
        for (size_t i = 0; i < n; i++)
            if (mask[i / 3])
                want[marked] = (uint8_t)rgb[i], got[marked++] = h->pictures[0].rgb[i];
            else
                assert_int_equal(h->pictures[0].rgb[i], init[i]);
        free(rgb);
        const double db = golden_psnr_db(got, want, marked);
        print_message("%s %s strength %g: %.1f dB\n", name, samplers[h->o.sampler], h->o.strength,
                      db);
        assert_true(db >= 40);
    }
    close_host(h);
    cJSON_Delete(side);
    bt_store_close(s);
}

/* Pixels of the first picture that are not as they were. */
static int changed(const host *h, int w, int x0, int y0, int x1, int y1)
{
    int n = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            n += memcmp(h->pictures[0].rgb + 3 * (y * w + x), init + 3 * (y * S + x), 3) != 0;
    return n;
}

static void test_soft_edge(void **state)
{
    (void)state;
    host *h = open_host();
    h->o.mask_blur = 4;
    host_must_run(h); /* a kernel of 21 taps reaches 10 pixels */
    assert_int_equal(changed(h, S, 0, 0, 24 - 10, S), 0);
    assert_int_equal(changed(h, S, 0, 40 + 10, S, S), 0);
    assert_true(changed(h, S, 14, 0, 24, 40) > 100);
    assert_non_null(strstr(h->pictures[0].info, ", Mask blur: 4,"));
    h->o.mask_blur = 0;
    h->o.mask_invert = 1;
    host_must_run(h);
    assert_int_equal(changed(h, S, 24, 0, S, 40), 0);
    assert_true(changed(h, S, 0, 40, S, S) > 1000);
    assert_non_null(strstr(h->pictures[0].info, "Mask mode: Inpaint not masked"));
    close_host(h);
}

/* A mask of another size means the same places. */
static void test_mask_size(void **state)
{
    (void)state;
    host *h = open_host();
    static uint8_t small[16 * 16], kept[3 * S * S];
    host_must_run(h);
    memcpy(kept, h->pictures[0].rgb, sizeof kept);
    for (int i = 0; i < 16 * 16; i++)
        small[i] = i % 16 >= 6 && i / 16 < 10 ? 255 : 0;
    h->mask = (bt_image){ sizeof h->mask, 16, 16, 1, small };
    host_must_run(h); /* its edges are soft now */
    assert_int_equal(changed(h, S, 0, 0, 20, S), 0);
    assert_memory_equal(h->pictures[0].rgb + 3 * 40, kept + 3 * 40, 3 * 10);
    close_host(h);
}

static void test_fills(void **state)
{
    (void)state;
    host *h = open_host();
    static uint8_t seen[4][3 * S * S];
    static const char *const labels[] = { NULL, "fill,", "latent noise,", "latent nothing," };
    for (int fill = 0; fill < 4; fill++) {
        h->o.inpaint_fill = fill;
        h->o.strength = 0.5;
        host_must_run(h);
        memcpy(seen[fill], h->pictures[0].rgb, sizeof seen[fill]);
        assert_int_equal(changed(h, S, 0, 0, 24, S), 0);
        const char *label = strstr(h->pictures[0].info, "Masked content: ");
        if (fill == 0)
            assert_null(label);
        else
            assert_memory_equal(label + 16, labels[fill], strlen(labels[fill]));
        for (int i = 0; i < fill; i++)
            assert_memory_not_equal(seen[i], seen[fill], sizeof seen[i]);
    }
    close_host(h);
}

/* The mask's box alone is made, at the size asked for, and pasted back. */
static void test_masked_area(void **state)
{
    (void)state;
    host *h = open_host();
    memset(mask, 0, sizeof mask);
    for (int y = 20; y < 30; y++)
        memset(mask + S * y + 10, 255, 8);
    h->o.inpaint_area = 1;
    h->o.inpaint_padding = 4;
    h->o.width = 32, h->o.height = 32;
    host_must_run(h);
    assert_int_equal(h->pictures[0].width, S);
    assert_int_equal(h->pictures[0].height, S);
    assert_int_equal(changed(h, S, 10, 20, 18, 30), 80);
    assert_int_equal(changed(h, S, 0, 0, S, S), 80);
    assert_non_null(strstr(h->pictures[0].info, "Size: 32x32"));
    assert_non_null(
        strstr(h->pictures[0].info, "Inpaint area: Only masked, Masked area padding: 4,"));
    memset(mask, 0, sizeof mask);
    assert_int_equal(host_run(h), BT_EINVAL);
    assert_non_null(strstr(h->error.text, "marks nothing"));
    close_host(h);
}

static void test_outpaint(void **state)
{
    (void)state;
    host *h = open_host();
    h->mask.pixels = NULL;
    h->o.outpaint = "16,5,8,0"; /* the right margin becomes 8 */
    h->o.strength = 1;
    host_must_run(h);
    assert_int_equal(h->pictures[0].width, S + 24);
    assert_int_equal(h->pictures[0].height, S + 8);
    for (int y = 0; y < S; y++)
        assert_memory_equal(h->pictures[0].rgb + 3 * ((y + 8) * (S + 24) + 16), init + 3 * y * S,
                            3 * S);
    assert_non_null(strstr(h->pictures[0].info, "Masked content: fill"));
    static const char *const bad[] = { "x",     "1,2",   "1,2,3,4,5", "-1,0,0,0", "8,",
                                       "8,8,8", "99999", "1,2,3,4 ",  ",",        "1,,2,3" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        h->o.outpaint = bad[i];
        assert_int_equal(host_run(h), BT_EINVAL);
        assert_non_null(strstr(h->error.text, "outpaint: \""));
    }
    h->init = (bt_image){ sizeof h->init, 9000, 1, 1, calloc(9000, 1) };
    h->o.outpaint = "4096,4096,0,0";
    assert_int_equal(host_run(h), BT_EINVAL);
    assert_non_null(strstr(h->error.text, "17192x8 is too large"));
    free(h->init.pixels);
    h->o.outpaint = "8";
    h->init.pixels = NULL;
    assert_int_equal(host_run(h), BT_EINVAL);
    close_host(h);
}

/* ---- the parts ------------------------------------------------------------- */

static void test_box(void **state)
{
    (void)state;
    static const struct {
        int x, y, w, h, padding, to_w, to_h;
        sd_box want;
    } cases[] = {
        { 10, 20, 10, 10, 0, 8, 8, { 10, 20, 10, 10 } },
        { 10, 20, 10, 10, 5, 8, 8, { 5, 15, 20, 20 } },
        { 10, 20, 10, 10, 5, 16, 8, { 0, 15, 40, 20 } }, /* wider: moved off the left border */
        { 50, 50, 14, 14, 8, 8, 8, { 42, 42, 22, 22 } }, /* padding ends at the border */
        { 0, 0, 64, 10, 0, 8, 8, { 0, 0, 64, 64 } },     /* as high as it is wide */
        { 30, 60, 4, 4, 100, 8, 64, { 0, 0, 64, 64 } },  /* no more than the picture */
    };
    static float m[S * S];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sd_box b;
        memset(m, 0, sizeof m);
        for (int y = cases[i].y; y < cases[i].y + cases[i].h; y++)
            for (int x = cases[i].x; x < cases[i].x + cases[i].w; x++)
                m[y * S + x] = 0.1f;
        assert_true(sd_mask_box(m, S, S, cases[i].padding, cases[i].to_w, cases[i].to_h, &b));
        if (memcmp(&b, &cases[i].want, sizeof b))
            fail_msg("case %zu: %d,%d %dx%d", i, b.x, b.y, b.w, b.h);
    }
}

static void test_blur(void **state)
{
    (void)state;
    static float m[31 * 9];
    for (int i = 0; i < 31 * 9; i++)
        m[i] = i % 31 >= 15;
    assert_true(sd_mask_blur(m, 31, 9, 2));
    for (int i = 0; i < 30; i++) { /* point symmetric about the edge, and rising */
        assert_true(fabsf(m[4 * 31 + i] + m[4 * 31 + 29 - i] - 1) < 1e-5f);
        assert_true(m[4 * 31 + i + 1] >= m[4 * 31 + i] - 1e-6f);
    }
    /* A step, smoothed by a Gaussian of 2: Phi(0.25) = 0.5987 half a pixel in. */
    assert_true(fabsf(m[4 * 31 + 15] - 0.5987f) < 0.004f);
    float one = 0.3f;
    assert_true(sd_mask_blur(&one, 1, 1, 64));
    assert_true(fabsf(one - 0.3f) < 1e-6f);
}

/* Colours flow in from the sides, smoothly, and known ones stay. */
static void test_fill(void **state)
{
    (void)state;
    enum { W = 37, H = 21 };
    static float x[W * H * 3], m[W * H];
    for (int i = 0; i < W * H; i++) {
        m[i] = i % W >= 10 && i % W < 30;
        for (int c = 0; c < 3; c++)
            x[3 * i + c] = m[i] > 0 ? 99 : i % W < 10 ? 0.2f * (float)c : 1 - 0.3f * (float)c;
    }
    assert_true(sd_mask_fill(x, m, W, H));
    for (int i = 0; i < W * H; i++)
        for (int c = 0; c < 3; c++) {
            const float left = 0.2f * (float)c, right = 1 - 0.3f * (float)c, v = x[3 * i + c];
            if (m[i] == 0)
                assert_true(v == (i % W < 10 ? left : right));
            else
                assert_true(v >= fminf(left, right) - 1e-4f && v <= fmaxf(left, right) + 1e-4f);
        }
    assert_true(fabsf(x[3 * (10 * W + 10)] - 0) < 0.35f);
    assert_true(fabsf(x[3 * (10 * W + 29)] - 1) < 0.35f);
    for (int i = 0; i < W * H; i++)
        m[i] = 1; /* nothing is known: as it was */
    assert_true(sd_mask_fill(x, m, W, H));
    assert_true(x[0] == 0);
}

static void test_scale(void **state)
{
    (void)state;
    float x[6 * 4], *y;
    for (int i = 0; i < 24; i++)
        x[i] = (float)(i % 6);
    for (sd_filter f = SD_TRIANGLE; f <= SD_LANCZOS; f++) {
        y = sd_picture_scale(x, 6, 4, 6, 4, 1, f);
        for (int i = 0; i < 24; i++)
            assert_true(fabsf(y[i] - x[i]) < 1e-6f);
        bt_release(y);
        y = sd_picture_scale(x, 6, 4, 12, 8, 1, f);
        for (int i = 0; i < 12 * 8; i++)
            assert_true(fabsf(y[i] - y[i % 12]) < 1e-6f);
        assert_true(y[5] < y[6] && fabsf(y[5] + y[6] - 5) < 1e-5f);
        if (f == SD_NEAREST)
            assert_true(y[2] == 1 && y[3] == 1);
        if (f == SD_TRIANGLE)
            assert_true(fabsf(y[3] - 1.25f) < 1e-6f && fabsf(y[4] - 1.75f) < 1e-6f);
        bt_release(y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_diffusers),   cmocka_unit_test(test_soft_edge),
        cmocka_unit_test(test_mask_size),   cmocka_unit_test(test_fills),
        cmocka_unit_test(test_masked_area), cmocka_unit_test(test_outpaint),
        cmocka_unit_test(test_box),         cmocka_unit_test(test_blur),
        cmocka_unit_test(test_fill),        cmocka_unit_test(test_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
