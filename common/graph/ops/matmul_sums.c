/* SPDX-License-Identifier: MIT
 * The products of a block of rows and panels, by the kernel for its compute
 * type. The order of every sum is the same whatever the block: taps in order,
 * channels in order.
 *
 * Float kernels expand BT_MM_CHUNK channels of a panel and use them for all rows
 * while they are in cache; int8 kernels read the packed bits; bf16 panels of
 * float weights are read as they lie, those of quantized ones are opened first.
 */
#include "graph/ops/matmul.h"

#include <string.h>

static int least(int a, int b) { return a < b ? a : b; }

static const uint8_t *const *rows_of(const bt_mm_block *s, int tap)
{
    return &s->t->rows[tap * s->t->stride + s->i0];
}

/* Bytes from a panel to the next one of the same tap. */
static size_t panel_step(const bt_packed *pk) { return pk->taps * pk->panel_bytes; }

/* Bytes from a tap's panel to that of the next tap in the list. */
static size_t tap_step(const bt_mm_block *s)
{
    return s->t->taps > 1 ? (s->t->tap[1] - s->t->tap[0]) * s->packed->panel_bytes : 0;
}

/* ---- f32 --------------------------------------------------------------- */

/* Panels p..p+np over one tap and channels k0..k0+kc. */
static void chunk_f32(const bt_mm_block *s, int p, int np, int t, int k0, int kc, int first)
{
    const bt_packed *pk = s->packed;
    const uint8_t *panel = bt_panel(pk, s->p0 + p, s->t->tap[t]);
    size_t ldp = BT_MM_CHUNK * BT_NR;
    const float *b = s->b;
    if (pk->type == BT_F32) {
        b = (const float *)panel + (size_t)k0 * BT_NR;
        ldp = panel_step(pk) / sizeof(float);
    } else {
        for (int i = 0; i < np; i++)
            s->k->expand(pk->type, (float *)s->b + i * ldp, panel + i * panel_step(pk), k0, kc);
    }
    const int mr = s->k->gemm_mr;
    const uint8_t *const *rows = rows_of(s, t);
    for (int i = 0; i < s->m; i += mr) {
        const float *a[BT_MAX_MR];
        int m = least(s->m - i, mr);
        for (int j = 0; j < m; j++)
            a[j] = (const float *)rows[i + j] + k0;
        s->k->gemm_f32(m, np, kc, a, b, ldp, s->c + (size_t)i * s->ldc + p * BT_NR, s->ldc, first);
    }
}

/* All taps of panels p..p+np in few calls, for rows of at most BT_MM_CHUNK
 * channels: the sums stay in registers from tap to tap. */
static void taps_f32(const bt_mm_block *s, int p, int np)
{
    const bt_packed *pk = s->packed;
    const int mr = s->k->gemm_mr, k = pk->k;
    const bool direct = pk->type == BT_F32;
    const int most = direct ? s->t->taps : BT_MM_CHUNK / k;
    size_t ldt = direct ? tap_step(s) / sizeof(float) : (size_t)k * BT_NR;
    size_t ldp = direct ? panel_step(pk) / sizeof(float) : most * ldt;
    for (int t = 0; t < s->t->taps; t += most) {
        const int n = least(s->t->taps - t, most);
        const void *b = direct ? (const void *)bt_panel(pk, s->p0 + p, s->t->tap[t]) : s->b;
        for (int i = 0; !direct && i < n * np; i++)
            s->k->expand(pk->type, (float *)s->b + i / n * ldp + i % n * ldt,
                         bt_panel(pk, s->p0 + p + i / n, s->t->tap[t + i % n]), 0, k);
        for (int i = 0; i < s->m; i += mr)
            s->k->conv_f32(least(s->m - i, mr), np, n, k, (const float *const *)rows_of(s, t) + i,
                           s->t->stride, b, ldt, ldp, s->c + (size_t)i * s->ldc + p * BT_NR, s->ldc,
                           t == 0);
    }
}

