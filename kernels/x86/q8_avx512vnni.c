/* SPDX-License-Identifier: MIT
 * The int8 compute type with VPDPBUSD: unsigned weights, signed activations.
 * Built with -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
 * (CMakeLists.txt).
 */
#include "vec_avx512.h"

#ifndef __AVX512VNNI__
#error "this file needs -mavx512vnni"
#endif

#include "x86.h"

#include <stddef.h>

#define INLINE static inline __attribute__((always_inline))

enum { GROUPS = BT_QA / 4, ROWS = 16 };

static void quantize_a(int k, const float *x, bt_qa *q)
{
    for (; k > 0; k -= BT_QA, x += BT_QA, q++) {
        const vf a = v_load(x), b = v_load(x + VL);
        const float d = v_peak(v_max(v_abs(b), v_max(v_abs(a), v_zero()))) / 127.0f;
        const __mmask16 live = d != 0.0f ? 0xffff : 0;
        const vf lo = v_set(-127.0f), hi = v_set(127.0f), dv = v_set(d); /* NaN: -127 */
        const vi wa = _mm512_maskz_cvtps_epi32(live, v_min(v_max(v_div(a, dv), lo), hi));
        const vi wb = _mm512_maskz_cvtps_epi32(live, v_min(v_max(v_div(b, dv), lo), hi));
        const int total = _mm512_reduce_add_epi32(_mm512_add_epi32(wa, wb));
        _mm_storeu_si128((__m128i *)(void *)q->q, _mm512_cvtepi32_epi8(wa));
        _mm_storeu_si128((__m128i *)(void *)(q->q + 16), _mm512_cvtepi32_epi8(wb));
        q->d = d;
        q->ds = d * (float)total;
        q->corr = -128 * total;
    }
}

/* A block's weights as unsigned bytes: q + 128 for Q8_0, 16 times the nibble
 * for Q4_0 (so that the excess is 128 again; the scale takes the 16 back), the
 * nibble for Q4_1. */
INLINE void open_block(const bt_dtype t, const uint8_t *data, vi w[GROUPS])
{
    const vi top = _mm512_set1_epi8((char)0xf0), low = _mm512_set1_epi8(15);
#pragma GCC unroll 8
    for (int g = 0; g < GROUPS; g++) {
        const vi x = vi_load(data + (t == BT_Q8_0 ? g : g % 4) * 64);
        if (t == BT_Q8_0)
            w[g] = _mm512_xor_si512(x, _mm512_set1_epi8((char)0x80));
        else if (t == BT_Q4_0)
            w[g] = _mm512_and_si512(g < 4 ? _mm512_slli_epi16(x, 4) : x, top);
        else
            w[g] = _mm512_and_si512(g < 4 ? x : _mm512_srli_epi16(x, 4), low);
    }
}

_Static_assert(offsetof(bt_qa, q) == 12, "dot_block counts on it");

/* s + the dot products of a block, in two chains: one of eight would leave the
 * units waiting. In assembler because gcc 12 does not fold the broadcast of four
 * activations into the instruction; with a plain base register, since an index
 * would split it in two again. */
INLINE vi dot_block(vi s, const vi w[GROUPS], const bt_qa *q)
{
    vi t = _mm512_setzero_si512();
    __asm__("vpdpbusd 12(%[q])%{1to16%}, %[w0], %[s]\n\t"
            "vpdpbusd 16(%[q])%{1to16%}, %[w1], %[t]\n\t"
            "vpdpbusd 20(%[q])%{1to16%}, %[w2], %[s]\n\t"
            "vpdpbusd 24(%[q])%{1to16%}, %[w3], %[t]\n\t"
            "vpdpbusd 28(%[q])%{1to16%}, %[w4], %[s]\n\t"
            "vpdpbusd 32(%[q])%{1to16%}, %[w5], %[t]\n\t"
            "vpdpbusd 36(%[q])%{1to16%}, %[w6], %[s]\n\t"
            "vpdpbusd 40(%[q])%{1to16%}, %[w7], %[t]"
            : [s] "+&v"(s), [t] "+&v"(t)
            : [q] "r"(q), "m"(*q), [w0] "v"(w[0]), [w1] "v"(w[1]), [w2] "v"(w[2]),
              [w3] "v"(w[3]), [w4] "v"(w[4]), [w5] "v"(w[5]), [w6] "v"(w[6]), [w7] "v"(w[7]));
    return _mm512_add_epi32(s, t);
}

