/* SPDX-License-Identifier: MIT
 * What must not change a byte: threads, the batch, a job's earlier runs; and
 * what a run does besides: odd sizes, cancelling, masks, faster precisions.
 */
#include "common.h"

#define TINY BT_SOURCE_DIR "/tests/golden/tiny-sd"

static uint8_t *take(host *h, int i)
{
    uint8_t *rgb = h->pictures[i].rgb;
    h->pictures[i].rgb = NULL;
    return rgb;
}

static size_t bytes_of(const host *h, int i)
{
    return 3 * (size_t)h->pictures[i].width * (size_t)h->pictures[i].height;
}

static host *open_small(int threads, bt_precision p)
{
    host *h = host_open(TINY, threads, p);
    h->o.prompt = "a red cat";
    h->o.steps = 3;
    h->o.width = h->o.height = 64;
    /* The random network's answers taken as v keep latents small; taken as
     * noise they blow up, and saturated pixels would hide a difference. */
    ((sd_model *)h->model)->schedule.prediction = SD_V;
    return h;
}

static void test_threads(void **state)
{
    (void)state;
    static const bt_precision precisions[] = { BT_PREC_F32, BT_PREC_AUTO, BT_PREC_INT8 };
    for (int p = 0; p < 3; p++) {
        uint8_t *first = NULL;
        for (int threads = 1; threads <= 3; threads++) {
            host *h = open_small(threads, precisions[p]);
            h->o.sampler = 3;
            host_must_run(h);
            if (!first)
                first = take(h, 0);
            else
                assert_memory_equal(h->pictures[0].rgb, first, bytes_of(h, 0));
            host_close(h);
        }
        free(first);
    }
}

/* Six pictures: a whole group and a part of one. With A1111's grids too, whose
 * SDE samplers have paths of noise. */
static void test_batch(void **state)
{
    (void)state;
    host *h = open_small(2, BT_PREC_AUTO);
    for (int sampler = 1; sd_samplers[sampler - 1].name; sampler++) {
        const int side = GOLDEN_BRIEF && sampler > 1 ? 32 : 64;
        uint8_t *batch[6];
        h->o.width = h->o.height = side;
        h->o.sampler = sampler;
        h->o.seed = 100;
        h->o.batch = 6;
        h->o.rng = sampler % 2;
        h->o.scheduler = sampler > 4 && sampler % 3 ? SD_GRID_AUTOMATIC : SD_GRID_MODEL;
        host_must_run(h);
        assert_int_equal(h->n_pictures, 6);
        int middling = 0;
        for (size_t i = 0; i < bytes_of(h, 0); i++)
            middling += h->pictures[0].rgb[i] > 0 && h->pictures[0].rgb[i] < 255;
        assert_true(middling > side * side);
        for (int i = 0; i < 6; i++)
            batch[i] = take(h, i);
        h->o.batch = 1;
        for (int i = 0; i<6; i += sampler> 4 ? 5 : 1) {
            h->o.seed = 100 + i;
            host_must_run(h);
            assert_memory_equal(h->pictures[0].rgb, batch[i], bytes_of(h, 0));
            if (i > 0 && !memcmp(batch[i], batch[0], bytes_of(h, 0)))
                fail_msg("sampler %d: picture %d is picture 0", sampler, i);
        }
        for (int i = 0; i < 6; i++)
            free(batch[i]);
    }
    host_close(h);
}

/* Two pictures that differ in more than a few values. */
static void differ(host *h, const uint8_t *was)
{
    size_t n = bytes_of(h, 0), changed = 0;
    for (size_t i = 0; i < n; i++)
        changed += h->pictures[0].rgb[i] != was[i];
    assert_true(changed > n / 4);
}

/* The steps' noise has its own generator if it is given a kind, a seed or a delta;
 * a variation moves from one picture to another. */
