/* SPDX-License-Identifier: MIT
 * A sentence of one piece or of several, put together so that no join is heard, and the times
 * of what is left of each.
 *
 * Where pieces of one sentence meet, the model has made a sentence's end and beginning, half a
 * second of silence and more. Of what is quieter than QUIET on either side the pause of a clause
 * stays, in whole frames, so that times are sums of frames still; and both sides fade for a
 * moment, so that no step is heard.
 */
#include <math.h>

#include "audio/kokoro/styles.h"
#include "audio/speak/held.h"

enum {
    JOIN = 3600, /* samples: 150 ms */
    FADE = 120,  /* samples: 5 ms */
};

#define QUIET 0.01f

/* What is kept back until the times can be told, which comes before the first sample. */
typedef struct kept {
    int32_t *ids_at; /* [frames]: the id that a frame belongs to */
    size_t frames, cap_frames;
    bt_held sound;
} kept;

typedef struct piece_range {
    size_t from, to;  /* of the sentence's ids */
    bool first, last; /* of the sentence's pieces */
} piece_range;

/* The frames of a piece that are to be heard: [*from, *to). */
static void trim(const bt_kok_piece *x, const piece_range *p, int64_t hop, int64_t *from,
                 int64_t *to)
{
    const int64_t n = x->frames * hop;
    int64_t begin = 0, end = n;
    while (!p->first && begin < n && fabsf(x->samples[begin]) < QUIET)
        begin++;
    while (!p->last && end > begin && fabsf(x->samples[end - 1]) < QUIET)
        end--;
    *from = begin > JOIN ? (begin - JOIN) / hop : 0;
    *to = end + JOIN < n ? (end + JOIN + hop - 1) / hop : x->frames;
}

static void fade(float *x, int64_t n, const piece_range *p)
{
    for (int64_t i = 0; i < FADE && i < n; i++) {
        const float f = ((float)i + 0.5f) / FADE;
        x[i] *= p->first ? 1 : f;
        x[n - 1 - i] *= p->last ? 1 : f;
    }
}

/* The ids of frames [from, to). */
static bool add_frames(kept *h, const bt_kok_piece *x, size_t first_id, int64_t from, int64_t to)
{
    const size_t most = h->frames + (size_t)x->frames;
    if (most > h->cap_frames) {
        int32_t *more = bt_realloc_array(h->ids_at, h->cap_frames, 2 * most, sizeof *more);
        if (!more)
            return false;
        h->ids_at = more;
        h->cap_frames = 2 * most;
    }
    int64_t f = 0;
    for (size_t i = 0; i < x->n; i++)
        for (int32_t j = 0; j < x->durations[i]; j++, f++)
            if (f >= from && f < to)
                h->ids_at[h->frames++] = (int32_t)(first_id + i);
    return true;
}

/* A finished piece on its way: to the listener, or kept back for the times. */
static bt_status give(kept *h, bt_kok_piece *x, const piece_range *p, int64_t hop,
                      const bt_speak_call *c)
{
    int64_t from, to;
    trim(x, p, hop, &from, &to);
    float *samples = x->samples + from * hop;
    const size_t n = (size_t)((to - from) * hop);
    fade(samples, (int64_t)n, p);
    if (!c->frames)
        return c->samples(c->user, samples, n);
    if (!add_frames(h, x, p->from, from, to) || (!p->last && !bt_held_add(&h->sound, samples, n)))
        return bt_no_memory(c->r->error, "a sentence");
    if (!p->last)
        return BT_OK;
    bt_status st = c->frames(c->user, h->ids_at, h->frames, (int)hop);
    if (st == BT_OK && h->sound.n)
        st = c->samples(c->user, h->sound.x, h->sound.n);
    return st == BT_OK ? c->samples(c->user, samples, n) : st;
}

/* The piece that begins at p->to: zero, phonemes, zero. */
static void next_piece(const int32_t *ids, size_t n, piece_range *p)
{
    p->from = p->to;
    p->first = p->from == 0;
    for (p->to = p->from + 1; p->to < n && ids[p->to] != 0; p->to++) {}
    p->to += p->to < n;
    p->last = p->to == n;
}

bt_status bt_kok_say(bt_parts *parts, const bt_kok_manner *m, const int32_t *ids, size_t n,
                     const bt_speak_call *c)
{
    const bt_kokoro *k = parts->voice;
    kept h = { 0 };
    bt_status st = BT_OK;
    piece_range p = { 0 };
    for (uint64_t i = 0; st == BT_OK && p.to < n; i++) {
        next_piece(ids, n, &p);
        bt_kok_piece x = {
            .ids = ids + p.from,
            .n = p.to - p.from,
            .style = m->style,
            .length_scale = m->length_scale,
            .noise_scale = m->noise_scale,
            .seed = c->seed + 1000003 * i,
        };
        st = bt_kok_mix(m->beside, m->speaker, x.n - 2, m->style, c->r->error);
        if (st == BT_OK)
            st = bt_kok_speak(parts, &x, c->r);
        if (st == BT_OK)
            st = give(&h, &x, &p, k->hop, c);
    }
    bt_release(h.ids_at);
    bt_release(h.sound.x);
    return st;
}
