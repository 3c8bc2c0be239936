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

/* One picture of the batch: its latent, and what some models are told besides; blind: not. */
static void fill_picture(const sd_work *k, int i, bool blind, const float *x, float *in)
{
    const size_t c = (size_t)k->j->m->vae.latent, more = (size_t)k->j->m->unet.in - c;
    in += (size_t)i * (k->n / c) * (c + more);
    for (size_t r = 0; r < k->n / c; r++, in += c + more) {
        memcpy(in, x + r * c, c * sizeof *in);
        if (blind)
            memset(in + c, 0, more * sizeof *in);
        else if (more)
            memcpy(in + c, k->pics[i].kept + r * more, more * sizeof *in);
    }
}

/* Rows of the batch: with the negative prompt for every picture, then with each prompt; then,
 * for models that change a picture, with the negative prompt and without that picture. */
static void fill_input(const sd_work *k, const float *x, float t)
{
    const sd_model *m = k->j->m;
    const size_t n = (size_t)k->b * k->n * (size_t)m->unet.in / (size_t)m->vae.latent;
    float *in = sd_plan_data(k->unet, k->unet->in);
    const sd_asked *a = k->pics[0].asked;
    const int rows = sd_asked_rows(a) - a->blind;
    for (int i = 0; i < k->b; i++)
        fill_picture(k, i, false, x + (size_t)i * k->n, in);
    for (int i = 1; i < rows; i++)
        memcpy(in + (size_t)i * n, in, n * sizeof *in);
    for (int i = 0; i < k->b && a->blind; i++)
        fill_picture(k, i, true, x + (size_t)i * k->n, in + (size_t)rows * n);
    sd_unet_time(&k->j->m->unet, t, sd_plan_data(k->unet, k->unet->time));
    if (k->unet->guide)
        sd_unet_guide(&k->j->m->unet, (float)k->s.cfg, sd_plan_data(k->unet, k->unet->guide));
}

/* The network's answer for picture i, guided: none + the sum of cfg * weight * (with - none). */
static const float *answer(const sd_work *k, int i)
{
    const sd_asked *a = k->pics[i].asked;
    const int b = k->b;
    float *out = sd_plan_data(k->unet, k->unet->out), *none = out + (size_t)i * k->n;
    if (a->first > 0)
        return none;
    float *sum = out + (size_t)(b + i) * k->n;
    for (int c = 1; c < a->n; c++) {
        const float *with = out + (size_t)(c * b + i) * k->n, *so_far = c == 1 ? none : sum;
        const float scale = (float)(k->s.cfg * a->cues[c].weight);
        for (size_t j = 0; j < k->n; j++)
            sum[j] = so_far[j] + scale * (with[j] - none[j]);
    }
    if (a->blind) { /* Brooks et al. 2022, arXiv 2211.09800: a second guidance, by the picture */
        const float *blind = out + (size_t)(a->n * b + i) * k->n;
        const float scale = (float)(k->s.image_cfg - 1);
        for (size_t j = 0; j < k->n; j++)
            sum[j] += scale * (none[j] - blind[j]);
    }
    return sum;
}

/* What a sampler asks for; see sd_walk. */
static bt_status ask(void *host, const float *in, float t, float *out)
{
    sd_work *k = host;
    bt_status st;
    sd_run_fill_context(k, k->unet, k->pics, k->b); /* inputs may not outlive a run */
    fill_input(k, in, t);
    BT_TRY(sd_run_steer(k, t));
    BT_TRY(sd_run_plan(k, k->unet, "unet"));
    k->call++;
    for (int i = 0; i < k->b; i++)
        memcpy(out + (size_t)i * k->n, answer(k, i), k->n * sizeof *out);
    if (k->seen)
        sd_run_foresee(k, in, t, out);
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

/* What all pictures of the group will be, if somebody asks and it is time. */
static bt_status show(const sd_work *k, const sd_walk *w, int from)
{
    const bt_run *r = k->r;
    const int taken = k->step + 1 - k->s.first;
    bt_status st = BT_OK;
    if (!k->seen || taken % r->preview_interval != 0 || k->step + 1 == k->s.grid.n)
        return BT_OK;
    for (int i = 0; i < w->b && st == BT_OK; i++)
        st = sd_run_preview(k, k->seen + (size_t)i * k->n, from + i);
    return st;
}

static bt_status all_steps(sd_work *k, sd_walk *w, int from)
{
    bt_status st = BT_OK;
    for (k->step = k->s.first; k->step < k->s.grid.n; k->step++) {
        BT_TRY(k->r->progress(k->r->host, "denoise", k->done++, k->total));
        BT_TRY(sd_walk_step(w, k->step));
        BT_TRY(show(k, w, from));
        for (int j = 0; k->mask && !k->kept_moments && sd_walk_between(w, k->step) && j < w->b; j++)
            keep_unmasked(k, &k->pics[j], k->step + 1);
    }
fail:
    return st;
}

static sd_walk walk_of(sd_work *k, sd_making *pics, int b, float *block)
{
    sd_walk w = { .sampler = k->s.sampler,
                  .grid = &k->s.grid,
                  .config = &k->s.schedule,
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

bt_status sd_run_denoise(sd_work *k, sd_making *pics, int b, int from, float *block)
{
    const sd_setup *s = &k->s;
    const sd_asked *like = pics[0].asked;
    double start = bt_now();
    sd_walk w = walk_of(k, pics, b, block);
    bt_status st;
    /* Encode first: the text encoder's plan may take the place of another. */
    BT_TRY(sd_run_read_texts(k, pics, b));
    sd_cache_rest(&k->j->cache, SD_CLIP);
    sd_cache_rest(&k->j->cache, SD_CLIP2);
    k->encode += bt_now() - start;
    start = bt_now();
    k->b = b;
    k->pics = pics;
    if (k->r->preview && !(k->seen = bt_calloc((size_t)b * k->n, sizeof *k->seen)))
        return sd_run_no_memory(k);
    const int rows = sd_asked_rows(like) * b;
    BT_TRY(sd_run_begin_steering(k, rows, like->chunks));
    BT_TRY(sd_cache_unet(&k->j->cache, rows, s->lh, s->lw, like->chunks, &k->unet, k->r->error));
    BT_TRY(sd_cache_ready(k->unet, k->r->error));
    k->call = 0;
    BT_TRY(all_steps(k, &w, from));
    sd_cache_rest(&k->j->cache, SD_UNET);
    k->denoise += bt_now() - start;
    st = k->r->progress(k->r->host, "denoise", k->done, k->total);
fail:
    sd_run_end_steering(k);
    bt_release(k->seen);
    k->seen = NULL;
    return st;
}
