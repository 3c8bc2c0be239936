/* SPDX-License-Identifier: MIT
 * One piece of text (hexgrad's model.py, forward_with_tokens): tokens, durations, frames,
 * samples. The source's noise is one torch CPU generator per piece.
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "audio/kokoro/kokoro.h"

enum {
    MAX_FRAMES = 1 << 14, /* of a piece: nearly seven minutes */
    JOIN = 3600,          /* samples: 150 ms */
    FADE = 120,           /* samples: 5 ms */
};

#define QUIET 0.01f

typedef struct work {
    bt_kok_plans *plans;
    const bt_kok_settings *s;
    int32_t *frames; /* [T]: of each token */
    int64_t t, f;
} work;

static bt_status run(work *w, bt_kok_plan *p, const char *name, bt_error *err)
{
    bt_trace_attach(p->plan, w->s->trace, name);
    const bt_status st = bt_plan_run(p->plan, w->s->cancel, err);
    bt_trace_attach(p->plan, NULL, NULL);
    return st;
}

/* sum of sigmoids, over speed, rounded to even as torch.round does, at least 1 */
static bt_status count_frames(work *w, const float *logits, bt_error *err)
{
    const int n = w->plans->voice->max_duration;
    w->f = 0;
    for (int64_t i = 0; i < w->t; i++) {
        float sum = 0;
        for (int j = 0; j < n; j++)
            sum += 1 / (1 + expf(-logits[i * n + j]));
        const float d = rintf(sum * w->s->length_scale);
        if (!(d <= MAX_FRAMES) || w->f + (int64_t)d > MAX_FRAMES)
            return bt_fail(err, BT_EFORMAT, "the voice makes a piece of more than %d frames",
                           MAX_FRAMES);
        w->frames[i] = d > 1 ? (int32_t)d : 1;
        w->f += w->frames[i];
    }
    return BT_OK;
}

static bt_status encode(work *w, const int32_t *ids, bt_kok_plan **out, bt_error *err)
{
    bt_kok_plan *p;
    const bt_kokoro *k = w->plans->voice;
    bt_status st = bt_kok_plan_get(w->plans, BT_KOK_TEXT, w->t, &p, err);
    if (st != BT_OK)
        return st;
    int32_t *in = bt_plan_data(p->plan, p->ids), *positions = bt_plan_data(p->plan, p->positions);
    int32_t *zeros = bt_plan_data(p->plan, p->zeros);
    float *style = bt_plan_data(p->plan, p->style);
    if (!in || !positions || !zeros || !style)
        return bt_no_memory(err, "speech");
    for (int64_t i = 0; i < w->t; i++) {
        in[i] = ids[i];
        positions[i] = (int32_t)i;
        zeros[i] = 0;
    }
    memcpy(style, w->s->style + k->style, (size_t)k->style * sizeof *style);
    st = run(w, p, "text", err);
    *out = p;
    return st == BT_OK ? count_frames(w, bt_plan_data(p->plan, p->out[2]), err) : st;
}

/* Row i of src [T][c] as often as token i lasts. */
static void repeat(const work *w, const float *src, int64_t c, float *dst)
{
    for (int64_t i = 0; i < w->t; i++)
        for (int32_t j = 0; j < w->frames[i]; j++, dst += c)
            memcpy(dst, src + i * c, (size_t)c * sizeof *dst);
}

static void make_noise(const work *w, float *noise, size_t n)
{
    bt_torch_rng rng;
    bt_torch_seed(&rng, w->s->seed);
    bt_torch_randn(&rng, noise, n);
    for (size_t i = 0; i < n; i++)
        noise[i] *= w->s->noise_scale;
}

/* Where pieces of one sentence meet, the model has made a sentence's end and beginning, half
 * a second of silence and more. Of what is quieter than QUIET on either side JOIN samples stay,
 * the pause of a clause; and both sides fade for a moment, so that no step is heard. */
static bt_status give(const work *w, float *x, int64_t n)
{
    int64_t first = 0, last = n;
    while (w->s->joined_before && first < n && fabsf(x[first]) < QUIET)
        first++;
    while (w->s->joined_after && last > first && fabsf(x[last - 1]) < QUIET)
        last--;
    first = first > JOIN ? first - JOIN : 0;
    last = last + JOIN < n ? last + JOIN : n;
    x += first;
    n = last - first;
    for (int64_t i = 0; i < FADE && i < n; i++) {
        const float f = ((float)i + 0.5f) / FADE;
        x[i] *= w->s->joined_before ? f : 1;
        x[n - 1 - i] *= w->s->joined_after ? f : 1;
    }
    return w->s->samples(w->s->user, x, (size_t)n);
}

static bt_status decode(work *w, bt_kok_plan *text, bt_error *err)
{
    bt_kok_plan *p;
    const bt_kokoro *k = w->plans->voice;
    bt_status st = bt_kok_plan_get(w->plans, BT_KOK_WAVE, w->f, &p, err);
    if (st != BT_OK)
        return st;
    float *en = bt_plan_data(p->plan, p->en), *asr = bt_plan_data(p->plan, p->asr);
    float *noise = bt_plan_data(p->plan, p->noise), *style = bt_plan_data(p->plan, p->style);
    float *deco = bt_plan_data(p->plan, p->deco);
    int32_t *twice = bt_plan_data(p->plan, p->twice), *shift = bt_plan_data(p->plan, p->shift);
    const int64_t n = w->f * k->hop;
    if (!en || !asr || !noise || !style || !deco || !twice || !shift)
        return bt_no_memory(err, "speech");
    repeat(w, bt_plan_data(text->plan, text->out[0]), k->hidden + k->style, en);
    repeat(w, bt_plan_data(text->plan, text->out[1]), k->hidden, asr);
    memcpy(deco, w->s->style, (size_t)k->style * sizeof *deco);
    memcpy(style, w->s->style + k->style, (size_t)k->style * sizeof *style);
    for (int32_t i = 0; i < 2 * w->f; i++)
        twice[i] = i / 2;
    shift[0] = 1; /* a reflected row in front */
    for (int32_t i = 0; i < n / (k->fft / 4); i++)
        shift[i + 1] = i;
    make_noise(w, noise, (size_t)n);
    st = run(w, p, "wave", err);
    return st == BT_OK ? give(w, bt_plan_data(p->plan, p->out[0]), n) : st;
}

bt_status bt_kok_speak(bt_kok_plans *plans, const int32_t *ids, size_t n, const bt_kok_settings *s,
                       int32_t *durations, bt_error *err)
{
    work w = { .plans = plans, .s = s, .t = (int64_t)n };
    bt_kok_plan *text = NULL;
    bt_status st;
    if (n < 1 || n > (size_t)plans->voice->positions)
        return bt_fail(err, BT_EINVAL, "a piece of %zu phonemes: the voice takes 1 to %d", n,
                       plans->voice->positions);
    w.frames = bt_calloc(n, sizeof *w.frames);
    if (!w.frames)
        return bt_no_memory(err, "speech");
    BT_TRY(encode(&w, ids, &text, err));
    BT_TRY(decode(&w, text, err));
    if (durations)
        memcpy(durations, w.frames, n * sizeof *durations);
fail:
    bt_release(w.frames);
    return st;
}
