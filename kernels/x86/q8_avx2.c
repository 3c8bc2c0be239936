/* SPDX-License-Identifier: MIT
 * The int8 compute type. Built with -mavx2 -mfma -mf16c (CMakeLists.txt). */
#include "vec_avx2.h"

#include "x86.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { NV = BT_NR / VL, GROUPS = BT_QA / 4 };

static void quantize_block(const float *x, bt_qa *q)
{
    vf v[4], top = v_zero();
    for (int i = 0; i < 4; i++) {
        v[i] = v_load(x + i * VL);
        top = v_max(v_abs(v[i]), top);
    }
    const float d = v_peak(top) / 127.0f;
    __m256i w[4], sum = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
        const vf r = v_max(v_div(v[i], v_set(d)), v_set(-127.0f)); /* NaN: -127 */
        w[i] = _mm256_cvtps_epi32(v_min(r, v_set(127.0f)));
        if (d == 0.0f)
            w[i] = _mm256_setzero_si256();
        sum = _mm256_add_epi32(sum, w[i]);
    }
    const __m256i lo = _mm256_packs_epi32(w[0], w[1]), hi = _mm256_packs_epi32(w[2], w[3]);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256((__m256i *)(void *)q->q,
                        _mm256_permutevar8x32_epi32(_mm256_packs_epi16(lo, hi), order));
    int32_t lanes[8], total = 0;
    _mm256_storeu_si256((__m256i *)(void *)lanes, sum);
    for (int i = 0; i < 8; i++)
        total += lanes[i];
    q->d = d;
    q->ds = d * (float)total;
    q->corr = -128 * total;
}

static void quantize_a(int k, const float *x, bt_qa *q)
{
    for (int i = 0; i < k; i += BT_QA)
        quantize_block(x + i, q + i / BT_QA);
}

/* A block's weights, one byte each: w[group][half]. */
INLINE void open_block(const bt_dtype t, const uint8_t *data, vi w[GROUPS][NV])
{
    const vi low = _mm256_set1_epi8(15);
    for (int g = 0; g < GROUPS; g++)
        for (int v = 0; v < NV; v++) {
            if (t == BT_Q8_0) {
                w[g][v] = vi_load(data + g * 64 + v * 32);
                continue;
            }
            const vi x = vi_load(data + g % 4 * 64 + v * 32);
            w[g][v] = _mm256_and_si256(g < 4 ? x : _mm256_srli_epi16(x, 4), low);
        }
}

/* Exact dot products of one activation block with 8 columns. VPMADDUBSW wants
 * unsigned times signed and adds pairs in 16 bits: Q8_0 moves the weight's sign
 * to the activation (2 * 128 * 127 fits); nibbles are unsigned as they are, and
 * all eight groups fit 16 bits (16 * 15 * 127). */
INLINE vi dot_block(const bt_dtype t, const vi w[GROUPS][NV], const int v, const bt_qa *a)
{
    const vi ones = _mm256_set1_epi16(1);
    vi sum = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int g = 0; g < GROUPS; g++) {
        int32_t four;
        memcpy(&four, a->q + 4 * g, 4);
        const vi q = _mm256_set1_epi32(four);
        if (t == BT_Q8_0) {
            const vi s = _mm256_maddubs_epi16(_mm256_abs_epi8(w[g][v]),
                                              _mm256_sign_epi8(q, w[g][v]));
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(s, ones));
        } else {
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(w[g][v], q));
        }
    }
    if (t == BT_Q8_0)
        return sum;
    sum = _mm256_madd_epi16(sum, ones);
    return t == BT_Q4_0 ? _mm256_add_epi32(sum, _mm256_set1_epi32(a->corr / 16)) : sum;
}

INLINE void panel(const bt_dtype t, int m, int kb, const bt_qa *const *a, const uint8_t *src,
                  float *c, size_t ldc)
{
    const int halves = t == BT_Q4_1 ? 2 : 1;
    for (int b = 0; b < kb; b++, src += bt_panel_bytes(t, BT_QA)) {
        vi w[GROUPS][NV];
        open_block(t, src + halves * 2 * BT_NR, w);
        for (int i = 0; i < m; i++) {
            const bt_qa *q = a[i] + b;
#pragma GCC unroll 2
            for (int v = 0; v < NV; v++) {
                float *ci = c + (size_t)i * ldc + v * VL;
                const vf s = _mm256_cvtepi32_ps(dot_block(t, w, v, q));
                const vf d = v_half(src + v * VL * 2);
                vf acc = v_fma(v_mul(d, v_set(q->d)), s, v_load(ci));
                if (halves == 2)
                    acc = v_fma(v_half(src + 2 * BT_NR + v * VL * 2), v_set(q->ds), acc);
                v_store(ci, acc);
            }
        }
    }
}

#define GEMM_Q8(name, type)                                                                  \
    static void name(int m, int np, int kb, const bt_qa *const *a, const void *panels,       \
                     size_t panel_bytes, float *c, size_t ldc, int first)                    \
    {                                                                                        \
        for (int i = 0; i < m && first && np > 0; i++)                                       \
            memset(c + (size_t)i * ldc, 0, (size_t)np * BT_NR * sizeof *c);                  \
        for (int p = 0; p < np; p++)                                                         \
            panel(type, m, kb, a, (const uint8_t *)panels + (size_t)p * panel_bytes,         \
                  c + p * BT_NR, ldc);                                                       \
    }
GEMM_Q8(gemm_q8_q8_0, BT_Q8_0)
GEMM_Q8(gemm_q8_q4_0, BT_Q4_0)
GEMM_Q8(gemm_q8_q4_1, BT_Q4_1)

void bt_kernels_init_q8__avx2(bt_kernels *t)
{
    t->quantize_a = quantize_a;
    t->gemm_q8[BT_Q8_0] = gemm_q8_q8_0;
    t->gemm_q8[BT_Q4_0] = gemm_q8_q4_0;
    t->gemm_q8[BT_Q4_1] = gemm_q8_q4_1;
}
