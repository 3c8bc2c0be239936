/* SPDX-License-Identifier: MIT
 * See sink.h.
 */
#include "audio/speak/sink.h"

#include <math.h>
#include <string.h>

static bt_status give(bt_sink *k, const float *x, size_t n)
{
    k->total += n;
    return k->r->samples(k->r->host, k->rate, x, n);
}

/* Clipped only where a factor may have made it necessary. */
static bt_status give_scaled(bt_sink *k, const float *x, size_t n, float factor)
{
    float part[4096];
    bt_status st = BT_OK;
    for (size_t i = 0; st == BT_OK && i < n;) {
        size_t m = n - i < 4096 ? n - i : 4096;
        for (size_t j = 0; j < m; j++)
            part[j] = fminf(fmaxf(x[i + j] * factor, -1), 1);
        st = give(k, part, m);
        i += m;
    }
    return st;
}

bt_status bt_sink_take(void *user, const float *x, size_t n)
{
    bt_sink *k = user;
    if (!k->whole)
        return k->volume == 1 ? give(k, x, n) : give_scaled(k, x, n, k->volume);
    if (k->n + n > k->cap) {
        size_t cap = 2 * k->cap + n;
        float *held = bt_realloc_array(k->held, k->cap, cap, sizeof *held);
        if (!held)
            return bt_no_memory(k->r->error, "a sentence");
        k->held = held;
        k->cap = cap;
    }
    memcpy(k->held + k->n, x, n * sizeof *x);
    k->n += n;
    return BT_OK;
}

bt_status bt_sink_end_sentence(bt_sink *k)
{
    float peak = 0;
    for (size_t i = 0; i < k->n; i++)
        peak = fmaxf(peak, fabsf(k->held[i]));
    size_t n = k->n;
    k->n = 0;
    return give_scaled(k, k->held, n, peak > 1e-8f ? k->volume / peak : 0);
}

bt_status bt_sink_silence(bt_sink *k, double seconds)
{
    static const float zeros[1024];
    bt_status st = BT_OK;
    for (size_t n = (size_t)(seconds * k->rate); st == BT_OK && n;) {
        size_t m = n < 1024 ? n : 1024;
        st = give(k, zeros, m);
        n -= m;
    }
    return st;
}

void bt_sink_free(bt_sink *k)
{
    bt_release(k->held);
    k->held = NULL;
}
