/* SPDX-License-Identifier: MIT
 * A prompt's ids through the text encoder, or through both of SDXL's, whose rows
 * stand side by side: [tokens][first's channels, second's channels].
 */
#include <string.h>

#include "image/diffusion.h"

/* The first end of the text; whatever follows it is padding. */
static int end_of(const sd_model *m, const int32_t *ids)
{
    const int32_t eos = bt_bpe_clip_eos(m->bpe);
    int i = 0;
    while (i < m->tokens - 1 && ids[i] != eos)
        i++;
    return i;
}

/* One encoder's input. Only what fills a prompt up differs between the two. */
static void fill(const sd_model *m, sd_part part, sd_plan *p, const int32_t *ids)
{
    const int end = end_of(m, ids);
    int32_t *to = bt_plan_data(p->plan, p->ids), *at = bt_plan_data(p->plan, p->positions);
    for (int i = 0; i < m->tokens; i++) {
        to[i] = part == SD_CLIP2 && i > end ? m->pad2 : ids[i];
        at[i] = i;
    }
    if (p->end)
        *(int32_t *)bt_plan_data(p->plan, p->end) = end;
}

/* One encoder: its rows go to `hidden` at channel `at` of unet.context. */
static bt_status one(sd_cache *c, const bt_run *r, sd_part part, const int32_t *ids, int skip,
                     int at, float *hidden, float *pooled)
{
    const sd_model *m = c->m;
    const size_t width = (size_t)(part == SD_CLIP2 ? m->clip2 : m->clip).hidden;
    sd_plan *p;
    bt_status st = sd_cache_ready_plan(c, part, skip, 0, 0, &p, r->error);
    if (st != BT_OK)
        return st;
    fill(m, part, p, ids);
    st = sd_cache_run(p, r, part == SD_CLIP2 ? "text encoder 2" : "text encoder");
    if (st != BT_OK)
        return st;
    const float *rows = sd_plan_data(p, p->out);
    st = sd_numbers(bt_store_path(m->store), "the text encoder", rows, (size_t)m->tokens * width,
                    r->error);
    if (st != BT_OK)
        return st;
    for (int i = 0; i < m->tokens; i++)
        memcpy(hidden + (size_t)i * (size_t)m->unet.context + at, rows + (size_t)i * width,
               width * sizeof *rows);
    if (p->pooled && pooled)
        memcpy(pooled, sd_plan_data(p, p->pooled), (size_t)m->pooled * sizeof *pooled);
    return BT_OK;
}

bt_status sd_cache_encode(sd_cache *c, const bt_run *r, const int32_t *ids, int skip, float *hidden,
                          float *pooled)
{
    const sd_model *m = c->m;
    bt_status st = one(c, r, SD_CLIP, ids, skip, 0, hidden, pooled);
    if (st == BT_OK && m->clip2.layers)
        st = one(c, r, SD_CLIP2, ids, skip, m->clip.hidden, hidden, pooled);
    return st;
}
