/* SPDX-License-Identifier: MIT
 * The int8 compute type of whole rows.
 */
#include "kcheck.h"

#include <stdio.h>

/* m rows of k values, np panels of weights, all as floats, quantized and packed. */
typedef struct rows {
    int m, np, k, parts;
    float *x, *w, *c;
    const bt_row_q *a[40];
    uint8_t *panels;
    size_t bytes, ldc;
} rows;

/* fit: weights are whole multiples of a step of their own in each row. */
static rows make_rows(const bt_kernels *t, int m, int np, int k, int parts, int fit)
{
    rows s = { .m = m, .np = np, .k = k, .parts = parts, .ldc = (size_t)np * BT_NR + 1 };
    s.x = kc_floats((size_t)(m * k));
    s.w = kc_floats((size_t)(np * BT_NR * k));
    s.c = kc_floats(s.ldc * (size_t)m);
    s.bytes = bt_row_panel_bytes(k);
    s.panels = kc_bytes(s.bytes * (size_t)np);
    kc_noise(s.x, (size_t)(m * k), 3.0f);
    kc_noise(s.w, (size_t)(np * BT_NR * k), 1.0f);
    for (int n = 0; n < np * BT_NR && fit; n++) {
        kc_ints(s.w + n * k, (size_t)k, 111);
        for (int i = 0; i < k; i++)
            s.w[n * k + i] *= 0.013f + 0.001f * (float)n;
    }
    for (int p = 0; p < np; p++) {
        const float *row[BT_NR];
        for (int r = 0; r < BT_NR; r++)
            row[r] = s.w + (p * BT_NR + r) * k;
        bt_pack_row_panel(s.panels + (size_t)p * s.bytes, row, k);
    }
    const size_t step = bt_row_q_bytes(k, parts);
    uint8_t *q = kc_bytes(step * (size_t)m);
    for (int i = 0; i < m; i++, q += step) {
        bt_row_q *row = (bt_row_q *)(void *)q;
        t->quantize_row(k, parts, s.x + i * k, row);
        s.a[i] = row;
    }
    return s;
}

/* What a row's byte at i stands for. */
static double value_of(const bt_row_q *a, int padded, int parts, int i)
{
    double q = 0;
    for (int part = 0; part < parts; part++)
        q = 256 * q + a->q[part * padded + i];
    return (double)a->z + (double)a->d * q;
}

/* Rows are within half a step of the values (and a float's rounding), padding is zeros. */
static void check_quantized(const rows *s)
{
    const int padded = bt_row_padded(s->k);
    for (int i = 0; i < s->m; i++)
        for (int part = 0; part < s->parts; part++) {
            int32_t sum = 0;
            for (int j = 0; j < padded; j++) {
                sum += s->a[i]->q[part * padded + j];
                if (j >= s->k)
                    assert_int_equal(s->a[i]->q[part * padded + j], 0);
                else
                    kc_close((float)value_of(s->a[i], padded, s->parts, j), s->x[i * s->k + j],
                             0.51 * (double)s->a[i]->d + 1e-6, "quantize_row");
            }
            assert_int_equal(s->a[i]->corr[part], -128 * sum);
        }
}

/* Fitting weights: sums are those of the quantized rows and of the weights themselves. */
static void check_cell(const rows *s, int i, int n, int fit)
{
    double sum = 0, mag = 0, peak = 0, lost = 0;
    for (int j = 0; j < s->k; j++) {
        const double w = (double)s->w[n * s->k + j];
        const double v = value_of(s->a[i], bt_row_padded(s->k), s->parts, j);
        peak = fabs(w) > peak ? fabs(w) : peak;
        sum += w * v;
        mag += fabs(w * v);
        lost += fabs(v);
    }
    const double rounding = 2e-6 * mag + 1e-6 * fabs((double)s->a[i]->z) * s->k;
    kc_close(s->c[(size_t)i * s->ldc + (size_t)n], sum, rounding + (fit ? 0 : lost * peak / 254),
             "gemm_row");
}

static void row_case(const bt_kernels *t, int m, int np, int k, int parts, int fit)
{
    rows s = make_rows(t, m, np, k, parts, fit);
    check_quantized(&s);
    t->gemm_row(m, np, k, parts, s.a, s.panels, s.bytes, s.c, s.ldc);
    for (int i = 0; i < m; i++)
        for (int n = 0; n < np * BT_NR; n++)
            check_cell(&s, i, n, fit);
    float *alone = kc_floats((size_t)np * BT_NR);
    for (int i = 0; i < m; i++) {
        t->gemm_row(1, np, k, parts, s.a + i, s.panels, s.bytes, alone, 0);
        kc_same(alone, s.c + (size_t)i * s.ldc, (size_t)np * BT_NR * 4, "gemm_row row alone");
    }
    kc_release();
}

/* A row of one value, and rows that are nothing. */
static void check_flat(const bt_kernels *t)
{
    static const float values[] = { 0.0f, 2.5f, -1e-40f };
    for (int i = 0; i < 3; i++) {
        float x[70];
        bt_row_q *row = kc_bytes(bt_row_q_bytes(70, 1));
        for (int j = 0; j < 70; j++)
            x[j] = values[i];
        t->quantize_row(70, 1, x, row);
        for (int j = 0; j < 70; j++)
            assert_true(fabs(value_of(row, 128, 1, j) - (double)values[i]) < 1e-30);
        kc_release();
    }
}

void check_row8(const bt_kernels *t)
{
    static const int ms[] = { 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33 },
                     ks[] = { 1, 37, 64, 192, 260 };
    if (!t->gemm_row)
        return;
    check_flat(t);
    for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
        for (int np = 1; np <= 3; np++)
            for (size_t j = 0; j < sizeof ks / sizeof *ks; j++)
                for (int parts = 1; parts <= 3; parts += 2) {
                    row_case(t, ms[i], np, ks[j], parts, 1);
                    row_case(t, ms[i], np, ks[j], parts, 0);
                }
}

/* ---- speed ---- */

typedef struct job {
    const bt_kernels *t;
    rows s;
} job;

static void run_gemm(void *arg)
{
    const job *j = arg;
    const rows *s = &j->s;
    j->t->gemm_row(s->m, s->np, s->k, s->parts, s->a, s->panels, s->bytes, s->c, s->ldc);
}

static void run_quantize(void *arg)
{
    const job *j = arg;
    j->t->quantize_row(j->s.k, j->s.parts, j->s.x, (bt_row_q *)(uintptr_t)j->s.a[0]);
}

void bench_row8(const bt_kernels *t)
{
    for (int parts = 1; parts <= 3 && t->gemm_row; parts += 2)
        for (int k = 256; k <= 768; k += 512) {
            char name[64];
            job j = { t, make_rows(t, 32, 1024 / k * 16, k, parts, 0) };
            snprintf(name, sizeof name, "gemm_row 32x%dx%d, %d part%s", j.s.np * BT_NR, k, parts,
                     parts > 1 ? "s" : "");
            kc_print_int8(name, 2.0 * 32 * j.s.np * BT_NR * k * parts / kc_time(run_gemm, &j));
            snprintf(name, sizeof name, "quantize_row %d, %d part%s", k, parts,
                     parts > 1 ? "s" : "");
            kc_print(name, k * 1e-9 / kc_time(run_quantize, &j), "Gvalues/s");
            kc_release();
        }
}
