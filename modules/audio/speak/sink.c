/* SPDX-License-Identifier: MIT
 * See sink.h.
 */
#include "audio/speak/loudness.h"
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

/* Behind the fades. */
static bt_status pass(bt_sink *k, const float *x, size_t n)
{
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

bt_sink bt_sink_begin(const bt_run *r, int rate, bool normalize, double loudness)
{
    return (bt_sink){ .r = r,
                      .rate = rate,
                      .loudness = loudness,
                      .gain = 1,
                      .whole = normalize || !isnan(loudness) };
}

/* ---- fades ------------------------------------------------------------------ */

/* 3 ms: a click becomes a thump too low to hear, and no phoneme loses anything. */
static size_t fade_of(const bt_sink *k)
{
    const size_t n = (size_t)k->rate * 3 / 1000;
    return n < BT_FADE ? n : BT_FADE;
}

bt_status bt_sink_take(void *user, const float *x, size_t n)
{
    bt_sink *k = user;
    const size_t fade = fade_of(k);
    bt_status st = BT_OK;
    for (; n && k->taken < fade; x++, n--, k->taken++)
        k->tail[k->n_tail++] = *x * ((float)k->taken + 0.5f) / (float)fade;
    k->taken += n;
    /* What comes ends with the new tail; what is before it goes on. */
    const size_t old = k->n_tail + n > fade ? k->n_tail + n - fade : 0;
    const size_t of_tail = old < k->n_tail ? old : k->n_tail;
    if (of_tail)
        st = pass(k, k->tail, of_tail);
    if (st == BT_OK && old > of_tail)
        st = pass(k, x, old - of_tail);
    x += old - of_tail;
    n -= old - of_tail;
    memmove(k->tail, k->tail + of_tail, (k->n_tail - of_tail) * sizeof *k->tail);
    k->n_tail -= of_tail;
    if (n)
        memcpy(k->tail + k->n_tail, x, n * sizeof *x);
    k->n_tail += n;
    return st;
}

static bt_status end_fade(bt_sink *k)
{
    const size_t n = k->n_tail;
    for (size_t i = 0; i < n; i++)
        k->tail[i] *= ((float)(n - 1 - i) + 0.5f) / (float)fade_of(k);
    k->n_tail = k->taken = 0;
    return n ? pass(k, k->tail, n) : BT_OK;
}

/* ---- the whole of a sentence ------------------------------------------------- */

static bt_status give_normal(bt_sink *k, size_t n)
{
    float peak = 0;
    for (size_t i = 0; i < n; i++)
        peak = fmaxf(peak, fabsf(k->held[i]));
    return give_scaled(k, k->held, n, peak > 1e-8f ? k->volume / peak : 0);
}

static bt_status give_loud(bt_sink *k, size_t n)
{
    const double more = k->volume > 0 ? 20 * log10(k->volume) : 0;
    double gain = k->gain * (k->volume > 0 ? k->volume : 1);
    const bt_status st =
        bt_loudness_set(k->held, n, k->rate, k->loudness + more, &gain, k->r->error);
    if (st != BT_OK)
        return st;
    k->gain = gain / (k->volume > 0 ? k->volume : 1);
    return give_scaled(k, k->held, n, k->volume > 0 ? 1 : 0);
}

bt_status bt_sink_end_sentence(bt_sink *k)
{
    const bt_status st = end_fade(k);
    const size_t n = k->n;
    k->n = 0;
    if (st != BT_OK || n == 0)
        return st;
    return isnan(k->loudness) ? give_normal(k, n) : give_loud(k, n);
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