static void test_seeds(void **state)
{
    (void)state;
    static const char *const names[] = { "euler_a", "dpm++sde" };
    for (int i = 0; i < 2; i++) {
        host *h = open_small(2, BT_PREC_F32);
        while (strcmp(sd_samplers[h->o.sampler++].name, names[i]) != 0)
            ;
        host_must_run(h);
        uint8_t *plain = take(h, 0);
        size_t n = bytes_of(h, 0);
        h->o.sampler_rng = 2;
        host_must_run(h);
        differ(h, plain);
        h->o.sampler_rng = 0, h->o.sampler_seed = 7;
        host_must_run(h);
        differ(h, plain);
        h->o.sampler_seed = BT_INT_UNSET, h->o.ensd = 31337;
        host_must_run(h);
        if (i == 0) /* paths have A1111's seed, without the delta */
            differ(h, plain);
        assert_non_null(strstr(h->pictures[0].info, "ENSD: 31337"));
        h->o.ensd = 0, h->o.variation = 0.25, h->o.variation_seed = 5, h->o.batch = 2;
        host_must_run(h);
        differ(h, plain);
        assert_non_null(strstr(h->pictures[1].info, "Seed: 42"));
        assert_non_null(
            strstr(h->pictures[1].info, "Variation seed: 6, Variation seed strength: 0.25"));
        h->o.variation = 0, h->o.batch = 1;
        host_must_run(h);
        assert_memory_equal(h->pictures[0].rgb, plain, n);
        free(plain);
        host_close(h);
    }
}

/* A job that made other things in between makes the same picture again. */
static void test_again(void **state)
{
    (void)state;
    host *h = open_small(2, BT_PREC_F32);
    host_must_run(h);
    uint8_t *first = take(h, 0);
    size_t n = bytes_of(h, 0);
    static const int sizes[] = { 128, 72, 88, 96, 104, 112, 120 };
    for (int i = 0; i < 7; i++) {
        char prompt[32];
        snprintf(prompt, sizeof prompt, "a dog number %d", i);
        h->o.prompt = prompt;
        h->o.width = sizes[i];
        host_must_run(h);
        assert_int_equal(h->pictures[0].width, sizes[i]);
        assert_int_equal(h->pictures[0].height, 64);
    }
    h->o.prompt = "a red cat";
    h->o.width = 64;
    host_must_run(h);
    assert_memory_equal(h->pictures[0].rgb, first, n);
    free(first);
    host_close(h);
}

static void test_sizes(void **state)
{
    (void)state;
    host *h = open_small(2, BT_PREC_F32);
    h->o.width = 71; /* rounded down, as A1111 does */
    host_must_run(h);
    assert_int_equal(h->pictures[0].width, 64);
    assert_non_null(strstr(h->facts, "width=64;"));
    h->o.width = 8, h->o.height = 8;
    assert_int_equal(host_run(h), BT_OK);
    h->o.width = 8, h->o.height = 136; /* 17 latent rows: the way up is not twice the way down */
    assert_int_equal(host_run(h), BT_OK);
    host_close(h);
}

static void test_long_prompts(void **state)
{
    (void)state;
    host *h = open_small(2, BT_PREC_F32);
    size_t n = 1 << 20;
    char *prompt = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        prompt[i] = "a red cat\xff "[i % 11];
    prompt[n] = 0;
    h->o.prompt = prompt;
    assert_int_equal(host_run(h), BT_EINVAL);
    assert_non_null(strstr(h->error.text, "longer than"));
    prompt[3000] = 0;
    host_must_run(h);
    assert_null(strstr(h->facts, "prompt_chunks=1;"));
    h->o.prompt = "";
    host_must_run(h);
    assert_non_null(strstr(h->facts, "prompt_tokens=0;prompt_chunks=1;"));
    free(prompt);
    host_close(h);
}

static void test_cancel(void **state)
{
    (void)state;
    host *h = open_small(2, BT_PREC_F32);
    h->cancel_after = 2;
    assert_int_equal(host_run(h), BT_ECANCELLED);
    assert_int_equal(h->n_pictures, 0);
    h->cancel_after = 0;
    host_must_run(h);
    host_close(h);
}

