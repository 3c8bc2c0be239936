/* SPDX-License-Identifier: MIT
 * Rows of every weight type to floats and back. Block layouts and formulas:
 * ggml (ggml-common.h, ggml-quants.c). Blocks are read byte by byte, so any
 * alignment and any byte order in memory will do.
 */
#include "../quant.h"

#include <math.h>
#include <string.h>

static float bits_f32(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static uint32_t f32_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

float bt_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    const uint32_t mag = h & 0x7fff;
    if (mag >= 0x7c00)
        return bits_f32(sign | 0x7f800000 | (mag & 0x3ff) << 13);
    if (mag >= 0x400)
        return bits_f32(sign | ((mag << 13) + (112u << 23)));
    const float tiny = (float)mag * 0x1p-24f; /* subnormal: mag units of 2^-24 */
    return sign ? -tiny : tiny;
}

uint16_t bt_f32_to_f16(float f)
{
    const uint32_t u = f32_bits(f);
    const uint32_t sign = u >> 16 & 0x8000;
    const uint32_t mag = u & 0x7fffffff;
    if (mag > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (mag >> 13 & 0x1ff));
    if (mag >= 0x477ff000) /* 65520 and up round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (mag < 0x38800000) { /* below 2^-14: adding 0.5 rounds to units of 2^-24 */
        const float r = bits_f32(mag) + 0.5f;
        return (uint16_t)(sign | (f32_bits(r) - 0x3f000000));
    }
    return (uint16_t)(sign | ((mag - (112u << 23) + 0xfff + (mag >> 13 & 1)) >> 13));
}

uint16_t bt_f32_to_bf16(float f)
{
    const uint32_t u = f32_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, (uint16_t)v);
    put16(p + 2, (uint16_t)(v >> 16));
}

static float get_half(const uint8_t *p)
{
    return bt_f16_to_f32(get16(p));
}

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

static void deq_iq4_nl(const uint8_t *b, float *y)
{
    deq_iq4(b + 2, get_half(b), y);
}

/* ---- blocks of 256 ---- */

/* scales[16] (4-bit scale, 4-bit min), qs[64], d, dmin */
static void deq_q2_k(const uint8_t *b, float *y)
{
    const float d = get_half(b + 80), dmin = get_half(b + 82);
    for (int i = 0; i < 256; i++) {
        const int group = i / 16, half = i / 128, pair = i / 32 % 4;
        const int q = b[16 + half * 32 + i % 32] >> (2 * pair) & 3;
        const float dl = d * (float)(b[group] & 15), ml = dmin * (float)(b[group] >> 4);
        y[i] = dl * (float)q - ml;
    }
}

