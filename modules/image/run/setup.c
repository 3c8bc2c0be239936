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

static void set_size(const sd_model *m, const sd_options *o, sd_setup *s)
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

static bt_status set_hires(const sd_options *o, sd_setup *s, bt_error *err)
{
    s->hires_scale = o->hires_scale;
    s->hires_steps = (int)o->hires_steps;
    s->hires_upscaler = o->hires_upscaler;
    if (s->hires_scale <= 1)
        return BT_OK;
    s->strength = o->hires_strength;
    return s->init ? bt_fail(err, BT_EINVAL, "hires_scale is for pictures made from text alone")
                   : BT_OK;
}

/* As diffusers' img2img: of n steps only the last int(n * strength) are done. */
static bt_status set_start(sd_setup *s, bt_error *err)
{
    if (!s->init)
        return BT_OK;
    s->first = s->steps - (int)(s->steps * s->strength);
    if (s->first >= s->steps)
        return bt_fail(err, BT_EINVAL, "strength %g leaves none of %d steps", s->strength,
                       s->steps);
    return BT_OK;
}

/* A scheduler that is asked for by its own name outweighs the sampler's. */
static void set_sampler(const sd_model *m, const sd_options *o, sd_setup *s)
{
    bool karras = false;
    s->sampler =
        o->sampler ? sd_sampler_chosen(o->sampler, &karras) : sd_sampler_of(m->schedule.class_name);
    s->eta = s->sampler->family == SD_DDIM ? o->eta : 0;
    s->kind = (sd_grid_kind)o->scheduler;
    if (karras && s->kind == SD_GRID_MODEL)
        s->kind = SD_GRID_KARRAS;
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
                     .model_hash = o->model_hash,
                     .group = SD_GROUP };
    s->steps = o->steps == BT_INT_UNSET ? SD_DEFAULT_STEPS : (int)o->steps;
    s->turns = s->steps;
    s->cfg = isnan(o->cfg) ? sd_default_guidance(m) : o->cfg;
    s->guided = s->cfg > 1 && !m->unet.guide_dim;
    s->batch = (int)o->batch;
    s->skip = (int)o->clip_skip - 1;
    s->strength = o->strength;
    s->philox = o->rng;
    set_tile(m, o, s);
    set_sampler(m, o, s);
    if (s->skip >= m->clip.layers)
        return bt_fail(err, BT_EINVAL, "clip_skip: the text encoder has %d layers", m->clip.layers);
    bt_status st = bt_seed_choose(o->seed, &s->seed, err);
    if (st == BT_OK)
        st = set_hires(o, s, err);
    if (st == BT_OK)
        st = set_repaint(m, o, s, err);
    if (st == BT_OK)
        st = set_start(s, err);
    if (st != BT_OK)
        return st;
    set_size(m, o, s);
    return sd_grid_create(&m->schedule, &m->train, s->sampler->family, s->kind, s->steps, &s->grid,
                          err);
}
