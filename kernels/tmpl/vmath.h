/* SPDX-License-Identifier: MIT
 * Non-linearities of a register of floats. Include after x86/vec_*.h.
 * Polynomials were fitted for this file (weighted least squares, Lawson's
 * iteration); the errors are those of the fit. Together with rounding every
 * function keeps the bounds that tests/kernels/check_elem.c states.
 */
#ifndef BT_KERNELS_VMATH_H
#define BT_KERNELS_VMATH_H

#include "../types.h"

/* e^x = 2^n e^r with |r| <= ln 2 / 2; e^r = 1 + r + r^2 P(r), off by 3e-9.
 * Reaches infinity above 88.72 and 0 below -103.97; NaN stays. */
static inline vf v_exp(vf x)
{
    x = v_min(v_set(89.0f), v_max(v_set(-105.0f), x));
    const vf n = v_round(v_mul(x, v_set(1.44269504f)));
    /* ln 2 in two parts; n times the first is exact */
    const vf r = v_fnma(n, v_set(-2.12194440e-4f), v_fnma(n, v_set(0.693359375f), x));
    vf p = v_fma(v_set(0.00139507258f), r, v_set(0.00836902487f));
    p = v_fma(p, r, v_set(0.0416662023f));
    p = v_fma(p, r, v_set(0.166665177f));
    p = v_fma(p, r, v_set(0.50000001f));
    p = v_add(v_fma(v_mul(r, r), p, r), v_set(1.0f));
    return v_ldexp(p, n);
}

/* 2^x for x <= 127 = 2^n 2^r with |r| <= 1/2; 2^r = 1 + r P(r), off by 2e-8.
 * Reaches 0 below -150; NaN stays. */
static inline vf v_exp2(vf x)
{
    x = v_max(v_set(-152.0f), x);
    const vf n = v_round(x), r = v_sub(x, n);
    vf p = v_fma(v_set(0.00015353362f), r, v_set(0.0013398875f));
    p = v_fma(p, r, v_set(0.00961843692f));
    p = v_fma(p, r, v_set(0.0555033237f));
    p = v_fma(p, r, v_set(0.240226477f));
    p = v_fma(p, r, v_set(0.693147182f));
    return v_ldexp(v_fma(p, r, v_set(1.0f)), n);
}

static inline vf v_sigmoid(vf x)
{
    const vf one = v_set(1.0f);
    return v_div(one, v_add(one, v_exp(v_sub(v_zero(), x))));
}

/* x sigmoid(s x) */
static inline vf v_swish(vf x, float s)
{
    return v_div(x, v_add(v_set(1.0f), v_exp(v_mul(x, v_set(-s)))));
}

/* x + x^3 P(x^2) below 5/8 (off by 5e-9), else 1 - 2 / (e^2x + 1). */
static inline vf v_tanh(vf x)
{
    const vf a = v_abs(x), t = v_mul(x, x), one = v_set(1.0f);
    vf p = v_fma(v_set(-0.00567931305f), t, v_set(0.020618131f));
    p = v_fma(p, t, v_set(-0.0537340029f));
    p = v_fma(p, t, v_set(0.133313837f));
    p = v_fma(p, t, v_set(-0.333332802f));
    const vf small = v_fma(v_mul(x, t), p, x);
    const vf e = v_exp(v_add(a, a));
    const vf large = v_sub(one, v_div(v_set(2.0f), v_add(e, one)));
    return v_less(a, v_set(0.625f), small, v_sign(large, x));
}

/* sin^2 x has the period pi: x = n pi + r, |r| <= pi / 2, sin r = r + r^3 P(r^2), off by
 * 5e-9. pi in two parts; n times the first is exact up to n = 2^15. */
static inline vf v_sin2(vf x)
{
    const vf n = v_round(v_mul(x, v_set(0.318309886f)));
    const vf r = v_fnma(n, v_set(9.67653590e-4f), v_fnma(n, v_set(3.140625f), x));
    const vf t = v_mul(r, r);
    vf p = v_fma(v_set(2.60005462e-6f), t, v_set(-1.98066151e-4f));
    p = v_fma(p, t, v_set(0.00833301729f));
    p = v_fma(p, t, v_set(-0.166666571f));
    const vf s = v_fma(v_mul(r, t), p, r);
    return v_mul(s, s);
}

/* x Phi(x) = max(x, 0) - |x| erfc(z) / 2, with erfc(z) = e^(-z P(z)), z = |x| / sqrt 2: as a
 * power of two its exponent is |x| Q(|x|), off by 3.6e-8 / erfc(z) at most. Beyond
 * |x| = 12.7 erfc is 0 in float. */
