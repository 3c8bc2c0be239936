/* SPDX-License-Identifier: MIT
 * Eight floats in an AVX2 register: what the bodies in ../tmpl are written in.
 * vec_avx512.h is its twin. Inline only: an external function could be linked
 * into code for older processors.
 */
#ifndef BT_KERNELS_VEC_H
#define BT_KERNELS_VEC_H

#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "this file needs -mavx2 -mfma -mf16c"
#endif

#include <immintrin.h>
#include <stdint.h>

enum { VL = 8 };
#define ISA(name) name##__avx2 /* the names of this file's exports */

typedef __m256 vf;
typedef __m256i vi;
typedef __m256d vd; /* VL / 2 doubles */

static inline __m256i v_mask(int n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vf v_zero(void) { return _mm256_setzero_ps(); }
static inline vf v_set(float x) { return _mm256_set1_ps(x); }
static inline vf v_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void v_store(float *p, vf x) { _mm256_storeu_ps(p, x); }

/* The first n lanes; the rest is 0, and is not touched in memory. */
static inline vf v_load_n(const float *p, int n)
{
    return n >= VL ? v_load(p) : _mm256_maskload_ps(p, v_mask(n));
}

static inline void v_store_n(float *p, vf x, int n)
{
    if (n >= VL)
        v_store(p, x);
    else
        _mm256_maskstore_ps(p, v_mask(n), x);
}

/* Lanes from n on come from other. */
static inline vf v_keep_n(vf x, vf other, int n)
{
    return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(v_mask(n)));
}

static inline vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf v_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
/* b if one is NaN */
static inline vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf v_abs(vf x) { return _mm256_andnot_ps(v_set(-0.0f), x); }

static inline vf v_round(vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* x < y ? a : b */
static inline vf v_less(vf x, vf y, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_LT_OQ));
}

/* |x| with the sign of s */
static inline vf v_sign(vf x, vf s)
{
    const vf bit = v_set(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(bit, x), _mm256_and_ps(bit, s));
}

/* x 2^n for whole n in -252..254: two factors, as one may leave the range. */
static inline vf v_ldexp(vf x, vf n)
{
    const __m256i bias = _mm256_set1_epi32(127), i = _mm256_cvtps_epi32(n);
    const __m256i a = _mm256_srai_epi32(i, 1), b = _mm256_sub_epi32(i, a);
    const vf fa = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(a, bias), 23));
    const vf fb = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(b, bias), 23));
    return v_mul(v_mul(x, fa), fb);
}

static inline float v_sum(vf x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float v_peak(vf x)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

static inline vd vd_zero(void) { return _mm256_setzero_pd(); }
static inline vd vd_low(vf x) { return _mm256_cvtps_pd(_mm256_castps256_ps128(x)); }
static inline vd vd_high(vf x) { return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)); }
static inline vd vd_add(vd a, vd b) { return _mm256_add_pd(a, b); }
static inline vd vd_fma(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }

static inline double vd_sum(vd x)
{
    const __m128d s = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

/* ---- packed weights ---- */

static inline vi vi_load(const void *p) { return _mm256_loadu_si256(p); }
static inline vf v_half(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
static inline void v_store_half(void *p, vf x)
{
    _mm_storeu_si128(p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}

/* Half i of each lane, a bf16. */
static inline __attribute__((always_inline)) vf v_pair(vi x, const int i)
{
    return _mm256_castsi256_ps(i ? _mm256_and_si256(x, _mm256_set1_epi32((int)0xffff0000))
                                 : _mm256_slli_epi32(x, 16));
}

/* Signed byte i of each lane. */
static inline __attribute__((always_inline)) vf v_byte(vi x, const int i)
{
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(x, 24 - 8 * i), 24));
}

/* The four bits of each lane from bit s on. */
static inline __attribute__((always_inline)) vf v_nibble(vi x, const int s)
{
    return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(x, s), _mm256_set1_epi32(15)));
}

static inline void vi_store(void *p, vi x) { _mm256_storeu_si256(p, x); }
static inline vi vi_set8(int x) { return _mm256_set1_epi8((char)x); }
static inline vi vi_and(vi a, vi b) { return _mm256_and_si256(a, b); }
static inline vi vi_or(vi a, vi b) { return _mm256_or_si256(a, b); }
static inline vi vi_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
static inline vi vi_sub8(vi a, vi b) { return _mm256_sub_epi8(a, b); }
static inline __attribute__((always_inline)) vi vi_srl16(vi x, const int n)
{
    return _mm256_srli_epi16(x, n);
}
static inline __attribute__((always_inline)) vi vi_sll16(vi x, const int n)
{
    return _mm256_slli_epi16(x, n);
}

static inline vf v_ints(vi x) { return _mm256_cvtepi32_ps(x); }
static inline vi vi_set32(int32_t x) { return _mm256_set1_epi32(x); }

/* table[x] for every byte x < 16 */
static inline vi vi_table(vi x, const void *table)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(table)), x);
}

/* VL bytes */
static inline vf v_u8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(p)));
}

static inline vf v_s8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}

static inline void v_transpose(vf r[VL])
{
    vf t[8], u[8];
    for (int i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) {
        u[4 * i + 0] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
}

#endif
