/* SPDX-License-Identifier: MIT
 * What a run takes, and how it takes less.
 */
#include "image/run/run.h"

/* Bytes of the weights that are in memory while a part runs. Those of the UNet and of what steers
 * it stay for the next picture, unless all are spared and only a step's are there; without a cache
 * of packed weights nothing can be let go. */
static uint64_t weights_of(const bt_module_job *j, const sd_setup *s,
                           sd_plan *const plans[SD_PARTS], sd_part part, uint64_t steering)
{
    const bool unet_was =
        part == SD_DECODER || part == SD_PREVIEW || (part == SD_ENCODER && s->hires_scale > 1);
    const bool unet_there = part == SD_UNET || unet_was || !j->m->compute->cache_dir;
    const uint64_t widest = bt_plan_widest(plans[part]->plan);
    uint64_t sum = unet_there ? steering : 0;
    if (s->spare)
        return part == SD_UNET && steering > widest ? steering : widest;
    for (int i = 0; i < SD_PARTS; i++)
        if (plans[i] && (i == (int)part || !j->m->compute->cache_dir || (i == SD_UNET && unet_was)))
            sum += bt_plan_weights(plans[i]->plan);
    return sum;
}

static bool encodes(const sd_model *m, const sd_setup *s)
{
    return s->init || m->unet.in > m->vae.latent || (s->hires_scale > 1 && !sd_hires_by_latent(s));
}

/* Of b pictures: pixels as floats, shares of tiles and bytes; a first picture and a mask; what
 * the UNet is told of them; latents. */
static uint64_t values_of(const sd_model *m, const sd_setup *s, int b)
{
    const uint64_t pixels = (uint64_t)s->w * (uint64_t)s->h;
    const uint64_t rows = (uint64_t)s->lw * (uint64_t)s->lh, c = (uint64_t)m->vae.latent;
    const uint64_t told = (uint64_t)m->unet.in - c, moments = 2 * c;
    const uint64_t tiled = sd_run_piece(s, s->lh) < s->lh || sd_run_piece(s, s->lw) < s->lw;
    const uint64_t of_pixel = 3 + tiled + (s->init || sd_edits(m) ? 3 : 0) + s->repaints;
    const uint64_t of_row = (uint64_t)b * told + (s->init ? moments : 0) + (told ? moments : 0);
    return pixels * (of_pixel * sizeof(float) + 3) + rows * (of_row + s->repaints) * sizeof(float) +
           sd_run_walk_bytes(s, m->vae.latent, b);
}

static uint64_t arena_of(sd_plan *const plans[SD_PARTS], sd_part part, const sd_steering_need *n)
{
    const uint64_t own = bt_plan_arena(plans[part]->plan);
    if (part != SD_UNET)
        return own;
    return n->hints + (own + n->arena > n->reading ? own + n->arena : n->reading);
}

static double flops_of(const sd_setup *s, const sd_asked *a, sd_plan *const plans[SD_PARTS],
                       int group, double steering, double tile)
{
    const double second = plans[SD_CLIP2] ? bt_plan_flops(plans[SD_CLIP2]->plan) : 0;
    return (double)a->encoded * (bt_plan_flops(plans[SD_CLIP]->plan) + second) +
           (bt_plan_flops(plans[SD_UNET]->plan) + steering) / group * s->batch *
               sd_sampler_asks(s->sampler, &s->grid, s->first) +
           bt_plan_flops(plans[SD_DECODER]->plan) * s->batch * (double)s->lh * s->lw / tile;
}

/* That of a preview's decoder, if it is another than the picture's; else *out stays. */
static bt_status preview_plan(sd_cache *c, const sd_setup *s, sd_plan **out, bt_error *err)
{
    int w = s->lw, h = s->lh;
    if (sd_run_preview_size(c, &w, &h) != SD_PREVIEW)
        return BT_OK;
    return sd_cache_plan(c, SD_PREVIEW, 1, sd_run_piece(s, h), sd_run_piece(s, w), out, err);
}

bt_status sd_run_need(bt_module_job *j, const sd_setup *s, const sd_asked *a, bt_estimate *out,
                      bt_error *err)
{
    const sd_model *m = j->m;
    const int most = sd_run_group(s, a), b = s->batch < most ? s->batch : most;
    const int h = sd_run_piece(s, s->lh), w = sd_run_piece(s, s->lw);
    sd_plan *plans[SD_PARTS] = { NULL };
    sd_steering_need steering;
    bt_status st;
    BT_TRY(sd_cache_plan(&j->cache, SD_CLIP, s->skip, 0, 0, &plans[SD_CLIP], err));
    if (m->clip2.layers)
        BT_TRY(sd_cache_plan(&j->cache, SD_CLIP2, s->skip, 0, 0, &plans[SD_CLIP2], err));
    BT_TRY(sd_cache_unet(&j->cache, sd_asked_rows(a) * b, s->lh, s->lw, a->chunks, &plans[SD_UNET],
                         err));
    BT_TRY(sd_cache_plan(&j->cache, SD_DECODER, 1, h, w, &plans[SD_DECODER], err));
    if (encodes(m, s))
        BT_TRY(sd_cache_plan(&j->cache, SD_ENCODER, 1, h, w, &plans[SD_ENCODER], err));
    BT_TRY(preview_plan(&j->cache, s, &plans[SD_PREVIEW], err));
    BT_TRY(sd_run_steering_need(j, s, sd_asked_rows(a) * b, a->chunks, &steering, err));
    out->weights = out->arena = 0;
    for (int i = 0; i < SD_PARTS; i++) { /* they take turns */
        const uint64_t weights = plans[i] ? weights_of(j, s, plans, i, steering.weights) : 0;
        const uint64_t arena = plans[i] ? arena_of(plans, i, &steering) : 0;
        if (weights + arena > out->weights + out->arena) {
            out->weights = weights;
            out->arena = arena;
        }
    }
    out->caches = a->encoded * (uint64_t)m->tokens * (uint64_t)m->unet.context * sizeof(float) +
                  values_of(m, s, b);
    out->flops = flops_of(s, a, plans, b, steering.flops, (double)h * w);
fail:
    return st;
}

static bt_status fits(bt_module_job *j, const sd_setup *s, const sd_asked *a, bool *yes,
                      bt_error *err)
{
    bt_estimate need = { 0 };
    const uint64_t budget = j->m->compute->memory;
    const bt_status st = budget ? sd_run_need(j, s, a, &need, err) : BT_OK;
    *yes = need.weights + need.arena + need.caches <= budget;
    return st;
}

/* First what changes no pixel: fewer pictures at once, then weights. Tiles come last, the largest
 * that will do. */
bt_status sd_run_economize(bt_module_job *j, sd_setup *s, const sd_asked *a, bt_error *err)
{
    static const int tiles[] = { 64, 48, 32, 24, SD_LEAST_TILE };
    bool yes;
    bt_status st = fits(j, s, a, &yes, err);
    while (st == BT_OK && !yes && s->group > 1) {
        s->group /= 2;
        st = fits(j, s, a, &yes, err);
    }
    if (st == BT_OK && !yes && j->m->compute->cache_dir) {
        s->spare = true;
        st = fits(j, s, a, &yes, err);
    }
    for (size_t i = 0; st == BT_OK && !yes && i < sizeof tiles / sizeof *tiles; i++) {
        if (s->tile && s->tile <= tiles[i])
            continue;
        s->tile = tiles[i];
        st = fits(j, s, a, &yes, err);
    }
    return st;
}