/* hmask[32], qs[64], 16 six-bit scales in 12 bytes, d */
static void deq_q3_k(const uint8_t *b, float *y)
{
    const uint8_t *hmask = b, *qs = b + 32, *sc = b + 96;
    const float d = get_half(b + 108);
    for (int i = 0; i < 256; i++) {
        const int group = i / 16, half = i / 128, pair = i / 32 % 4, l = i % 32;
        const int low = group < 8 ? sc[group] & 15 : sc[group - 8] >> 4;
        const int scale = low | (sc[8 + group % 4] >> (2 * (group / 4)) & 3) << 4;
        const int bit = hmask[l] >> (half * 4 + pair) & 1;
        const int q = (qs[half * 32 + l] >> (2 * pair) & 3) - (bit ? 0 : 4);
        y[i] = d * (float)(scale - 32) * (float)q;
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
    const uint8_t *ql = b, *qh = b + 128, *sc = b + 192;
    const float d = get_half(b + 208);
    for (int i = 0; i < 256; i++) {
        const int half = i / 128, part = i / 32 % 4, l = i % 32;
        const int low = ql[half * 64 + (part & 1) * 32 + l] >> (part / 2 * 4) & 15;
        const int high = qh[half * 32 + l] >> (2 * part) & 3;
        const float dl = d * (float)(int8_t)sc[i / 16];
        y[i] = dl * (float)((low | high << 4) - 32);
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

static void deq_f32(const uint8_t *b, float *y) { *y = bits_f32(get32(b)); }
static void deq_f16(const uint8_t *b, float *y) { *y = get_half(b); }
static void deq_bf16(const uint8_t *b, float *y) { *y = bt_bf16_to_f32(get16(b)); }
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

static const deq_fn deq[BT_DTYPE_COUNT] = {
    [BT_F32] = deq_f32,   [BT_F16] = deq_f16,       [BT_Q4_0] = deq_q4_0,     [BT_Q4_1] = deq_q4_1,
    [BT_Q5_0] = deq_q5_0, [BT_Q5_1] = deq_q5_1,     [BT_Q8_0] = deq_q8_0,     [BT_Q2_K] = deq_q2_k,
    [BT_Q3_K] = deq_q3_k, [BT_Q4_K] = deq_q4_k,     [BT_Q5_K] = deq_q5_k,     [BT_Q6_K] = deq_q6_k,
    [BT_I8] = deq_i8,     [BT_IQ4_NL] = deq_iq4_nl, [BT_IQ4_XS] = deq_iq4_xs, [BT_I16] = deq_i16,
    [BT_I32] = deq_i32,   [BT_I64] = deq_i64,       [BT_F64] = deq_f64,       [BT_BF16] = deq_bf16,
    [BT_U8] = deq_u8,
};

int bt_dequantize_row(bt_dtype t, const void *src, float *dst, size_t k)
{
    if ((unsigned)t >= BT_DTYPE_COUNT || !deq[t] || k % bt_dtypes[t].block)
        return -1;
    const uint8_t *b = src;
    for (size_t i = 0; i < k; i += bt_dtypes[t].block, b += bt_dtypes[t].bytes)
        deq[t](b, dst + i);
    return 0;
}

/* ---- to blocks ---- */

/* v cut to lo..hi and toward zero; NaN gives lo. */
static int cut(float v, int lo, int hi)
{
    if (!(v >= (float)lo))
        return lo;
    return v <= (float)hi ? (int)v : hi;
}

static float inverse(float d)
{
    return d != 0.0f ? 1.0f / d : 0.0f;
}

/* The value of largest magnitude, with its sign. */
static float peak32(const float *x)
{
    float best = 0.0f, v = 0.0f;
    for (int j = 0; j < 32; j++)
        if (fabsf(x[j]) > best) {
            best = fabsf(x[j]);
            v = x[j];
        }
    return v;
}

static void range32(const float *x, float *min, float *max)
{
    *min = *max = x[0];
    for (int j = 1; j < 32; j++) {
        *min = x[j] < *min ? x[j] : *min;
        *max = x[j] > *max ? x[j] : *max;
    }
}

static void quant_q4_0(const float *x, uint8_t *b)
{
    const float d = peak32(x) / -8.0f, id = inverse(d);
    put16(b, bt_f32_to_f16(d));
    for (int j = 0; j < 16; j++) {
        const int lo = cut(x[j] * id + 8.5f, 0, 15), hi = cut(x[j + 16] * id + 8.5f, 0, 15);
        b[2 + j] = (uint8_t)(lo | hi << 4);
    }
}

static void quant_q4_1(const float *x, uint8_t *b)
{
    float min, max;
    range32(x, &min, &max);
    const float d = (max - min) / 15.0f, id = inverse(d);
    put16(b, bt_f32_to_f16(d));
    put16(b + 2, bt_f32_to_f16(min));
    for (int j = 0; j < 16; j++) {
        const int lo = cut((x[j] - min) * id + 0.5f, 0, 15);
        const int hi = cut((x[j + 16] - min) * id + 0.5f, 0, 15);
        b[4 + j] = (uint8_t)(lo | hi << 4);
    }
}

/* Low nibbles to qs[16], fifth bits to qh[4]. */
static void put_5bit(uint8_t *qh, uint8_t *qs, const uint8_t q[32])
{
    uint32_t high = 0;
    for (int j = 0; j < 32; j++)
        high |= (uint32_t)(q[j] >> 4) << j;
    put32(qh, high);
    for (int j = 0; j < 16; j++)
        qs[j] = (uint8_t)((q[j] & 15) | (q[j + 16] & 15) << 4);
}

static void quant_q5_0(const float *x, uint8_t *b)
{
    const float d = peak32(x) / -16.0f, id = inverse(d);
    uint8_t q[32];
    for (int j = 0; j < 32; j++)
        q[j] = (uint8_t)cut(x[j] * id + 16.5f, 0, 31);
    put16(b, bt_f32_to_f16(d));
    put_5bit(b + 2, b + 6, q);
}

static void quant_q5_1(const float *x, uint8_t *b)
{
    float min, max;
    range32(x, &min, &max);
    const float d = (max - min) / 31.0f, id = inverse(d);
    uint8_t q[32];
    for (int j = 0; j < 32; j++)
        q[j] = (uint8_t)cut((x[j] - min) * id + 0.5f, 0, 31);
    put16(b, bt_f32_to_f16(d));
    put16(b + 2, bt_f32_to_f16(min));
    put_5bit(b + 4, b + 8, q);
}

static void quant_q8_0(const float *x, uint8_t *b)
{
    const float d = fabsf(peak32(x)) / 127.0f, id = inverse(d);
    put16(b, bt_f32_to_f16(d));
    for (int j = 0; j < 32; j++)
        b[2 + j] = (uint8_t)(int8_t)cut(roundf(x[j] * id), -127, 127);
}

static void quant_f32(const float *x, uint8_t *b) { put32(b, f32_bits(*x)); }
static void quant_f16(const float *x, uint8_t *b) { put16(b, bt_f32_to_f16(*x)); }
static void quant_bf16(const float *x, uint8_t *b) { put16(b, bt_f32_to_bf16(*x)); }

typedef void (*quant_fn)(const float *x, uint8_t *block);

static const quant_fn quant[BT_DTYPE_COUNT] = {
    [BT_F32] = quant_f32,   [BT_F16] = quant_f16,   [BT_BF16] = quant_bf16, [BT_Q4_0] = quant_q4_0,
    [BT_Q4_1] = quant_q4_1, [BT_Q5_0] = quant_q5_0, [BT_Q5_1] = quant_q5_1, [BT_Q8_0] = quant_q8_0,
};

int bt_quantize_row(bt_dtype t, const float *src, void *dst, size_t k)
{
    if ((unsigned)t >= BT_DTYPE_COUNT || !quant[t] || k % bt_dtypes[t].block)
        return -1;
    uint8_t *b = dst;
    for (size_t i = 0; i < k; i += bt_dtypes[t].block, b += bt_dtypes[t].bytes)
        quant[t](src + i, b);
    return 0;
}
