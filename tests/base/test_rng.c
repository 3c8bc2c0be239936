/* SPDX-License-Identifier: MIT
 * Random numbers against torch (tests/golden/make_torch_randn.py), against the
 * published output of A1111's Philox, and splitmix64's.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/rng.h"
#include "golden.h"

#define BOUND 1e-6

static const char *const seeds[] = { "0", "7", "42", "4294967301" };

static void check(bt_torch_rng *r, const bt_store *g, const char *name)
{
    size_t n;
    float *want = golden_floats(g, name, &n);
    float *got = malloc(n * sizeof *got);
    assert_non_null(got);
    bt_torch_randn(r, got, n);
    const double worst = golden_max_abs(got, want, n);
    if (!(worst <= BOUND))
        fail_msg("%s: off by %g", name, worst);
    free(got);
    free(want);
}

static void test_words(void **state)
{
    (void)state;
    bt_store *g = golden_open("torch_randn");
    bt_torch_rng r;
    for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++) {
        char name[64];
        size_t n;
        snprintf(name, sizeof name, "s%s.random_u32", seeds[s]);
        int64_t *want = golden_ints(g, name, &n);
        bt_torch_seed(&r, strtoull(seeds[s], NULL, 10));
        /* torch.randint over 2^32 values draws a 32-bit or a 64-bit word by
         * version; either way its low half is one of our words. */
        uint32_t words[64];
        for (size_t i = 0; i < 2 * n; i++)
            words[i] = bt_torch_u32(&r);
        const size_t step = (int64_t)words[0] == want[0] ? 1 : 2;
        for (size_t i = 0; i < n; i++)
            assert_int_equal(words[i * step + step - 1], want[i]);
        free(want);
    }
    bt_store_close(g);
}

static void test_sizes(void **state)
{
    static const int sizes[] = { 1, 8, 15, 16, 17, 64, 1024 };
    (void)state;
    bt_store *g = golden_open("torch_randn");
    for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            bt_torch_rng r;
            char name[64];
            snprintf(name, sizeof name, "s%s.n%d", seeds[s], sizes[i]);
            bt_torch_seed(&r, strtoull(seeds[s], NULL, 10));
            check(&r, g, name);
        }
    bt_store_close(g);
}

/* Draws one after the other: the kept second value of a pair must survive. */
static void test_sequences(void **state)
{
    static const struct {
        const char *name;
        int n;
    } seqs[] = { { "seq_5_16", 2 },    { "seq_16_5", 2 },      { "seq_1_1_1", 3 },
                 { "seq_15_17_8", 3 }, { "seq_1024_1024", 2 }, { "seq_17_64_1", 3 },
                 { "seq_8_3_16", 3 } };
    (void)state;
    bt_store *g = golden_open("torch_randn");
    for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++)
        for (size_t i = 0; i < sizeof seqs / sizeof *seqs; i++) {
            bt_torch_rng r;
            bt_torch_seed(&r, strtoull(seeds[s], NULL, 10));
            for (int k = 0; k < seqs[i].n; k++) {
                char name[64];
                snprintf(name, sizeof name, "s%s.%s.%d", seeds[s], seqs[i].name, k);
                check(&r, g, name);
            }
        }
    bt_store_close(g);
}

/* stable-diffusion-webui, modules/rng_philox.py: seed 0, shape (3, 4). */
static void test_philox(void **state)
{
    static const float want[12] = { -0.92466259f, -0.42534415f, -2.6438457f,  0.14518388f,
                                    -0.12086647f, -0.57972564f, -0.62285122f, -0.32838709f,
                                    -1.07454231f, -0.36314407f, -1.67105067f, 2.26550497f };
    float got[12];
    (void)state;
    bt_philox_randn(0, 0, got, 12);
    for (int i = 0; i < 12; i++)
        assert_true(fabsf(got[i] - want[i]) <= 1e-6f);
    float next[12];
    bt_philox_randn(0, 1, next, 12);
    assert_true(fabsf(next[0] - got[0]) > 1e-3f);
}

/* splitmix64 from state 0 gives 0xe220a8397b1dcdaf first. */
static void test_uniform(void **state)
{
    uint64_t s = 0;
    (void)state;
    assert_true(bt_uniform(&s) == (double)(0xe220a8397b1dcdafu >> 11) / 9007199254740992.0);
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        const double u = bt_uniform(&s);
        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    assert_true(fabs(sum / 10000 - 0.5) < 0.02);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),     cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_sequences), cmocka_unit_test(test_philox),
        cmocka_unit_test(test_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
