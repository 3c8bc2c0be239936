/* SPDX-License-Identifier: MIT
 * Elementwise kernels. Non-linearities are compared with libm in double. */
#include "kcheck.h"
#include "kernels/half.h"

#include <stdio.h>

enum { MAX_N = 70 };

static const bt_act acts[] = { BT_ACT_NONE, BT_ACT_RELU,      BT_ACT_LEAKY_RELU, BT_ACT_SILU,
                               BT_ACT_GELU, BT_ACT_GELU_TANH, BT_ACT_QUICK_GELU, BT_ACT_TANH,
                               BT_ACT_SIGMOID, BT_ACT_EXP, BT_ACT_GELU_SHORT };
static const char *const act_names[] = { "none", "relu",      "leaky_relu", "silu",    "gelu",
                                         "gelu_tanh", "quick_gelu", "tanh", "sigmoid", "exp",
                                         "gelu_short" };
enum { N_ACTS = sizeof acts / sizeof *acts };

static double act_ref(double x, bt_act act, double alpha)
{
    switch (act) {
    case BT_ACT_NONE: return x;
    case BT_ACT_RELU: return x < 0 ? 0 : x;
    case BT_ACT_LEAKY_RELU: return x < 0 ? alpha * x : x;
    case BT_ACT_SILU: return x / (1 + exp(-x));
    case BT_ACT_GELU:
    case BT_ACT_GELU_SHORT: return 0.5 * x * erfc(-x * 0.70710678118654752);
    case BT_ACT_GELU_TANH: {
        const double z = 0.79788456080286536 * (x + 0.044715 * x * x * x);
        return x / (1 + exp(-2 * z));
    }
    case BT_ACT_QUICK_GELU: return x / (1 + exp(-1.702 * x));
    case BT_ACT_TANH: return tanh(x);
    case BT_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case BT_ACT_EXP: return exp(x);
    }
    return 0;
}

/* 4e-7 relative (3.4 ulp); where 1 + f(x) cancels, 2e-7 absolute as well. */
static double act_bound(double want, bt_act act)
{
    switch (act) {
    case BT_ACT_NONE:
    case BT_ACT_RELU: return 0.0;
    case BT_ACT_LEAKY_RELU: return (double)FLT_EPSILON * fabs(want);
    case BT_ACT_GELU:
    case BT_ACT_GELU_TANH:
    case BT_ACT_QUICK_GELU: return 4e-7 * fabs(want) + 2e-7;
    case BT_ACT_GELU_SHORT: return 4e-7 * fabs(want) + 1.6e-4;
    case BT_ACT_SILU: return 4e-7 * fabs(want) + 1e-36; /* exp(-x) overflows below -88 */
    default: return 4e-7 * fabs(want) + (double)FLT_MIN;
    }
}

static void check_value(bt_act act, float x, float got)
{
    const double want = act_ref((double)x, act, 0.125);
    if (fabs(want) > (double)FLT_MAX) {
        assert_true(isinf(got) && (got > 0) == (want > 0));
        return;
    }
    char what[64];
    snprintf(what, sizeof what, "%s(%.9g)", act_names[act], (double)x);
    kc_close((double)got, want, act_bound(want, act), what);
}

static void sweep(const bt_kernels *t, bt_act act, float lo, float hi, int n)
{
    float *x = kc_floats((size_t)n), *y = kc_floats((size_t)n);
    for (int i = 0; i < n; i++)
        x[i] = lo + (hi - lo) * (float)i / (float)(n - 1);
    t->act(n, y, x, act, 0.125f);
    for (int i = 0; i < n; i++)
        check_value(act, x[i], y[i]);
    kc_release();
}

