/* SPDX-License-Identifier: MIT
 * The int8 compute type with VPDPBUSD: unsigned weights, signed activations.
 * Built with -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
 * (CMakeLists.txt).
 *
 * One row (decode) opens the weights in registers: it is bound by how fast packed
 * bits arrive from memory. More rows share what is opened: a chunk of 8 blocks of
 * two panels goes to the stack once, then tiles of up to 8 rows by 2 panels run
 * over it, whose 16 integer sums hide the latency of VPDPBUSD. Both do the same
 * operations for a row, hence give the same bytes.
 */
#include "vec_avx512.h"

#include "../tmpl/q8_open.h"
#include "vnni.h"
#include "x86.h"

#include <math.h>
#include <stdbool.h>

#define INLINE static inline __attribute__((always_inline))

#define Q8_FORM Q8_UNSIGNED
enum {
    PANELS = 2, /* taken together by several rows */
    FEW = 4,
    AHEAD = 4096, /* bytes to fetch ahead, into L2: L1 has too few buffers for memory */
};

static void quantize_a(int k, const float *x, bt_qa *q)
{
    for (; k > 0; k -= BT_QA, x += BT_QA, q++) {
        const vf a = v_load(x), b = v_load(x + VL);
        const bool odd = _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q); /* a NaN: see ref/q8.c */
        const float peak = v_peak(v_max(v_abs(b), v_max(v_abs(a), v_zero())));
        const float d = odd ? NAN : peak / 127.0f;
        const __mmask16 live = d != 0.0f ? 0xffff : 0;
        const vf lo = v_set(-127.0f), hi = v_set(127.0f), dv = v_set(d); /* NaN: -127 */
        const vi wa = _mm512_maskz_cvtps_epi32(live, v_min(v_max(v_div(a, dv), lo), hi));
        const vi wb = _mm512_maskz_cvtps_epi32(live, v_min(v_max(v_div(b, dv), lo), hi));
        const int first = _mm512_reduce_add_epi32(wa), total = first + _mm512_reduce_add_epi32(wb);
        _mm_storeu_si128((__m128i *)(void *)q->q, _mm512_cvtepi32_epi8(wa));
        _mm_storeu_si128((__m128i *)(void *)(q->q + 16), _mm512_cvtepi32_epi8(wb));
        q->d = d;
        q->ds = d * (float)total;
        q->corr = -128 * total;
        q->corr0 = -128 * first;
    }
}

/* What the sums of a row start from: types of kind Q8_ONE and Q8_TWO have an excess. */
INLINE void start(const q8_kind k, const bt_qa *q, vi *sum, vi *half)
{
    *sum = *half = _mm512_setzero_si512();
    if (k == Q8_ONE)
        *sum = _mm512_set1_epi32(q->corr);
    if (k == Q8_TWO) {
        *sum = _mm512_set1_epi32(q->corr0);
        *half = _mm512_sub_epi32(_mm512_set1_epi32(q->corr), *sum);
    }
}

/* ---- one row ---- */

INLINE q8_scales block_scales(const bt_dtype t, const q8_head *h, const int j)
{
    q8_scales s = { .d = h->d[0] };
    if (q8_two(t)) {
        for (int i = 0; i < 2; i++)
            s.s[i] = q8_half_scale(t, Q8_FORM, h, j, i, 0);
        for (int i = 0; i < 2 && t == BT_Q2_K; i++)
            s.min[i] = v_s8(h->minscale[2 * j + i]);
        if (t == BT_Q2_K)
            s.dmin = h->min[0];
        return s;
    }
    s.s[0] = q8_scale(t, h, j, 0);
    if (q8_min(t))
        s.s[1] = q8_minimum(t, h, j, 0);
    return s;
}

INLINE void row_alone(const bt_dtype t, const q8_kind k, int kb, const bt_qa *a, const uint8_t *src,
                      float *c, int first)
{
    const int n = q8_blocks(t);
    vf acc = first ? v_zero() : v_load(c);
    for (int b = 0; b < kb; b += n, a += n, src += q8_bytes(t)) {
        const size_t part = q8_bytes(t) / (size_t)n; /* packed bytes of a block of 32 */
        q8_head h;
        q8_open_head(t, Q8_FORM, src, &h);
#pragma GCC unroll 8
        for (int j = 0; j < n; j++) {
#pragma GCC unroll 9
            for (size_t i = 0; i < part; i += 64)
                _mm_prefetch((const char *)src + AHEAD + (size_t)j * part + i, _MM_HINT_T1);
            vi sum, half;
            start(k, a + j, &sum, &half);
#pragma GCC unroll 4
            for (int g = 0; g < 4; g++) {
                vi_dot(&sum, q8_weights(t, Q8_FORM, src, j, g, 0), vi_four(a[j].q + 4 * g));
                vi_dot(&half, q8_weights(t, Q8_FORM, src, j, g + 4, 0),
                       vi_four(a[j].q + 4 * (g + 4)));
            }
            const q8_scales s = block_scales(t, &h, j);
            if (k == Q8_ONE || k == Q8_MIN)
                sum = _mm512_add_epi32(sum, half);
            acc = q8_add(k, sum, half, &s, a + j, acc);
        }
    }
    v_store(c, acc);
}

