/* SPDX-License-Identifier: MIT
 * Options become settings: size, sampler, time grid, seed.
 */
#include <math.h>
#include <stdio.h>

#include "image/run/run.h"

enum { SD_MAX_MARGIN = 4096 };

/* What was asked for, else the first picture's side, else the model's own; rounded
 * down to what the model can make. */
static int fit(int64_t asked, int of_init, int of_model, int factor)
{
    const int side = asked != BT_INT_UNSET ? (int)asked : of_init ? of_init : of_model;
    return side < factor ? factor : side / factor * factor;
}

static bt_status set_size(const sd_model *m, const sd_options *o, sd_setup *s, bt_error *err)
{
    const int f = m->vae.factor;
    const sd_margins *a = &s->margins;
    const bool as_init = s->init && s->whole;
    s->w =
        fit(o->width, as_init ? s->init->width + a->left + a->right : 0, m->unet.sample_w * f, f);
    s->h =
        fit(o->height, as_init ? s->init->height + a->top + a->bottom : 0, m->unet.sample_h * f, f);
    s->lw = s->w / f;
    s->lh = s->h / f;
    if (s->w > SD_MAX_SIDE || s->h > SD_MAX_SIDE)
        return bt_fail(err, BT_EINVAL, "a picture of %dx%d is too large: at most %d a side", s->w,
                       s->h, SD_MAX_SIDE);
    return BT_OK;
}

/* ---- repainting ------------------------------------------------------------ */

/* The picture that was there shall stay as it is: the margin takes what its side
 * lacks to what the model can make. */
static void round_up(int side, int *first, int *second, int factor)
{
    const int lacks = (factor - (side + *first + *second) % factor) % factor;
    if (*second)
        *second += lacks;
    else if (*first)
        *first += lacks;
}

static bt_status read_margins(const char *text, sd_margins *m, bt_error *err)
{
    int v[4], n = 0, end = 0;
    const char *p = text;
    for (; n < 4 && sscanf(p, "%5d%n", &v[n], &end) == 1 && v[n] >= 0 && v[n] <= SD_MAX_MARGIN;
         n++) {
        p += end;
        if (*p != ',')
            break;
        p++;
    }
    n += n < 4 && !*p;
    if (*p || (n != 1 && n != 4))
        return bt_fail(err, BT_EINVAL,
                       "outpaint: \"%.40s\" is not left,right,top,bottom or one number, 0..%d",
                       text, SD_MAX_MARGIN);
    *m = n == 1 ? (sd_margins){ v[0], v[0], v[0], v[0] } : (sd_margins){ v[0], v[1], v[2], v[3] };
    return BT_OK;
}

static bt_status set_repaint(const sd_model *m, const sd_options *o, sd_setup *s, bt_error *err)
{
    const bool out = *o->outpaint;
    s->repaints = s->mask || out;
    s->whole = out || !o->inpaint_area || !s->repaints;
    s->invert = o->mask_invert;
    s->blur = o->mask_blur;
    s->padding = (int)o->inpaint_padding;
    s->fill = o->inpaint_fill >= 0 ? (sd_fill)o->inpaint_fill : out ? SD_AROUND : SD_ORIGINAL;
    if (s->repaints && !s->init)
        return bt_fail(err, BT_EINVAL, "%s needs a picture to start from",
                       out ? "outpaint" : "a mask");
    if (!out)
        return BT_OK;
    const bt_status st = read_margins(o->outpaint, &s->margins, err);
    if (st != BT_OK)
        return st;
    round_up(s->init->width, &s->margins.left, &s->margins.right, m->vae.factor);
    round_up(s->init->height, &s->margins.top, &s->margins.bottom, m->vae.factor);
    return BT_OK;
}

static bt_status set_hires(const sd_model *m, const sd_options *o, sd_setup *s, bt_error *err)
{
    s->hires_scale = o->hires_scale;
    s->hires_steps = (int)o->hires_steps;
    s->hires_upscaler = o->hires_upscaler;
    if (s->hires_scale <= 1)
        return BT_OK;
    s->strength = o->hires_strength;
    if (m->unet.in != m->vae.latent)
        return bt_fail(err, BT_EUNSUPPORTED,
                       "hires_scale is not for models that are told a picture");
    return s->init ? bt_fail(err, BT_EINVAL, "hires_scale is for pictures made from text alone")
                   : BT_OK;
}

/* ---- steps and seeds -------------------------------------------------------- */

bt_status sd_run_grid(const sd_model *m, sd_setup *s, bt_error *err)
{
    bool xl = m->unet.context >= 1280; /* SDXL and its refiner */
    return sd_grid_create(&s->schedule, &m->train, &s->sampler->rules, s->kind, s->steps, xl,
                          &s->grid, err);
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
    return sd_run_grid(m, s, err);
}

/* Where in the grid a first picture comes in. */
static bt_status set_start(const sd_model *m, sd_setup *s, bt_error *err)
{
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
                     .model_hash = o->model_hash,
                     .wildcards = o->wildcards ? o->wildcards : "",
                     .lora = o->lora ? o->lora : "",
                     .lora_dir = o->lora_dir ? o->lora_dir : "",
                     .plain = o->plain,
                     .group = SD_GROUP };
    bt_status st;
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
    BT_TRY(set_seeds(o, s, err));
    BT_TRY(sd_control_list_read(o->control ? o->control : "",
                                o->control_preprocess ? o->control_preprocess : "", &s->controls,
                                err));
    BT_TRY(set_hires(m, o, s, err));
    BT_TRY(set_repaint(m, o, s, err));
    BT_TRY(set_size(m, o, s, err));
    BT_TRY(set_sampler(m, o, s, err));
    s->turns = sd_run_turns(s, s->steps);
    return set_start(m, s, err);
fail:
    return st;
}