void check_act(const bt_kernels *t)
{
    static const float odd[] = { 0.0f,   -0.0f, 1e-30f, -1e-30f, 1e-6f, -1e-6f,  50.0f, -50.0f,
                                 88.0f,  -88.0f, 89.0f, -87.5f,  -100.0f, 120.0f, -120.0f,
                                 1000.0f, -1000.0f, 1e10f, -1e10f };
    for (int a = 0; a < N_ACTS; a++) {
        sweep(t, acts[a], -1.0f, 1.0f, 20001);
        sweep(t, acts[a], -20.0f, 20.0f, 40001);
        sweep(t, acts[a], -90.0f, 88.0f, 10001);
        for (int n = 0; n <= MAX_N; n++) { /* tails give the bytes of whole vectors; in place */
            float *x = kc_floats((size_t)n), whole[MAX_N], y[MAX_N];
            kc_noise(whole, MAX_N, 4.0f);
            memcpy(x, whole, (size_t)n * sizeof *x);
            t->act(MAX_N, y, whole, acts[a], 0.125f);
            t->act(n, x, x, acts[a], 0.125f);
            /* the last n of the long row start at another place in a vector */
            kc_same(x, y, (size_t)n * sizeof *x, act_names[a]);
            memcpy(x, whole + MAX_N - n, (size_t)n * sizeof *x);
            t->act(n, x, x, acts[a], 0.125f);
            kc_same(x, y + MAX_N - n, (size_t)n * sizeof *x, act_names[a]);
            kc_release();
        }
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
            float y;
            t->act(1, &y, odd + i, acts[a], 0.125f);
            check_value(acts[a], odd[i], y);
        }
        const float bad = NAN;
        float y;
        t->act(1, &y, &bad, acts[a], 0.125f);
        assert_true(isnan(y) || acts[a] == BT_ACT_RELU);
    }
}

void check_binary(const bt_kernels *t)
{
    for (int n = 0; n <= MAX_N; n++) {
        float *a = kc_floats((size_t)n), *b = kc_floats((size_t)n), *y = kc_floats((size_t)n);
        kc_ints(a, (size_t)n, 100);
        kc_ints(b, (size_t)n, 100);
        t->add(n, y, a, b);
        for (int i = 0; i < n; i++)
            assert_true(y[i] == a[i] + b[i]);
        t->mul(n, y, a, b);
        for (int i = 0; i < n; i++)
            assert_true(y[i] == a[i] * b[i]);
        t->scale(n, y, a, 3.0f);
        for (int i = 0; i < n; i++)
            assert_true(y[i] == 3.0f * a[i]);
        t->axpy(n, y, b, -2.0f);
        for (int i = 0; i < n; i++)
            assert_true(y[i] == 3.0f * a[i] - 2.0f * b[i]);
        t->add(n, y, y, y);
        t->mul(n, y, y, y);
        t->scale(n, y, y, 0.5f);
        for (int i = 0; i < n; i++) {
            const float v = 2.0f * (3.0f * a[i] - 2.0f * b[i]);
            assert_true(y[i] == 0.5f * v * v);
        }
        kc_release();
    }
}

void check_gate(const bt_kernels *t)
{
    for (int n = 0; n <= MAX_N; n += 7)
        for (int k = 0; k < 3; k++) {
            static const bt_act pairs[3][2] = { { BT_ACT_TANH, BT_ACT_SIGMOID },
                                                { BT_ACT_SILU, BT_ACT_NONE },
                                                { BT_ACT_NONE, BT_ACT_GELU } };
            float *a = kc_floats((size_t)n), *b = kc_floats((size_t)n), want[MAX_N];
            kc_noise(a, (size_t)n, 3.0f);
            kc_noise(b, (size_t)n, 3.0f);
            float *ya = kc_floats((size_t)n), *yb = kc_floats((size_t)n);
            t->act(n, ya, a, pairs[k][0], 0.0f);
            t->act(n, yb, b, pairs[k][1], 0.0f);
            t->mul(n, want, ya, yb);
            t->gate(n, a, a, pairs[k][0], b, pairs[k][1]);
            kc_same(a, want, (size_t)n * sizeof *a, "gate");
            kc_release();
        }
}

