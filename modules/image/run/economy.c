/* SPDX-License-Identifier: MIT
 * What a run takes, and how it takes less.
 */
#include "image/run/run.h"

/* Bytes of a part's weights while it runs: those of the UNet and of what steers it stay for the
 * next picture, unless all are spared and only a step's are there. */
static uint64_t weights_of(const sd_setup *s, sd_plan *const plans[SD_PARTS], sd_part part,
                           uint64_t steering)
{
    const uint64_t own = bt_plan_weights(plans[part]->plan);
    const uint64_t widest = bt_plan_widest(plans[part]->plan);
    if (s->spare)
        return part == SD_UNET && steering > widest ? steering : widest;
    if (part == SD_UNET)
        return own + steering;
    return part == SD_DECODER ? own + bt_plan_weights(plans[SD_UNET]->plan) + steering : own;
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

bt_status sd_run_need(bt_module_job *j, const sd_setup *s, const sd_asked *a, bt_estimate *out,
                      bt_error *err)
{
    const sd_model *m = j->m;
    const int most = sd_run_group(s, a), b = s->batch < most ? s->batch : most;
    const int h = s->tile && s->tile < s->lh ? s->tile : s->lh;
    const int w = s->tile && s->tile < s->lw ? s->tile : s->lw;
    const uint64_t pixels = (uint64_t)s->w * (uint64_t)s->h;
    sd_plan *plans[SD_PARTS] = { NULL };
    sd_steering_need steering;
    bt_status st;
    BT_TRY(sd_cache_plan(&j->cache, SD_CLIP, s->skip, 0, 0, &plans[SD_CLIP], err));
    if (m->clip2.layers)
        BT_TRY(sd_cache_plan(&j->cache, SD_CLIP2, s->skip, 0, 0, &plans[SD_CLIP2], err));
    BT_TRY(sd_cache_unet(&j->cache, sd_asked_rows(a) * b, s->lh, s->lw, a->chunks, &plans[SD_UNET],
                         err));
    BT_TRY(sd_cache_plan(&j->cache, SD_DECODER, 1, h, w, &plans[SD_DECODER], err));
    if (s->init)
        BT_TRY(sd_cache_plan(&j->cache, SD_ENCODER, 1, h, w, &plans[SD_ENCODER], err));
    BT_TRY(sd_run_steering_need(j, s, sd_asked_rows(a) * b, a->chunks, &steering, err));
    out->weights = out->arena = 0;
    for (int i = 0; i < SD_PARTS; i++) { /* they take turns */
        const uint64_t weights = plans[i] ? weights_of(s, plans, i, steering.weights) : 0;
        const uint64_t arena = plans[i] ? arena_of(plans, i, &steering) : 0;
        if (weights + arena > out->weights + out->arena) {
            out->weights = weights;
            out->arena = arena;
        }
    }
    /* the prompts', and pixels as floats, shares of tiles and bytes */
    out->caches = a->encoded * (uint64_t)m->tokens * (uint64_t)m->unet.context * sizeof(float) +
                  pixels * (4 * sizeof(float) + 3) + sd_run_walk_bytes(s, m->vae.latent, b);
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
