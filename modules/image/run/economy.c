/* SPDX-License-Identifier: MIT
 * What a run takes, and how it takes less.
 */
#include "image/run/run.h"

/* Bytes of a part's weights while it runs: those of the UNet stay for the next picture, unless all
 * are spared and only a step's are there. */
static uint64_t weights_of(const sd_setup *s, sd_plan *const plans[SD_PARTS], sd_part part)
{
    const uint64_t own = bt_plan_weights(plans[part]->plan);
    if (s->spare)
        return bt_plan_widest(plans[part]->plan);
    return part == SD_DECODER || part == SD_PREVIEW ? own + bt_plan_weights(plans[SD_UNET]->plan)
                                                    : own;
}

static double flops_of(const sd_setup *s, const sd_asked *a, sd_plan *const plans[SD_PARTS],
                       int group, double tile)
{
    const double second = plans[SD_CLIP2] ? bt_plan_flops(plans[SD_CLIP2]->plan) : 0;
    return (double)a->encoded * (bt_plan_flops(plans[SD_CLIP]->plan) + second) +
           bt_plan_flops(plans[SD_UNET]->plan) / group * s->batch *
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
    const uint64_t pixels = (uint64_t)s->w * (uint64_t)s->h;
    sd_plan *plans[SD_PARTS] = { NULL };
    bt_status st;
    BT_TRY(sd_cache_plan(&j->cache, SD_CLIP, s->skip, 0, 0, &plans[SD_CLIP], err));
    if (m->clip2.layers)
        BT_TRY(sd_cache_plan(&j->cache, SD_CLIP2, s->skip, 0, 0, &plans[SD_CLIP2], err));
    BT_TRY(sd_cache_unet(&j->cache, sd_asked_rows(a) * b, s->lh, s->lw, a->chunks, &plans[SD_UNET],
                         err));
    BT_TRY(sd_cache_plan(&j->cache, SD_DECODER, 1, h, w, &plans[SD_DECODER], err));
    if (s->init)
        BT_TRY(sd_cache_plan(&j->cache, SD_ENCODER, 1, h, w, &plans[SD_ENCODER], err));
    BT_TRY(preview_plan(&j->cache, s, &plans[SD_PREVIEW], err));
    out->weights = out->arena = 0;
    for (int i = 0; i < SD_PARTS; i++) { /* they take turns */
        const uint64_t weights = plans[i] ? weights_of(s, plans, i) : 0;
        const uint64_t arena = plans[i] ? bt_plan_arena(plans[i]->plan) : 0;
        if (weights + arena > out->weights + out->arena) {
            out->weights = weights;
            out->arena = arena;
        }
    }
    /* the prompts', and pixels as floats, shares of tiles and bytes */
    const uint64_t floats = h < s->lh || w < s->lw ? 4 : 3;
    out->caches = a->encoded * (uint64_t)m->tokens * (uint64_t)m->unet.context * sizeof(float) +
                  pixels * (floats * sizeof(float) + 3) + sd_run_walk_bytes(s, m->vae.latent, b);
    out->flops = flops_of(s, a, plans, b, (double)h * w);
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
