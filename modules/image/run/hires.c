/* SPDX-License-Identifier: MIT
 * The second pass of A1111's "hires fix": a picture made at the size that the model
 * knows is enlarged, made noisy again, and finished at the larger size.
 */
#include <string.h>

#include "image/run/run.h"

static const char *const labels[] = { "Latent", "Latent (nearest-exact)", "Lanczos", "Nearest" };
static const sd_filter filters[] = { SD_TRIANGLE, SD_NEAREST, SD_LANCZOS, SD_NEAREST };

const char *sd_hires_label(const sd_setup *s) { return labels[s->hires_upscaler]; }

/* Of `asked` steps all are done, at the end of a grid of asked / strength. */
bt_status sd_run_setup_hires(const sd_model *m, const sd_setup *base, sd_setup *s, bt_error *err)
{
    const int f = m->vae.factor, asked = base->hires_steps ? base->hires_steps : base->steps;
    const double strength = base->strength < 0.999 ? base->strength : 0.999;
    *s = *base;
    s->grid = (sd_grid){ 0 };
    s->w = (int)(base->w * base->hires_scale) / f * f;
    s->h = (int)(base->h * base->hires_scale) / f * f;
    s->lw = s->w / f;
    s->lh = s->h / f;
    s->steps = (int)(asked / strength);
    if (s->w > SD_MAX_SIDE || s->h > SD_MAX_SIDE)
        return bt_fail(err, BT_EINVAL, "hires_scale: a picture of %dx%d is too large", s->w, s->h);
    const bt_status st = sd_run_grid(m, s, err);
    if (st != BT_OK)
        return st;
    s->turns = sd_run_turns(s, asked);
    s->turns_before = base->turns;
    /* A1111 counts the steps after the first */
    const int rest = asked - (s->grid.kind != SD_GRID_MODEL);
    s->first = sd_grid_first(&s->grid, s->sampler->rules.family, (rest + 1e-3) / s->steps);
    s->first = s->first < s->grid.n ? s->first : s->grid.n - 1;
    return s->sampler->restarts ? sd_grid_restart(&s->grid, s->first, err) : BT_OK;
}

/* The first pass's picture, 0..1. */
static bt_status decode(sd_work *k, const sd_making *pic, float *pixels)
{
    float *latent = pic->p.tmp;
    memcpy(latent, pic->p.x, k->n * sizeof *latent);
    const bt_status st = sd_run_decode(k, SD_DECODER, latent, pixels);
    for (size_t i = 0; st == BT_OK && i < 3 * (size_t)k->s.w * (size_t)k->s.h; i++) {
        const float x = pixels[i] / 2 + 0.5f;
        pixels[i] = x > 0 ? x < 1 ? x : 1 : 0;
    }
    return st;
}

/* The same enlarged, and encoded. */
static bt_status enlarge_pixels(sd_work *k, sd_work *big, const sd_making *pic)
{
    const sd_setup *s = &k->s;
    float *x = bt_calloc((size_t)s->w * (size_t)s->h, 3 * sizeof *x);
    bt_status st = x ? decode(k, pic, x) : sd_run_no_memory(k);
    if (st == BT_OK)
        big->pixels =
            sd_picture_scale(x, s->w, s->h, big->s.w, big->s.h, 3, filters[s->hires_upscaler]);
    bt_release(x);
    if (st == BT_OK)
        st = big->pixels ? sd_run_encode_init(big) : sd_run_no_memory(big);
    return st;
}

/* to->x0: the mean of what the encoder says, so that no noise is drawn. */
static bt_status through_pixels(sd_work *k, sd_work *big, const sd_making *pic, sd_making *to)
{
    const sd_vae_config *v = sd_cache_vae(&k->j->cache, SD_ENCODER);
    const size_t c = (size_t)v->latent;
    const bt_status st = enlarge_pixels(k, big, pic);
    for (size_t i = 0; st == BT_OK && i < big->n; i++)
        to->x0[i] = v->scale * (big->moments[i / c * 2 * c + i % c] - v->shift);
    bt_release(big->pixels);
    bt_release(big->moments);
    big->pixels = big->moments = NULL;
    return st;
}

static bt_status through_latent(const sd_work *k, const sd_work *big, const sd_making *pic,
                                sd_making *to)
{
    float *x = sd_picture_scale(pic->p.x, k->s.lw, k->s.lh, big->s.lw, big->s.lh, pic->p.shape.c,
                                filters[k->s.hires_upscaler]);
    if (!x)
        return sd_run_no_memory(big);
    memcpy(to->x0, x, big->n * sizeof *x);
    bt_release(x);
    return BT_OK;
}

bt_status sd_run_hires(sd_work *k, const sd_making *pics, sd_work *big, sd_making *to, int from,
                       int b)
{
    bt_status st = BT_OK;
    for (int i = 0; i < b; i++) {
        sd_run_start(big, &to[i], from + i);
        st = sd_hires_by_latent(&k->s) ? through_latent(k, big, &pics[i], &to[i])
                                       : through_pixels(k, big, &pics[i], &to[i]);
        if (st != BT_OK)
            return st;
        sd_sampler_mix(big->s.sampler, &big->s.grid, big->s.first, to[i].x0, to[i].start, to[i].p.x,
                       big->n);
    }
    return st;
}
