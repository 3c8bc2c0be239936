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

int bt_dequantize_row(bt_dtype t, const void *src, float *dst, size_t k)
{
    if ((unsigned)t >= BT_DTYPE_COUNT || !deq_block[t] || k % bt_dtypes[t].block)
        return -1;
    const uint8_t *b = src;
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

static void quant_f32(const float *x, uint8_t *b) { put32(b, bt_f32_bits(*x)); }
static void quant_f16(const float *x, uint8_t *b) { put16(b, bt_f32_to_f16(*x)); }
static void quant_bf16(const float *x, uint8_t *b) { put16(b, bt_f32_to_bf16(*x)); }

typedef void (*quant_fn)(const float *x, uint8_t *block);

static const quant_fn quant[BT_DTYPE_COUNT] = {
    [BT_F32] = quant_f32,   [BT_F16] = quant_f16,   [BT_BF16] = quant_bf16, [BT_Q4_0] = quant_q4_0,
    [BT_Q4_1] = quant_q4_1, [BT_Q5_0] = quant_q5_0, [BT_Q5_1] = quant_q5_1, [BT_Q8_0] = quant_q8_0,
    [BT_Q4_K] = bt_quant_q4_k, [BT_Q5_K] = bt_quant_q5_k, [BT_Q6_K] = bt_quant_q6_k,
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
