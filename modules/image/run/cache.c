/* SPDX-License-Identifier: MIT
 * What a job keeps between runs: plans by shape, encoded prompts by text. The
 * least recently used one makes room.
 *
 * Plans hold an arena each, so they are few; a run of one size needs three (text
 * encoder, UNet, decoder), one more for a first picture and one for a second encoder.
 * Both searches are linear: the lists are shorter than any tree would be worth.
 */
#include <string.h>

#include "image/diffusion.h"

static bt_status make_plan(const sd_cache *c, sd_part part, int n, int h, int w, sd_plan *p,
                           bt_error *err)
{
    const sd_model *m = c->m;
    switch (part) {
    case SD_CLIP: return sd_clip_plan(c->ws, &m->clip, m->tokens, n, p, err);
    case SD_CLIP2: return sd_clip_plan(c->ws, &m->clip2, m->tokens, n, p, err);
    case SD_UNET: return sd_unet_plan(c->ws, &m->unet, n, h, w, m->tokens, p, err);
    case SD_DECODER: return sd_vae_decoder_plan(c->ws, &m->vae, h, w, p, err);
    default: return sd_vae_encoder_plan(c->ws, &m->vae, h, w, p, err);
    }
}

bt_status sd_cache_plan(sd_cache *c, sd_part part, int n, int h, int w, sd_plan **out,
                        bt_error *err)
{
    sd_cached_plan *slot = &c->plans[0];
    for (int i = 0; i < SD_MAX_PLANS; i++) {
        sd_cached_plan *e = &c->plans[i];
        if (e->p.plan && e->part == part && e->n == n && e->h == h && e->w == w) {
            e->used = ++c->clock;
            *out = &e->p;
            return BT_OK;
        }
        if (e->used < slot->used)
            slot = e;
    }
    sd_plan_free(&slot->p);
    *slot = (sd_cached_plan){ .part = part, .n = n, .h = h, .w = w };
    bt_status st = make_plan(c, part, n, h, w, &slot->p, err);
    if (st != BT_OK) {
        sd_plan_free(&slot->p);
        return st;
    }
    slot->used = ++c->clock;
    *out = &slot->p;
    return BT_OK;
}

bt_status sd_cache_ready_plan(sd_cache *c, sd_part part, int n, int h, int w, sd_plan **out,
                              bt_error *err)
{
    bt_status st = sd_cache_plan(c, part, n, h, w, out, err);
    if (st == BT_OK && !sd_plan_data(*out, (*out)->out))
        return bt_fail(err, BT_ENOMEM, "no memory for activations (%llu MiB)",
                       (unsigned long long)(bt_plan_arena((*out)->plan) >> 20));
    return st;
}

/* bos, the text, eos, padding; as an empty text has them. */
static bt_status tokens_of(const sd_cache *c, const char *text, int32_t *ids)
{
    const int room = c->m->tokens - 2;
    bt_ids words = { 0 };
    bt_status st = bt_bpe_encode_clip(c->m->bpe, "", 0, ids, NULL);
    if (st == BT_OK)
        st = sd_learned_encode(c->words, c->m->bpe, text, strlen(text), true, &words);
    const int n = words.len > (size_t)room ? room : (int)words.len;
    if (st == BT_OK && n) {
        ids[1 + n] = ids[1];
        memcpy(ids + 1, words.data, (size_t)n * sizeof *ids);
    }
    bt_ids_free(&words);
    return st;
}

static bt_status encode(sd_cache *c, const bt_run *r, const char *text, int skip, float *hidden)
{
    const sd_model *m = c->m;
    int32_t *ids = bt_calloc((size_t)m->tokens, sizeof *ids);
    bt_status st = ids ? tokens_of(c, text, ids) : BT_ENOMEM;
    st = st == BT_OK ? sd_cache_encode(c, r, ids, skip, hidden,
                                       hidden + (size_t)m->tokens * (size_t)m->unet.context)
                     : bt_no_memory(r->error, "the prompt");
    bt_release(ids);
    return st;
}

static void forget(sd_cached_prompt *e)
{
    bt_release(e->text);
    bt_release(e->hidden);
    *e = (sd_cached_prompt){ 0 };
}

bt_status sd_cache_prompt(sd_cache *c, const bt_run *r, const char *text, int skip,
                          const float **hidden)
{
    sd_cached_prompt *slot = &c->prompts[0];
    for (int i = 0; i < SD_MAX_PROMPTS; i++) {
        sd_cached_prompt *e = &c->prompts[i];
        if (e->text && e->skip == skip && !strcmp(e->text, text)) {
            e->used = ++c->clock;
            *hidden = e->hidden;
            return BT_OK;
        }
        if (e->used < slot->used)
            slot = e;
    }
    forget(slot);
    slot->text = bt_strdup(text);
    slot->hidden = bt_calloc(sd_prompt_values(c->m), sizeof(float));
    bt_status st = slot->text && slot->hidden
                       ? encode(c, r, text, skip, slot->hidden)
                       : bt_fail(r->error, BT_ENOMEM, "out of memory for the prompt");
    if (st != BT_OK) {
        forget(slot);
        return st;
    }
    slot->skip = skip;
    slot->used = ++c->clock;
    *hidden = slot->hidden;
    return BT_OK;
}

void sd_cache_rest(sd_cache *c, sd_part part)
{
    static const char *const prefixes[] = { "text_encoder/", "text_encoder_2/", NULL, "vae/decoder",
                                            "vae/encoder" };
    for (int i = 0; i < SD_MAX_PLANS; i++)
        if (c->plans[i].p.plan && c->plans[i].part == part)
            bt_plan_rest(c->plans[i].p.plan);
    if (prefixes[part])
        bt_weights_rest(c->ws, prefixes[part]);
}

void sd_cache_release(sd_cache *c)
{
    for (int i = 0; i < SD_MAX_PLANS; i++)
        sd_plan_free(&c->plans[i].p);
    for (int i = 0; i < SD_MAX_PROMPTS; i++)
        forget(&c->prompts[i]);
}
