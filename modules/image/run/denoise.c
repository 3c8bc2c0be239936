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
static void fill_input(const sd_work *k, sd_plan *p, const sd_making *pics, int b, int step)
{
    const sd_setup *s = &k->s;
    float *in = sd_plan_data(p, p->in);
    for (int i = 0; i < b; i++)
        sd_sampler_input(s->sampler, &s->grid, step, pics[i].p.x, in + (size_t)i * k->n, k->n);
    if (s->guided)
        memcpy(in + (size_t)b * k->n, in, (size_t)b * k->n * sizeof *in);
    sd_unet_time(&k->j->m->unet, s->grid.t[step], sd_plan_data(p, p->time));
    if (p->guide)
        sd_unet_guide(&k->j->m->unet, (float)s->cfg, sd_plan_data(p, p->guide));
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
        const bool none =
            side == 0 && s->guided && m->pooled && m->pipeline.zero_empty && !*texts[0];
        for (int i = 0; i < b; i++, context += each)
            if (none)
                memset(context, 0, each * sizeof *hidden);
            else
                memcpy(context, hidden, each * sizeof *hidden);
        if (p->added)
            sd_run_fill_added(k, p, b, side, none ? NULL : hidden + each);
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

/* Where the mask keeps the first picture, its latent as noisy as the rest. */
static void keep_unmasked(const sd_work *k, sd_making *pic, int step)
{
    size_t c = (size_t)pic->p.c;
    float *was = pic->p.noise; /* free between steps */
    sd_sampler_mix(k->s.sampler, &k->s.grid, step, pic->x0, pic->start, was, k->n);
    for (size_t i = 0; i < k->n; i++)
        if (k->mask[i / c] == 0)
            pic->p.x[i] = was[i];
}

static bt_status one_step(sd_work *k, sd_plan *p, sd_making *pics, int b, int i)
{
    const sd_setup *s = &k->s;
    sd_step step = { &s->grid, &k->j->m->schedule, i, s->eta };
    bt_status st;
    BT_TRY(k->r->progress(k->r->host, "denoise", k->done++, k->total));
    BT_TRY(fill_context(k, p, b)); /* inputs may not outlive a run */
    fill_input(k, p, pics, b, i);
    BT_TRY(sd_run_plan(k, p, "unet"));
    for (int j = 0; j < b; j++) {
        s->sampler->step(&step, &pics[j].p, answer(k, p, b, j));
        pics[j].p.done++;
        if (k->mask)
            keep_unmasked(k, &pics[j], i + 1);
    }
    return BT_OK;
fail:
    return st;
}

bt_status sd_run_denoise(sd_work *k, sd_making *pics, int b)
{
    const sd_setup *s = &k->s;
    double start = bt_now();
    sd_plan *p;
    const float *unused;
    bt_status st;
    /* Encode first: the text encoder's plan may take the place of another. */
    BT_TRY(sd_cache_prompt(&k->j->cache, k->r, s->prompt, s->skip, &unused));
    if (s->guided)
        BT_TRY(sd_cache_prompt(&k->j->cache, k->r, s->negative, s->skip, &unused));
    sd_cache_rest(&k->j->cache, SD_CLIP);
    sd_cache_rest(&k->j->cache, SD_CLIP2);
    k->encode += bt_now() - start;
    start = bt_now();
    BT_TRY(sd_cache_ready_plan(&k->j->cache, SD_UNET, s->guided ? 2 * b : b, s->lh, s->lw, &p,
                               k->r->error));
    for (int i = s->first; i < s->steps; i++)
        BT_TRY(one_step(k, p, pics, b, i));
    sd_cache_rest(&k->j->cache, SD_UNET);
    k->denoise += bt_now() - start;
    return k->r->progress(k->r->host, "denoise", k->done, k->total);
fail:
    return st;
}
