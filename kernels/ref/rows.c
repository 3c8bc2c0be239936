/* SPDX-License-Identifier: MIT
 * Kernels over whole rows in plain C: norms, softmax, rotary embedding,
 * depthwise convolution. Sums run in double: thousands of float squares lose
 * digits that goldens show. */
#include "ref.h"

#include <math.h>

static void layer_norm(int n, float *y, const float *x, const float *gamma, const float *beta,
                       float eps)
{
    double sum = 0.0, var = 0.0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    const double mean = n ? sum / n : 0.0;
    for (int i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean);
    const double inv = n ? 1.0 / sqrt(var / n + eps) : 0.0;
    for (int i = 0; i < n; i++) {
        const float v = (float)((x[i] - mean) * inv);
        const float w = gamma ? v * gamma[i] : v;
        y[i] = beta ? w + beta[i] : w;
    }
}

static void rms_norm(int n, float *y, const float *x, const float *gamma, float eps)
{
    double sq = 0.0;
    for (int i = 0; i < n; i++)
        sq += (double)x[i] * x[i];
    const float inv = n ? (float)(1.0 / sqrt(sq / n + eps)) : 0.0f;
    for (int i = 0; i < n; i++)
        y[i] = gamma ? x[i] * inv * gamma[i] : x[i] * inv;
}

static void channel_sums(int rows, int c, const float *x, size_t ldx, double *sum, double *sq)
{
    for (int r = 0; r < rows; r++, x += ldx)
        for (int i = 0; i < c; i++) {
            sum[i] += x[i];
            sq[i] += (double)x[i] * x[i];
        }
}

static void softmax(int n, float *y, const float *x)
{
    float max = -INFINITY;
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (int i = 0; i < n; i++) {
        y[i] = expf(x[i] - max);
        sum += y[i];
    }
    const float inv = (float)(1.0 / sum);
    for (int i = 0; i < n; i++)
        y[i] *= inv;
}

static void rope(int d, float *x, const float *cosv, const float *sinv, int neox)
{
    for (int i = 0; i < d / 2; i++) {
        float *p = neox ? x + i : x + 2 * i, *q = neox ? p + d / 2 : p + 1;
        const float a = *p, b = *q;
        *p = a * cosv[i] - b * sinv[i];
        *q = a * sinv[i] + b * cosv[i];
    }
}

static void depthwise(int c, int taps, float *y, const float *const *x, const float *w,
                      const float *bias)
{
    for (int i = 0; i < c; i++) {
        float acc = bias ? bias[i] : 0.0f;
        for (int t = 0; t < taps; t++)
            if (x[t])
                acc += x[t][i] * w[(size_t)t * (size_t)c + (size_t)i];
        y[i] = acc;
    }
}

void bt_kernels_init_rows__scalar(bt_kernels *t)
{
    t->layer_norm = layer_norm;
    t->rms_norm = rms_norm;
    t->channel_sums = channel_sums;
    t->softmax = softmax;
    t->rope = rope;
    t->depthwise = depthwise;
}