/* The left half is kept, the right half is made anew. */
static void test_mask(void **state)
{
    (void)state;
    enum { S = GOLDEN_BRIEF ? 32 : 64 };
    static uint8_t init[3 * S * S], mask[S * S];
    host *h = open_small(2, BT_PREC_F32);
    for (int i = 0; i < S * S; i++) {
        init[3 * i] = (uint8_t)(4 * (i % S)), init[3 * i + 1] = (uint8_t)(4 * (i / S));
        mask[i] = i % S < S / 2 ? 0 : 255;
    }
    h->o.width = h->o.height = S;
    h->o.strength = 1;
    h->mask = (bt_image){ sizeof h->mask, S, S, 1, mask };
    assert_int_equal(host_run(h), BT_EINVAL);
    h->init = (bt_image){ sizeof h->init, S, S, 3, init };
    for (h->o.sampler = 1; sd_samplers[h->o.sampler - 1].name; h->o.sampler++) {
        host_must_run(h);
        const uint8_t *out = h->pictures[0].rgb;
        int changed = 0;
        for (int i = 0; i < S * S; i++)
            if (i % S < S / 2)
                assert_memory_equal(out + 3 * i, init + 3 * i, 3);
            else
                changed += memcmp(out + 3 * i, init + 3 * i, 3) != 0;
        assert_true(changed > S * S / 4);
    }
    h->o.sampler = 0;
    h->o.strength = 0.1;
    assert_int_equal(host_run(h), BT_EINVAL);
    assert_non_null(strstr(h->error.text, "strength"));
    h->init.pixels = NULL, h->mask.pixels = NULL;
    host_close(h);
}

/* A picture to start from of another size is brought to the size asked for. */
static void test_init_size(void **state)
{
    (void)state;
    static uint8_t grey[100 * 50];
    host *h = open_small(2, BT_PREC_F32);
    memset(grey, 200, sizeof grey);
    h->init = (bt_image){ sizeof h->init, 100, 50, 1, grey };
    h->o.width = h->o.height = BT_INT_UNSET;
    host_must_run(h);
    assert_int_equal(h->pictures[0].width, 96);
    assert_int_equal(h->pictures[0].height, 48);
    h->init.pixels = NULL;
    host_close(h);
}

/* Plans give their memory back between the parts of a run; what one has of it at a
 * time is what the estimate says. */
static void test_rest(void **state)
{
    (void)state;
    host *h = open_small(2, BT_PREC_F32);
    const sd_model *m = h->model;
    sd_cache cache = { .m = m, .ws = m->ws };
    sd_plan *p;
    assert_int_equal(sd_cache_ready_plan(&cache, SD_DECODER, 1, 8, 8, &p, &h->error), BT_OK);
    float *first = malloc(64 * 64 * 3 * sizeof *first);
    for (int round = 0; round < 2; round++) {
        float *in = sd_plan_data(p, p->in);
        for (int i = 0; i < 8 * 8 * 4; i++)
            in[i] = sinf((float)i);
        assert_int_equal(sd_plan_run(p, NULL, &h->error), BT_OK);
        if (round == 0)
            memcpy(first, sd_plan_data(p, p->out), 64 * 64 * 3 * sizeof *first);
        else
            assert_memory_equal(first, sd_plan_data(p, p->out), 64 * 64 * 3 * sizeof *first);
        sd_cache_rest(&cache, SD_DECODER);
    }
    free(first);
    sd_cache_release(&cache);
    host_close(h);
}

static void test_estimate(void **state)
{
    (void)state;
    host *h = open_small(2, BT_PREC_F32);
    bt_estimate one = { 0 }, six = { 0 };
    assert_int_equal(host_estimate(h, &one), BT_OK);
    h->o.batch = 6;
    assert_int_equal(host_estimate(h, &six), BT_OK);
    /* the UNet and the decoder, in f32, of a file of 0.6 and 0.4 MB with the encoder */
    assert_true(one.weights > 700000 && one.weights < 1000000);
    /* parts run one after the other; decoding, always of one picture, takes most here */
    assert_true(one.arena > 0 && six.arena >= one.arena && six.arena < 5 * one.arena);
    assert_true(six.flops > 5.5 * one.flops && six.flops < 6 * one.flops);
    host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),   cmocka_unit_test(test_batch),
        cmocka_unit_test(test_seeds),     cmocka_unit_test(test_again),
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_long_prompts),
        cmocka_unit_test(test_cancel),    cmocka_unit_test(test_mask),
        cmocka_unit_test(test_init_size), cmocka_unit_test(test_rest),
        cmocka_unit_test(test_estimate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