/* Whole numbers, then noise against act of the sum; y in place of residual. */
void check_epilogue(const bt_kernels *t)
{
    for (int n = 0; n <= MAX_N; n += 5)
        for (int form = 0; form < 8; form++) {
            float *c = kc_floats((size_t)n), *bias = form & 1 ? kc_floats((size_t)n) : NULL;
            float *res = form & 2 ? kc_floats((size_t)n) : NULL;
            float *y = res ? res : kc_floats((size_t)n), want[MAX_N];
            const bt_act act = form & 4 ? BT_ACT_GELU : BT_ACT_LEAKY_RELU;
            kc_ints(c, (size_t)n, 100);
            if (bias)
                kc_ints(bias, (size_t)n, 100);
            if (res)
                kc_ints(res, (size_t)n, 100);
            for (int i = 0; i < n; i++) {
                float v = bias ? c[i] + bias[i] : c[i];
                t->act(1, &v, &v, act, 0.5f);
                want[i] = v * 2.0f + (res ? res[i] : 0.0f);
            }
            t->epilogue(n, y, c, bias, res, act, 0.5f, 2.0f);
            for (int i = 0; i < n; i++)
                assert_true(y[i] == want[i]);
            kc_release();
        }
}

void check_affine(const bt_kernels *t)
{
    for (int n = 0; n <= MAX_N; n++) {
        float *x = kc_floats((size_t)n), *m = kc_floats((size_t)n), *a = kc_floats((size_t)n);
        float want[MAX_N];
        kc_ints(x, (size_t)n, 10);
        kc_ints(m, (size_t)n, 10);
        kc_ints(a, (size_t)n, 10);
        for (int i = 0; i < n; i++)
            want[i] = x[i] * m[i] + a[i];
        t->act(n, want, want, BT_ACT_SILU, 0.0f);
        t->affine(n, x, x, m, a, BT_ACT_SILU);
        kc_same(x, want, (size_t)n * sizeof *x, "affine");
        kc_release();
    }
}

void check_snake(const bt_kernels *t)
{
    for (int n = 0; n <= MAX_N; n++) {
        float *v[5];
        for (int k = 0; k < 5; k++) {
            v[k] = kc_floats((size_t)n);
            kc_noise(v[k], (size_t)n, k == 0 ? 30.0f : 3.0f);
        }
        double want[MAX_N];
        for (int i = 0; i < n; i++) {
            v[3][i] = 0.1f + fabsf(v[3][i]);
            const double x = (double)(v[0][i] * v[1][i]) + (double)v[2][i];
            const double s = sin(x * (double)v[3][i]);
            want[i] = x + s * s * (double)v[4][i];
        }
        t->snake(n, v[0], v[0], v[1], v[2], v[3], v[4]);
        for (int i = 0; i < n; i++) /* the angle reaches hundreds, so some 1e-5 of the sine */
            assert_true(fabs((double)v[0][i] - want[i]) <= 3e-4);
        kc_release();
    }
}

/* ---- speed ---- */

enum { BENCH_N = 4096 };

/* The way back, also of numbers in the middle of two and beside it; those below 2^-126, which
 * may become zeros, and what is no number left out. */
static void check_rounded(const bt_kernels *t, float *y, uint16_t *x)
{
    static const uint32_t off[] = { 0, 1, 0x7fff, 0x8000, 0x8001, 0xffff };
    for (uint32_t k = 0; k < sizeof off / sizeof *off; k++) {
        int n = 0;
        for (uint32_t i = 0x80; i < 0x7f80; i++)
            y[n++] = bt_bits_f32((i << 16 | off[k]) | (i & 1) << 31);
        t->to_bf16(n, y, x);
        for (int i = 0; i < n; i++)
            assert_int_equal(x[i], bt_f32_to_bf16(y[i]));
    }
    for (int n = 0; n <= MAX_N; n++) {
        x[n] = 1;
        t->to_bf16(n, y, x);
        assert_int_equal(x[n], 1);
    }
}