/* ---- several rows ---- */

/* R rows of activations by P opened panels: one block. */
INLINE void tile_block(const q8_kind k, const int R, const int P, int b, const bt_qa *const *a,
                       const q8_opened *o, float *c, size_t ldc)
{
    vi sum[8][2], half[8][2];
#pragma GCC unroll 8
    for (int i = 0; i < R; i++)
#pragma GCC unroll 2
        for (int p = 0; p < P; p++)
            start(k, a[i], &sum[i][p], &half[i][p]);
#pragma GCC unroll 8
    for (int g = 0; g < Q8_GROUPS; g++) {
        vi w[2];
#pragma GCC unroll 2
        for (int p = 0; p < P; p++)
            w[p] = vi_load(o[p].w[b][g]);
#pragma GCC unroll 8
        for (int i = 0; i < R; i++) {
            const vi q = vi_four(a[i]->q + 4 * g);
#pragma GCC unroll 2
            for (int p = 0; p < P; p++) {
                vi *s = (k == Q8_TWO || k == Q8_TWO_MIN) && g >= 4 ? &half[i][p] : &sum[i][p];
                vi_dot(s, w[p], q);
            }
        }
    }
#pragma GCC unroll 2
    for (int p = 0; p < P; p++) {
        const q8_scales s = q8_opened_scales(o + p, b, 0);
#pragma GCC unroll 8
        for (int i = 0; i < R; i++) {
            float *ci = c + (size_t)i * ldc + p * BT_NR;
            v_store(ci, q8_add(k, sum[i][p], half[i][p], &s, a[i], v_load(ci)));
        }
    }
}

INLINE void tile(const q8_kind k, const int R, const int P, int b0, int nb, const bt_qa *const *a,
                 const q8_opened *o, float *c, size_t ldc)
{
    const bt_qa *row[8];
#pragma GCC unroll 8
    for (int i = 0; i < R; i++)
        row[i] = a[i] + b0;
    for (int b = 0; b < nb; b++) {
        tile_block(k, R, P, b, row, o, c, ldc);
#pragma GCC unroll 8
        for (int i = 0; i < R; i++)
            row[i]++;
    }
}

/* All m rows by P opened panels of blocks b0..b0+nb. Two sums each leave room for
 * half the rows. */
INLINE void all_rows(const q8_kind k, const int P, int m, int b0, int nb, const bt_qa *const *a,
                     const q8_opened *o, float *c, size_t ldc)
{
    int i = 0;
    for (; (k == Q8_ONE || k == Q8_MIN) && i + 8 <= m; i += 8)
        tile(k, 8, P, b0, nb, a + i, o, c + (size_t)i * ldc, ldc);
    for (; i + 4 <= m; i += 4)
        tile(k, 4, P, b0, nb, a + i, o, c + (size_t)i * ldc, ldc);
    for (; i + 2 <= m; i += 2)
        tile(k, 2, P, b0, nb, a + i, o, c + (size_t)i * ldc, ldc);
    if (i < m)
        tile(k, 1, P, b0, nb, a + i, o, c + (size_t)i * ldc, ldc);
}

#define ALL_ROWS(k)                                                                                \
    static void rows_##k(int np, int m, int b0, int nb, const bt_qa *const *a, const q8_opened *o, \
                         float *c, size_t ldc)                                                     \
    {                                                                                              \
        if (np == 2)                                                                               \
            all_rows(k, 2, m, b0, nb, a, o, c, ldc);                                               \
        else                                                                                       \
            all_rows(k, 1, m, b0, nb, a, o, c, ldc);                                               \
    }
ALL_ROWS(Q8_ONE)
ALL_ROWS(Q8_MIN)
ALL_ROWS(Q8_TWO)
ALL_ROWS(Q8_TWO_MIN)

#define ALONE(type, kind)                                                                          \
    static void alone_##type(int kb, const bt_qa *a, const uint8_t *src, float *c, int first)      \
    {                                                                                              \
        row_alone(BT_##type, kind, kb, a, src, c, first);                                          \
    }
Q8_TYPES(ALONE)

#define Q8_ROWS(type, kind) rows_##kind
#define Q8_ALONE(type)      alone_##type
#include "../tmpl/q8_gemm.inc"

void bt_kernels_init_q8__avx512vnni(bt_kernels *t)
{
    t->quantize_a = quantize_a;
    Q8_TYPES(Q8_ENTRY)
}
