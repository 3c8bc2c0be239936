/* SPDX-License-Identifier: MIT
 * The float tile that gemm and attention share: M rows by NV registers,
 * c[i][v] (+)= sum_k a[i][k] b[k][v], one accumulator for each, k rising. With
 * several taps the sums go on over them, tap after tap, in the same registers.
 */
#ifndef BT_KERNELS_TILE_H
#define BT_KERNELS_TILE_H

#include <stddef.h>

enum { TILE_TALL = 2 * TILE_M }; /* rows of the tallest tile */

typedef struct tile_args {
    int taps, kc;
    const float *const *a; /* M row pointers for each tap, step_a apart */
    const float *b;
    size_t step_a, step_t; /* pointers between taps in a, floats between taps in b */
    size_t step_k, step_v; /* floats between rows of b, between its registers */
    float *c;
    size_t ldc;
    int first; /* c is written, not added to */
    int last;  /* lanes of the last register that exist, 1..VL */
} tile_args;

static inline __attribute__((always_inline)) void tile_body(const int M, const int NV,
                                                            const int full, const tile_args *t)
{
    vf acc[TILE_TALL][TILE_NV];
    const int kc = t->kc, last = full ? VL : t->last;
    const size_t step_k = t->step_k, step_v = t->step_v;
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
#pragma GCC unroll 16
        for (int v = 0; v < NV; v++)
            acc[i][v] = t->first
                            ? v_zero()
                            : v_load_n(t->c + (size_t)i * t->ldc + v * VL, v == NV - 1 ? last : VL);
    for (int tap = 0; tap < t->taps; tap++) {
        const float *a[TILE_TALL], *b = t->b + (size_t)tap * t->step_t;
#pragma GCC unroll 16
        for (int i = 0; i < M; i++)
            a[i] = t->a[(size_t)tap * t->step_a + i];
        for (int k = 0; k < kc; k++, b += step_k) {
            vf w[TILE_NV];
#pragma GCC unroll 16
            for (int v = 0; v < NV; v++)
                w[v] = v_load_n(b + (size_t)v * step_v, v == NV - 1 ? last : VL);
#pragma GCC unroll 16
            for (int i = 0; i < M; i++) {
                const vf x = v_set(a[i][k]);
#pragma GCC unroll 16
                for (int v = 0; v < NV; v++)
                    acc[i][v] = v_fma(x, w[v], acc[i][v]);
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
#pragma GCC unroll 16
        for (int v = 0; v < NV; v++)
            v_store_n(t->c + (size_t)i * t->ldc + v * VL, acc[i][v], v == NV - 1 ? last : VL);
}

typedef void (*tile_fn)(const tile_args *t);

#define TILE(m, v, full, suffix)                                                                   \
    static void tile_##m##x##v##suffix(const tile_args *t) { tile_body(m, v, full, t); }
#if TILE_NV == 4
#define TILE_ROW(m, full, suffix)                                                                  \
    TILE(m, 1, full, suffix)                                                                       \
    TILE(m, 2, full, suffix) TILE(m, 3, full, suffix) TILE(m, 4, full, suffix)
#define TILE_NAMES(m, suffix)                                                                      \
    {                                                                                              \
        tile_##m##x1##suffix, tile_##m##x2##suffix, tile_##m##x3##suffix, tile_##m##x4##suffix     \
    }
#else
#define TILE_ROW(m, full, suffix) TILE(m, 1, full, suffix) TILE(m, 2, full, suffix)
#define TILE_NAMES(m, suffix)                                                                      \
    {                                                                                              \
        tile_##m##x1##suffix, tile_##m##x2##suffix                                                 \
    }
#endif
#define TILE_TABLE(full, suffix)                                                                   \
    TILE_ROW(1, full, suffix)                                                                      \
    TILE_ROW(2, full, suffix)                                                                      \
    TILE_ROW(3, full, suffix) TILE_ROW(4, full, suffix) TILE_ROW(5, full, suffix)                  \
        TILE_ROW(6, full, suffix) static const tile_fn tiles##suffix[TILE_M][TILE_NV] = {          \
            TILE_NAMES(1, suffix), TILE_NAMES(2, suffix), TILE_NAMES(3, suffix),                   \
            TILE_NAMES(4, suffix), TILE_NAMES(5, suffix), TILE_NAMES(6, suffix),                   \
        };

#endif
