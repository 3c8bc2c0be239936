/* SPDX-License-Identifier: MIT
 * One block of each weight type to floats (ggml-quants.c, dequantize_row_*).
 * Blocks are read byte by byte, so any alignment and byte order will do. In a
 * header because overlays compile these loops for their instruction sets; no
 * operation is fused, so the floats are the same everywhere.
 */
#ifndef BT_KERNELS_BLOCKS_H
#define BT_KERNELS_BLOCKS_H

#include "../quant.h"

#include <string.h>

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static inline uint32_t get32(const uint8_t *p) { return get16(p) | (uint32_t)get16(p + 2) << 16; }

static inline uint64_t get64(const uint8_t *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }

static inline float get_half(const uint8_t *p) { return bt_f16_to_f32(get16(p)); }

/* ---- blocks of 32 ---- */

static void deq_q4_0(const uint8_t *b, float *y)
{
    const float d = get_half(b);
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)((b[2 + j] & 15) - 8);
        y[j + 16] = d * (float)((b[2 + j] >> 4) - 8);
    }
}

static void deq_q4_1(const uint8_t *b, float *y)
{
    const float d = get_half(b), m = get_half(b + 2);
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)(b[4 + j] & 15) + m;
        y[j + 16] = d * (float)(b[4 + j] >> 4) + m;
    }
}

static void deq_q5_0(const uint8_t *b, float *y)
{
    const float d = get_half(b);
    const uint32_t qh = get32(b + 2);
    for (int j = 0; j < 16; j++) {
        const int lo = (b[6 + j] & 15) | (int)(qh >> j & 1) << 4;
        const int hi = b[6 + j] >> 4 | (int)(qh >> (j + 16) & 1) << 4;
        y[j] = d * (float)(lo - 16);
        y[j + 16] = d * (float)(hi - 16);
    }
}

static void deq_q5_1(const uint8_t *b, float *y)
{
    const float d = get_half(b), m = get_half(b + 2);
    const uint32_t qh = get32(b + 4);
    for (int j = 0; j < 16; j++) {
        const int lo = (b[8 + j] & 15) | (int)(qh >> j & 1) << 4;
        const int hi = b[8 + j] >> 4 | (int)(qh >> (j + 16) & 1) << 4;
        y[j] = d * (float)lo + m;
        y[j + 16] = d * (float)hi + m;
    }
}

static void deq_q8_0(const uint8_t *b, float *y)
{
    const float d = get_half(b);
    for (int j = 0; j < 32; j++)
        y[j] = d * (float)(int8_t)b[2 + j];
}

/* The 16 levels of the non-linear 4-bit types. */
static const int8_t iq4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                       1,    13,   25,  38,  53,  69,  89,  113 };

static void deq_iq4(const uint8_t *qs, float d, float *y)
{
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)iq4_values[qs[j] & 15];
        y[j + 16] = d * (float)iq4_values[qs[j] >> 4];
    }
}

static void deq_iq4_nl(const uint8_t *b, float *y) { deq_iq4(b + 2, get_half(b), y); }

/* ---- blocks of 256 ---- */

/* scales[16] (4-bit scale, 4-bit min), qs[64], d, dmin */
static void deq_q2_k(const uint8_t *b, float *y)
{
    const float d = get_half(b + 80), dmin = get_half(b + 82);
    for (int g = 0; g < 16; g++, y += 16) {
        const uint8_t *q = b + 16 + g / 8 * 32 + g % 2 * 16;
        const float dl = d * (float)(b[g] & 15), ml = dmin * (float)(b[g] >> 4);
        const int shift = g / 2 % 4 * 2;
        for (int i = 0; i < 16; i++)
            y[i] = dl * (float)(q[i] >> shift & 3) - ml;
    }
}

/* Number g of the 16 six-bit scales packed in 12 bytes, less 32. */
static int q3_scale(const uint8_t *s, int g)
{
    const int low = g < 8 ? s[g] & 15 : s[g - 8] >> 4;
    return (low | (s[8 + g % 4] >> (2 * (g / 4)) & 3) << 4) - 32;
}

/* hmask[32], qs[64], 16 six-bit scales in 12 bytes, d */
static void deq_q3_k(const uint8_t *b, float *y)
{
    const float d = get_half(b + 108);
    for (int g = 0; g < 16; g++, y += 16) {
        const uint8_t *hmask = b + g % 2 * 16, *q = b + 32 + g / 8 * 32 + g % 2 * 16;
        const float dl = d * (float)q3_scale(b + 96, g);
        const int shift = g / 2 % 4 * 2, bit = g / 2;
        for (int i = 0; i < 16; i++)
            y[i] = dl * (float)((q[i] >> shift & 3) + (hmask[i] >> bit & 1) * 4 - 4);
    }
}

/* Scale and min number j of the 8 + 8 six-bit values packed in 12 bytes. */
static void k4_scale(const uint8_t *s, int j, int *scale, int *min)
{
    if (j < 4) {
        *scale = s[j] & 63;
        *min = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        *min = s[j + 4] >> 4 | s[j] >> 6 << 4;
    }
}

