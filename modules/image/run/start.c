/* SPDX-License-Identifier: MIT
 * What a picture starts from: noise, and the first picture's latent.
 */
#include <math.h>
#include <string.h>

#include "image/run/run.h"

bt_status sd_run_encode_init(sd_work *k)
{
    const sd_model *m = k->j->m;
    const sd_setup *s = &k->s;
    size_t bytes = (size_t)s->lw * (size_t)s->lh * 2 * (size_t)m->vae.latent * sizeof(float);
    size_t values = 3 * (size_t)s->w * (size_t)s->h;

    k->moments = bt_alloc(bytes);
    if (!k->moments)
        return sd_run_no_memory(k);
    float *in = bt_alloc(values * sizeof *in);
    if (!in)
        return sd_run_no_memory(k);
    memcpy(in, k->pixels, values * sizeof *in);
    bt_status st = BT_OK;
    if (s->repaints && s->fill != SD_ORIGINAL && !sd_mask_fill(in, k->pixel_mask, s->w, s->h))
        st = sd_run_no_memory(k);
    for (size_t i = 0; i < values; i++)
        in[i] = 2 * in[i] - 1;
    if (st == BT_OK)
        st = sd_run_encode(k, in, k->moments);
    bt_release(in);
    return st;
}

void sd_run_sample(const sd_work *k, const float *moments, float *noise)
{
    const sd_vae_config *v = sd_cache_vae(&k->j->cache, SD_ENCODER);
    const size_t c = (size_t)v->latent;
    for (size_t i = 0; i < k->n; i++) {
        const float *row = moments + i / c * 2 * c;
        float mean = row[i % c], logvar = row[i % c + c];
        float std = expf(0.5f * (logvar < -30 ? -30 : logvar > 20 ? 20 : logvar));
        noise[i] = v->scale * (mean + std * noise[i] - v->shift);
    }
}

static void draw_init(const sd_work *k, sd_making *pic)
{
    sd_latent *p = &pic->p;
    sd_noise_draw(&p->rng, p->shape, pic->x0, p->tmp);
    sd_run_sample(k, k->moments, pic->x0);
}

/* What the mask hides: no picture at all, but noise or nothing. */
static void hide(const sd_work *k, sd_making *pic)
{
    size_t c = (size_t)pic->p.shape.c;
    for (size_t i = 0; i < k->n; i++)
        if (k->mask[i / c] != 0)
            pic->x0[i] = k->s.fill == SD_LATENT_NOISE ? pic->start[i] : 0;
}

/* The first noise: the picture's own, or a blend of that with another's. */
static void draw_start(const sd_work *k, sd_making *pic)
{
    const sd_setup *s = &k->s;
    sd_latent *p = &pic->p;
    sd_noise other;
    sd_noise_draw(&p->rng, p->shape, pic->start, p->tmp);
    if (s->variation <= 0)
        return;
    sd_noise_seed(&other, s->philox, pic->variation_seed);
    sd_noise_draw(&other, p->shape, p->noise, p->tmp);
    sd_noise_blend(p->shape, s->variation, pic->start, p->noise);
}

/* The generator first gives the noise of the first picture's sample, if there is
 * one, then the starting noise, then (with a mask) that of a second sample, which
 * only inpainting models look at, then the steps': diffusers' order. With a mask
 * and all steps nothing of the picture is left in the start, as there; models that
 * are told the picture then do not even draw its sample. */
void sd_run_start(const sd_work *k, sd_making *pic, int i)
{
    const sd_setup *s = &k->s;
    sd_latent *p = &pic->p;
    pic->seed = sd_run_seed(s, i);
    const uint64_t place = pic->seed - s->seed;
    pic->variation_seed = s->variation_seed + (uint64_t)i;
    sd_noise_seed(&p->rng, s->philox, pic->seed);
    if (s->init && !(k->kept_moments && s->first == 0))
        draw_init(k, pic);
    draw_start(k, pic);
    if (k->mask || sd_inpaints(k->j->m))
        sd_noise_draw(&p->rng, p->shape, p->noise, p->tmp);
    if (k->kept_moments)
        sd_run_fill_kept(k, pic);
    if (k->mask && (s->fill == SD_LATENT_NOISE || s->fill == SD_LATENT_NOTHING))
        hide(k, pic);
    if (s->own_rng)
        sd_noise_seed(&p->rng, s->sampler_philox, s->path_seed + (uint64_t)s->ensd + place);
    p->path = sd_sampler_path(&s->grid, s->sampler_philox, s->path_seed + place);
    if (s->init && !(s->first == 0 && (k->mask || k->kept_moments)))
        sd_sampler_mix(s->sampler, &s->grid, s->first, pic->x0, pic->start, p->x, k->n);
    else
        for (size_t j = 0; j < k->n; j++)
            p->x[j] = pic->start[j] * s->grid.start;
}
