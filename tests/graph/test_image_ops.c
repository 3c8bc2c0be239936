/* SPDX-License-Identifier: MIT
 * Group norm, layer norm and concatenation against plain loops in double, on
 * every instruction set; batches, threads, errors.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/naive.h"

static const char *const isas[] = { "scalar",     "avx2", "avx512", "avx512vnni",
                                    "avx512bf16", "amx",  "auto" };
enum { N_ISA = 5 };

static bool have(const char *isa)
{
    uint32_t need = (uint32_t)bt_cpu_cap(isa);
    return (need & (BT_CPU_AVX2 | BT_CPU_AVX512 | BT_CPU_AVX512VNNI) & ~bt_cpu_flags()) == 0;
}

/* A fresh plan with one input; `build` makes the output. */
typedef bt_node *(*build_fn)(fixture *f, bt_node *x);

static float *gamma_values, *beta_values;

static void norm_weights(fixture *f, int64_t c, const bt_weight **gamma, const bt_weight **beta)
{
    free(gamma_values), free(beta_values);
    *gamma = random_weight(f, "gamma", 1, &c, 0, 1, &gamma_values);
    *beta = random_weight(f, "beta", 1, &c, 0, 2, &beta_values);
}

static bt_node *group_norm(fixture *f, bt_node *x, int groups)
{
    const bt_weight *gamma, *beta;
    norm_weights(f, bt_shape_of(x).c, &gamma, &beta);
    return bt_group_norm(f->g, x, gamma, beta, groups, 1e-5f);
}

/* y = (x - mean) / sqrt(var + eps) * gamma + beta over `rows` rows and the
 * channels of a group; the variance in two passes. */
static void naive_norm(const float *x, double *y, int64_t rows, int64_t c, int64_t groups)
{
    int64_t per = c / groups;
    for (int64_t g = 0; g < groups; g++) {
        double mean = 0, var = 0, n = (double)(rows * per);
        for (int64_t i = 0; i < rows * per; i++)
            mean += (double)x[i / per * c + g * per + i % per] / n;
        for (int64_t i = 0; i < rows * per; i++) {
            double d = (double)x[i / per * c + g * per + i % per] - mean;
            var += d * d / n;
        }
        for (int64_t i = 0; i < rows * per; i++) {
            int64_t k = g * per + i % per, at = i / per * c + k;
            y[at] = ((double)x[at] - mean) / sqrt(var + 1e-5) * (double)gamma_values[k] +
                    (double)beta_values[k];
        }
    }
}

static void group_norm_case(const char *isa, int threads, bt_shape s, int groups, bt_act act,
                            double offset)
{
    fixture f;
    size_t n = (size_t)(s.n * s.h * s.w * s.c);
    double *want = calloc(n, sizeof *want);
    float *in = calloc(n, sizeof *in);
    fixture_open(&f, isa, threads, BT_PREC_F32);
    bt_node *x = bt_input(f.g, s);
    bt_node *y = bt_output(f.g, bt_act_of(f.g, group_norm(&f, x, groups), act, 0.1f));
    bt_error err = { 0 };
    assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
    fill_noise(in, n, 7);
    for (size_t i = 0; i < n; i++)
        in[i] += (float)offset;
    memcpy(bt_plan_data(f.p, x), in, n * sizeof *in);
    assert_int_equal(bt_plan_run(f.p, NULL, &err), BT_OK);
    for (int64_t b = 0; b < s.n; b++)
        naive_norm(in + (size_t)b * n / (size_t)s.n, want + (size_t)b * n / (size_t)s.n, s.h * s.w,
                   s.c, groups);
    for (size_t i = 0; i < n; i++)
        if (act == BT_ACT_SILU)
            want[i] /= 1 + exp(-want[i]);
        else if (act == BT_ACT_LEAKY_RELU && want[i] < 0)
            want[i] *= (double)0.1f;
    /* the input's own rounding at its offset is exact; what is left is that of
     * mul and add: a few ulp of offset/sigma */
    assert_true(relative_error(bt_plan_data(f.p, y), want, n) < 3e-7 * (1 + 2 * fabs(offset)));
    fixture_close(&f);
    free(want), free(in);
}

