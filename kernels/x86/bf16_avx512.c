/* SPDX-License-Identifier: MIT
 * The bf16 compute type with VDPBF16PS. Built with -mavx512f -mavx512bw
 * -mavx512dq -mavx512vl -mavx512bf16 (CMakeLists.txt). These instructions take
 * subnormal numbers as zero.
 */
#include "vec_avx512.h"

#ifndef __AVX512BF16__
#error "this file needs -mavx512bf16"
#endif

#include "x86.h"

#include <string.h>

enum { TILE_M = 6, TILE_NV = 4 };

static inline __m256i to_half(vf x)
{
    return (__m256i)_mm512_cvtneps_pbh(x);
}

static void to_bf16(int n, const float *x, uint16_t *y)
{
    int i = 0;
    for (; i + VL <= n; i += VL)
        _mm256_storeu_si256((__m256i *)(void *)(y + i), to_half(v_load(x + i)));
    if (i < n)
        _mm256_mask_storeu_epi16(y + i, v_mask(n - i), to_half(v_load_n(x + i, n - i)));
}

/* Floats [64][16] (or a block) at a time, then each pair of rows woven together. */
static void expand_bf16(bt_dtype t, uint16_t *dst, const void *panel, int k0, int kc)
{
    float rows[256 * BT_NR];
    const int block = (int)bt_dtypes[t].block, step = block > 1 ? block : 64;
    for (int i = 0; i < kc; i += step) {
        const int n = kc - i < step ? kc - i : step;
        bt_expand__avx512(t, rows, panel, k0 + i, n);
        for (int j = 0; j < n; j += 2, dst += 2 * BT_NR) {
            const vi a = _mm512_cvtepu16_epi32(to_half(v_load(rows + j * BT_NR)));
            const vf next = j + 1 < n ? v_load(rows + (j + 1) * BT_NR) : v_zero();
            const vi b = _mm512_cvtepu16_epi32(to_half(next));
            _mm512_storeu_si512(dst, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
        }
    }
    const int pairs = (kc + 1) / 2, padded = (kc + BT_KB - 1) / BT_KB * BT_KB / 2;
    memset(dst, 0, (size_t)(padded - pairs) * BT_NR * 4);
}

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
}
