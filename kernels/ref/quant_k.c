/* SPDX-License-Identifier: MIT
 * Rows to K-quants: 256 values in sub-blocks whose scales share a half-precision
 * one. Each sub-block's scale is found by trying some, fitting each by least squares
 * and keeping the best; then the scales are rounded and the values rounded to
 * them. Formulas: ggml-quants.c (quantize_row_q4_K_ref, _q5_K_ref, _q6_K_ref).
 */
#include "ref.h"

#include "../half.h"

#include <math.h>
#include <string.h>

enum { QK = 256 };

/* v to the nearest whole number in lo..hi; NaN gives lo. */
static int level(float v, int lo, int hi)
{
    if (!(v >= (float)lo))
        return lo;
    return v <= (float)hi ? (int)lrintf(v) : hi;
}

static void put_half(uint8_t *p, float v)
{
    const uint16_t h = bt_f32_to_f16(v);
    p[0] = (uint8_t)h;
    p[1] = (uint8_t)(h >> 8);
}

static float half(float v) { return bt_f16_to_f32(bt_f32_to_f16(v)); }

/* ---- scale and minimum: x ~ scale * l - min, 0 <= l <= top ---- */

typedef struct fit {
    float scale, min; /* min <= 0 here: x ~ scale * l + min */
} fit;

/* Least squares for the levels that 1/inverse and low give; false if undefined. */
static int fit_levels(const float *x, const float *w, int top, float inverse, float low, fit *f)
{
    float sw = 0.0f, sx = 0.0f, sl = 0.0f, sll = 0.0f, sxl = 0.0f;
    for (int i = 0; i < 32; i++) {
        const float l = (float)level(inverse * (x[i] - low), 0, top);
        sw += w[i];
        sx += w[i] * x[i];
        sl += w[i] * l;
        sll += w[i] * l * l;
        sxl += w[i] * l * x[i];
    }
    const float det = sw * sll - sl * sl;
    if (!(det > 0.0f))
        return 0;
    *f = (fit){ (sw * sxl - sx * sl) / det, (sll * sx - sl * sxl) / det };
    if (f->min > 0.0f)
        *f = (fit){ sxl / sll, 0.0f };
    return 1;
}

static float fit_error(const float *x, const float *w, int top, float inverse, float low, fit f)
{
    float error = 0.0f;
    for (int i = 0; i < 32; i++) {
        const float l = (float)level(inverse * (x[i] - low), 0, top);
        const float e = f.scale * l + f.min - x[i];
        error += w[i] * e * e;
    }
    return error;
}