static void test_group_norm(void **state)
{
    (void)state;
    static const struct {
        bt_shape s;
        int groups;
    } cases[] = {
        { { 1, 16, 16, 64 }, 32 }, { { 3, 16, 17, 64 }, 8 }, { { 2, 1, 1, 32 }, 4 },
        { { 1, 37, 11, 48 }, 3 },  { { 2, 9, 9, 24 }, 1 },   { { 1, 4, 4, 20 }, 20 },
    };
    for (int i = 0; i < N_ISA; i++)
        for (size_t k = 0; have(isas[i]) && k < sizeof cases / sizeof *cases; k++) {
            group_norm_case(isas[i], 2, cases[k].s, cases[k].groups, BT_ACT_NONE, 0);
            group_norm_case(isas[i], 1, cases[k].s, cases[k].groups, BT_ACT_SILU, 0);
            group_norm_case(isas[i], 3, cases[k].s, cases[k].groups, BT_ACT_LEAKY_RELU, 0);
            if (cases[k].s.h > 1)
                group_norm_case(isas[i], 2, cases[k].s, cases[k].groups, BT_ACT_NONE, 100);
        }
}

/* Bytes of picture `which` of a batch of n, on these threads. */
static float *norm_of(int n, int which, int threads)
{
    enum { H = 20, W = 13, C = 32, EACH = H * W * C };
    fixture f;
    bt_error err = { 0 };
    fixture_open(&f, "auto", threads, BT_PREC_F32);
    bt_node *x = bt_input(f.g, (bt_shape){ n, H, W, C });
    bt_node *y = bt_output(f.g, bt_act_of(f.g, group_norm(&f, x, 8), BT_ACT_SILU, 0));
    assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
    for (int i = 0; i < n; i++)
        fill_noise((float *)bt_plan_data(f.p, x) + i * EACH, EACH, (unsigned)(n == 1 ? which : i));
    assert_int_equal(bt_plan_run(f.p, NULL, &err), BT_OK);
    float *copy = malloc(EACH * sizeof *copy);
    memcpy(copy, (float *)bt_plan_data(f.p, y) + (n == 1 ? 0 : which * EACH), EACH * sizeof *copy);
    fixture_close(&f);
    return copy;
}

static void test_group_norm_alone_or_not(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        float *alone = norm_of(1, i, 1);
        for (int threads = 1; threads <= 3; threads++) {
            float *batch = norm_of(3, i, threads);
            assert_memory_equal(alone, batch, 20 * 13 * 32 * sizeof *batch);
            free(batch);
        }
        free(alone);
    }
}

static void test_layer_norm(void **state)
{
    (void)state;
    static const bt_shape shapes[] = { { 1, 1, 77, 192 }, { 2, 5, 3, 33 }, { 1, 1, 1, 8 } };
    for (int i = 0; i < N_ISA; i++)
        for (size_t k = 0; have(isas[i]) && k < sizeof shapes / sizeof *shapes; k++) {
            fixture f;
            bt_error err = { 0 };
            bt_shape s = shapes[k];
            int64_t rows = s.n * s.h * s.w;
            size_t n = (size_t)(rows * s.c);
            const bt_weight *gamma, *beta;
            double *want = calloc(n, sizeof *want);
            fixture_open(&f, isas[i], 2, BT_PREC_F32);
            bt_node *x = bt_input(f.g, s);
            norm_weights(&f, s.c, &gamma, &beta);
            bt_node *y = bt_output(f.g, bt_layer_norm(f.g, x, gamma, beta, 1e-5f));
            assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
            float *in = bt_plan_data(f.p, x);
            fill_noise(in, n, 3);
            for (int64_t r = 0; r < rows; r++)
                naive_norm(in + r * s.c, want + r * s.c, 1, s.c, 1);
            assert_int_equal(bt_plan_run(f.p, NULL, &err), BT_OK);
            assert_true(relative_error(bt_plan_data(f.p, y), want, n) < 3e-7);
            fixture_close(&f);
            free(want);
        }
}

