/* SPDX-License-Identifier: MIT
 * One piece of text (hexgrad's model.py, forward_with_tokens): tokens, durations, frames,
 * samples.
 */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "audio/kokoro/kokoro.h"

enum { MAX_FRAMES = 1 << 14 }; /* of a piece: nearly seven minutes */

typedef struct work {
    bt_parts *parts;
    const bt_kokoro *k;
    bt_kok_piece *x;
    const bt_run *r;
    float *d, *text; /* [T][hidden + style], [T][hidden] */
} work;

static bt_status run(work *w, bt_part *p, const char *name)
{
    return bt_run_plan(w->r, p->plan, name);
}

/* sum of sigmoids, over speed, rounded to even as torch.round does, at least 1 */
static bt_status count_frames(work *w, const float *logits)
{
    const int n = w->k->max_duration;
    bt_kok_piece *x = w->x;
    x->frames = 0;
    for (size_t i = 0; i < x->n; i++) {
        float sum = 0;
        for (int j = 0; j < n; j++)
            sum += 1 / (1 + expf(-logits[i * (size_t)n + (size_t)j]));
        const float d = rintf(sum * x->length_scale);
        if (!(d <= MAX_FRAMES) || x->frames + (int64_t)d > MAX_FRAMES)
            return bt_fail(w->r->error, BT_EFORMAT,
                           "the voice makes a piece of more than %d frames", MAX_FRAMES);
        x->durations[i] = d > 1 ? (int32_t)d : 1;
        x->frames += x->durations[i];
    }
    return BT_OK;
}

static void put_style(const work *w, bt_part *p)
{
    float *style = bt_plan_data(p->plan, p->in[BT_KOK_IN_STYLE]);
    memcpy(style, w->x->style, 2 * (size_t)w->k->style * sizeof *style);
}

/* The wave's part writes over what this one puts out: d and text are copies. */
static bt_status encode(work *w)
{
    bt_part *p;
    const size_t n = w->x->n, wide = (size_t)(w->k->hidden + w->k->style);
    const size_t hidden = (size_t)w->k->hidden;
    bt_status st = bt_part_get(w->parts, BT_KOK_TEXT, (int64_t)n, &p, w->r->error);
    if (st != BT_OK)
        return st;
    int32_t *ids = bt_plan_data(p->plan, p->ids);
    w->d = bt_calloc(n * wide, sizeof *w->d);
    w->text = bt_calloc(n * hidden, sizeof *w->text);
    if (!ids || !w->d || !w->text)
        return bt_no_memory(w->r->error, "speech");
    int32_t *positions = bt_plan_data(p->plan, p->in[BT_KOK_IN_POSITIONS]);
    int32_t *zeros = bt_plan_data(p->plan, p->in[BT_KOK_IN_ZEROS]);
    for (size_t i = 0; i < n; i++) {
        ids[i] = w->x->ids[i];
        positions[i] = (int32_t)i;
        zeros[i] = 0;
    }
    put_style(w, p);
    st = run(w, p, "text");
    if (st != BT_OK)
        return st;
    memcpy(w->d, bt_plan_data(p->plan, p->out[0]), n * wide * sizeof *w->d);
    memcpy(w->text, bt_plan_data(p->plan, p->out[1]), n * hidden * sizeof *w->text);
    return count_frames(w, bt_plan_data(p->plan, p->out[2]));
}

/* Row i of src [T][c] as often as token i lasts. */
static void repeat(const bt_kok_piece *x, const float *src, int64_t c, float *dst)
{
    for (size_t i = 0; i < x->n; i++, src += c)
        for (int32_t j = 0; j < x->durations[i]; j++, dst += c)
            memcpy(dst, src, (size_t)c * sizeof *dst);
}

static void make_noise(const bt_kok_piece *x, float *noise, size_t n)
{
    bt_torch_rng rng;
    bt_torch_seed(&rng, x->seed);
    bt_torch_randn(&rng, noise, n);
    for (size_t i = 0; i < n; i++)
        noise[i] *= x->noise_scale;
}

static bt_status decode(work *w)
{
    bt_part *p;
    bt_kok_piece *x = w->x;
    const bt_kokoro *k = w->k;
    bt_status st = bt_part_get(w->parts, BT_KOK_WAVE, x->frames, &p, w->r->error);
    if (st != BT_OK)
        return st;
    int32_t *twice = bt_plan_data(p->plan, p->in[BT_KOK_IN_TWICE]);
    if (!twice)
        return bt_no_memory(w->r->error, "speech");
    const int64_t n = x->frames * k->hop;
    repeat(x, w->d, k->hidden + k->style, bt_plan_data(p->plan, p->in[BT_KOK_IN_EN]));
    repeat(x, w->text, k->hidden, bt_plan_data(p->plan, p->in[BT_KOK_IN_ASR]));
    put_style(w, p);
    for (int32_t i = 0; i < 2 * x->frames; i++)
        twice[i] = i / 2;
    make_noise(x, bt_plan_data(p->plan, p->in[BT_KOK_IN_NOISE]), (size_t)n);
    st = run(w, p, "wave");
    x->samples = bt_plan_data(p->plan, p->out[0]);
    return st;
}

/* A long piece needs much memory for its activations. The weights of the part that does not run
 * stand back for it: to map them again costs a hundredth of what the piece takes. */
static void rest(const work *w, const char *const *prefixes)
{
    for (int i = 0; w->x->frames >= BT_KOK_LONG && prefixes[i]; i++)
        bt_weights_rest(w->k->ws, prefixes[i]);
}

bt_status bt_kok_speak(bt_parts *parts, bt_kok_piece *x, const bt_run *r)
{
    work w = { .parts = parts, .k = parts->voice, .x = x, .r = r };
    if (x->n < 1 || x->n > (size_t)w.k->positions)
        return bt_fail(r->error, BT_EINVAL, "a piece of %zu phonemes: the voice takes 1 to %d",
                       x->n, w.k->positions);
    bt_status st = encode(&w);
    rest(&w, (const char *const[]){ "bert", "text_encoder", "predictor", NULL });
    if (st == BT_OK)
        st = decode(&w);
    rest(&w, (const char *const[]){ "decoder", NULL });
    bt_release(w.d);
    bt_release(w.text);
    return st;
}
