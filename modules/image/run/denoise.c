/* SPDX-License-Identifier: MIT
 * The steps: network, guidance, sampler.
 *
 * Guidance (Ho and Salimans 2022, arXiv 2207.12598) asks the UNet twice, with
 * the negative prompt and with the prompt, in one run of twice the batch; prompts
 * joined by AND (Liu et al. 2022, arXiv 2206.01714) once for each.
 */
#include <string.h>

#include "base/threads.h"
#include "image/run/run.h"

/* Rows of the batch: with the negative prompt for every picture, then with each prompt. */
static void fill_input(const sd_work *k, sd_plan *p, const sd_making *pics, int b, int step)
{
    const sd_setup *s = &k->s;
    float *in = sd_plan_data(p, p->in);
    for (int i = 0; i < b; i++)
        sd_sampler_input(s->sampler, &s->grid, step, pics[i].p.x, in + (size_t)i * k->n, k->n);
    for (int i = 1; i < sd_asked_rows(pics[0].asked); i++)
        memcpy(in + (size_t)(i * b) * k->n, in, (size_t)b * k->n * sizeof *in);
    sd_unet_time(&k->j->m->unet, s->grid.t[step], sd_plan_data(p, p->time));
    if (p->guide)
        sd_unet_guide(&k->j->m->unet, (float)s->cfg, sd_plan_data(p, p->guide));
}

/* The network's answer for picture i, guided: none + the sum of cfg * weight * (with - none). */
static const float *answer(const sd_work *k, sd_plan *p, const sd_making *pics, int b, int i)
{
    const sd_asked *a = pics[i].asked;
    float *out = sd_plan_data(p, p->out), *none = out + (size_t)i * k->n;
    if (a->first > 0)
        return none;
    float *sum = out + (size_t)(b + i) * k->n;
    for (int c = 1; c < a->n; c++) {
        const float *with = out + (size_t)(c * b + i) * k->n, *so_far = c == 1 ? none : sum;
        const float scale = (float)(k->s.cfg * a->cues[c].weight);
        for (size_t j = 0; j < k->n; j++)
            sum[j] = so_far[j] + scale * (with[j] - none[j]);
    }
    return sum;
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
    sd_step step = { &s->grid, &s->schedule, i, s->eta };
    bt_status st;
    BT_TRY(k->r->progress(k->r->host, "denoise", k->done++, k->total));
    sd_run_fill_context(k, p, pics, b); /* inputs may not outlive a run */
    fill_input(k, p, pics, b, i);
    BT_TRY(sd_run_plan(k, p, "unet"));
    k->call++;
    for (int j = 0; j < b; j++) {
        s->sampler->step(&step, &pics[j].p, answer(k, p, pics, b, j));
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
    const sd_asked *like = pics[0].asked;
    double start = bt_now();
    sd_plan *p;
    bt_status st;
    /* Encode first: the text encoder's plan may take the place of another. */
    BT_TRY(sd_run_read_texts(k, pics, b));
    sd_cache_rest(&k->j->cache, SD_CLIP);
    sd_cache_rest(&k->j->cache, SD_CLIP2);
    k->encode += bt_now() - start;
    start = bt_now();
    BT_TRY(sd_cache_unet(&k->j->cache, sd_asked_rows(like) * b, s->lh, s->lw, like->chunks, &p,
                         k->r->error));
    BT_TRY(sd_cache_ready(p, k->r->error));
    k->call = 0;
    for (int i = s->first; i < s->steps; i++)
        BT_TRY(one_step(k, p, pics, b, i));
    sd_cache_rest(&k->j->cache, SD_UNET);
    k->denoise += bt_now() - start;
    return k->r->progress(k->r->host, "denoise", k->done, k->total);
fail:
    return st;
}
