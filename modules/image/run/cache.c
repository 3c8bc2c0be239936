/* SPDX-License-Identifier: MIT
 * What a job keeps between runs: plans by shape (and texts, in texts.c). The least
 * recently used one makes room.
 *
 * Plans hold an arena each, so they are few; a run of one size needs three (text
 * encoder, UNet, decoder), one more for a first picture and one for a second encoder.
 * The search is linear: the list is shorter than any tree would be worth.
 */
#include <string.h>

#include "image/diffusion.h"

static bt_weights *weights_of(const sd_cache *c, sd_part part)
{
    const sd_other_vae *o = sd_cache_other(c, part);
    return o ? o->ws : c->ws;
}

static bt_status make_plan(const sd_cache *c, const sd_cached_plan *e, sd_plan *p, bt_error *err)
{
    const sd_model *m = c->m;
    const int n = e->n, h = e->h, w = e->w;
    const sd_vae_config *vae = sd_cache_vae(c, e->part);
    bt_weights *ws = weights_of(c, e->part);
    switch (e->part) {
    case SD_CLIP: return sd_clip_plan(c->ws, &m->clip, m->tokens, n, p, err);
    case SD_CLIP2: return sd_clip_plan(c->ws, &m->clip2, m->tokens, n, p, err);
    case SD_UNET:
        return sd_unet_plan(c->ws, &m->unet, n, h, w, e->chunks * m->tokens, e->steered, p, err);
    case SD_DECODER:
    case SD_PREVIEW: return sd_vae_decoder_plan(ws, vae, h, w, p, err);
    default:
        if (vae->none)
            return bt_fail(err, BT_EUNSUPPORTED,
                           "%s holds no autoencoder to read pictures with, and %s only decodes",
                           bt_store_path(m->store), c->other.path);
        return sd_vae_encoder_plan(ws, vae, h, w, p, err);
    }
}

static bool same(const sd_cached_plan *a, const sd_cached_plan *b)
{
    return a->part == b->part && a->n == b->n && a->h == b->h && a->w == b->w &&
           a->chunks == b->chunks && a->steered == b->steered;
}

static bt_status find_plan(sd_cache *c, const sd_cached_plan *key, sd_plan **out, bt_error *err)
{
    sd_cached_plan *slot = &c->plans[0];
    for (int i = 0; i < SD_MAX_PLANS; i++) {
        sd_cached_plan *e = &c->plans[i];
        if (e->p.plan && same(e, key)) {
            e->used = ++c->clock;
            *out = &e->p;
            return BT_OK;
        }
        if (e->used < slot->used)
            slot = e;
    }
    sd_plan_free(&slot->p);
    *slot = *key;
    bt_status st = make_plan(c, key, &slot->p, err);
    if (st != BT_OK) {
        sd_plan_free(&slot->p);
        return st;
    }
    slot->used = ++c->clock;
    *out = &slot->p;
    return BT_OK;
}

bt_status sd_cache_plan(sd_cache *c, sd_part part, int n, int h, int w, sd_plan **out,
                        bt_error *err)
{
    const sd_cached_plan key = { .part = part, .n = n, .h = h, .w = w };
    return find_plan(c, &key, out, err);
}

bt_status sd_cache_unet(sd_cache *c, int n, int h, int w, int chunks, sd_plan **out, bt_error *err)
{
    const sd_cached_plan key = {
        .part = SD_UNET, .n = n, .h = h, .w = w, .chunks = chunks, .steered = c->steered
    };
    return find_plan(c, &key, out, err);
}

bt_status sd_cache_ready(sd_plan *p, bt_error *err)
{
    if (!sd_plan_data(p, p->out))
        return bt_fail(err, BT_ENOMEM, "no memory for activations (%llu MiB)",
                       (unsigned long long)(bt_plan_arena(p->plan) >> 20));
    return BT_OK;
}

bt_status sd_cache_ready_plan(sd_cache *c, sd_part part, int n, int h, int w, sd_plan **out,
                              bt_error *err)
{
    bt_status st = sd_cache_plan(c, part, n, h, w, out, err);
    return st == BT_OK ? sd_cache_ready(*out, err) : st;
}

/* bt_run_plan with what sd_plan_run does before. */
bt_status sd_cache_run(sd_plan *p, const bt_run *r, const char *name)
{
    bt_trace_attach(p->plan, r->trace, name);
    const bt_status st = sd_plan_run(p, r->cancel, r->error);
    bt_trace_attach(p->plan, NULL, NULL);
    return st;
}

void sd_cache_rest(sd_cache *c, sd_part part)
{
    static const char *const prefixes[] = { "text_encoder/", "text_encoder_2/", NULL,
                                            "vae/decoder",   "vae/encoder",     "vae/decoder" };
    for (int i = 0; i < SD_MAX_PLANS; i++)
        if (c->plans[i].p.plan && c->plans[i].part == part)
            bt_plan_rest(c->plans[i].p.plan);
    if (prefixes[part])
        bt_weights_rest(weights_of(c, part), prefixes[part]);
}

void sd_cache_drop(sd_cached_plan *e)
{
    sd_plan_free(&e->p);
    e->used = 0;
}

void sd_cache_forget(sd_cache *c)
{
    for (int i = 0; i < SD_MAX_PLANS; i++)
        sd_cache_drop(&c->plans[i]);
    sd_cache_forget_texts(c);
}

void sd_cache_release(sd_cache *c)
{
    sd_cache_forget(c);
    sd_cache_drop_vaes(c);
}
