/* SPDX-License-Identifier: MIT
 * Attention of one head in plain C: blocks of BT_KEYS keys with a running
 * maximum and sum (Milakov and Gimelshein 2018; Dao et al. 2022).
 *
 * After some blocks  max = max_j s[j],  sum = sum_j e^(s[j] - max)  and
 * out = sum_j e^(s[j] - max) v[j]; a block that raises the maximum first scales
 * sum and out by e^(old - new). At the end out / sum is the softmax's mean. */
#include "ref.h"

#include <math.h>
#include <string.h>

/* Adds keys j0..j0+n to one row's state. */
static void row_block(const bt_attn *a, const float *q, float *out, int j0, int n, float *max,
                      float *sum)
{
    float s[BT_KEYS];
    float m = *max;
    for (int j = 0; j < n; j++) {
        const float *k = a->k + (size_t)(j0 + j) * a->ldk;
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
        const float *v = a->v + (size_t)(j0 + j) * a->ldv;
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
        for (int x = 0; x < a->d; x++)
            out[x] /= sum;
    }
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
}
