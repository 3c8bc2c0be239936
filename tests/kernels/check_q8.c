/* SPDX-License-Identifier: MIT
 * The int8 compute type. */
#include "kcheck.h"

#include <stdio.h>

#define TYPE(name) BT_##name,
static const bt_dtype types[] = { BT_Q8_TYPES(TYPE) };
enum { N_TYPES = sizeof types / sizeof *types };

static void check_block(const float *x, const bt_qa *q)
{
    float peak = 0.0f;
    int sum = 0, sum0 = 0;
    for (int i = 0; i < BT_QA; i++)
        peak = fabsf(x[i]) > peak ? fabsf(x[i]) : peak;
    const float d = peak / 127.0f;
    for (int i = 0; i < BT_QA; i++) {
        const float v = d > 0.0f ? nearbyintf(x[i] / d) : 0.0f;
        const float cut = v > 127.0f ? 127.0f : v < -127.0f ? -127.0f : v;
        assert_int_equal(q->q[i], (int)cut);
        sum += q->q[i];
        sum0 += i < BT_QA / 2 ? q->q[i] : 0;
    }
    assert_true(q->d == d);
    assert_true(q->ds == d * (float)sum);
    assert_int_equal(q->corr, -128 * sum);
    assert_int_equal(q->corr0, -128 * sum0);
}

void check_quantize_a(const bt_kernels *t)
{
    static const float amps[] = { 1.0f, 1e-3f, 1e30f, 0.0f, 1e-38f, 1e-44f };
    for (size_t i = 0; i < sizeof amps / sizeof *amps; i++)
        for (int k = 0; k <= 5 * BT_QA; k += BT_QA) {
            float *x = kc_floats((size_t)k);
            bt_qa *q = kc_bytes((size_t)(k / BT_QA) * sizeof *q);
            kc_noise(x, (size_t)k, amps[i]);
            t->quantize_a(k, x, q);
            for (int b = 0; b < k / BT_QA; b++)
                check_block(x + b * BT_QA, q + b);
            kc_release();
        }
    for (int i = 0; i < BT_QA; i++) { /* a NaN anywhere is in all that comes of the block */
        float x[BT_QA] = { 1.0f };
        bt_qa q;
        x[i] = NAN;
        t->quantize_a(BT_QA, x, &q);
        assert_true(isnan(q.d) && isnan(q.ds));
    }
}

typedef struct tile {
    bt_dtype type;
    int m, np, kb;
    uint8_t *rows, *panels;
    size_t row_bytes, bytes, ldc;
    const bt_qa *a[40];
    float *c;
} tile;

/* With whole-number scales and a row peak of 127, d is 1 and all is exact. */
static tile make_tile(const bt_kernels *t, bt_dtype type, int m, int np, int kb, int exact)
{
    const int k = kb * BT_QA;
    tile s = { .type = type, .m = m, .np = np, .kb = kb, .ldc = (size_t)np * BT_NR + 1 };
    s.row_bytes = bt_row_bytes(type, (size_t)k);
    s.bytes = bt_panel_bytes(type, k);
    s.rows = kc_bytes(s.row_bytes * (size_t)(np * BT_NR));
    for (int r = 0; r < np * BT_NR; r++)
        kc_weights(type, s.rows + (size_t)r * s.row_bytes, (size_t)k, exact);
    s.panels = kc_pack(type, s.rows, np, k);
    s.c = kc_floats(s.ldc * (size_t)m);
    float *x = kc_floats((size_t)k);
    bt_qa *q = kc_bytes((size_t)(m * kb) * sizeof *q);
    for (int i = 0; i < m; i++, q += kb) {
        exact ? kc_ints(x, (size_t)k, 127) : kc_noise(x, (size_t)k, 3.0f);
        for (int b = 0; b < kb && exact; b++)
            x[b * BT_QA + (int)(kc_random() % BT_QA)] = kc_random() & 1 ? 127.0f : -127.0f;
        t->quantize_a(k, x, q);
        s.a[i] = q;
    }
    return s;
}

static void check_cell(const tile *s, int i, int n, const float *w, int exact)
{
    double sum = 0.0, mag = 0.0;
    for (int k = 0; k < s->kb * BT_QA; k++) {
        const bt_qa *q = s->a[i] + k / BT_QA;
        const double v = (double)w[k] * (double)q->d * q->q[k % BT_QA];
        sum += v;
        mag += fabs(v);
    }
    /* Two roundings per block, and d * sum(q) is rounded once more. */
    kc_close(s->c[(size_t)i * s->ldc + (size_t)n], sum,
             exact ? 0.0 : kc_sum_bound(3 * s->kb, mag) + 4e-6 * mag / s->kb, "gemm_q8");
}

