/* SPDX-License-Identifier: MIT
 * The int8 compute type. Built with -march=armv8.2-a+dotprod (CMakeLists.txt). */
#include "vec_neon.h"

#include "../tmpl/q8_open.h"
#include "arm.h"

#include <math.h>

#define INLINE static inline __attribute__((always_inline))

#define Q8_FORM Q8_PLAIN
enum { PANELS = 1, FEW = 1 };

static void quantize_block(const float *x, bt_qa *q)
{
    vf v[8], top = v_zero();
    uint32x4_t even = vdupq_n_u32(UINT32_MAX);
    for (int i = 0; i < 8; i++) {
        v[i] = v_load(x + i * VL);
        top = v_max(v_abs(v[i]), top);
        even = vandq_u32(even, vceqq_f32(v[i], v[i]));
    }
    const float d = vminvq_u32(even) ? v_peak(top) / 127.0f : NAN; /* as ref/q8.c */
    int32_t total = 0, first = 0;
    for (int i = 0; i < 8; i++) {
        const vf r = v_max(v_div(v[i], v_set(d)), v_set(-127.0f)); /* NaN: -127 */
        const vi w = d == 0.0f ? vi_set32(0) : vcvtnq_s32_f32(v_min(r, v_set(127.0f)));
        const int16x4_t half = vmovn_s32(w);
        const int8x8_t bytes = vmovn_s16(vcombine_s16(half, half));
        memcpy(q->q + i * VL, &bytes, VL);
        total += vaddvq_s32(w);
        first = i == 3 ? total : first;
    }
    q->d = d;
    q->ds = d * (float)total;
    q->corr = -128 * total;
    q->corr0 = -128 * first;
}

static void quantize_a(int k, const float *x, bt_qa *q)
{
    for (int i = 0; i < k; i += BT_QA)
        quantize_block(x + i, q + i / BT_QA);
}

/* Unsigned bytes are below 128, so that one instruction serves all types. */
INLINE vi dot_half(const int bits, vi s, const vi w[8], const int8_t *q, const int g0)
{
    (void)bits;
    const int8x16_t x = vld1q_s8(q + 4 * g0);
    s = vdotq_laneq_s32(s, vreinterpretq_s8_s32(w[g0]), x, 0);
    s = vdotq_laneq_s32(s, vreinterpretq_s8_s32(w[g0 + 1]), x, 1);
    s = vdotq_laneq_s32(s, vreinterpretq_s8_s32(w[g0 + 2]), x, 2);
    return vdotq_laneq_s32(s, vreinterpretq_s8_s32(w[g0 + 3]), x, 3);
}

#include "../tmpl/q8_rows.inc"
#include "../tmpl/q8_gemm.inc"

void bt_kernels_init_q8__neon(bt_kernels *t)
{
    t->quantize_a = quantize_a;
    Q8_TYPES(Q8_ENTRY)
}
