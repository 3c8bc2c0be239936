/* SPDX-License-Identifier: MIT
 * One sentence: ids, durations, pitch, frames, samples.
 *
 * Text and prosody are computed over the whole sentence, the rest in chunks: a frame's
 * samples depend on a few frames to each side and no more, so the first sound is there
 * early, memory stays bounded, and the bytes are those of one run over the whole.
 */
#include <math.h>
#include <string.h>

#include "audio/hibari/hibari.h"
#include "audio/hibari/vocoder.h"

enum {
    CHUNK = BT_HIBARI_CHUNK,
    FIRST = 32,          /* frames of the first run where somebody waits for a sound */
    MAX_BEATS = 1 << 18, /* of a sentence: nearly two hours */
};

typedef struct work {
    bt_parts *parts;
    const bt_speak_call *c;
    bt_error *err;
    float speed;
    float *text; /* [L][wide]: BT_HIBARI_TEXT's out[0] */
    int64_t wide;
    int32_t *source;      /* [beats]: which phoneme a beat belongs to */
    float *f0, *loudness; /* [frames] */
    float *phase, *order; /* [frames][HOP] */
    int64_t n, beats, frames;
} work;

static bt_status run(work *w, bt_part *p, const char *name)
{
    return bt_run_plan(w->c->r, p->plan, name);
}

/* round(exp(x) - 1), at least 1; false: absurd. */
static bool duration(float x, float speed, int64_t *beats)
{
    const float d = rintf((expf(x) - 1) / speed);
    if (!(d <= MAX_BEATS))
        return false;
    *beats = d < 1 ? 1 : (int64_t)d;
    return true;
}

/* Lists the phoneme of every beat. */
static bt_status expand(work *w, const float *log_duration, int32_t *beats)
{
    for (int pass = 0; pass < 2; pass++) {
        int64_t total = 0, d;
        for (int64_t i = 0; i < w->n; i++) {
            if (!duration(log_duration[i], w->speed, &d) || total + d > MAX_BEATS)
                return bt_fail(w->err, BT_EFORMAT,
                               "the voice makes a sentence of more than %d beats", MAX_BEATS);
            if (beats)
                beats[i] = (int32_t)d;
            for (int64_t j = 0; pass && j < d; j++)
                w->source[total + j] = (int32_t)i;
            total += d;
        }
        if (pass)
            break;
        w->beats = total;
        w->frames = 2 * total;
        w->source = bt_calloc((size_t)total, sizeof *w->source);
        if (!w->source)
            return bt_no_memory(w->err, "speech");
    }
    return BT_OK;
}

/* The row of its phoneme for every beat. */
static bt_status prosody(work *w, const float *text)
{
    bt_part *p;
    bt_status st = bt_part_get(w->parts, BT_HIBARI_PROSODY, w->beats, &p, w->err);
    if (st != BT_OK)
        return st;
    const int64_t c = bt_shape_of(p->in[0]).c;
    float *in = bt_plan_data(p->plan, p->in[0]);
    w->f0 = bt_calloc((size_t)w->frames, sizeof *w->f0);
    w->loudness = bt_calloc((size_t)w->frames, sizeof *w->loudness);
    if (!in || !w->f0 || !w->loudness)
        return bt_no_memory(w->err, "speech");
    for (int64_t b = 0; b < w->beats; b++)
        memcpy(in + b * c, text + w->source[b] * c, (size_t)c * sizeof *in);
    st = run(w, p, "prosody");
    if (st != BT_OK)
        return st;
    const float *out = bt_plan_data(p->plan, p->out[0]);
    for (int64_t f = 0; f < w->frames; f++) {
        w->f0[f] = 100 * out[f / 2 * 4 + f % 2];
        w->loudness[f] = out[f / 2 * 4 + 2 + f % 2];
    }
    return BT_OK;
}

/* Fills all but phase and order. */
static bt_status read_text(work *w, const int32_t *ids, int32_t *beats)
{
    bt_part *p;
    float *prosody_text = NULL;
    bt_status st = bt_part_get(w->parts, BT_HIBARI_TEXT, w->n, &p, w->err);
    if (st != BT_OK)
        return st;
    w->wide = bt_shape_of(p->out[0]).c;
    const size_t n = (size_t)w->n, wide = (size_t)bt_shape_of(p->out[1]).c;
    const size_t text = n * (size_t)w->wide;
    int32_t *in = bt_plan_data(p->plan, p->ids);
    w->text = bt_calloc(text, sizeof *w->text);
    prosody_text = bt_calloc(n * wide, sizeof *prosody_text);
    if (!in || !w->text || !prosody_text) {
        st = bt_no_memory(w->err, "speech");
        goto fail;
    }
    memcpy(in, ids, n * sizeof *in);
    BT_TRY(run(w, p, "text"));
    memcpy(w->text, bt_plan_data(p->plan, p->out[0]), text * sizeof *w->text);
    memcpy(prosody_text, bt_plan_data(p->plan, p->out[1]), n * wide * sizeof *prosody_text);
    BT_TRY(expand(w, bt_plan_data(p->plan, p->out[2]), beats));
    BT_TRY(prosody(w, prosody_text));
fail:
    bt_release(prosody_text);
    return st;
}