static inline vf v_gelu(vf x)
{
    const vf a = v_min(v_set(12.7279221f), v_abs(x));
    vf p = v_fma(v_set(-2.44830471e-06f), a, v_set(3.51177259e-05f));
    p = v_fma(p, a, v_set(-0.00016787865f));
    p = v_fma(p, a, v_set(-0.000176022702f));
    p = v_fma(p, a, v_set(0.00710724993f));
    p = v_fma(p, a, v_set(-0.0525211953f));
    p = v_fma(p, a, v_set(-0.459201783f));
    p = v_fma(p, a, v_set(-1.15110576f));
    const vf half = v_exp2(v_fma(p, a, v_set(-1.0f)));
    return v_fnma(a, half, v_max(v_zero(), x));
}

/* max(x, 0) - a Q(a), a = |x| up to 4.25: off by 1.6e-4 at most, and half the work. */
static inline vf v_gelu_short(vf x)
{
    const vf a = v_min(v_set(4.25f), v_abs(x));
    vf p = v_fma(v_set(7.60365729e-05f), a, v_set(-0.00184359076f));
    p = v_fma(p, a, v_set(0.0176388342f));
    p = v_fma(p, a, v_set(-0.0834673196f));
    p = v_fma(p, a, v_set(0.188319415f));
    p = v_fma(p, a, v_set(-0.0920232385f));
    p = v_fma(p, a, v_set(-0.366265804f));
    p = v_fma(p, a, v_set(0.496082813f));
    return v_fnma(a, p, v_max(v_zero(), x));
}

/* x/2 (1 + tanh u) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3) */
static inline vf v_gelu_tanh(vf x)
{
    const vf c = v_fma(v_mul(x, x), v_set(0.0713548163f), v_set(1.59576912f));
    return v_div(x, v_add(v_set(1.0f), v_exp(v_mul(x, v_sub(v_zero(), c)))));
}

static inline __attribute__((always_inline)) vf v_act(const bt_act act, vf x, vf alpha)
{
    switch (act) {
    case BT_ACT_NONE: return x;
    case BT_ACT_RELU: return v_less(x, v_zero(), v_zero(), x);
    case BT_ACT_LEAKY_RELU: return v_less(x, v_zero(), v_mul(alpha, x), x);
    case BT_ACT_SILU: return v_swish(x, 1.0f);
    case BT_ACT_GELU: return v_gelu(x);
    case BT_ACT_GELU_SHORT: return v_gelu_short(x);
    case BT_ACT_GELU_TANH: return v_gelu_tanh(x);
    case BT_ACT_QUICK_GELU: return v_swish(x, 1.702f);
    case BT_ACT_TANH: return v_tanh(x);
    case BT_ACT_SIGMOID: return v_sigmoid(x);
    case BT_ACT_EXP: return v_exp(x);
    }
    return x;
}

/* Calls body(constant act, ...): one specialised loop for each. */
#define V_FOR_ACT(act, body, ...)                                                                  \
    switch (act) {                                                                                 \
    case BT_ACT_NONE: body(BT_ACT_NONE, __VA_ARGS__); break;                                       \
    case BT_ACT_RELU: body(BT_ACT_RELU, __VA_ARGS__); break;                                       \
    case BT_ACT_LEAKY_RELU: body(BT_ACT_LEAKY_RELU, __VA_ARGS__); break;                           \
    case BT_ACT_SILU: body(BT_ACT_SILU, __VA_ARGS__); break;                                       \
    case BT_ACT_GELU: body(BT_ACT_GELU, __VA_ARGS__); break;                                       \
    case BT_ACT_GELU_SHORT: body(BT_ACT_GELU_SHORT, __VA_ARGS__); break;                           \
    case BT_ACT_GELU_TANH: body(BT_ACT_GELU_TANH, __VA_ARGS__); break;                             \
    case BT_ACT_QUICK_GELU: body(BT_ACT_QUICK_GELU, __VA_ARGS__); break;                           \
    case BT_ACT_TANH: body(BT_ACT_TANH, __VA_ARGS__); break;                                       \
    case BT_ACT_SIGMOID: body(BT_ACT_SIGMOID, __VA_ARGS__); break;                                 \
    case BT_ACT_EXP: body(BT_ACT_EXP, __VA_ARGS__); break;                                         \
    }

#endif
