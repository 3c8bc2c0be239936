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
 * of `align` frames.
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "audio/vits/vits.h"

enum {
    CHUNK = BT_VITS_CHUNK,
    FIRST = 32,          /* frames of the first run where somebody waits for a sound */
    MAX_FRAMES = 1 << 20 /* of a sentence: more than an hour */
};

typedef struct work {
    bt_parts *plans;
    const bt_vits_settings *s;
    bt_torch_rng rng;
    float *stats;    /* [T][2 * inter]; the deviations ready for use */
    int32_t *source; /* [F]: which phoneme a frame belongs to */
    float *z;        /* [F][inter] */
    float *noise;    /* [inter][F] */
    int64_t t, f;
} work;

static const bt_voice *voice_of(const work *w) { return w->plans->voice; }

/* A plan that is ready but for the speaker's number. */
static bt_status run(work *w, bt_part *p, const char *name, bt_error *err)
{
    if (p->speaker) {
        int32_t *speaker = bt_plan_data(p->plan, p->speaker);
        if (!speaker)
            return bt_no_memory(err, "speech");
        *speaker = w->s->speaker;
    }
    return bt_part_run(p, name, w->s->cancel, w->s->trace, err);
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
static bt_status expand(work *w, const float *log_duration, bt_error *err)
{
    float m, logs;
    bt_status st = bt_vits_affine(voice_of(w), &m, &logs, err);
    if (st != BT_OK)
        return st;
    int64_t total = 0;
    for (int pass = 0; pass < 2; pass++) {
        total = 0;
        for (int64_t i = 0; i < w->t; i++) {
            float d = ceilf(expf((log_duration[i] - m) * expf(-logs)) * w->s->length_scale);
            if (!(d <= MAX_FRAMES) || total + (int64_t)d > MAX_FRAMES)
                return bt_fail(err, BT_EFORMAT, "the voice makes a sentence of more than %d frames",
                               MAX_FRAMES);
            for (int64_t j = 0; pass && j < (int64_t)d; j++)
                w->source[total + j] = (int32_t)i;
            total += (int64_t)d;
        }
        if (pass)
            break;
        w->f = total ? total : 1;
        w->source = bt_calloc((size_t)w->f, sizeof *w->source);
        if (!w->source)
            return bt_no_memory(err, "speech");
    }
    return BT_OK;
}

/* Fills stats, source and f. */
static bt_status encode(work *w, const int32_t *ids, bt_error *err)
{
    bt_part *p;
    bt_status st = bt_part_get(w->plans, BT_VITS_ENCODER, w->t, &p, err);
    if (st != BT_OK)
        return st;
    int32_t *in = bt_plan_data(p->plan, p->ids);
    float *z0 = bt_plan_data(p->plan, p->in[0]), *z1 = bt_plan_data(p->plan, p->in[1]);
    size_t t = (size_t)w->t;
    float *noise = bt_calloc(2 * t, sizeof *noise);
    w->stats = bt_calloc(t * 2 * (size_t)voice_of(w)->inter, sizeof *w->stats);
    if (!in || !z0 || !z1 || !noise || !w->stats) {
        bt_release(noise);
        return bt_no_memory(err, "speech");
    }
    memcpy(in, ids, t * sizeof *in);
    bt_torch_randn(&w->rng, noise, 2 * t);
    for (size_t i = 0; i < t; i++) {
        z0[i] = noise[i] * w->s->noise_w;
        z1[i] = noise[t + i] * w->s->noise_w;
    }
    bt_release(noise);
    st = run(w, p, "encoder", err);
    if (st != BT_OK)
        return st;
    keep_stats(w, bt_plan_data(p->plan, p->out[0]));
    return expand(w, bt_plan_data(p->plan, p->out[1]), err);
}

/* ---- frames to latents ------------------------------------------------- */

/* Half h of the prior's samples: mean + noise * deviation. */
static void sample_half(const work *w, int h, float *dst)
{
    const int64_t c = voice_of(w)->inter, half = c / 2;
    for (int64_t f = 0; f < w->f; f++) {
        const float *mean = w->stats + w->source[f] * 2 * c + h * half, *dev = mean + c;
        const float *noise = w->noise + h * half * w->f + f;
        for (int64_t i = 0; i < half; i++)
            dst[f * half + i] = mean[i] + noise[i * w->f] * dev[i];
    }
}

/* A sample of the prior for every frame, through the flow: fills z. */
static bt_status flow(work *w, bt_error *err)
{
    const int64_t c = voice_of(w)->inter, half = c / 2;
    size_t n = (size_t)w->f * (size_t)c;
    bt_part *p;
    bt_status st = bt_part_get(w->plans, BT_VITS_FLOW, w->f, &p, err);
    if (st != BT_OK)
        return st;
    w->noise = bt_calloc(n, sizeof *w->noise);
    w->z = bt_calloc(n, sizeof *w->z);
    if (!w->noise || !w->z)
        return bt_no_memory(err, "speech");
    bt_torch_randn(&w->rng, w->noise, n);
    for (int h = 0; h < 2; h++) {
        float *in = bt_plan_data(p->plan, p->in[h]);
        if (!in)
            return bt_no_memory(err, "speech");
        sample_half(w, h, in);
    }
    st = run(w, p, "flow", err);
    for (int h = 0; h < 2 && st == BT_OK; h++) {
        const float *out = bt_plan_data(p->plan, p->out[h]);
        for (int64_t f = 0; f < w->f; f++)
            memcpy(w->z + f * c + h * half, out + f * half, (size_t)half * sizeof *out);
    }
    return st;
}

/* ---- latents to samples ------------------------------------------------ */

/* Samples of frames a..b out of a run over lo..hi. */
static bt_status decode(work *w, int64_t lo, int64_t a, int64_t b, int64_t hi, bt_error *err)
{
    const bt_voice *v = voice_of(w);
    bt_part *p;
    bt_status st = bt_part_get(w->plans, BT_VITS_VOCODER, hi - lo, &p, err);
    if (st != BT_OK)
        return st;
    float *in = bt_plan_data(p->plan, p->in[0]);
    if (!in)
        return bt_no_memory(err, "speech");
    memcpy(in, w->z + lo * v->inter, (size_t)((hi - lo) * v->inter) * sizeof *in);
    st = run(w, p, "decoder", err);
    if (st != BT_OK)
        return st;
    const float *out = bt_plan_data(p->plan, p->out[0]);
    return w->s->samples(w->s->user, out + (a - lo) * v->dec.hop, (size_t)((b - a) * v->dec.hop));
}

/* Chunk by chunk with a margin on both sides; a rest too short for a chunk of its
 * own joins the last. */
static bt_status decode_all(work *w, bt_error *err)
{
    const bt_voice *v = voice_of(w);
    const int64_t margin = v->dec.margin, align = v->dec.align, f = w->f;
    bt_status st = BT_OK;
    for (int64_t a = 0; st == BT_OK && a < f;) {
        const int64_t chunk = a == 0 && w->s->first ? FIRST : CHUNK;
        const int64_t b = f - a <= chunk + margin ? f : a + chunk;
        const int64_t lo = a > margin ? (a - margin) / align * align : 0;
        st = decode(w, lo, a, b, b + margin < f ? b + margin : f, err);
        a = b;
    }
    return st;
}

bt_status bt_vits_speak(bt_parts *plans, const int32_t *ids, size_t n, const bt_vits_settings *s,
                        int64_t *frames, bt_error *err)
{
    work w = { .plans = plans, .s = s, .t = (int64_t)n };
    bt_status st;
    bt_torch_seed(&w.rng, s->seed);
    BT_TRY(encode(&w, ids, err));
    if (s->frames)
        BT_TRY(s->frames(s->user, w.source, (size_t)w.f, voice_of(&w)->dec.hop));
    BT_TRY(flow(&w, err));
    BT_TRY(decode_all(&w, err));
fail:
    if (frames)
        *frames = w.f;
    bt_release(w.stats);
    bt_release(w.source);
    bt_release(w.z);
    bt_release(w.noise);
    return st;
}
