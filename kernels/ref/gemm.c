/* SPDX-License-Identifier: MIT
 * Matrix multiply kernels in plain C: f32 and bf16 compute types. They are
 * the oracle of the overlays and all there is on processors without one, hence
 * written with vectors of four floats, which every target has or imitates.
 */
#include "ref.h"

#include "../quant.h"

#include <string.h>

enum { MR = 4 };

/* Four floats in a register wherever there are such registers (GNU C). */
typedef float f4 __attribute__((vector_size(16)));
enum { NF = BT_NR / 4 };

static inline f4 load4(const float *p)
{
    f4 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* M rows, one panel: acc[r] += a[k] * b[k][r]. */
static inline __attribute__((always_inline)) void gemm_rows(const int M, int kc,
                                                            const float *const *a, const float *b,
                                                            float *c, size_t ldc, int first)
{
    f4 acc[2][NF];
#pragma GCC unroll 8
    for (int i = 0; i < M * NF; i++)
        acc[i / NF][i % NF] = first ? (f4){ 0 } : load4(c + (size_t)(i / NF) * ldc + i % NF * 4);
    for (int k = 0; k < kc; k++, b += BT_NR)
#pragma GCC unroll 2
        for (int i = 0; i < M; i++)
#pragma GCC unroll 4
            for (int v = 0; v < NF; v++)
                acc[i][v] += a[i][k] * load4(b + v * 4);
    for (int i = 0; i < M; i++)
        memcpy(c + (size_t)i * ldc, acc[i], sizeof acc[i]);
}

static void gemm_f32(int m, int np, int kc, const float *const *a, const float *b, size_t ldp,
                     float *c, size_t ldc, int first)
{
    for (int p = 0; p < np; p++, b += ldp, c += BT_NR) {
        int i = 0;
        for (; i + 2 <= m; i += 2)
            gemm_rows(2, kc, a + i, b, c + (size_t)i * ldc, ldc, first);
        if (i < m)
            gemm_rows(1, kc, a + i, b, c + (size_t)i * ldc, ldc, first);
    }
}

static void conv_f32(int m, int np, int taps, int kc, const float *const *a, size_t sa,
                     const float *b, size_t ldt, size_t ldp, float *c, size_t ldc, int first)
{
    for (int t = 0; t < taps; t++)
        gemm_f32(m, np, kc, a + t * sa, b + t * ldt, ldp, c, ldc, first && t == 0);
}

static void dots_f32(int m, int n, const float *x, size_t step, const float *w, float *y)
{
    for (int i = 0; i < m; i++, x += step) {
        float sum = 0.0f;
        for (int j = 0; j < n; j++)
            sum += x[j] * w[j];
        y[i] = sum;
    }
}

static float joined(int i, const float *c, const float *bias, const float *a, const float *b)
{
    float v = c[i] + bias[i];
    v = a ? v + a[i] : v;
    return b ? v + b[i] : v;
}

static void join_f32(int n, float *y, float *z, const float *c, const float *bias, const float *a,
                     const float *b, float alpha)
{
    for (int i = 0; i < n; i++) {
        y[i] = joined(i, c, bias, a, b);
        if (z)
            z[i] = y[i] < 0.0f ? alpha * y[i] : y[i];
    }
}

static void join_bf16(int n, float *y, uint16_t *z, const float *c, const float *bias,
                      const float *a, const float *b, float alpha)
{
    for (int i = 0; i < n; i++) {
        y[i] = joined(i, c, bias, a, b);
        if (z)
            z[i] = bt_f32_to_bf16(y[i] < 0.0f ? alpha * y[i] : y[i]);
    }
}

static void minimal_in(const bt_points *t, int blocks, int n, const float *x, float *v, size_t ldv)
{
    const int p = t->pairs;
    const size_t row = (size_t)n;
    for (int b = 0; b < blocks; b++, x += (size_t)t->outs * row, v += n)
        for (size_t i = 0; i < row; i++) {
            float zero = x[2 * p * row + i], top = x[(2 * p + 1) * row + i];
            for (int j = 0; j < p; j++) {
                zero += t->all[j] * x[2 * j * row + i];
                top += t->all[j] * x[(2 * j + 1) * row + i];
            }
            v[i] = zero;
            v[(size_t)(2 * p + 1) * ldv + i] = top;
            for (int a = 0; a < p; a++) {
                float even = x[2 * p * row + i], odd = x[(2 * p - 1) * row + i];
                for (int j = 0; j < p - 1; j++) {
                    even += t->but[a][j] * x[(2 * j + 2) * row + i];
                    odd += t->but[a][j] * x[(2 * j + 1) * row + i];
                }
                v[(size_t)(2 * a + 1) * ldv + i] = even + t->at[a] * odd;
                v[(size_t)(2 * a + 2) * ldv + i] = even - t->at[a] * odd;
            }
        }
}

/* Sum of output `out` of a group. */
static float minimal_sum(const bt_points *t, int out, const float *v, size_t ldv)
{
    float sum = out == 0 ? v[0] : 0.0f;
    if (out == t->outs - 1)
        sum = v[(size_t)(2 * t->pairs + 1) * ldv];
    for (int a = 0; a < t->pairs; a++) {
        const float plus = v[(size_t)(2 * a + 1) * ldv], minus = v[(size_t)(2 * a + 2) * ldv];
        sum += t->power[out][a] * (out % 2 ? plus - minus : plus + minus);
    }
    return sum;
}

static void minimal_out(const bt_points *t, int dilation, int c, int rows, const float *v,
                        size_t ldv, const bt_minimal_rows *to)
{
    const int block = t->outs * dilation;
    for (int r = 0; r < rows; r++) {
        const int in_block = r % block, group = r / block * dilation + in_block % dilation;
        for (int k = 0; k < c; k++) {
            const size_t at = (size_t)r * (size_t)c + (size_t)k;
            float y = minimal_sum(t, in_block / dilation, v + (size_t)(group * c + k), ldv);
            y += to->bias ? to->bias[k] : 0.0f;
            y += to->a ? to->a[at] : 0.0f;
            y += to->b ? to->b[at] : 0.0f;
            to->y[at] = y;
            if (to->z)
                to->z[at] = y < 0.0f ? to->alpha * y : y;
        }
    }
}

/* Within a pair the second product comes first, as in VDPBF16PS. The row of
 * pairs is opened first because gcc 12 -O3 miscompiles the direct loop. */
static void bf16_row(int kc, const uint16_t *a, const uint16_t *b, float *c, int first)
{
    float acc[BT_NR] = { 0 }, w[2 * BT_NR];
    if (!first)
        memcpy(acc, c, sizeof acc);
    for (int k = 0; k < kc; k += 2, b += 2 * BT_NR) {
        const float a0 = bt_bf16_to_f32(a[k]), a1 = bt_bf16_to_f32(a[k + 1]);
        bt_dequantize_row(BT_BF16, b, w, 2 * BT_NR);
        for (int r = 0; r < BT_NR; r++) {
            acc[r] += a1 * w[2 * r + 1];
            acc[r] += a0 * w[2 * r];
        }
    }
    memcpy(c, acc, sizeof acc);
}

static void gemm_bf16(int m, int np, int taps, int kc, const uint16_t *const *a, size_t sa,
                      const uint16_t *b, size_t ldt, size_t ldp, float *c, size_t ldc, int first)
{
    for (int i = 0; i < m; i++)
        for (int p = 0; p < np; p++)
            for (int t = 0; t < taps; t++)
                bf16_row(kc, a[(size_t)t * sa + i], b + (size_t)t * ldt + (size_t)p * ldp,
                         c + (size_t)i * ldc + p * BT_NR, first && t == 0);
}

static void to_bf16(int n, const float *x, uint16_t *y)
{
    for (int i = 0; i < n; i++)
        y[i] = bt_f32_to_bf16(x[i]);
}

void bt_kernels_init_gemm__scalar(bt_kernels *t)
{
    t->gemm_mr = MR;
    t->gemm_np = 1;
    t->expand = bt_expand__scalar;
    t->gemm_f32 = gemm_f32;
    t->conv_f32 = conv_f32;
    t->dots_f32 = dots_f32;
    t->join_f32 = join_f32;
    t->join_bf16 = join_bf16;
    t->minimal_in = minimal_in;
    t->minimal_out = minimal_out;
    t->gemm_bf16 = gemm_bf16;
    t->expand_bf16 = bt_expand_bf16__scalar;
    t->to_bf16 = to_bf16;
}
