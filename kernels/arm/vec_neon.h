/* SPDX-License-Identifier: MIT
 * Four floats in a NEON register: what the bodies in ../tmpl are written in, as
 * ../x86/vec_avx2.h. Every AArch64 processor has these instructions. Inline only.
 */
#ifndef BT_KERNELS_VEC_H
#define BT_KERNELS_VEC_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

enum { VL = 4 };
#define ISA(name) name##__neon /* the names of this file's exports */

typedef float32x4_t vf;
typedef int32x4_t vi;
typedef float64x2_t vd; /* VL / 2 doubles */

static inline vf v_zero(void) { return vdupq_n_f32(0.0f); }
static inline vf v_set(float x) { return vdupq_n_f32(x); }
static inline vf v_load(const float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, vf x) { vst1q_f32(p, x); }

/* Lanes below n */
static inline uint32x4_t v_mask(int n)
{
    static const int32_t lanes[4] = { 0, 1, 2, 3 };
    return vcgtq_s32(vdupq_n_s32(n), vld1q_s32(lanes));
}

/* The first n lanes; the rest is 0, and is not touched in memory. */
static inline vf v_load_n(const float *p, int n)
{
    float lanes[VL] = { 0 };
    if (n >= VL)
        return v_load(p);
    for (int i = 0; i < n; i++)
        lanes[i] = p[i];
    return v_load(lanes);
}

static inline void v_store_n(float *p, vf x, int n)
{
    float lanes[VL];
    if (n >= VL) {
        v_store(p, x);
        return;
    }
    v_store(lanes, x);
    for (int i = 0; i < n; i++)
        p[i] = lanes[i];
}

/* Lanes from n on come from other. */
static inline vf v_keep_n(vf x, vf other, int n) { return vbslq_f32(v_mask(n), x, other); }

static inline vf v_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf v_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf v_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf v_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf v_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
/* b if one is NaN */
static inline vf v_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline vf v_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vf v_abs(vf x) { return vabsq_f32(x); }
static inline vf v_round(vf x) { return vrndnq_f32(x); }

/* x < y ? a : b */
static inline vf v_less(vf x, vf y, vf a, vf b) { return vbslq_f32(vcltq_f32(x, y), a, b); }

/* |x| with the sign of s */
static inline vf v_sign(vf x, vf s) { return vbslq_f32(vdupq_n_u32(0x80000000u), s, x); }

/* x 2^n for whole n in -252..254: two factors, as one may leave the range. */
static inline vf v_ldexp(vf x, vf n)
{
    const vi bias = vdupq_n_s32(127), i = vcvtnq_s32_f32(n);
    const vi a = vshrq_n_s32(i, 1), b = vsubq_s32(i, a);
    const vf fa = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(a, bias), 23));
    const vf fb = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(b, bias), 23));
    return v_mul(v_mul(x, fa), fb);
}

static inline float v_sum(vf x) { return vaddvq_f32(x); }
static inline float v_peak(vf x) { return vmaxvq_f32(x); }

static inline vd vd_zero(void) { return vdupq_n_f64(0.0); }
static inline vd vd_low(vf x) { return vcvt_f64_f32(vget_low_f32(x)); }
static inline vd vd_high(vf x) { return vcvt_high_f64_f32(x); }
static inline vd vd_add(vd a, vd b) { return vaddq_f64(a, b); }
static inline vd vd_fma(vd a, vd b, vd c) { return vfmaq_f64(c, a, b); }
static inline double vd_sum(vd x) { return vaddvq_f64(x); }

/* ---- packed weights ---- */

static inline vi vi_load(const void *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
static inline void vi_store(void *p, vi x) { vst1q_u8(p, vreinterpretq_u8_s32(x)); }
static inline void v_store_half(void *p, vf x) { vst1_u8(p, vreinterpret_u8_f16(vcvt_f16_f32(x))); }
static inline vf v_half(const void *p) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p))); }

/* Half i of each lane, a bf16. */
static inline vf v_pair(vi x, const int i)
{
    return vreinterpretq_f32_s32(i ? vandq_s32(x, vdupq_n_s32((int32_t)0xffff0000))
                                   : vshlq_n_s32(x, 16));
}

/* Signed byte i of each lane. */
static inline vf v_byte(vi x, const int i)
{
    return vcvtq_f32_s32(vshrq_n_s32(vshlq_s32(x, vdupq_n_s32(24 - 8 * i)), 24));
}

/* The four bits of each lane from bit s on. */
static inline vf v_nibble(vi x, const int s)
{
    const uint32x4_t u = vshlq_u32(vreinterpretq_u32_s32(x), vdupq_n_s32(-s));
    return vcvtq_f32_u32(vandq_u32(u, vdupq_n_u32(15)));
}

static inline vi vi_set8(int x) { return vreinterpretq_s32_s8(vdupq_n_s8((int8_t)x)); }
static inline vi vi_set32(int32_t x) { return vdupq_n_s32(x); }
static inline vi vi_and(vi a, vi b) { return vandq_s32(a, b); }
static inline vi vi_or(vi a, vi b) { return vorrq_s32(a, b); }
static inline vi vi_xor(vi a, vi b) { return veorq_s32(a, b); }

static inline vi vi_sub8(vi a, vi b)
{
    return vreinterpretq_s32_s8(vsubq_s8(vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)));
}

static inline vi vi_srl16(vi x, const int n)
{
    return vreinterpretq_s32_u16(vshlq_u16(vreinterpretq_u16_s32(x), vdupq_n_s16((int16_t)-n)));
}

static inline vi vi_sll16(vi x, const int n)
{
    return vreinterpretq_s32_u16(vshlq_u16(vreinterpretq_u16_s32(x), vdupq_n_s16((int16_t)n)));
}

static inline vf v_ints(vi x) { return vcvtq_f32_s32(x); }

/* table[x] for every byte x < 16 */
static inline vi vi_table(vi x, const void *table)
{
    return vreinterpretq_s32_u8(vqtbl1q_u8(vld1q_u8(table), vreinterpretq_u8_s32(x)));
}

/* VL bytes */
static inline vf v_u8(const void *p)
{
    uint8_t lanes[8] = { 0 };
    memcpy(lanes, p, VL);
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vld1_u8(lanes)))));
}

static inline vf v_s8(const void *p)
{
    int8_t lanes[8] = { 0 };
    memcpy(lanes, p, VL);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vld1_s8(lanes)))));
}

static inline void v_transpose(vf r[VL])
{
    const float32x4_t a = vtrn1q_f32(r[0], r[1]), b = vtrn2q_f32(r[0], r[1]);
    const float32x4_t c = vtrn1q_f32(r[2], r[3]), d = vtrn2q_f32(r[2], r[3]);
    r[0] = vcombine_f32(vget_low_f32(a), vget_low_f32(c));
    r[1] = vcombine_f32(vget_low_f32(b), vget_low_f32(d));
    r[2] = vcombine_f32(vget_high_f32(a), vget_high_f32(c));
    r[3] = vcombine_f32(vget_high_f32(b), vget_high_f32(d));
}

#endif