/* d, dmin, scales[12], qs[128] */
static void deq_q4_k(const uint8_t *b, float *y)
{
    const float d = get_half(b), dmin = get_half(b + 2);
    for (int g = 0; g < 8; g++) {
        int scale, min;
        k4_scale(b + 4, g, &scale, &min);
        const float dl = d * (float)scale, ml = dmin * (float)min;
        const uint8_t *q = b + 16 + g / 2 * 32;
        for (int l = 0; l < 32; l++)
            y[g * 32 + l] = dl * (float)(q[l] >> (g & 1) * 4 & 15) - ml;
    }
}

/* d, dmin, scales[12], qh[32], qs[128] */
static void deq_q5_k(const uint8_t *b, float *y)
{
    const float d = get_half(b), dmin = get_half(b + 2);
    const uint8_t *qh = b + 16;
    for (int g = 0; g < 8; g++) {
        int scale, min;
        k4_scale(b + 4, g, &scale, &min);
        const float dl = d * (float)scale, ml = dmin * (float)min;
        const uint8_t *q = b + 48 + g / 2 * 32;
        for (int l = 0; l < 32; l++) {
            const int v = (q[l] >> (g & 1) * 4 & 15) + (qh[l] >> g & 1) * 16;
            y[g * 32 + l] = dl * (float)v - ml;
        }
    }
}

/* ql[128], qh[64], scales[16], d */
static void deq_q6_k(const uint8_t *b, float *y)
{
    const float d = get_half(b + 208);
    for (int g = 0; g < 16; g++, y += 16) {
        const uint8_t *ql = b + g / 8 * 64 + g % 4 * 16, *qh = b + 128 + g / 8 * 32 + g % 2 * 16;
        const float dl = d * (float)(int8_t)b[192 + g];
        const int low = g / 4 % 2 * 4, high = g / 2 % 4 * 2;
        for (int i = 0; i < 16; i++)
            y[i] = dl * (float)(((ql[i] >> low & 15) | (qh[i] >> high & 3) << 4) - 32);
    }
}

/* d, high scale bits (16), low scale nibbles[4], qs[128] */
static void deq_iq4_xs(const uint8_t *b, float *y)
{
    const float d = get_half(b);
    const int high = get16(b + 2);
    for (int g = 0; g < 8; g++) {
        const int low = b[4 + g / 2] >> (g & 1) * 4 & 15;
        const int scale = low | (high >> (2 * g) & 3) << 4;
        deq_iq4(b + 8 + g * 16, d * (float)(scale - 32), y + g * 32);
    }
}

/* ---- single values ---- */

static void deq_f32(const uint8_t *b, float *y) { *y = bt_bits_f32(get32(b)); }
static void deq_f16(const uint8_t *b, float *y) { *y = get_half(b); }
static void deq_bf16(const uint8_t *b, float *y) { *y = bt_bf16_to_f32(get16(b)); }
static void deq_e4m3(const uint8_t *b, float *y) { *y = bt_e4m3_to_f32(*b); }
static void deq_e5m2(const uint8_t *b, float *y) { *y = bt_e5m2_to_f32(*b); }
static void deq_i8(const uint8_t *b, float *y) { *y = (float)(int8_t)*b; }
static void deq_u8(const uint8_t *b, float *y) { *y = (float)*b; }
static void deq_i16(const uint8_t *b, float *y) { *y = (float)(int16_t)get16(b); }
static void deq_i32(const uint8_t *b, float *y) { *y = (float)(int32_t)get32(b); }
static void deq_i64(const uint8_t *b, float *y) { *y = (float)(int64_t)get64(b); }

static void deq_f64(const uint8_t *b, float *y)
{
    const uint64_t u = get64(b);
    double v;
    memcpy(&v, &u, sizeof v);
    *y = (float)v;
}

typedef void (*deq_fn)(const uint8_t *block, float *y);

static const deq_fn deq_block[BT_DTYPE_COUNT] = {
    [BT_F32] = deq_f32,   [BT_F16] = deq_f16,       [BT_Q4_0] = deq_q4_0,     [BT_Q4_1] = deq_q4_1,
    [BT_Q5_0] = deq_q5_0, [BT_Q5_1] = deq_q5_1,     [BT_Q8_0] = deq_q8_0,     [BT_Q2_K] = deq_q2_k,
    [BT_Q3_K] = deq_q3_k, [BT_Q4_K] = deq_q4_k,     [BT_Q5_K] = deq_q5_k,     [BT_Q6_K] = deq_q6_k,
    [BT_I8] = deq_i8,     [BT_IQ4_NL] = deq_iq4_nl, [BT_IQ4_XS] = deq_iq4_xs, [BT_I16] = deq_i16,
    [BT_I32] = deq_i32,   [BT_I64] = deq_i64,       [BT_F64] = deq_f64,       [BT_BF16] = deq_bf16,
    [BT_U8] = deq_u8,     [BT_F8_E4M3] = deq_e4m3,  [BT_F8_E5M2] = deq_e5m2,
};

#endif
