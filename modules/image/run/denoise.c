/* SPDX-License-Identifier: MIT
 * The steps: network, guidance, sampler.
 *
 * Guidance (Ho and Salimans 2022, arXiv 2207.12598) asks the UNet twice, with
 * the negative prompt and with the prompt, in one run of twice the batch.
 */
#include <string.h>

#include "base/threads.h"
#include "image/run/run.h"

/* Rows of the batch: without the prompt for every picture, then with it. */
static void fill_input(const sd_work *k, const float *x, float t)
{
    size_t n = (size_t)k->b * k->n;
    float *in = sd_plan_data(k->unet, k->unet->in);
    memcpy(in, x, n * sizeof *in);
    if (k->s.guided)
        memcpy(in + n, x, n * sizeof *in);
    sd_unet_time(&k->j->m->unet, t, sd_plan_data(k->unet, k->unet->time));
}

/* Hidden states of both prompts, in the order of fill_input's rows; both come
 * from the cache when they have been encoded before. */
static bt_status fill_context(const sd_work *k, sd_plan *p, int b)
{
    const sd_setup *s = &k->s;
    const sd_model *m = k->j->m;
    size_t each = (size_t)m->tokens * (size_t)m->unet.context;
    float *context = sd_plan_data(p, p->context);
    const char *texts[2] = { s->guided ? s->negative : s->prompt, s->prompt };
    for (int side = 0; side < (s->guided ? 2 : 1); side++) {
        const float *hidden;
        bt_status st = sd_cache_prompt(&k->j->cache, k->r, texts[side], s->skip, &hidden);
        if (st != BT_OK)
            return st;
        for (int i = 0; i < b; i++, context += each)
            memcpy(context, hidden, each * sizeof *hidden);
    }
    return BT_OK;
}

/* The network's answer for picture i, guided: none + cfg * (with - none). */
static const float *answer(const sd_work *k, sd_plan *p, int b, int i)
{
    float *out = sd_plan_data(p, p->out), *none = out + (size_t)i * k->n;
    if (!k->s.guided)
        return none;
    const float *with = out + (size_t)(b + i) * k->n;
    float cfg = (float)k->s.cfg;
    for (size_t j = 0; j < k->n; j++)
        none[j] += cfg * (with[j] - none[j]);
    return none;
}

/* What a sampler asks for; see sd_walk. */
static bt_status ask(void *host, const float *in, float t, float *out)
{
    sd_work *k = host;
    bt_status st;
    BT_TRY(fill_context(k, k->unet, k->b)); /* inputs may not outlive a run */
    fill_input(k, in, t);
    BT_TRY(sd_run_plan(k, k->unet, "unet"));
    for (int i = 0; i < k->b; i++)
        memcpy(out + (size_t)i * k->n, answer(k, k->unet, k->b, i), k->n * sizeof *out);
fail:
    return st;
}

/* Where the mask keeps the first picture, its latent as noisy as the rest. */
static void keep_unmasked(const sd_work *k, sd_making *pic, int step)
{
    size_t c = (size_t)pic->p.shape.c;
    float *was = pic->p.noise; /* free between steps */
    sd_sampler_mix(k->s.sampler, &k->s.grid, step, pic->x0, pic->start, was, k->n);
    for (size_t i = 0; i < k->n; i++)
        if (k->mask[i / c] == 0)
            pic->p.x[i] = was[i];
}

static bt_status all_steps(sd_work *k, sd_making *pics, sd_walk *w)
{
    bt_status st = BT_OK;
    for (k->step = k->s.first; k->step < k->s.grid.n; k->step++) {
        BT_TRY(k->r->progress(k->r->host, "denoise", k->done++, k->total));
        BT_TRY(sd_walk_step(w, k->step));
        for (int j = 0; k->mask && sd_walk_between(w, k->step) && j < w->b; j++)
            keep_unmasked(k, &pics[j], k->step + 1);
    }
fail:
    return st;
}

static sd_walk walk_of(sd_work *k, sd_making *pics, int b, float *block)
{
    sd_walk w = { .sampler = k->s.sampler,
                  .grid = &k->s.grid,
                  .config = &k->j->m->schedule,
                  .train = &k->j->m->train,
                  .eta = k->s.eta,
                  .b = b,
                  .n = (size_t)b * k->n,
                  .x = pics[0].p.x,
                  .noise = pics[0].p.noise,
                  .host = k,
                  .ask = ask };
    for (int i = 0; i < b; i++)
        w.p[i] = &pics[i].p;
    sd_walk_lay_out(&w, block);
    return w;
}

bt_status sd_run_denoise(sd_work *k, sd_making *pics, int b, float *block)
{
    const sd_setup *s = &k->s;
    double start = bt_now();
    sd_walk w = walk_of(k, pics, b, block);
    const float *unused;
    bt_status st;
    /* Encode first: the text encoder's plan may take the place of another. */
    BT_TRY(sd_cache_prompt(&k->j->cache, k->r, s->prompt, s->skip, &unused));
    if (s->guided)
        BT_TRY(sd_cache_prompt(&k->j->cache, k->r, s->negative, s->skip, &unused));
    sd_cache_rest(&k->j->cache, SD_CLIP);
    k->encode += bt_now() - start;
    start = bt_now();
    k->b = b;
    BT_TRY(sd_cache_ready_plan(&k->j->cache, SD_UNET, s->guided ? 2 * b : b, s->lh, s->lw, &k->unet,
                               k->r->error));
    BT_TRY(all_steps(k, pics, &w));
    sd_cache_rest(&k->j->cache, SD_UNET);
    k->denoise += bt_now() - start;
    return k->r->progress(k->r->host, "denoise", k->done, k->total);
fail:
    return st;
}