/* What the phonemes of frame f and its neighbours add to the first convolution, c values. */
static void add_text(const work *w, int64_t f, int64_t c, float *y)
{
    const bt_kernels *k = ((const bt_hibari *)w->parts->voice)->compute->kernels;
    const int64_t taps = w->wide / c;
    memset(y, 0, (size_t)c * sizeof *y);
    for (int64_t t = 0; t < taps; t++) {
        const int64_t at = f + t - taps / 2;
        if (at >= 0 && at < w->frames)
            k->add((int)c, y, y, w->text + w->source[at / 2] * w->wide + t * c);
    }
}

static bt_status decode(work *w, const bt_chunk *c)
{
    enum { TONES = BT_HIBARI_TONES, HOP = BT_HIBARI_HOP };
    bt_part *p;
    bt_status st = bt_part_get(w->parts, BT_HIBARI_SOUND, c->hi - c->lo, &p, w->err);
    if (st != BT_OK)
        return st;
    const int64_t first = bt_shape_of(p->in[0]).c;
    float *in = bt_plan_data(p->plan, p->in[0]), *tones = bt_plan_data(p->plan, p->in[1]);
    float *phase = bt_plan_data(p->plan, p->in[2]), *order = bt_plan_data(p->plan, p->in[3]);
    if (!in || !tones || !phase || !order)
        return bt_no_memory(w->err, "speech");
    for (int64_t f = c->lo; f < c->hi; f++, in += first, tones += TONES) {
        add_text(w, f, first, in);
        tones[0] = logf(1 + fmaxf(w->f0[f], 0)) / 5;
        tones[1] = w->loudness[f];
    }
    const size_t bytes = (size_t)((c->hi - c->lo) * HOP) * sizeof *phase;
    memcpy(phase, w->phase + c->lo * HOP, bytes);
    memcpy(order, w->order + c->lo * HOP, bytes);
    bt_plan_param(p->plan, BT_HIBARI_PARAM_SEED, (int64_t)w->c->seed);
    bt_plan_param(p->plan, BT_HIBARI_PARAM_FRAME, c->lo);
    st = run(w, p, "sound");
    if (st != BT_OK)
        return st;
    const float *out = bt_plan_data(p->plan, p->out[0]);
    return w->c->samples(w->c->user, out + (c->a - c->lo) * HOP, (size_t)((c->b - c->a) * HOP));
}

static bt_status decode_all(work *w)
{
    const int64_t margin = ((const bt_hibari *)w->parts->voice)->reach, f = w->frames;
    bt_status st = BT_OK;
    w->phase = bt_calloc((size_t)f * BT_HIBARI_HOP, sizeof *w->phase);
    w->order = bt_calloc((size_t)f * BT_HIBARI_HOP, sizeof *w->order);
    if (!w->phase || !w->order)
        return bt_no_memory(w->err, "speech");
    bt_hibari_pitch(w->f0, f, w->phase, w->order);
    for (int64_t a = 0; st == BT_OK && a < f;) {
        const bt_chunk c = bt_chunk_at(a, a == 0 && w->c->first ? FIRST : CHUNK, f, margin, 1);
        st = decode(w, &c);
        a = c.b;
    }
    return st;
}

bt_status bt_hibari_speak(bt_parts *parts, const int32_t *ids, size_t n, float speed,
                          const bt_speak_call *c, int32_t *beats)
{
    work w = { .parts = parts, .c = c, .err = c->r->error, .speed = speed, .n = (int64_t)n };
    bt_status st = read_text(&w, ids, beats);
    if (st == BT_OK && c->frames)
        st = c->frames(c->user, w.source, (size_t)w.beats, 2 * BT_HIBARI_HOP);
    if (st == BT_OK)
        st = decode_all(&w);
    bt_release(w.text);
    bt_release(w.source);
    bt_release(w.f0);
    bt_release(w.loudness);
    bt_release(w.phase);
    bt_release(w.order);
    return st;
}