static void sums_f32(const bt_mm_block *s)
{
    const bt_packed *pk = s->packed;
    if (s->m == 1 && pk->taps == 1 && s->k->gemv_f32[pk->type]) {
        s->k->gemv_f32[pk->type](s->np, pk->k, (const float *)rows_of(s, 0)[0],
                                 bt_panel(pk, s->p0, 0), pk->panel_bytes, s->c);
        return;
    }
    for (int p = 0; p < s->np; p += s->k->gemm_np) {
        const int np = least(s->np - p, s->k->gemm_np);
        if (pk->k <= BT_MM_CHUNK) {
            taps_f32(s, p, np);
            continue;
        }
        for (int t = 0; t < s->t->taps; t++)
            for (int k0 = 0; k0 < pk->k; k0 += BT_MM_CHUNK)
                chunk_f32(s, p, np, t, k0, least(pk->k - k0, BT_MM_CHUNK), t == 0 && k0 == 0);
    }
}

/* ---- int8 and bf16 ----------------------------------------------------- */

static void sums_q8(const bt_mm_block *s)
{
    const bt_packed *pk = s->packed;
    for (int t = 0; t < s->t->taps; t++)
        s->k->gemm_q8[pk->type](s->m, s->np, pk->k / BT_QA, (const bt_qa *const *)rows_of(s, t),
                                bt_panel(pk, s->p0, s->t->tap[t]), panel_step(pk), s->c, s->ldc,
                                t == 0);
}

/* Of linear layers: one tap. */
static void sums_rows(const bt_mm_block *s)
{
    const bt_packed *pk = s->packed;
    s->k->gemm_row(s->m, s->np, pk->k, bt_mm_parts(s->compute),
                   (const bt_row_q *const *)rows_of(s, 0), bt_panel(pk, s->p0, 0), panel_step(pk),
                   s->c, s->ldc);
}

static void direct_bf16(const bt_mm_block *s)
{
    const bt_packed *pk = s->packed;
    const int kc = (pk->k + BT_KB - 1) / BT_KB * BT_KB;
    const uint16_t *b = (const uint16_t *)bt_panel(pk, s->p0, s->t->tap[0]);
    const size_t ldt = tap_step(s) / sizeof *b, ldp = panel_step(pk) / sizeof *b;
    const uint16_t *const *a = (const uint16_t *const *)rows_of(s, 0);
    s->k->gemm_bf16(s->m, s->np, s->t->taps, kc, a, s->t->stride, b, ldt, ldp, s->c, s->ldc, 1);
    if (s->compute != BT_MM_SPLIT)
        return;
    /* high * high was the first; rows low | high meet panels high | low. */
    a += (size_t)s->t->taps * s->t->stride;
    s->k->gemm_bf16(s->m, s->np, s->t->taps, 2 * kc, a, s->t->stride, b, ldt, ldp, s->c, s->ldc, 0);
}

/* A quantized weight: the block's panels are opened whole, a tap at a time. */
static void opened_bf16(const bt_mm_block *s)
{
    const bt_packed *pk = s->packed;
    const int kc = (pk->k + BT_KB - 1) / BT_KB * BT_KB;
    const size_t ldp = (size_t)kc * BT_NR;
    uint16_t *b = s->b;
    for (int t = 0; t < s->t->taps; t++) {
        for (int i = 0; i < s->np; i++)
            s->k->expand_bf16(pk->type, b + i * ldp, bt_panel(pk, s->p0 + i, s->t->tap[t]), 0,
                              pk->k);
        s->k->gemm_bf16(s->m, s->np, 1, kc, (const uint16_t *const *)rows_of(s, t), 0, b, 0, ldp,
                        s->c, s->ldc, t == 0);
    }
}

void bt_mm_sums(const bt_mm_block *s)
{
    if (s->t->taps == 0) {
        for (int i = 0; i < s->m; i++)
            memset(s->c + (size_t)i * s->ldc, 0, s->np * BT_NR * sizeof(float));
        return;
    }
    switch (s->compute) {
    case BT_MM_F32: sums_f32(s); break;
    case BT_MM_BF16: (s->packed->type == BT_BF16 ? direct_bf16 : opened_bf16)(s); break;
    case BT_MM_SPLIT: direct_bf16(s); break;
    case BT_MM_Q8: sums_q8(s); break;
    case BT_MM_ROWS:
    case BT_MM_ROWS24: sums_rows(s); break;
    }
}
