/* SPDX-License-Identifier: MIT
 * The int8 compute type of whole rows with VPDPBUSD. A tile is 8 rows of one part, or 3 of
 * three, by 2 panels: 16 or 18 sums, which stay in registers over all of k.
 */
#include "vec_avx512.h"

#include "vnni.h"
#include "x86.h"

#define INLINE static inline __attribute__((always_inline))

/* The least and the largest value. */
static void bounds(int k, const float *x, float *min, float *max)
{
    const vf first = v_set(k ? x[0] : 0);
    vf lo = first, hi = first, lo1 = first, hi1 = first;
    int i = 0;
    for (; i + 2 * VL <= k; i += 2 * VL) {
        const vf v = v_load(x + i), v1 = v_load(x + i + VL);
        lo = v_min(v, lo); /* x second: a NaN leaves it as it is */
        hi = v_max(v, hi);
        lo1 = v_min(v1, lo1);
        hi1 = v_max(v1, hi1);
    }
    for (; i < k; i += VL) {
        const vf v = k - i < VL ? v_keep_n(v_load_n(x + i, k - i), first, k - i) : v_load(x + i);
        lo = v_min(v, lo);
        hi = v_max(v, hi);
    }
    *min = -v_peak(v_sub(v_zero(), v_min(lo1, lo)));
    *max = v_peak(v_max(hi1, hi));
}

INLINE void store_bytes(int8_t *p, vi x)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(x));
}

/* How a row's values become whole numbers, and the sums of these. */
typedef struct whole {
    vf f, z, most;
    vi sum[3];
} whole;

/* 16 values: their digits to q, q + padded, .. */
INLINE void put_digits(const int parts, vf x, whole *w, int8_t *q, int padded)
{
    const vi half = vi_set32(128), byte = vi_set32(255);
    const vf v = v_mul(v_sub(x, w->z), w->f), least = v_sub(v_zero(), w->most);
    vi left = _mm512_cvtps_epi32(v_min(v_max(v, least), w->most)); /* NaN: least */
    for (int part = parts - 1; part > 0; part--) {
        const vi up = _mm512_add_epi32(left, half);
        const vi digit = _mm512_sub_epi32(vi_and(up, byte), half);
        left = _mm512_srai_epi32(up, 8);
        w->sum[part] = _mm512_add_epi32(w->sum[part], digit);
        store_bytes(q + part * padded, digit);
    }
    w->sum[0] = _mm512_add_epi32(w->sum[0], left);
    store_bytes(q, left);
}

INLINE void quantize(const int parts, int k, const float *x, bt_row_q *row)
{
    const int padded = bt_row_padded(k);
    const float most = parts == 3 ? 127.0f * 65536.0f : 127.0f;
    float min, max;
    bounds(k, x, &min, &max);
    const float peak = parts == 3 ? (-min > max ? -min : max) : 0.5f * max - 0.5f * min;
    const float f = peak > 1e-30f && peak < 1e30f ? most / peak : 0;
    row->d = f > 0 ? peak / most : 0;
    row->z = parts == 1 ? 0.5f * max + 0.5f * min : 0;
    const vi none = _mm512_setzero_si512();
    whole w = { v_set(f), v_set(row->z), v_set(most), { none, none, none } };
    int i = 0;
    for (; i + VL <= k; i += VL)
        put_digits(parts, v_load(x + i), &w, row->q + i, padded);
    for (; i < padded; i += VL)
        put_digits(parts, i < k ? v_keep_n(v_load_n(x + i, k - i), w.z, k - i) : w.z, &w,
                   row->q + i, padded);
    for (int part = 0; part < 3; part++)
        row->corr[part] = part < parts ? -128 * _mm512_reduce_add_epi32(w.sum[part]) : 0;
}

static void quantize_row(int k, int parts, const float *x, bt_row_q *row)
{
    if (parts == 1)
        quantize(1, k, x, row);
    else
        quantize(3, k, x, row);
}

/* R rows of `parts` parts by P panels. */
INLINE void tile(const int R, const int parts, const int P, int padded, const bt_row_q *const *a,
                 const uint8_t *w, size_t panel_bytes, float *c, size_t ldc)
{
    const int8_t *q[9];
    vi sum[9][2];
#pragma GCC unroll 9
    for (int i = 0; i < R * parts; i++) {
        q[i] = a[i / parts]->q + i % parts * padded;
#pragma GCC unroll 2
        for (int p = 0; p < P; p++)
            sum[i][p] = vi_set32(a[i / parts]->corr[i % parts]);
    }
    for (int k = 0; k < padded; k += 4) {
        vi b[2];
#pragma GCC unroll 2
        for (int p = 0; p < P; p++)
            b[p] = vi_load(w + (size_t)p * panel_bytes + (size_t)k * BT_NR);
#pragma GCC unroll 9
        for (int i = 0; i < R * parts; i++) {
            const vi x = vi_four(q[i] + k);
#pragma GCC unroll 2
            for (int p = 0; p < P; p++)
                vi_dot(&sum[i][p], b[p], x);
        }
    }
#pragma GCC unroll 2
    for (int p = 0; p < P; p++) {
        const float *steps =
            (const float *)(const void *)(w + (size_t)p * panel_bytes + (size_t)padded * BT_NR);
        const vf step = v_load(steps), total = v_load(steps + BT_NR);
#pragma GCC unroll 9
        for (int i = 0; i < R; i++) {
            vf s = v_ints(sum[i * parts][p]);
#pragma GCC unroll 2
            for (int part = 1; part < parts; part++)
                s = v_fma(v_set(256.0f), s, v_ints(sum[i * parts + part][p]));
            v_store(c + (size_t)i * ldc + p * BT_NR,
                    v_fma(s, v_mul(v_set(a[i]->d), step), v_mul(v_set(a[i]->z), total)));
        }
    }
}

INLINE void all_rows(const int parts, const int P, int m, int padded, const bt_row_q *const *a,
                     const uint8_t *w, size_t panel_bytes, float *c, size_t ldc)
{
    const int R = parts == 3 ? 3 : 8;
    int i = 0;
    for (; i + R <= m; i += R)
        tile(R, parts, P, padded, a + i, w, panel_bytes, c + (size_t)i * ldc, ldc);
    if (parts == 3 && i + 2 == m) /* of 32 rows */
        tile(2, parts, P, padded, a + i, w, panel_bytes, c + (size_t)i * ldc, ldc);
    else
        for (; i < m; i++)
            tile(1, parts, P, padded, a + i, w, panel_bytes, c + (size_t)i * ldc, ldc);
}

static void gemm_row(int m, int np, int k, int parts, const bt_row_q *const *a, const void *panels,
                     size_t panel_bytes, float *c, size_t ldc)
{
    const int padded = bt_row_padded(k);
    const uint8_t *w = panels;
    for (int p = 0; p < np; p += 2, w += 2 * panel_bytes, c += 2 * BT_NR) {
        if (parts == 1 && p + 1 < np)
            all_rows(1, 2, m, padded, a, w, panel_bytes, c, ldc);
        else if (parts == 1)
            all_rows(1, 1, m, padded, a, w, panel_bytes, c, ldc);
        else if (p + 1 < np)
            all_rows(3, 2, m, padded, a, w, panel_bytes, c, ldc);
        else
            all_rows(3, 1, m, padded, a, w, panel_bytes, c, ldc);
    }
}

void bt_kernels_init_row8__avx512vnni(bt_kernels *t)
{
    t->quantize_row = quantize_row;
    t->gemm_row = gemm_row;
}
