/* SPDX-License-Identifier: MIT
 * Rows of every weight type to floats (blocks.h) and back.
 * Block layouts and formulas: ggml (ggml-common.h, ggml-quants.c).
 */
#include "blocks.h"
#include "ref.h"

#include <math.h>

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

/* Halves as bt_f16_to_f32 has them, but without branches, so that compilers make vectors of it:
 * infinity and NaN keep all bits of the exponent; below 2^-14 the hidden bit goes again. */
static void halves(const uint8_t *b, float *y, size_t k)
{
    for (size_t i = 0; i < k; i++) {
        const uint32_t h = (uint32_t)(b[2 * i] | b[2 * i + 1] << 8), mag = h & 0x7fff;
        const uint32_t tiny = 0u - (uint32_t)(mag < 0x400),
                       special = 0u - (uint32_t)(mag >= 0x7c00);
        const uint32_t normal = (mag << 13) + (112u << 23) + (special & 112u << 23);
        const float small = bt_bits_f32((mag << 13) + (113u << 23)) - bt_bits_f32(113u << 23);
        const uint32_t value = (tiny & bt_f32_bits(small)) | (~tiny & normal);
        y[i] = bt_bits_f32(value | (h & 0x8000) << 16);
    }
}

int bt_dequantize_row(bt_dtype t, const void *src, float *dst, size_t k)
{
    if ((unsigned)t >= BT_DTYPE_COUNT || !deq_block[t] || k % bt_dtypes[t].block)
        return -1;
    const uint8_t *b = src;
    if (t == BT_F16 || (t == BT_F32 && k)) {
        t == BT_F16 ? halves(b, dst, k) : (void)memcpy(dst, src, k * sizeof *dst);
        return 0;
    }
    for (size_t i = 0; i < k; i += bt_dtypes[t].block, b += bt_dtypes[t].bytes)
        deq_block[t](b, dst + i);
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

static float inverse(float d) { return d != 0.0f ? 1.0f / d : 0.0f; }

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

/* Rounded to nearest, halves away from zero; NaN gives -127 and is not looked at for d. On
 * the bits of |v|, whose order is that of the values, and with masks for what is NaN (-1) or
 * below 0: compilers make vectors of that. */
static void quant_q8_0(const float *x, uint8_t *b)
{
    enum { INF = 0x7f800000, MOST = 0x42fe0000 }; /* of infinity and 127 */
    int32_t most = 0, q[32];
    for (int j = 0; j < 32; j++) {
        const int32_t bits = (int32_t)(bt_f32_bits(x[j]) & 0x7fffffff);
        const int32_t size = bits & -(bits <= INF);
        most = size > most ? size : most;
    }
    const float d = bt_bits_f32((uint32_t)most) / 127.0f, id = inverse(d);
    put16(b, bt_f32_to_f16(d));
    for (int j = 0; j < 32; j++) {
        const int32_t v = (int32_t)bt_f32_bits(x[j] * id), sign = v >> 31;
        const int32_t size = v & 0x7fffffff, nan = -(size > INF);
        const float a = bt_bits_f32((uint32_t)(size < MOST ? size : MOST));
        const int32_t up = a - (float)(int32_t)a >= 0.5f;
        q[j] = ((((int32_t)a + up) ^ sign) - sign) & ~nan;
        q[j] |= nan & -127;
    }
    for (int j = 0; j < 32; j++)
        b[2 + j] = (uint8_t)q[j];
}

static void quant_f32(const float *x, uint8_t *b) { put32(b, bt_f32_bits(*x)); }
static void quant_f16(const float *x, uint8_t *b) { put16(b, bt_f32_to_f16(*x)); }
static void quant_bf16(const float *x, uint8_t *b) { put16(b, bt_f32_to_bf16(*x)); }

typedef void (*quant_fn)(const float *x, uint8_t *block);

static const quant_fn quant[BT_DTYPE_COUNT] = {
    [BT_F32] = quant_f32,      [BT_F16] = quant_f16,      [BT_BF16] = quant_bf16,
    [BT_Q4_0] = quant_q4_0,    [BT_Q4_1] = quant_q4_1,    [BT_Q5_0] = quant_q5_0,
    [BT_Q5_1] = quant_q5_1,    [BT_Q8_0] = quant_q8_0,    [BT_Q4_K] = bt_quant_q4_k,
    [BT_Q5_K] = bt_quant_q5_k, [BT_Q6_K] = bt_quant_q6_k,
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
