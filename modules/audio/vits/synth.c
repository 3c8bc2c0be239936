/* SPDX-License-Identifier: MIT
 * One sentence (VITS models.py SynthesizerTrn.infer): ids, encoder, durations,
 * frames, flow, samples.
 *
 * Noise: one torch CPU generator per sentence; first the durations' [2, T],
 * then the frames' [inter, F], both drawn even when their scale is 0.
 *
 * The decoder sees `margin` frames to each side and no more, so it runs over
 * long sentences in chunks: memory stays bounded, the first samples are there
 * early, and the bytes are those of one run over the whole; it begins at a multiple
 * of `align` frames. The flow makes as many latents as the next chunk needs (flow.c).
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "audio/vits/vits.h"

enum {
    CHUNK = BT_VITS_CHUNK,
    FIRST = 32,          /* frames of the first run where somebody waits for a sound */
    LONG = 128,          /* frames of a sentence that is worth giving memory back for */
    MAX_FRAMES = 1 << 20 /* of a sentence: more than an hour */
};

typedef struct work {
    bt_parts *plans;
    const bt_vits_settings *s;
    const bt_speak_call *c;
    bt_error *err;
    bt_torch_rng rng;
    float *stats;    /* [T][2 * inter]; the deviations ready for use */
    int32_t *source; /* [F]: which phoneme a frame belongs to */
    float *z;        /* [F][inter] */
    float *noise;    /* [inter][F] */
    int64_t t, f;
    int64_t taken, ready; /* frames that the flow has read, and made */
} work;

static const bt_voice *voice_of(const work *w) { return w->plans->voice; }

/* A plan that is ready but for the speaker's number. */
static bt_status run(work *w, bt_part *p, const char *name)
{
    if (p->speaker) {
        int32_t *speaker = bt_plan_data(p->plan, p->speaker);
        if (!speaker)
            return bt_no_memory(w->err, "speech");
        *speaker = w->s->speaker;
    }
    return bt_run_plan(w->c->r, p->plan, name);
}

/* Gives weights back that have done their work for this sentence: a quarter of all memory,
 * and a fault for each 64 KiB of it brings it back. */
static void rest(const work *w, const char *prefix)
{
    if (w->f > LONG)
        bt_weights_rest(voice_of(w)->ws, prefix);
}

/* ---- phonemes to frames ------------------------------------------------ */

/* Deviation of the noise instead of its log, the scale included. */
static void keep_stats(work *w, const float *stats)
{
    const int64_t c = voice_of(w)->inter;
    for (int64_t i = 0; i < w->t; i++) {
        const float *src = stats + i * 2 * c;
        float *dst = w->stats + i * 2 * c;
        memcpy(dst, src, (size_t)c * sizeof *dst);
        for (int64_t j = c; j < 2 * c; j++)
            dst[j] = expf(src[j]) * w->s->noise_scale;
    }
}

/* Frames per phoneme, rounded up; lists the phoneme of every frame. */
static bt_status expand(work *w, const float *log_duration)
{
    float m, logs;
    bt_status st = bt_vits_affine(voice_of(w), &m, &logs, w->err);
    if (st != BT_OK)
        return st;
    int64_t total = 0;
    for (int pass = 0; pass < 2; pass++) {
        total = 0;
        for (int64_t i = 0; i < w->t; i++) {
            float d = ceilf(expf((log_duration[i] - m) * expf(-logs)) * w->s->length_scale);
            if (!(d <= MAX_FRAMES) || total + (int64_t)d > MAX_FRAMES)
                return bt_fail(w->err, BT_EFORMAT,
                               "the voice makes a sentence of more than %d frames", MAX_FRAMES);
            for (int64_t j = 0; pass && j < (int64_t)d; j++)
                w->source[total + j] = (int32_t)i;
            total += (int64_t)d;
        }
        if (pass)
            break;
        w->f = total ? total : 1;
        w->source = bt_calloc((size_t)w->f, sizeof *w->source);
        if (!w->source)
            return bt_no_memory(w->err, "speech");
    }
    return BT_OK;
}

/* Fills stats, source and f. */
static bt_status encode(work *w, const int32_t *ids)
{
    bt_part *p;
    bt_status st = bt_part_get(w->plans, BT_VITS_ENCODER, w->t, &p, w->err);
    if (st != BT_OK)
        return st;
    int32_t *in = bt_plan_data(p->plan, p->ids);
    float *z0 = bt_plan_data(p->plan, p->in[0]), *z1 = bt_plan_data(p->plan, p->in[1]);
    size_t t = (size_t)w->t;
    float *noise = bt_calloc(2 * t, sizeof *noise);
    w->stats = bt_calloc(t * 2 * (size_t)voice_of(w)->inter, sizeof *w->stats);
    if (!in || !z0 || !z1 || !noise || !w->stats) {
        bt_release(noise);
        return bt_no_memory(w->err, "speech");
    }
    memcpy(in, ids, t * sizeof *in);
    bt_torch_randn(&w->rng, noise, 2 * t);
    for (size_t i = 0; i < t; i++) {
        z0[i] = noise[i] * w->s->noise_w;
        z1[i] = noise[t + i] * w->s->noise_w;
    }
    bt_release(noise);
    st = run(w, p, "encoder");
    if (st != BT_OK)
        return st;
    keep_stats(w, bt_plan_data(p->plan, p->out[0]));
    return expand(w, bt_plan_data(p->plan, p->out[1]));
}

/* ---- frames to latents ------------------------------------------------- */

