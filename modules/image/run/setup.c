/* SPDX-License-Identifier: MIT
 * Options become settings: size, sampler, time grid, seed.
 */
#include <math.h>

#include "image/run/run.h"

/* What was asked for, else the first picture's side (rounded down to what the
 * model can make), else the model's own. */
static int fit(int64_t asked, int of_init, int of_model, int factor)
{
    if (asked != BT_INT_UNSET)
        return (int)asked;
    if (of_init)
        return of_init < factor ? factor : of_init / factor * factor;
    return of_model;
}

static bt_status set_size(const sd_model *m, const sd_options *o, sd_setup *s, bt_error *err)
{
    int f = m->vae.factor;
    s->w = fit(o->width, s->init ? s->init->width : 0, m->unet.sample_w * f, f);
    s->h = fit(o->height, s->init ? s->init->height : 0, m->unet.sample_h * f, f);
    if (s->w % f || s->h % f || s->w < f || s->h < f)
        return bt_fail(err, BT_EINVAL,
                       "size %dx%d: width and height must be multiples of %d with "
                       "this model",
                       s->w, s->h, f);
    s->lw = s->w / f;
    s->lh = s->h / f;
    return BT_OK;
}

/* A scheduler that is asked for by its own name outweighs the sampler's. */
static bt_status set_sampler(const sd_model *m, const sd_options *o, sd_setup *s, bt_error *err)
{
    sd_grid_kind kind = SD_GRID_MODEL;
    s->sampler = o->sampler ? sd_sampler_chosen(o->sampler, &kind) : sd_sampler_of(&m->schedule);
    s->kind = o->scheduler ? (sd_grid_kind)o->scheduler : kind;
    s->eta = s->sampler->eta;
    if (!isnan(o->eta) && (s->eta > 0 || s->sampler->rules.family == SD_DDIM))
        s->eta = o->eta;
    bool xl = m->unet.context >= 1280; /* SDXL and its refiner */
    return sd_grid_create(&s->schedule, &m->train, &s->sampler->rules, s->kind, s->steps, xl,
                          &s->grid, err);
}

/* Where in the grid a first picture comes in. */
static bt_status set_start(const sd_model *m, sd_setup *s, bt_error *err)
{
    if (s->mask && !s->init)
        return bt_fail(err, BT_EINVAL, "a mask needs a picture to start from");
    if (!s->init && sd_edits(m))
        return bt_fail(err, BT_EINVAL, "this model changes a picture: it needs one to start from");
    if (s->init && !sd_edits(m))
        s->first = sd_grid_first(&s->grid, s->sampler->rules.family, s->strength);
    if (s->first >= s->grid.n)
        return bt_fail(err, BT_EINVAL, "strength %g leaves none of %d steps", s->strength,
                       s->steps);
    return s->sampler->restarts ? sd_grid_restart(&s->grid, s->first, err) : BT_OK;
}

/* The steps' noise goes on with the picture's generator unless something says
 * otherwise (rng of their own, seed of their own, A1111's ENSD). */
static bt_status set_seeds(const sd_options *o, sd_setup *s, bt_error *err)
{
    bt_status st = bt_seed_choose(o->seed, &s->seed, err);
    if (st == BT_OK)
        st = bt_seed_choose(o->variation_seed, &s->variation_seed, err);
    s->variation = o->variation;
    s->philox = o->rng;
    s->sampler_philox = o->sampler_rng ? o->sampler_rng - 1 : o->rng;
    s->path_seed = o->sampler_seed == BT_INT_UNSET ? s->seed : (uint64_t)o->sampler_seed;
    s->sampler_seed = s->path_seed + (uint64_t)o->ensd;
    s->ensd = o->ensd;
    s->own_rng = o->sampler_rng || o->sampler_seed != BT_INT_UNSET || o->ensd;
    return st;
}

/* Tiles of less than SD_LEAST_TILE latents are mostly edges. */
static void set_tile(const sd_model *m, const sd_options *o, sd_setup *s)
{
    const int tile = (int)o->vae_tile / m->vae.factor;
    s->tile = o->vae_tile == 0 ? 0 : tile > SD_LEAST_TILE ? tile : SD_LEAST_TILE;
}

bt_status sd_run_setup(const sd_model *m, const sd_options *o, const bt_image *init,
                       const bt_image *mask, sd_setup *s, bt_error *err)
{
    *s = (sd_setup){ .init = init,
                     .mask = mask,
                     .prompt = o->prompt,
                     .negative = o->negative,
                     .wildcards = o->wildcards ? o->wildcards : "",
                     .plain = o->plain,
                     .group = SD_GROUP };
    s->steps = o->steps == BT_INT_UNSET ? sd_default_steps(m) : (int)o->steps;
    s->cfg = isnan(o->cfg) ? sd_default_guidance(m) : o->cfg;
    s->guided = s->cfg > 1 && !m->unet.guide_dim;
    s->image_cfg = o->image_cfg;
    s->batch = (int)o->batch;
    s->skip = (int)o->clip_skip - 1;
    s->strength = o->strength;
    set_tile(m, o, s);
    s->schedule = m->schedule;
    if (o->prediction)
        s->schedule.prediction = (sd_prediction)(o->prediction - 1);
    if (s->skip >= m->clip.layers)
        return bt_fail(err, BT_EINVAL, "clip_skip: the text encoder has %d layers", m->clip.layers);
    bt_status st = set_seeds(o, s, err);
    if (st == BT_OK)
        st = set_size(m, o, s, err);
    if (st == BT_OK)
        st = set_sampler(m, o, s, err);
    return st == BT_OK ? set_start(m, s, err) : st;
}
