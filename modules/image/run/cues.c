/* SPDX-License-Identifier: MIT
 * Texts to rows of the UNet's context, for every call of it.
 */
#include <math.h>
#include <string.h>

#include "image/run/run.h"

/* ---- encoding ---------------------------------------------------------------- */

/* A1111's "Original" emphasis: values times their token's weight, then all of a chunk times
 * what gives it its mean back. It reads all texts of a prompt's turns at once, and the mean is
 * that of them all, each as often as it has a turn. */
static bt_status find_ratios(sd_cue *c, bt_error *err)
{
    c->ratios = bt_calloc((size_t)c->chunks, sizeof *c->ratios);
    if (!c->ratios)
        return bt_no_memory(err, "the prompt");
    for (int chunk = 0; chunk < c->chunks; chunk++)
        for (int encoder = 0; encoder < 2; encoder++) {
            double without = 0, with = 0;
            for (int i = 0; i < c->turns.n; i++) {
                const sd_encoded *e = c->texts[c->turns.which[i]];
                const bool own = chunk < e->chunks;
                without += (own ? e : c->empty)->sums[own ? chunk : 0][encoder].without;
                with += (own ? e : c->empty)->sums[own ? chunk : 0][encoder].with;
            }
            c->ratios[chunk][encoder] = with == without ? 1 : (float)(without / with);
            if (!isfinite(with) || !isfinite(c->ratios[chunk][encoder]))
                return bt_fail(err, BT_EINVAL, "the prompt's weights leave nothing of its text");
        }
    return BT_OK;
}

static bt_status encode_cue(sd_work *k, sd_cue *c, int length)
{
    bool weighted = false, shorter = length % c->chunks != 0;
    bt_status st;
    for (int i = 0; i < c->turns.n_texts; i++) {
        BT_TRY(sd_cache_text(&k->j->cache, k->r, c->turns.texts[i], k->s.skip, k->s.plain,
                             &c->texts[i]));
        weighted |= c->texts[i]->weighted;
        shorter |= c->texts[i]->chunks < c->chunks;
    }
    if (shorter)
        BT_TRY(sd_cache_text(&k->j->cache, k->r, "", k->s.skip, k->s.plain, &c->empty));
    return weighted && !c->ratios ? find_ratios(c, k->r->error) : BT_OK;
fail:
    return st;
}

bt_status sd_run_read_texts(sd_work *k, const sd_making *pics, int b)
{
    bt_status st = BT_OK;
    sd_cache_pin(&k->j->cache);
    for (int i = 0; i < b; i++) {
        sd_asked *a = pics[i].asked;
        for (int j = a->first; j < a->n && st == BT_OK; j++)
            st = encode_cue(k, &a->cues[j], a->chunks);
    }
    return st;
}

/* ---- filling ----------------------------------------------------------------- */

/* One chunk of text e, with its weights. */
static void fill_chunk(const sd_model *m, const sd_cue *c, const sd_encoded *e, int chunk,
                       float *out)
{
    const size_t tokens = (size_t)m->tokens, width = (size_t)m->unet.context;
    const size_t first = (size_t)m->clip.hidden; /* channels of the first encoder */
    const bool own = chunk < e->chunks;
    const size_t at = own ? (size_t)chunk * tokens : 0;
    const float *from = (own ? e : c->empty)->hidden + at * width;
    const float *weights = (own ? e : c->empty)->weights + at;
    memcpy(out, from, tokens * width * sizeof *out);
    for (size_t i = 0; i < tokens && c->ratios; i++)
        for (size_t j = 0; j < width; j++)
            out[i * width + j] =
                from[i * width + j] * weights[i] * c->ratios[chunk][j < first ? 0 : 1];
}

/* A cue's rows: its text's chunks, empty ones up to its longest text; then its last row up
 * to the longest cue (A1111 stacks what AND joins so); then all that again as often as the
 * context has room, or empty chunks. */
static void fill_rows(const sd_model *m, const sd_asked *a, int cue, const sd_encoded *e,
                      float *out)
{
    const sd_cue *c = &a->cues[cue];
    const size_t width = (size_t)m->unet.context, each = (size_t)m->tokens * width;
    const int own = cue == 0 ? c->chunks : a->longest;
    for (int i = 0; i < c->chunks; i++)
        fill_chunk(m, c, e, i, out + (size_t)i * each);
    for (size_t i = (size_t)c->chunks * each; i < (size_t)own * each; i++)
        out[i] = out[i - width];
    if (a->chunks % own == 0)
        for (size_t i = (size_t)own * each; i < (size_t)a->chunks * each; i++)
            out[i] = out[i - (size_t)own * each];
    else
        for (int i = own; i < a->chunks; i++)
            memcpy(out + (size_t)i * each, c->empty->hidden, each * sizeof *out);
}

void sd_run_fill_context(const sd_work *k, sd_plan *p, const sd_making *pics, int b)
{
    const sd_model *m = k->j->m;
    const sd_asked *like = pics[0].asked;
    const size_t each = (size_t)like->chunks * (size_t)m->tokens * (size_t)m->unet.context;
    float *context = sd_plan_data(p, p->context);
    float *added = p->added ? sd_plan_data(p, p->added) : NULL;
    const size_t rows = (size_t)(like->n - like->first) * (size_t)b;
    const size_t of_added = (size_t)m->unet.added;
    const float *first = context;
    for (int j = like->first; j < like->n; j++)
        for (int i = 0; i < b; i++, context += each) {
            const sd_cue *c = &pics[i].asked->cues[j];
            const sd_encoded *e = c->texts[sd_turns_at(&c->turns, k->call)];
            const bool none = j == 0 && m->pooled && m->pipeline.zero_empty &&
                              c->turns.n_texts == 1 && !e->text[0];
            if (none)
                memset(context, 0, each * sizeof *context);
            else
                fill_rows(m, pics[i].asked, j, e, context);
            if (added)
                sd_run_fill_added(k, j == 0, none ? NULL : e->pooled,
                                  added + (size_t)((j - like->first) * b + i) * of_added);
        }
    if (like->blind) {
        memcpy(context, first, (size_t)b * each * sizeof *context);
        if (added)
            memcpy(added + rows * of_added, added, (size_t)b * of_added * sizeof *added);
    }
}