/* Half h of the prior's samples, n frames from `from` on: mean + noise * deviation. */
static void sample_half(const work *w, int h, int64_t from, int64_t n, float *dst)
{
    const int64_t c = voice_of(w)->inter, half = c / 2;
    for (int64_t f = from; f < from + n; f++, dst += half) {
        const float *mean = w->stats + w->source[f] * 2 * c + h * half, *dev = mean + c;
        const float *noise = w->noise + h * half * w->f + f;
        for (int64_t i = 0; i < half; i++)
            dst[i] = mean[i] + noise[i * w->f] * dev[i];
    }
}

/* The next n frames' samples of the prior through the flow. */
static bt_status flow_piece(work *w, int64_t n)
{
    static const bt_vits_part kinds[2][2] = { { BT_VITS_FLOW_NEXT, BT_VITS_FLOW_LAST },
                                              { BT_VITS_FLOW_FIRST, BT_VITS_FLOW } };
    const int64_t c = voice_of(w)->inter, half = c / 2;
    bt_part *p;
    bt_status st = bt_part_get(w->plans, kinds[w->taken == 0][w->taken + n == w->f], n, &p, w->err);
    if (st != BT_OK)
        return st;
    for (int h = 0; h < 2; h++) {
        float *in = bt_plan_data(p->plan, p->in[h]);
        if (!in)
            return bt_no_memory(w->err, "speech");
        sample_half(w, h, w->taken, n, in);
    }
    st = run(w, p, "flow");
    const int64_t made = bt_shape_of(p->out[0]).w;
    for (int h = 0; h < 2 && st == BT_OK; h++) {
        const float *out = bt_plan_data(p->plan, p->out[h]);
        for (int64_t f = 0; f < made; f++)
            memcpy(w->z + (w->ready + f) * c + h * half, out + f * half,
                   (size_t)half * sizeof *out);
    }
    w->taken += n;
    w->ready += made;
    if (w->taken == w->f)
        rest(w, "flow.");
    return st;
}

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Fills z at least up to frame `end`. */
static bt_status flow(work *w, int64_t end)
{
    const int lag = bt_vits_layer_lag(voice_of(w)), group = bt_vits_flow_group(voice_of(w));
    if (w->ready >= end)
        return BT_OK;
    end = round_up((end > lag ? end : lag) + bt_vits_flow_lag(voice_of(w), lag), group);
    return flow_piece(w, (end < w->f ? end : w->f) - w->taken);
}

/* Memory of the flow, and its noise. */
static bt_status prepare_flow(work *w)
{
    const bt_voice *v = voice_of(w);
    const size_t n = (size_t)w->f * (size_t)v->inter;
    w->noise = bt_calloc(n, sizeof *w->noise);
    w->z = bt_calloc(n, sizeof *w->z);
    if (!w->plans->state)
        w->plans->state =
            bt_calloc((size_t)bt_vits_flow_room(v, bt_vits_layer_lag(v)), sizeof(float));
    if (!w->noise || !w->z || !w->plans->state)
        return bt_no_memory(w->err, "speech");
    bt_torch_randn(&w->rng, w->noise, n);
    return BT_OK;
}

/* ---- latents to samples ------------------------------------------------ */

static bt_status decode(work *w, const bt_chunk *c)
{
    const bt_voice *v = voice_of(w);
    bt_part *p;
    bt_status st = bt_part_get(w->plans, BT_VITS_VOCODER, c->hi - c->lo, &p, w->err);
    if (st != BT_OK)
        return st;
    float *in = bt_plan_data(p->plan, p->in[0]);
    if (!in)
        return bt_no_memory(w->err, "speech");
    memcpy(in, w->z + c->lo * v->inter, (size_t)((c->hi - c->lo) * v->inter) * sizeof *in);
    st = run(w, p, "decoder");
    if (st != BT_OK)
        return st;
    const float *out = bt_plan_data(p->plan, p->out[0]);
    return w->c->samples(w->c->user, out + (c->a - c->lo) * v->dec.hop,
                         (size_t)((c->b - c->a) * v->dec.hop));
}

static bt_status decode_all(work *w)
{
    const bt_hifigan *d = &voice_of(w)->dec;
    bt_status st = BT_OK;
    for (int64_t a = 0; st == BT_OK && a < w->f;) {
        const int64_t best = a == 0 && w->c->first ? FIRST : CHUNK;
        const int64_t size = w->s->chunk ? w->s->chunk : best;
        const bt_chunk c = bt_chunk_at(a, size, w->f, d->margin, d->align);
        st = flow(w, c.hi);
        if (st == BT_OK)
            st = decode(w, &c);
        a = c.b;
    }
    return st;
}

bt_status bt_vits_speak(bt_parts *plans, const int32_t *ids, size_t n, const bt_vits_settings *s,
                        const bt_speak_call *c)
{
    work w = { .plans = plans, .s = s, .c = c, .err = c->r->error, .t = (int64_t)n };
    bt_status st;
    bt_torch_seed(&w.rng, c->seed);
    BT_TRY(encode(&w, ids));
    if (c->frames)
        BT_TRY(c->frames(c->user, w.source, (size_t)w.f, voice_of(&w)->dec.hop));
    rest(&w, "enc_p.");
    BT_TRY(prepare_flow(&w));
    BT_TRY(decode_all(&w));
fail:
    bt_release(w.stats);
    bt_release(w.source);
    bt_release(w.z);
    bt_release(w.noise);
    return st;
}