/* Large values weigh more. Tries steps + 1 scales, from (top + from) / range on. */
static fit best_fit(const float *x, int top, float from, int steps)
{
    float w[32], low = x[0], high = x[0], squares = 0.0f;
    for (int i = 0; i < 32; i++)
        squares += x[i] * x[i];
    for (int i = 0; i < 32; i++) {
        w[i] = sqrtf(squares / 32.0f) + fabsf(x[i]);
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    low = low > 0.0f ? 0.0f : low;
    if (high == low)
        return (fit){ 0.0f, low };
    fit best = { (high - low) / (float)top, low };
    float error = fit_error(x, w, top, (float)top / (high - low), low, best);
    for (int s = 0; s <= steps; s++) {
        /* From the best minimum so far. */
        const float inverse = (from + 0.1f * (float)s + (float)top) / (high - best.min);
        fit f;
        if (!fit_levels(x, w, top, inverse, best.min, &f))
            continue;
        const float e = fit_error(x, w, top, inverse, best.min, f);
        if (e < error) {
            error = e;
            best = f;
        }
    }
    return best;
}

/* 8 scales and minima of six bits in 12 bytes; k4_scale of blocks.h reads them. */
static void put_scales(uint8_t *p, const int scale[8], const int min[8])
{
    for (int j = 0; j < 4; j++) {
        p[j] = (uint8_t)(scale[j] | scale[j + 4] >> 4 << 6);
        p[j + 4] = (uint8_t)(min[j] | min[j + 4] >> 4 << 6);
        p[j + 8] = (uint8_t)((scale[j + 4] & 15) | (min[j + 4] & 15) << 4);
    }
}

/* d, dmin and scales to head[16], levels 0..top to l. */
static void quant_min(const float *x, int top, float from, int steps, uint8_t *head, uint8_t l[QK])
{
    fit f[8];
    float most = 0.0f, deepest = 0.0f;
    for (int j = 0; j < 8; j++) {
        f[j] = best_fit(x + 32 * j, top, from, steps);
        most = f[j].scale > most ? f[j].scale : most;
        deepest = -f[j].min > deepest ? -f[j].min : deepest;
    }
    int scale[8], min[8];
    for (int j = 0; j < 8; j++) {
        scale[j] = most > 0.0f ? level(63.0f / most * f[j].scale, 0, 63) : 0;
        min[j] = deepest > 0.0f ? level(63.0f / deepest * -f[j].min, 0, 63) : 0;
    }
    put_half(head, most / 63.0f);
    put_half(head + 2, deepest / 63.0f);
    put_scales(head + 4, scale, min);
    for (int i = 0; i < QK; i++) {
        const float d = half(most / 63.0f) * (float)scale[i / 32];
        const float m = half(deepest / 63.0f) * (float)min[i / 32];
        l[i] = (uint8_t)(d != 0.0f ? level((x[i] + m) / d, 0, top) : 0);
    }
}

void bt_quant_q4_k(const float *x, uint8_t *b)
{
    uint8_t l[QK];
    quant_min(x, 15, -1.0f, 20, b, l);
    for (int i = 0; i < QK / 2; i++) {
        const int at = i / 32 * 64 + i % 32;
        b[16 + i] = (uint8_t)(l[at] | l[at + 32] << 4);
    }
}

void bt_quant_q5_k(const float *x, uint8_t *b)
{
    uint8_t l[QK];
    quant_min(x, 31, -0.5f, 15, b, l);
    memset(b + 16, 0, 32);
    for (int i = 0; i < QK; i++)
        b[16 + i % 32] |= (uint8_t)(l[i] >> 4 << i / 32);
    for (int i = 0; i < QK / 2; i++) {
        const int at = i / 32 * 64 + i % 32;
        b[48 + i] = (uint8_t)((l[at] & 15) | (l[at + 32] & 15) << 4);
    }
}

/* ---- scale alone: x ~ scale * l, -32 <= l < 32 ---- */

/* The scale of 16 values, the squares of which are their weights. */
static float best_scale(const float *x)
{
    float peak = 0.0f, best = 0.0f, scale = 0.0f;
    for (int i = 0; i < 16; i++)
        peak = fabsf(x[i]) > fabsf(peak) ? x[i] : peak;
    if (fabsf(peak) < 1e-15f)
        return 0.0f;
    for (int step = 0; step < 19; step++) { /* 0, -9..-1, 1..9 tenths off */
        const int off = step == 0 ? 0 : step < 10 ? step - 10 : step - 9;
        const float inverse = -(32.0f + 0.1f * (float)off) / peak;
        float slx = 0.0f, sll = 0.0f;
        for (int i = 0; i < 16; i++) {
            const float l = (float)level(inverse * x[i], -32, 31), w = x[i] * x[i];
            slx += w * x[i] * l;
            sll += w * l * l;
        }
        if (sll > 0.0f && slx * slx > best * sll) {
            scale = slx / sll;
            best = scale * slx;
        }
    }
    return scale;
}

void bt_quant_q6_k(const float *x, uint8_t *b)
{
    float scale[16], peak = 0.0f;
    memset(b, 0, 210);
    for (int g = 0; g < 16; g++) {
        scale[g] = best_scale(x + 16 * g);
        peak = fabsf(scale[g]) > fabsf(peak) ? scale[g] : peak;
    }
    if (!(fabsf(peak) >= 1e-15f))
        return;
    const float inverse = -128.0f / peak;
    put_half(b + 208, 1.0f / inverse);
    for (int i = 0; i < QK; i++) {
        const int q = level(inverse * scale[i / 16], -128, 127);
        const float d = half(1.0f / inverse) * (float)q;
        const int l = (d != 0.0f ? level(x[i] / d, -32, 31) : 0) + 32;
        const int block = i / 32, at = i % 32;
        b[192 + i / 16] = (uint8_t)q;
        b[block / 4 * 64 + block % 2 * 32 + at] |= (uint8_t)((l & 15) << block / 2 % 2 * 4);
        b[128 + block / 4 * 32 + at] |= (uint8_t)(l >> 4 << block % 4 * 2);
    }
}