static void q8_case(const bt_kernels *t, bt_dtype type, int m, int np, int kb, int exact)
{
    tile s = make_tile(t, type, m, np, kb, exact);
    const int block = (int)bt_dtypes[type].block / BT_QA, cut = kb / block / 2 * block;
    t->gemm_q8[type](m, np, cut, s.a, s.panels, s.bytes, s.c, s.ldc, 1);
    const bt_qa *rest[40];
    for (int i = 0; i < m; i++)
        rest[i] = s.a[i] + cut;
    t->gemm_q8[type](m, np, kb - cut, rest, s.panels + bt_panel_bytes(type, cut * BT_QA), s.bytes,
                     s.c, s.ldc, 0);
    float *w = kc_floats((size_t)(kb * BT_QA));
    for (int n = 0; n < np * BT_NR; n++) {
        bt_dequantize_row(type, s.rows + (size_t)n * s.row_bytes, w, (size_t)(kb * BT_QA));
        for (int i = 0; i < m; i++)
            check_cell(&s, i, n, w, exact);
    }
    float *alone = kc_floats((size_t)np * BT_NR);
    for (int i = 0; i < m; i++) {
        t->gemm_q8[type](1, np, kb, s.a + i, s.panels, s.bytes, alone, 0, 1);
        kc_same(alone, s.c + (size_t)i * s.ldc, (size_t)np * BT_NR * 4, "gemm_q8 row alone");
    }
    kc_release();
}

/* K-quants: exact sums of more than one block could leave the 24 bits of a float. */
void check_gemm_q8(const bt_kernels *t)
{
    static const int ms[] = { 1, 2, 3, 5, 7, 8, 15, 16, 17, 33 };
    for (size_t ty = 0; ty < N_TYPES; ty++) {
        assert_non_null(t->gemm_q8[types[ty]]);
        const int block = (int)bt_dtypes[types[ty]].block / BT_QA;
        for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
            for (int np = 1; np <= 5; np += 2)
                for (int n = 1; n <= (block == 1 ? 9 : 3); n += block == 1 ? 4 : 1) {
                    if (block == 1 || n == 1)
                        q8_case(t, types[ty], ms[i], np, n * block, 1);
                    q8_case(t, types[ty], ms[i], np, n * block, 0);
                }
    }
}

/* ---- speed ---- */

typedef struct job {
    const bt_kernels *t;
    tile s;
    int rows; /* of the whole product; tiles of s.m */
    float *x;
} job;

static void run_gemm(void *arg)
{
    const job *j = arg;
    const tile *s = &j->s;
    for (int i = 0; i < j->rows; i += s->m)
        j->t->gemm_q8[s->type](s->m, s->np, s->kb, s->a, s->panels, s->bytes, s->c, s->ldc, 1);
}

static void run_quantize(void *arg)
{
    const job *j = arg;
    j->t->quantize_a(1024, j->x, (bt_qa *)(uintptr_t)j->s.a[0]);
}

void bench_gemm_q8(const bt_kernels *t)
{
    static const int ms[] = { 1, 4, 16, 32 };
    for (size_t ty = 0; ty < N_TYPES; ty++)
        for (size_t i = 0; i < sizeof ms / sizeof *ms; i++) {
            char name[64];
            job j = { t, make_tile(t, types[ty], ms[i], 64, 32, 0), ms[i], NULL };
            const double s = kc_time(run_gemm, &j);
            snprintf(name, sizeof name, "gemm_q8 %dx1024x1024 %s", ms[i],
                     bt_dtypes[types[ty]].name);
            kc_print_int8(name, 2.0 * ms[i] * 1024 * 1024 / s);
            kc_release();
        }
    for (size_t ty = 0; ty < N_TYPES; ty++) {
        char name[64]; /* beyond the caches */
        job j = { t, make_tile(t, types[ty], 1, 8192, 32, 0), 1, NULL };
        snprintf(name, sizeof name, "gemm_q8 1x131072x1024 %s", bt_dtypes[types[ty]].name);
        kc_print(name, (double)j.s.bytes * j.s.np * 1e-9 / kc_time(run_gemm, &j), "GB/s");
        kc_release();
    }
}

void bench_quantize_a(const bt_kernels *t)
{
    job j = { t, make_tile(t, BT_Q8_0, 1, 1, 32, 0), 1, kc_floats(1024) };
    kc_noise(j.x, 1024, 1.0f);
    kc_print("quantize_a", 1024e-9 / kc_time(run_quantize, &j), "Gvalues/s");
    kc_release();
}
