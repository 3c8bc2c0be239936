/* SPDX-License-Identifier: MIT
 * The bf16 compute type with VDPBF16PS. Built with -mavx512f -mavx512bw
 * -mavx512dq -mavx512vl -mavx512bf16 (CMakeLists.txt). These instructions take
 * subnormal numbers as zero.
 */
#include "vec_avx512.h"

#ifndef __AVX512BF16__
#error "this file needs -mavx512bf16"
#endif

#include "../tmpl/q8_open.h"
#include "x86.h"

#include <string.h>

enum { TILE_M = 6, TILE_NV = 4 };

#define INLINE static inline __attribute__((always_inline))

static inline __m256i to_half(vf x) { return (__m256i)_mm512_cvtneps_pbh(x); }

static void to_bf16(int n, const float *x, uint16_t *y)
{
    int i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL)
        _mm512_storeu_si512(y + i, (vi)_mm512_cvtne2ps_pbh(v_load(x + i + VL), v_load(x + i)));
    for (; i < n; i += VL) {
        const int k = n - i < VL ? n - i : VL;
        _mm256_mask_storeu_epi16(y + i, v_mask(k), to_half(v_load_n(x + i, k)));
    }
}

static inline void store_half(uint16_t *z, vf v, int n)
{
    if (n >= VL)
        _mm256_storeu_si256((__m256i *)(void *)z, to_half(v));
    else
        _mm256_mask_storeu_epi16(z, v_mask(n), to_half(v));
}

#define JOIN_TYPE uint16_t
#define JOIN_STORE(z, v, n) store_half(z, v, n)
#include "../tmpl/join.inc"

/* ---- weights to panels of pairs ---- */

/* Values k and k + 1 of 16 rows, woven together. */
INLINE vi pairs(vf k0, vf k1)
{
    const vi order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                      23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (vi)_mm512_cvtne2ps_pbh(k1, k0));
}

/* 2^24 times the signed byte i of each lane: two operations instead of the three
 * of v_byte. The scale takes the factor back, which is exact. */
INLINE vf high_byte(vi x, const int i)
{
    const int up = 0x00808080 | i << 24; /* byte i of the lane to the top, zeros below */
    const __m128i lane = _mm_setr_epi32(up, up | 0x04000000, up | 0x08000000, up | 0x0c000000);
    if (i == 0)
        return _mm512_cvtepi32_ps(_mm512_slli_epi32(x, 24));
    if (i == 3)
        return _mm512_cvtepi32_ps(_mm512_and_si512(x, _mm512_set1_epi32((int)0xff000000)));
    return _mm512_cvtepi32_ps(_mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(lane)));
}

/* Block j of the packed block p: w = byte * d + m as in bt_expand. */
INLINE void block_pairs(const bt_dtype t, uint16_t *dst, const uint8_t *p, const q8_head *h,
                        const int j)
{
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        const int excess = q8_signed(t) ? 0 : q8_excess(t);
        vf d, m = v_zero();
        if (q8_two(t))
            d = v_mul(h->d[0], q8_half_scale(t, Q8_PLAIN, h, j, half, 0));
        else
            d = q8_scale(t, h, j, 0);
        if (t == BT_Q2_K)
            m = v_mul(v_mul(h->min[0], v_set(-0x1p7f)), v_s8(h->minscale[2 * j + half]));
        else if (excess)
            m = v_mul(d, v_set((float)-excess));
        else if (q8_min(t))
            m = q8_minimum(t, h, j, 0);
        d = v_mul(d, v_set(0x1p-24f));
#pragma GCC unroll 4
        for (int g = 4 * half; g < 4 * half + 4; g++) {
            const vi bytes = q8_weights(t, Q8_PLAIN, p, j, g, 0);
            vf w[4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                w[i] = t == BT_Q8_0 ? v_mul(high_byte(bytes, i), d)
                                    : v_fma(high_byte(bytes, i), d, m);
            _mm512_storeu_si512(dst + g * 4 * BT_NR, pairs(w[0], w[1]));
            _mm512_storeu_si512(dst + (g * 4 + 2) * BT_NR, pairs(w[2], w[3]));
        }
    }
}

INLINE void block_type(const bt_dtype t, uint16_t *dst, const uint8_t *src, int kc)
{
    const int n = q8_blocks(t);
    for (int b = 0; b < kc / BT_QA; b += n, src += q8_bytes(t)) {
        q8_head h;
        q8_open_head(t, Q8_PLAIN, src, &h);
#pragma GCC unroll 8
        for (int j = 0; j < n; j++)
            block_pairs(t, dst + (size_t)(b + j) * BT_QA * BT_NR, src, &h, j);
    }
}