static void test_concat(void **state)
{
    (void)state;
    fixture f;
    bt_error err = { 0 };
    fixture_open(&f, "auto", 2, BT_PREC_F32);
    bt_node *a = bt_input(f.g, (bt_shape){ 2, 9, 11, 5 });
    bt_node *b = bt_input(f.g, (bt_shape){ 2, 9, 11, 7 });
    bt_node *y = bt_output(f.g, bt_concat(f.g, a, bt_slice(f.g, b, 2, 6)));
    assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
    float *x = malloc(198 * 5 * sizeof *x), *z = malloc(198 * 7 * sizeof *z);
    fill_noise(x, 198 * 5, 1);
    fill_noise(z, 198 * 7, 2);
    memcpy(bt_plan_data(f.p, a), x, 198 * 5 * sizeof *x);
    memcpy(bt_plan_data(f.p, b), z, 198 * 7 * sizeof *z);
    assert_int_equal(bt_plan_run(f.p, NULL, &err), BT_OK);
    const float *got = bt_plan_data(f.p, y);
    for (int r = 0; r < 198; r++) {
        assert_memory_equal(got + 9 * r, x + 5 * r, 5 * sizeof *x);
        assert_memory_equal(got + 9 * r + 5, z + 7 * r + 2, 4 * sizeof *z);
    }
    fixture_close(&f);
    free(x), free(z);
}

/* The norm of a concatenation reads its parts where they lie: the bytes of the norm
 * of the whole. Groups of 12 channels: the second has channels of both. */
static void test_norm_of_concat(void **state)
{
    (void)state;
    enum { ROWS = 2 * 9 * 11, A = 20, B = 16, C = A + B };
    for (int i = 0; i < N_ISA; i++) {
        fixture f;
        bt_error err = { 0 };
        if (!have(isas[i]))
            continue;
        fixture_open(&f, isas[i], 2, BT_PREC_F32);
        bt_node *a = bt_input(f.g, (bt_shape){ 2, 9, 11, A });
        bt_node *b = bt_input(f.g, (bt_shape){ 2, 9, 11, B });
        bt_node *c = bt_input(f.g, (bt_shape){ 2, 9, 11, C });
        bt_node *parts =
            bt_output(f.g, bt_act_of(f.g, group_norm(&f, bt_concat(f.g, a, b), 3), BT_ACT_SILU, 0));
        bt_node *whole = bt_output(f.g, bt_act_of(f.g, group_norm(&f, c, 3), BT_ACT_SILU, 0));
        assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
        float *x = bt_plan_data(f.p, a), *y = bt_plan_data(f.p, b), *z = bt_plan_data(f.p, c);
        fill_noise(z, ROWS * C, 1);
        for (int r = 0; r < ROWS; r++) {
            memcpy(x + r * A, z + r * C, A * sizeof *x);
            memcpy(y + r * B, z + r * C + A, B * sizeof *y);
        }
        assert_int_equal(bt_plan_run(f.p, NULL, &err), BT_OK);
        assert_memory_equal(bt_plan_data(f.p, parts), bt_plan_data(f.p, whole),
                            ROWS * C * sizeof *x);
        fixture_close(&f);
    }
}

enum { HALF_NORMS = 4, HALF_C = 64 };

/* One of the ops that can write rows of bf16. */
static bt_node *half_norm(fixture *f, bt_node *x, int which)
{
    const bt_weight *gamma, *beta;
    norm_weights(f, HALF_C, &gamma, &beta);
    switch (which) {
    case 0: return bt_act_of(f->g, bt_group_norm(f->g, x, gamma, beta, 8, 1e-5f), BT_ACT_SILU, 0);
    case 1: return bt_layer_norm(f->g, x, gamma, beta, 1e-5f);
    case 2: return bt_rms_norm(f->g, x, gamma, 1e-5f);
    default: return bt_concat(f->g, bt_slice(f->g, x, 32, HALF_C), bt_slice(f->g, x, 0, 32));
    }
}

/* A multiply in bf16 of a norm; floats: the norm is an output as well, so that it
 * cannot be stored as bf16. Returns the arena's bytes. */
static uint64_t multiply_norm(const char *isa, int which, bool floats, float *out)
{
    enum { ROWS = 5 * 13 };
    static const int64_t dims[] = { 24, HALF_C, 3, 3 };
    fixture f;
    bt_error err = { 0 };
    fixture_open(&f, isa, 2, BT_PREC_BF16);
    bt_node *x = bt_input(f.g, (bt_shape){ 1, 5, 13, HALF_C });
    bt_node *h = half_norm(&f, x, which);
    const bt_weight *w = random_weight(&f, "w", 4, dims, 0, 9, NULL);
    bt_conv same = { .top = 1, .left = 1, .bottom = 1, .right = 1 };
    bt_node *y = bt_output(f.g, bt_conv2d(f.g, h, w, NULL, same));
    if (floats)
        bt_output(f.g, h);
    assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
    fill_noise(bt_plan_data(f.p, x), ROWS * HALF_C, 5);
    assert_int_equal(bt_plan_run(f.p, NULL, &err), BT_OK);
    memcpy(out, bt_plan_data(f.p, y), ROWS * 24 * sizeof *out);
    uint64_t bytes = bt_plan_arena(f.p);
    fixture_close(&f);
    return bytes;
}

