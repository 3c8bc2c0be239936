/* SPDX-License-Identifier: MIT
 * What a picture starts from: noise, and the first picture with its mask.
 */
#include <math.h>
#include <string.h>

#include "image/run/run.h"

static bt_status encode_init(sd_work *k)
{
    const sd_model *m = k->j->m;
    const sd_setup *s = &k->s;
    size_t bytes = (size_t)s->lw * (size_t)s->lh * 2 * (size_t)m->vae.latent * sizeof(float);
    size_t values = 3 * (size_t)s->w * (size_t)s->h;

    k->pixels = sd_picture_resize(s->init, s->w, s->h, 3);
    k->moments = bt_alloc(bytes);
    if (!k->pixels || !k->moments)
        return sd_run_no_memory(k);
    float *signed_pixels = bt_alloc(values * sizeof *signed_pixels);
    if (!signed_pixels)
        return sd_run_no_memory(k);
    for (size_t i = 0; i < values; i++)
        signed_pixels[i] = 2 * k->pixels[i] - 1;
    const bt_status st = sd_run_encode(k, signed_pixels, k->moments);
    bt_release(signed_pixels);
    return st;
}

/* White repaints. A latent row follows the mean of its pixels. */
static bt_status read_mask(sd_work *k)
{
    const sd_setup *s = &k->s;
    k->pixel_mask = sd_picture_resize(s->mask, s->w, s->h, 1);
    k->mask = sd_picture_resize(s->mask, s->lw, s->lh, 1);
    if (!k->pixel_mask || !k->mask)
        return sd_run_no_memory(k);
    for (size_t i = 0; i < (size_t)s->lw * (size_t)s->lh; i++)
        k->mask[i] = k->mask[i] >= 0.5f;
    return BT_OK;
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

bt_status sd_run_read_inputs(sd_work *k)
{
    bt_status st = k->s.init ? encode_init(k) : BT_OK;
    if (st == BT_OK && k->s.mask)
        st = read_mask(k);
    return st == BT_OK && k->j->m->unet.in > k->j->m->vae.latent ? sd_run_read_kept(k) : st;
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

/* Models that are told the picture begin with noise alone, if they do all steps. */
static bool starts_from_picture(const sd_work *k)
{
    return k->s.init && (!k->kept_moments || k->s.first > 0);
}

/* The generator first gives the noise of the first picture's sample, if there is
 * one, then the starting noise, then the steps': diffusers' order. With
 * variations all pictures of a batch have one seed, as in A1111. */
void sd_run_start(const sd_work *k, sd_making *pic, int i)
{
    const sd_setup *s = &k->s;
    sd_latent *p = &pic->p;
    uint64_t place = s->variation > 0 ? 0 : (uint64_t)i;
    pic->seed = s->seed + place;
    pic->variation_seed = s->variation_seed + (uint64_t)i;
    sd_noise_seed(&p->rng, s->philox, pic->seed);
    if (starts_from_picture(k))
        draw_init(k, pic);
    draw_start(k, pic);
    if (k->kept_moments)
        sd_run_draw_kept(k, pic);
    if (s->own_rng)
        sd_noise_seed(&p->rng, s->sampler_philox, s->sampler_seed + place);
    p->path = sd_sampler_path(&s->grid, s->sampler_philox, s->path_seed + place);
    if (starts_from_picture(k))
        sd_sampler_mix(s->sampler, &s->grid, s->first, pic->x0, pic->start, p->x, k->n);
    else
        for (size_t j = 0; j < k->n; j++)
            p->x[j] = pic->start[j] * s->grid.start;
}