#define BLOCK_TYPE(type, kind)                                                             \
    static void expand_##type(uint16_t *dst, const uint8_t *src, int kc)                   \
    {                                                                                      \
        block_type(BT_##type, dst, src, kc);                                               \
    }
Q8_TYPES(BLOCK_TYPE)

/* Types of single values, through floats. */
static void expand_values(bt_dtype t, uint16_t *dst, const void *panel, int k0, int kc)
{
    enum { STEP = 64 };
    float rows[STEP * BT_NR];
    for (int i = 0; i < kc; i += STEP) {
        const int n = kc - i < STEP ? kc - i : STEP;
        bt_expand__avx512(t, rows, panel, k0 + i, n);
        for (int j = 0; j < n; j += 2, dst += 2 * BT_NR) {
            const vf next = j + 1 < n ? v_load(rows + (j + 1) * BT_NR) : v_zero();
            _mm512_storeu_si512(dst, pairs(v_load(rows + j * BT_NR), next));
        }
    }
    const int made = (kc + 1) / 2, padded = (kc + BT_KB - 1) / BT_KB * BT_KB / 2;
    memset(dst, 0, (size_t)(padded - made) * BT_NR * 4);
}

static void expand_bf16(bt_dtype t, uint16_t *dst, const void *panel, int k0, int kc)
{
    const uint8_t *src = (const uint8_t *)panel + bt_panel_bytes(t, k0);
    switch (t) {
#define BLOCK_CASE(type, kind) \
    case BT_##type: expand_##type(dst, src, kc); break;
        Q8_TYPES(BLOCK_CASE)
#undef BLOCK_CASE
    default: expand_values(t, dst, panel, k0, kc);
    }
}

/* ---- the product ---- */

typedef struct args {
    int taps, kc;
    size_t sa, ldt, ldp, ldc;
    int first;
} args;

/* M rows by NP panels: acc += a[k] b[k] + a[k + 1] b[k + 1], over all taps. */
static inline __attribute__((always_inline)) void tile(const int M, const int NP, const args *g,
                                                       const uint16_t *const *rows,
                                                       const uint16_t *b0, float *c)
{
    const size_t ldp = g->ldp, ldc = g->ldc;
    vf acc[TILE_M][TILE_NV];
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
#pragma GCC unroll 16
        for (int p = 0; p < NP; p++)
            acc[i][p] = g->first ? v_zero() : v_load(c + (size_t)i * ldc + p * BT_NR);
    for (int t = 0; t < g->taps; t++) {
        const uint16_t *a[TILE_M], *b = b0 + (size_t)t * g->ldt;
#pragma GCC unroll 16
        for (int i = 0; i < M; i++)
            a[i] = rows[(size_t)t * g->sa + i];
        for (int k = 0; k < g->kc; k += 2, b += 2 * BT_NR) {
            vi w[TILE_NV];
#pragma GCC unroll 16
            for (int p = 0; p < NP; p++)
                w[p] = vi_load(b + (size_t)p * ldp);
#pragma GCC unroll 16
            for (int i = 0; i < M; i++) {
                int32_t pair;
                memcpy(&pair, a[i] + k, 4);
                const vi x = _mm512_set1_epi32(pair);
#pragma GCC unroll 16
                for (int p = 0; p < NP; p++)
                    acc[i][p] = _mm512_dpbf16_ps(acc[i][p], (__m512bh)x, (__m512bh)w[p]);
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
#pragma GCC unroll 16
        for (int p = 0; p < NP; p++)
            v_store(c + (size_t)i * ldc + p * BT_NR, acc[i][p]);
}

typedef void (*tile_fn)(const args *g, const uint16_t *const *a, const uint16_t *b, float *c);

#define TILE(m, np)                                                                        \
    static void tile_##m##x##np(const args *g, const uint16_t *const *a,                   \
                                const uint16_t *b, float *c)                               \
    {                                                                                      \
        tile(m, np, g, a, b, c);                                                           \
    }
#define ROW(m) TILE(m, 1) TILE(m, 2) TILE(m, 3) TILE(m, 4)
#define NAMES(m) { tile_##m##x1, tile_##m##x2, tile_##m##x3, tile_##m##x4 }
ROW(1) ROW(2) ROW(3) ROW(4) ROW(5) ROW(6)
static const tile_fn tiles[TILE_M][TILE_NV] = { NAMES(1), NAMES(2), NAMES(3),
                                                NAMES(4), NAMES(5), NAMES(6) };

static void gemm_bf16(int m, int np, int taps, int kc, const uint16_t *const *a, size_t sa,
                      const uint16_t *b, size_t ldt, size_t ldp, float *c, size_t ldc, int first)
{
    const args g = { taps, kc, sa, ldt, ldp, ldc, first };
    for (int p = 0; p < np; p += TILE_NV) {
        const int n = np - p < TILE_NV ? np - p : TILE_NV;
        for (int i = 0; i < m; i += TILE_M)
            tiles[(m - i < TILE_M ? m - i : TILE_M) - 1][n - 1](
                &g, a + i, b + (size_t)p * ldp, c + (size_t)i * ldc + p * BT_NR);
    }
}

void bt_kernels_init_bf16__avx512(bt_kernels *t)
{
    t->gemm_bf16 = gemm_bf16;
    t->expand_bf16 = expand_bf16;
    t->to_bf16 = to_bf16;
    t->join_bf16 = join;
}