/* A norm that is only multiplied in bf16 is stored so, and no byte changes. */
static void test_half_norms(void **state)
{
    (void)state;
    static float half[5 * 13 * 24], whole[5 * 13 * 24];
    for (int i = 0; i < N_ISA; i++)
        for (int which = 0; have(isas[i]) && which < HALF_NORMS; which++) {
            bt_kernels k;
            bt_kernels_init(&k, (uint32_t)bt_cpu_cap(isas[i]) & bt_cpu_flags());
            uint64_t less = multiply_norm(isas[i], which, false, half);
            uint64_t more = multiply_norm(isas[i], which, true, whole);
            assert_memory_equal(half, whole, sizeof half);
            assert_true(!k.gemm_bf16 || less < more);
        }
}

/* One head over 512 channels, as autoencoders have. */
static void test_wide_head(void **state)
{
    (void)state;
    enum { N = 70, D = 512 };
    for (int k = 0; k < N_ISA; k++) {
        if (!have(isas[k]))
            continue;
        fixture f;
        bt_error err = { 0 };
        fixture_open(&f, isas[k], 2, BT_PREC_F32);
        bt_node *x = bt_input(f.g, (bt_shape){ 1, 7, 10, D });
        bt_node *y = bt_output(f.g, bt_attention(f.g, x, x, x, 1, 1, 0, 0));
        assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
        float *in = malloc(N * D * sizeof *in);
        double *want = calloc(N * D, sizeof *want), p[N];
        fill_noise(in, N * D, 5);
        for (int i = 0; i < N; i++) {
            double total = 0;
            for (int j = 0; j < N; j++) {
                double dot = 0;
                for (int c = 0; c < D; c++)
                    dot += (double)in[i * D + c] * (double)in[j * D + c];
                total += p[j] = exp(dot / sqrt(D));
            }
            for (int j = 0; j < N; j++)
                for (int c = 0; c < D; c++)
                    want[i * D + c] += p[j] / total * (double)in[j * D + c];
        }
        memcpy(bt_plan_data(f.p, x), in, N * D * sizeof *in);
        assert_int_equal(bt_plan_run(f.p, NULL, &err), BT_OK);
        assert_true(relative_error(bt_plan_data(f.p, y), want, N * D) < 2e-6);
        fixture_close(&f);
        free(in), free(want);
    }
}

static bt_node *too_many_groups(fixture *f, bt_node *x) { return group_norm(f, x, 3); }
static bt_node *no_groups(fixture *f, bt_node *x) { return group_norm(f, x, 0); }

static bt_node *wrong_gamma(fixture *f, bt_node *x)
{
    const bt_weight *gamma, *beta;
    norm_weights(f, 8, &gamma, &beta);
    return bt_layer_norm(f->g, x, gamma, beta, 1e-5f);
}

static bt_node *wrong_rows(fixture *f, bt_node *x)
{
    return bt_concat(f->g, x, bt_input(f->g, (bt_shape){ 1, 4, 5, 16 }));
}

static void test_errors(void **state)
{
    (void)state;
    static const build_fn wrong[] = { too_many_groups, no_groups, wrong_gamma, wrong_rows };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fixture f;
        bt_error err = { 0 };
        fixture_open(&f, "auto", 1, BT_PREC_F32);
        assert_null(wrong[i](&f, bt_input(f.g, (bt_shape){ 1, 4, 4, 16 })));
        assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_EFORMAT);
        assert_true(err.text[0] != 0);
        fixture_close(&f);
    }
    free(gamma_values), free(beta_values);
    gamma_values = beta_values = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_norm),     cmocka_unit_test(test_group_norm_alone_or_not),
        cmocka_unit_test(test_layer_norm),     cmocka_unit_test(test_concat),
        cmocka_unit_test(test_norm_of_concat), cmocka_unit_test(test_half_norms),
        cmocka_unit_test(test_wide_head),      cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