/* M rows by one panel; the sums stay in registers over all blocks. */
INLINE void tile(const bt_dtype t, const int M, int kb, const bt_qa *const *a,
                 const uint8_t *src, float *c, size_t ldc, int first)
{
    const size_t head = 2 * BT_NR * (t == BT_Q4_1 ? 2 : 1), bytes = bt_panel_bytes(t, BT_QA);
    vf acc[ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
        acc[i] = first ? v_zero() : v_load(c + (size_t)i * ldc);
    for (int b = 0; b < kb; b++, src += bytes) {
        vi w[GROUPS];
        if (M == 1)
            for (size_t i = 0; i < bytes; i += 64)
                _mm_prefetch((const char *)src + 2048 + i, _MM_HINT_T0);
        open_block(t, src + head, w);
        const vf half = v_half(src), d = t == BT_Q4_0 ? v_mul(half, v_set(0.0625f)) : half;
        const vf min = t == BT_Q4_1 ? v_half(src + 2 * BT_NR) : v_zero();
#pragma GCC unroll 16
        for (int i = 0; i < M; i++) {
            const bt_qa *q = a[i] + b;
            const vi start = _mm512_set1_epi32(t == BT_Q4_1 ? 0 : q->corr);
            const vf dot = _mm512_cvtepi32_ps(dot_block(start, w, q));
            acc[i] = v_fma(v_mul(d, v_set(q->d)), dot, acc[i]);
            if (t == BT_Q4_1)
                acc[i] = v_fma(min, v_set(q->ds), acc[i]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < M; i++)
        v_store(c + (size_t)i * ldc, acc[i]);
}

typedef void (*tile_fn)(int kb, const bt_qa *const *a, const uint8_t *src, float *c, size_t ldc,
                        int first);

#define TILE(type, m)                                                                    \
    static void tile_##type##_##m(int kb, const bt_qa *const *a, const uint8_t *src,     \
                                  float *c, size_t ldc, int first)                       \
    {                                                                                    \
        tile(BT_##type, m, kb, a, src, c, ldc, first);                                   \
    }
#define GEMM_Q8(type)                                                                    \
    TILE(type, 1) TILE(type, 2) TILE(type, 3) TILE(type, 4) TILE(type, 5) TILE(type, 6)  \
    TILE(type, 7) TILE(type, 8) TILE(type, 9) TILE(type, 10) TILE(type, 11)              \
    TILE(type, 12) TILE(type, 13) TILE(type, 14) TILE(type, 15) TILE(type, 16)           \
    static const tile_fn tiles_##type[ROWS] = {                                          \
        tile_##type##_1,  tile_##type##_2,  tile_##type##_3,  tile_##type##_4,           \
        tile_##type##_5,  tile_##type##_6,  tile_##type##_7,  tile_##type##_8,           \
        tile_##type##_9,  tile_##type##_10, tile_##type##_11, tile_##type##_12,          \
        tile_##type##_13, tile_##type##_14, tile_##type##_15, tile_##type##_16,          \
    };                                                                                   \
    static void gemm_q8_##type(int m, int np, int kb, const bt_qa *const *a,             \
                               const void *panels, size_t panel_bytes, float *c,         \
                               size_t ldc, int first)                                    \
    {                                                                                    \
        gemm(tiles_##type, m, np, kb, a, panels, panel_bytes, c, ldc, first);            \
    }

static void gemm(const tile_fn *tiles, int m, int np, int kb, const bt_qa *const *a,
                 const uint8_t *panels, size_t panel_bytes, float *c, size_t ldc, int first)
{
    for (int p = 0; p < np; p++, panels += panel_bytes, c += BT_NR)
        for (int i = 0; i < m; i += ROWS) {
            const int rows = m - i < ROWS ? m - i : ROWS;
            tiles[rows - 1](kb, a + i, panels, c + (size_t)i * ldc, ldc, first);
        }
}

GEMM_Q8(Q8_0)
GEMM_Q8(Q4_0)
GEMM_Q8(Q4_1)

void bt_kernels_init_q8__avx512vnni(bt_kernels *t)
{
    t->quantize_a = quantize_a;
    t->gemm_q8[BT_Q8_0] = gemm_q8_Q8_0;
    t->gemm_q8[BT_Q4_0] = gemm_q8_Q4_0;
    t->gemm_q8[BT_Q4_1] = gemm_q8_Q4_1;
}
