/* SPDX-License-Identifier: MIT
 * Sixteen floats in an AVX-512 register; see vec_avx2.h. */
#ifndef BT_KERNELS_VEC_H
#define BT_KERNELS_VEC_H

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) || \
    !defined(__AVX512VL__)
#error "this file needs -mavx512f -mavx512bw -mavx512dq -mavx512vl"
#endif

#include <immintrin.h>
#include <stdint.h>

enum { VL = 16 };
#define ISA(name) name##__avx512

typedef __m512 vf;
typedef __m512i vi;
typedef __m512d vd; /* VL / 2 doubles */

static inline __mmask16 v_mask(int n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline vf v_zero(void) { return _mm512_setzero_ps(); }
static inline vf v_set(float x) { return _mm512_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vf x) { _mm512_storeu_ps(p, x); }

/* The first n lanes; the rest is 0, and is not touched in memory. */
static inline vf v_load_n(const float *p, int n)
{
    return n >= VL ? v_load(p) : _mm512_maskz_loadu_ps(v_mask(n), p);
}

static inline void v_store_n(float *p, vf x, int n)
{
    if (n >= VL)
        v_store(p, x);
    else
        _mm512_mask_storeu_ps(p, v_mask(n), x);
}

/* Lanes from n (at most VL) on come from other. */
static inline vf v_keep_n(vf x, vf other, int n)
{
    return _mm512_mask_mov_ps(other, v_mask(n), x);
}

static inline vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
/* b if one is NaN */
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf v_abs(vf x) { return _mm512_abs_ps(x); }

static inline vf v_round(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x < y ? a : b */
static inline vf v_less(vf x, vf y, vf a, vf b)
{
    return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), a);
}

/* |x| with the sign of s */
static inline vf v_sign(vf x, vf s)
{
    const vf bit = v_set(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(bit, x), _mm512_and_ps(bit, s));
}

/* x 2^n for whole n */
static inline vf v_ldexp(vf x, vf n) { return _mm512_scalef_ps(x, n); }

static inline float v_sum(vf x) { return _mm512_reduce_add_ps(x); }
static inline float v_peak(vf x) { return _mm512_reduce_max_ps(x); }

static inline vd vd_zero(void) { return _mm512_setzero_pd(); }
static inline vd vd_low(vf x) { return _mm512_cvtps_pd(_mm512_castps512_ps256(x)); }
static inline vd vd_high(vf x) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)); }
static inline vd vd_add(vd a, vd b) { return _mm512_add_pd(a, b); }
static inline vd vd_fma(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }
static inline double vd_sum(vd x) { return _mm512_reduce_add_pd(x); }

/* ---- packed weights ---- */

static inline vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
static inline vf v_half(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); }
static inline void v_store_half(void *p, vf x)
{
    _mm256_storeu_si256(p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* Half i of each lane, a bf16. */
static inline __attribute__((always_inline)) vf v_pair(vi x, const int i)
{
    return _mm512_castsi512_ps(i ? _mm512_and_si512(x, _mm512_set1_epi32((int)0xffff0000))
                                 : _mm512_slli_epi32(x, 16));
}

/* Signed byte i of each lane. */
static inline __attribute__((always_inline)) vf v_byte(vi x, const int i)
{
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(x, 24 - 8 * i), 24));
}

/* The four bits of each lane from bit s on: a permutation looks at those four
 * alone, so that a table of 0..15 replaces masking and conversion. */
static inline __attribute__((always_inline)) vf v_nibble(vi x, const int s)
{
    const vf table = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_permutexvar_ps(_mm512_srli_epi32(x, s), table);
}

static inline void vi_store(void *p, vi x) { _mm512_storeu_si512(p, x); }
static inline vi vi_set8(int x) { return _mm512_set1_epi8((char)x); }
static inline vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
static inline vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
static inline vi vi_sub8(vi a, vi b) { return _mm512_sub_epi8(a, b); }
static inline __attribute__((always_inline)) vi vi_srl16(vi x, const int n)
{
    return _mm512_srli_epi16(x, n);
}
static inline __attribute__((always_inline)) vi vi_sll16(vi x, const int n)
{
    return _mm512_slli_epi16(x, n);
}

static inline vf v_ints(vi x) { return _mm512_cvtepi32_ps(x); }
static inline vi vi_set32(int32_t x) { return _mm512_set1_epi32(x); }

/* table[x] for every byte x < 16 */
static inline vi vi_table(vi x, const void *table)
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(table)), x);
}

/* VL bytes */
static inline vf v_u8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(p)));
}

static inline vf v_s8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
}

static inline void v_transpose(vf r[VL])
{
    vf t[16], u[16];
    for (int i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) { /* u[4i + j]: column j of each 4 x 4 */
        u[4 * i + 0] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        u[4 * i + 1] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        u[4 * i + 2] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        u[4 * i + 3] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    for (int j = 0; j < 4; j++) { /* then the 4 x 4 matrix of 128-bit parts */
        const vf a = _mm512_shuffle_f32x4(u[j], u[j + 4], 0x44);
        const vf b = _mm512_shuffle_f32x4(u[j], u[j + 4], 0xee);
        const vf c = _mm512_shuffle_f32x4(u[j + 8], u[j + 12], 0x44);
        const vf d = _mm512_shuffle_f32x4(u[j + 8], u[j + 12], 0xee);
        r[j] = _mm512_shuffle_f32x4(a, c, 0x88);
        r[j + 4] = _mm512_shuffle_f32x4(a, c, 0xdd);
        r[j + 8] = _mm512_shuffle_f32x4(b, d, 0x88);
        r[j + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

#endif
