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

static bt_status hold(bt_sink *k, bt_held *h, const float *x, size_t n)
{
    return bt_held_add(h, x, n) ? BT_OK : bt_no_memory(k->r->error, "a sentence");
}

/* Behind the fades. */
static bt_status pass(bt_sink *k, const float *x, size_t n)
{
    if (!k->whole)
        return k->volume == 1 ? give(k, x, n) : give_scaled(k, x, n, k->volume);
    return hold(k, &k->held, x, n);
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

static bt_status begin_fade(bt_sink *k, const float *x, size_t n)
{
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

/* ---- cuts --------------------------------------------------------------------- */

#define SOUND 0.02f /* of the peak: what counts */

bt_status bt_sink_frames(void *user, const int32_t *ids_at, size_t n, int hop)
{
    bt_sink *k = user;
    if (!k->cut_head && !k->cut_tail)
        return bt_times_tell(&k->times, k->r, ids_at, n, hop);
    k->ids_at = bt_calloc(n, sizeof *ids_at);
    if (!k->ids_at)
        return bt_no_memory(k->r->error, "times");
    memcpy(k->ids_at, ids_at, n * sizeof *ids_at);
    k->n_frames = n;
    k->hop = hop;
    return BT_OK;
}

bt_status bt_sink_take(void *user, const float *x, size_t n)
{
    bt_sink *k = user;
    return k->cut_head || k->cut_tail ? hold(k, &k->uncut, x, n) : begin_fade(k, x, n);
}

static float peak_of(const bt_held *h)
{
    float peak = 0;
    for (size_t i = 0; i < h->n; i++)
        peak = fmaxf(peak, fabsf(h->x[i]));
    return peak;
}

/* Of what is silent 50 ms stay, in which a soft consonant may lie. */
static bt_status give_cut(bt_sink *k)
{
    const bt_held *h = &k->uncut;
    const size_t keep = (size_t)k->rate / 20;
    const float sound = SOUND * peak_of(h);
    size_t a = 0, b = h->n;
    while (k->cut_head && a < b && fabsf(h->x[a]) <= sound)
        a++;
    while (k->cut_tail && b > a && fabsf(h->x[b - 1]) <= sound)
        b--;
    a = a > keep && a < h->n ? a - keep : 0;
    b = h->n - b > keep ? b + keep : h->n;
    k->times.head = a;
    k->times.tail = h->n - b;
    bt_status st = BT_OK;
    if (k->ids_at)
        st = bt_times_tell(&k->times, k->r, k->ids_at, k->n_frames, k->hop);
    bt_release(k->ids_at);
    k->ids_at = NULL;
    k->uncut.n = 0;
    return st == BT_OK ? begin_fade(k, h->x + a, b - a) : st;
}

/* ---- the whole of a sentence ------------------------------------------------- */

static bt_status give_normal(bt_sink *k, const bt_held *h)
{
    const float peak = peak_of(h);
    return give_scaled(k, h->x, h->n, peak > 1e-8f ? k->volume / peak : 0);
}

static bt_status give_loud(bt_sink *k, const bt_held *h)
{
    const double volume = k->volume > 0 ? k->volume : 1;
    double gain = k->gain * volume;
    const bt_status st =
        bt_loudness_set(h->x, h->n, k->rate, k->loudness + 20 * log10(volume), &gain, k->r->error);
    k->gain = gain / volume;
    return st == BT_OK ? give_scaled(k, h->x, h->n, k->volume > 0 ? 1 : 0) : st;
}

bt_status bt_sink_end_sentence(bt_sink *k)
{
    bt_status st = k->cut_head || k->cut_tail ? give_cut(k) : BT_OK;
    if (st == BT_OK)
        st = end_fade(k);
    if (st == BT_OK && k->held.n)
        st = isnan(k->loudness) ? give_normal(k, &k->held) : give_loud(k, &k->held);
    k->held.n = 0;
    return st;
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
    bt_release(k->held.x);
    bt_release(k->uncut.x);
    bt_release(k->ids_at);
}
