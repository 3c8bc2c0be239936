/* SPDX-License-Identifier: MIT
 * Elementwise kernels in plain C. Activations go through libm, in float; the
 * overlays' own polynomials are compared with these. */
#include "ref.h"

#include "../half.h"

#include <math.h>

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static float activate(float x, bt_act act, float alpha)
{
    switch (act) {
    case BT_ACT_NONE: return x;
    case BT_ACT_RELU: return x < 0.0f ? 0.0f : x;
    case BT_ACT_LEAKY_RELU: return x < 0.0f ? alpha * x : x;
    case BT_ACT_SILU: return x / (1.0f + expf(-x));
    case BT_ACT_GELU:
    case BT_ACT_GELU_SHORT: return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case BT_ACT_GELU_TANH:
        return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case BT_ACT_QUICK_GELU: return x / (1.0f + expf(-1.702f * x));
    case BT_ACT_TANH: return tanhf(x);
    case BT_ACT_SIGMOID: return sigmoid(x);
    case BT_ACT_EXP: return expf(x);
    }
    return x;
}

static void act_row(int n, float *y, const float *x, bt_act act, float alpha)
{
    for (int i = 0; i < n; i++)
        y[i] = activate(x[i], act, alpha);
}

static void epilogue(int n, float *y, const float *c, const float *bias, const float *residual,
                     bt_act act, float alpha, float scale)
{
    for (int i = 0; i < n; i++) {
        const float v = activate(bias ? c[i] + bias[i] : c[i], act, alpha) * scale;
        y[i] = residual ? v + residual[i] : v;
    }
}

static void add(int n, float *y, const float *a, const float *b)
{
    for (int i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static void mul(int n, float *y, const float *a, const float *b)
{
    for (int i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

static void scale_row(int n, float *y, const float *x, float s)
{
    for (int i = 0; i < n; i++)
        y[i] = s * x[i];
}

static void axpy(int n, float *y, const float *x, float s)
{
    for (int i = 0; i < n; i++)
        y[i] += s * x[i];
}

static void gate(int n, float *y, const float *a, bt_act act_a, const float *b, bt_act act_b)
{
    for (int i = 0; i < n; i++)
        y[i] = activate(a[i], act_a, 0.0f) * activate(b[i], act_b, 0.0f);
}

static void affine(int n, float *y, const float *x, const float *m, const float *a, bt_act act)
{
    for (int i = 0; i < n; i++)
        y[i] = activate(x[i] * m[i] + a[i], act, 0.0f);
}

static void snake(int n, float *y, const float *x, const float *m, const float *add, const float *a,
                  const float *inv)
{
    for (int i = 0; i < n; i++) {
        const float v = x[i] * m[i] + add[i], s = sinf(a[i] * v);
        y[i] = v + s * s * inv[i];
    }
}

static void from_bf16(int n, const uint16_t *x, float *y)
{
    for (int i = 0; i < n; i++)
        y[i] = bt_bf16_to_f32(x[i]);
}

void bt_kernels_init_elem__scalar(bt_kernels *t)
{
    t->epilogue = epilogue;
    t->act = act_row;
    t->add = add;
    t->mul = mul;
    t->scale = scale_row;
    t->axpy = axpy;
    t->gate = gate;
    t->affine = affine;
    t->snake = snake;
    t->from_bf16 = from_bf16;
}