/* Every bf16 number; NaN too, bit by bit. */
void check_from_bf16(const bt_kernels *t)
{
    uint16_t *x = kc_bytes(2 * 65536);
    float *y = kc_floats(65536);
    for (int n = 0; n <= MAX_N; n++) {
        for (int i = 0; i < n; i++)
            x[i] = (uint16_t)(937 * i), y[i] = 1.0f;
        t->from_bf16(n, x, y);
        for (int i = 0; i < n; i++)
            assert_int_equal(bt_f32_bits(y[i]), (uint32_t)x[i] << 16);
    }
    for (int i = 0; i < 65536; i++)
        x[i] = (uint16_t)i;
    t->from_bf16(65536, x, y);
    for (uint32_t i = 0; i < 65536; i++)
        assert_int_equal(bt_f32_bits(y[i]), i << 16);
    check_rounded(t, y, x);
    kc_release();
}

typedef struct job {
    const bt_kernels *t;
    float *x, *y, *z;
    bt_act act;
} job;

static void run_act(void *arg)
{
    const job *j = arg;
    j->t->act(BENCH_N, j->y, j->x, j->act, 0.1f);
}

static void run_add(void *arg)
{
    const job *j = arg;
    j->t->add(BENCH_N, j->y, j->x, j->z);
}

static void run_gate(void *arg)
{
    const job *j = arg;
    j->t->gate(BENCH_N, j->y, j->x, BT_ACT_SILU, j->z, BT_ACT_NONE);
}

static void run_epilogue(void *arg)
{
    const job *j = arg;
    j->t->epilogue(BENCH_N, j->y, j->x, j->z, NULL, BT_ACT_SILU, 0.0f, 1.0f);
}

static void run_affine(void *arg)
{
    const job *j = arg;
    j->t->affine(BENCH_N, j->y, j->x, j->z, j->z, BT_ACT_SILU);
}

static void run_snake(void *arg)
{
    const job *j = arg;
    j->t->snake(BENCH_N, j->y, j->x, j->z, j->z, j->z, j->z);
}

static void run_from_bf16(void *arg)
{
    const job *j = arg;
    j->t->from_bf16(BENCH_N, (const uint16_t *)(const void *)j->x, j->y);
}

static void bench(const bt_kernels *t, const char *what, void (*fn)(void *), bt_act act)
{
    job j = { t, kc_floats(BENCH_N), kc_floats(BENCH_N), kc_floats(BENCH_N), act };
    kc_noise(j.x, BENCH_N, 4.0f);
    kc_noise(j.z, BENCH_N, 4.0f);
    kc_print(what, BENCH_N * 1e-9 / kc_time(fn, &j), "Gvalues/s");
    kc_release();
}

void bench_act(const bt_kernels *t)
{
    for (int a = 0; a < N_ACTS; a++) {
        char name[64];
        snprintf(name, sizeof name, "act %s", act_names[a]);
        bench(t, name, run_act, acts[a]);
    }
}

void bench_binary(const bt_kernels *t)
{
    bench(t, "add", run_add, BT_ACT_NONE);
}

void bench_gate(const bt_kernels *t)
{
    bench(t, "gate silu", run_gate, BT_ACT_NONE);
}

void bench_epilogue(const bt_kernels *t)
{
    bench(t, "epilogue bias silu", run_epilogue, BT_ACT_NONE);
}

void bench_affine(const bt_kernels *t)
{
    bench(t, "affine silu", run_affine, BT_ACT_NONE);
}

void bench_snake(const bt_kernels *t) { bench(t, "snake", run_snake, BT_ACT_NONE); }

void bench_from_bf16(const bt_kernels *t)
{
    bench(t, "from_bf16", run_from_bf16, BT_ACT_NONE);
}
