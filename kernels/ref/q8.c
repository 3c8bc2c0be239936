/* SPDX-License-Identifier: MIT
 * The int8 compute type in plain C: the oracle of the overlays. A packed block is
 * turned back into the file's block, row by row, and opened from there.
 */
#include "blocks.h"
#include "ref.h"

#include <math.h>
#include <stdbool.h>

/* 32 activations: d = max|x| / 127, so that the largest becomes +-127. A NaN makes d one, and so
 * what is multiplied by it: rounded to bytes alone it would be a number like others. */
static void quantize_block(const float *x, bt_qa *q)
{
    float peak = 0.0f;
    bool odd = false;
    for (int i = 0; i < BT_QA; i++) {
        peak = fabsf(x[i]) > peak ? fabsf(x[i]) : peak;
        odd |= isnan(x[i]);
    }
    const float d = odd ? NAN : peak / 127.0f;
    int sum[2] = { 0, 0 };
    for (int i = 0; i < BT_QA; i++) {
        /* Written so that NaN (0/0, inf/inf) gives a number too. */
        const float v = d != 0.0f ? x[i] / d : 0.0f;
        const float w = v > -127.0f ? v : -127.0f;
        q->q[i] = (int8_t)lrintf(w < 127.0f ? w : 127.0f);
        sum[i / 16] += q->q[i];
    }
    q->d = d;
    q->ds = d * (float)(sum[0] + sum[1]);
    q->corr = -128 * (sum[0] + sum[1]);
    q->corr0 = -128 * sum[0];
}

static void quantize_a(int k, const float *x, bt_qa *q)
{
    for (int i = 0; i < k; i += BT_QA)
        quantize_block(x + i, q + i / BT_QA);
}

/* 32 weights of a row: w * d * scale[half] + min * minscale[half]. */
typedef struct weights {
    float d, min;
    int scale[2], minscale[2]; /* of each 16; 1 where the type has none */
    int w[BT_QA];
} weights;

/* Weight l of block b; blocks.h says where the bits are. */
static int value(bt_dtype t, const uint8_t *p, int b, int l)
{
    const int nibble = l / 16 * 4;
    switch (t) {
    case BT_Q8_0: return (int8_t)p[2 + l];
    case BT_Q4_0: return (p[2 + l % 16] >> nibble & 15) - 8;
    case BT_Q4_1: return p[4 + l % 16] >> nibble & 15;
    case BT_Q5_0: return ((p[6 + l % 16] >> nibble & 15) | (p[2 + l / 8] >> l % 8 & 1) << 4) - 16;
    case BT_Q5_1: return (p[8 + l % 16] >> nibble & 15) | (p[4 + l / 8] >> l % 8 & 1) << 4;
    case BT_IQ4_NL: return iq4_values[p[2 + l % 16] >> nibble & 15];
    case BT_IQ4_XS: return iq4_values[p[8 + b * 16 + l % 16] >> nibble & 15];
    case BT_Q2_K: return p[16 + b / 4 * 32 + l] >> b % 4 * 2 & 3;
    case BT_Q3_K: return ((p[32 + b / 4 * 32 + l] >> b % 4 * 2 & 3) | (p[l] >> b & 1) << 2) - 4;
    case BT_Q4_K: return p[16 + b / 2 * 32 + l] >> b % 2 * 4 & 15;
    case BT_Q5_K: return (p[48 + b / 2 * 32 + l] >> b % 2 * 4 & 15) | (p[16 + l] >> b & 1) << 4;
    default: /* Q6_K */
        return ((p[b / 4 * 64 + b % 2 * 32 + l] >> b / 2 % 2 * 4 & 15) |
                (p[128 + b / 4 * 32 + l] >> b % 4 * 2 & 3) << 4) -
               32;
    }
}

/* Scale and minimum of block b of a type whose blocks of 32 have one each. */
static void open_scale(bt_dtype t, const uint8_t *p, int b, weights *o)
{
    int scale, min;
    o->d = get_half(p);
    switch (t) {
    case BT_Q4_1:
    case BT_Q5_1: o->min = get_half(p + 2); break;
    case BT_Q4_K:
    case BT_Q5_K:
        k4_scale(p + 4, b, &scale, &min);
        o->d *= (float)scale;
        o->min = -(get_half(p + 2) * (float)min);
        break;
    case BT_IQ4_XS:
        scale = (p[4 + b / 2] >> b % 2 * 4 & 15) | (get16(p + 2) >> 2 * b & 3) << 4;
        o->d *= (float)(scale - 32);
        break;
    default: break;
    }
}

