/* SPDX-License-Identifier: MIT
 * IEEE half precision, bfloat16 and 8-bit floats by integer arithmetic on the bits,
 * so that every processor rounds alike: to nearest, ties to even; NaN stays a NaN.
 *
 *     f32   1 sign, 8 exponent (bias 127), 23 mantissa
 *     f16   1 sign, 5 exponent (bias 15), 10 mantissa: exponents differ by 112
 *     bf16  the upper half of an f32
 *     e4m3  1 sign, 4 exponent (bias 7), 3 mantissa; no infinities: all ones is the NaN
 *     e5m2  the upper half of an f16
 */
#ifndef BT_KERNELS_HALF_H
#define BT_KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

/* The bits of a float and back. */
static inline uint32_t bt_f32_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}
static inline float bt_bits_f32(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline float bt_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t mag = h & 0x7fff;
    if (mag >= 0x7c00)
        return bt_bits_f32(sign | 0x7f800000 | (mag & 0x3ff) << 13);
    if (mag >= 0x400)
        return bt_bits_f32(sign | ((mag << 13) + (112u << 23)));
    const float tiny = (float)mag * 0x1p-24f; /* subnormal: mag units of 2^-24 */
    return sign ? -tiny : tiny;
}

static inline uint16_t bt_f32_to_f16(float f)
{
    const uint32_t u = bt_f32_bits(f);
    const uint32_t sign = u >> 16 & 0x8000;
    const uint32_t mag = u & 0x7fffffff;
    if (mag > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (mag >> 13 & 0x1ff));
    if (mag >= 0x477ff000) /* 65520 and up round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (mag < 0x38800000) { /* below 2^-14: adding 0.5 rounds to units of 2^-24 */
        const float r = bt_bits_f32(mag) + 0.5f;
        return (uint16_t)(sign | (bt_f32_bits(r) - 0x3f000000));
    }
    return (uint16_t)(sign | ((mag - (112u << 23) + 0xfff + (mag >> 13 & 1)) >> 13));
}

static inline uint16_t bt_f32_to_bf16(float f)
{
    const uint32_t u = bt_f32_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float bt_bf16_to_f32(uint16_t h) { return bt_bits_f32((uint32_t)h << 16); }

static inline float bt_e4m3_to_f32(uint8_t b)
{
    const uint32_t sign = (uint32_t)(b & 0x80) << 24, mag = b & 0x7f;
    if (mag == 0x7f)
        return bt_bits_f32(sign | 0x7fc00000);
    if (mag >= 8)
        return bt_bits_f32(sign | ((mag << 20) + (120u << 23)));
    const float tiny = (float)mag * 0x1p-9f; /* subnormal: mag units of 2^-9 */
    return sign ? -tiny : tiny;
}

static inline float bt_e5m2_to_f32(uint8_t b) { return bt_f16_to_f32((uint16_t)(b << 8)); }

#endif
