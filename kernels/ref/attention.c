/* SPDX-License-Identifier: MIT
 * Attention of one head in plain C: blocks of BT_KEYS keys with a running
 * maximum and sum (Milakov and Gimelshein 2018; Dao et al. 2022). The state that
 * goes out has the maximum as a power of two.
 *
 * After some blocks  max = max_j s[j],  sum = sum_j e^(s[j] - max)  and
 * out = sum_j e^(s[j] - max) v[j]; a block that raises the maximum first scales
 * sum and out by e^(old - new). At the end out / sum is the softmax's mean. */
#include "ref.h"

#include "../half.h"

#include <math.h>
#include <string.h>

/* Row j of keys or values as floats: itself, or a copy in `row`. */
static const float *floats(const float *x, const uint16_t *x16, size_t ld, int j, int d, float *row)
{
    if (!x16)
        return x + (size_t)j * ld;
    for (int i = 0; i < d; i++)
        row[i] = bt_f16_to_f32(x16[(size_t)j * ld + (size_t)i]);
    return row;
}

/* Adds keys j0..j0+n to one row's state. */
static void row_block(const bt_attn *a, const float *q, float *out, int j0, int n, float *max,
                      float *sum)
{
    float s[BT_KEYS], row[BT_MAX_HEAD];
    float m = *max;
    for (int j = 0; j < n; j++) {
        const float *k = floats(a->k, a->k16, a->ldk, j0 + j, a->d, row);
        float dot = 0.0f;
        for (int i = 0; i < a->d; i++)
            dot += q[i] * k[i];
        s[j] = dot * a->scale;
        m = s[j] > m ? s[j] : m;
    }
    const float keep = j0 ? expf(*max - m) : 0.0f;
    float total = 0.0f;
    for (int j = 0; j < n; j++) {
        s[j] = expf(s[j] - m);
        total += s[j];
    }
    for (int i = 0; i < a->d; i++)
        out[i] = j0 ? out[i] * keep : 0.0f;
    for (int j = 0; j < n; j++) {
        const float *v = floats(a->v, a->v16, a->ldv, j0 + j, a->d, row);
        for (int i = 0; i < a->d; i++)
            out[i] += s[j] * v[i];
    }
    *sum = *sum * keep + total;
    *max = m;
}

static void attention(const bt_attn *a)
{
    for (int i = 0; i < a->nq; i++) {
        const float *q = a->q + (size_t)i * a->ldq;
        float *out = a->out + (size_t)i * a->ldo;
        int nk = a->nk;
        if (a->causal >= 0 && a->causal + i + 1 < nk)
            nk = a->causal + i + 1;
        float max = -INFINITY, sum = 0.0f;
        for (int j0 = 0; j0 < nk; j0 += BT_KEYS)
            row_block(a, q, out, j0, nk - j0 < BT_KEYS ? nk - j0 : BT_KEYS, &max, &sum);
        if (a->state) {
            a->state[i][0] = max * 1.44269504f;
            a->state[i][1] = sum;
        }
        for (int x = 0; !a->state && x < a->d; x++)
            out[x] *= 1.0f / sum;
    }
}

static void to_f16(int n, const float *x, uint16_t *y)
{
    for (int i = 0; i < n; i++)
        y[i] = bt_f32_to_f16(x[i]);
}

static size_t attention_scratch(int nq, int d)
{
    (void)nq, (void)d;
    return 0;
}

void bt_kernels_init_attention__scalar(bt_kernels *t)
{
    t->attention_scratch = attention_scratch;
    t->attention = attention;
    t->to_f16 = to_f16;
}