/* Of a type with two: scales are whole numbers that join the dot product. */
static void open_scales(bt_dtype t, const uint8_t *p, int b, weights *o)
{
    for (int i = 0; i < 2; i++) {
        const int g = 2 * b + i;
        if (t == BT_Q2_K) {
            o->scale[i] = p[g] & 15;
            o->minscale[i] = p[g] >> 4;
        } else if (t == BT_Q3_K) {
            o->scale[i] = q3_scale(p + 96, g);
        } else {
            o->scale[i] = (int8_t)p[192 + g];
        }
    }
    o->d = get_half(p + (t == BT_Q2_K ? 80 : t == BT_Q3_K ? 108 : 208));
    o->min = t == BT_Q2_K ? get_half(p + 82) : 0.0f;
}

static int has_two(bt_dtype t) { return t == BT_Q2_K || t == BT_Q3_K || t == BT_Q6_K; }

static int has_min(bt_dtype t)
{
    return t == BT_Q4_1 || t == BT_Q5_1 || t == BT_Q4_K || t == BT_Q5_K;
}

static weights open_block(bt_dtype t, const uint8_t *p, int b)
{
    weights o = { .scale = { 1, 1 }, .minscale = { 0, 0 } };
    if (has_two(t))
        open_scales(t, p, b, &o);
    else
        open_scale(t, p, b, &o);
    for (int l = 0; l < BT_QA; l++)
        o.w[l] = value(t, p, b, l);
    return o;
}

/* One block of activations into one output. */
static void add_block(bt_dtype t, const weights *w, const bt_qa *q, float *c)
{
    int s[2] = { 0, 0 };
    for (int k = 0; k < BT_QA; k++)
        s[k / 16] += w->w[k] * q->q[k];
    *c += w->d * q->d * (float)(w->scale[0] * s[0] + w->scale[1] * s[1]);
    if (has_min(t))
        *c += w->min * q->ds;
    if (t == BT_Q2_K)
        *c += w->min * 0x1p-7f * q->d *
              (float)(w->minscale[0] * q->corr0 + w->minscale[1] * (q->corr - q->corr0));
}

/* All rows against one panel: a block's weights are opened once for all rows. */
static void gemm_q8_panel(bt_dtype t, int m, int kb, const bt_qa *const *a, const uint8_t *panel,
                          float *c, size_t ldc, int first)
{
    const int n = (int)bt_dtypes[t].block / BT_QA;
    for (int i = 0; i < m && first; i++)
        memset(c + (size_t)i * ldc, 0, BT_NR * sizeof *c);
    for (int b = 0; b < kb; b += n, panel += BT_NR * bt_dtypes[t].bytes)
        for (int r = 0; r < BT_NR; r++) {
            uint8_t raw[256];
            bt_unpack_block(t, panel, raw, r);
            for (int j = 0; j < n; j++) {
                const weights w = open_block(t, raw, j);
                for (int i = 0; i < m; i++)
                    add_block(t, &w, a[i] + b + j, c + (size_t)i * ldc + r);
            }
        }
}

#define GEMM_Q8(type)                                                                              \
    static void gemm_q8_##type(int m, int np, int kb, const bt_qa *const *a, const void *panels,   \
                               size_t panel_bytes, float *c, size_t ldc, int first)                \
    {                                                                                              \
        for (int p = 0; p < np; p++)                                                               \
            gemm_q8_panel(BT_##type, m, kb, a, (const uint8_t *)panels + (size_t)p * panel_bytes,  \
                          c + p * BT_NR, ldc, first);                                              \
    }
BT_Q8_TYPES(GEMM_Q8)

void bt_kernels_init_q8__scalar(bt_kernels *t)
{
    t->quantize_a = quantize_a;
#define GEMM_Q8_ENTRY(type) t->gemm_q8[BT_##type] = gemm_q8_##type;
    BT_Q8_TYPES(GEMM_Q8_ENTRY)
}
