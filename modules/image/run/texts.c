/* SPDX-License-Identifier: MIT
 * Texts that the text encoder has read, kept by a job: a batch, the next run and the steps
 * of a prompt that alternates find them again.
 */
#include <string.h>

#include "image/diffusion.h"
#include "image/prompt/prompt.h"

enum { KEPT = 8 << 20 }; /* bytes that stay when nobody needs them now */

static void free_text(sd_encoded *e)
{
    if (!e)
        return;
    bt_release(e->text);
    bt_release(e->hidden);
    bt_release(e->pooled);
    bt_release(e->weights);
    bt_release(e->sums);
    bt_release(e);
}

/* Sums over one encoder's channels [from, to) of a chunk. */
static void sum(const sd_model *m, sd_encoded *e, int chunk, int encoder, int from, int to)
{
    const size_t first = (size_t)chunk * (size_t)m->tokens;
    for (int i = 0; i < m->tokens; i++) {
        const float *row = e->hidden + (first + (size_t)i) * (size_t)m->unet.context;
        double part = 0;
        for (int j = from; j < to; j++)
            part += (double)row[j];
        e->sums[chunk][encoder].without += part;
        e->sums[chunk][encoder].with += part * (double)e->weights[first + (size_t)i];
    }
}

static bt_status encode_chunks(sd_cache *c, const bt_run *r, sd_encoded *e, const int32_t *ids)
{
    const sd_model *m = c->m;
    const size_t each = (size_t)m->tokens * (size_t)m->unet.context;
    bt_status st = BT_OK;
    for (int i = 0; i < e->chunks && st == BT_OK; i++) {
        st = sd_cache_encode(c, r, ids + i * m->tokens, e->skip, e->hidden + (size_t)i * each,
                             i == 0 ? e->pooled : NULL);
        if (st != BT_OK)
            break;
        sum(m, e, i, 0, 0, m->clip.hidden);
        sum(m, e, i, 1, m->clip.hidden, m->unet.context);
    }
    return st;
}

/* e has its text; the rest follows. */
static bt_status encode(sd_cache *c, const bt_run *r, sd_encoded *e)
{
    const sd_model *m = c->m;
    const size_t each = (size_t)m->tokens * (size_t)m->unet.context;
    sd_chunks chunks;
    bt_status st =
        sd_prompt_read(m->bpe, c->words, e->text, e->plain, m->tokens, &chunks, r->error);
    if (st != BT_OK)
        return st;
    const size_t n = (size_t)chunks.n;
    e->chunks = chunks.n;
    e->weights = chunks.weights;
    e->weighted = chunks.weighted;
    chunks.weights = NULL;
    e->hidden = bt_calloc(n * each, sizeof *e->hidden);
    e->pooled = bt_calloc((size_t)m->pooled, sizeof *e->pooled);
    e->sums = bt_calloc(n, sizeof *e->sums);
    e->bytes = n * each * sizeof *e->hidden;
    st = e->hidden && e->pooled && e->sums ? encode_chunks(c, r, e, chunks.ids)
                                           : bt_no_memory(r->error, "the prompt");
    sd_chunks_free(&chunks);
    return st;
}

/* The least recently used text that is not pinned goes, until the rest is small enough. */
static void make_room(sd_cache *c)
{
    while (c->text_bytes > KEPT) {
        size_t oldest = c->n_texts;
        for (size_t i = 0; i < c->n_texts; i++)
            if (c->texts[i]->used <= c->pinned &&
                (oldest == c->n_texts || c->texts[i]->used < c->texts[oldest]->used))
                oldest = i;
        if (oldest == c->n_texts)
            return;
        c->text_bytes -= c->texts[oldest]->bytes;
        free_text(c->texts[oldest]);
        c->texts[oldest] = c->texts[--c->n_texts];
    }
}

static bt_status add(sd_cache *c, sd_encoded *e, bt_error *err)
{
    if (c->n_texts == c->cap_texts) {
        const size_t cap = c->cap_texts ? 2 * c->cap_texts : 8;
        sd_encoded **v = bt_realloc_array(c->texts, c->cap_texts, cap, sizeof(sd_encoded *));
        if (!v)
            return bt_no_memory(err, "the prompt");
        c->texts = v;
        c->cap_texts = cap;
    }
    c->texts[c->n_texts++] = e;
    c->text_bytes += e->bytes;
    e->used = ++c->clock;
    make_room(c);
    return BT_OK;
}

void sd_cache_pin(sd_cache *c) { c->pinned = c->clock; }

bt_status sd_cache_text(sd_cache *c, const bt_run *r, const char *text, int skip, int plain,
                        const sd_encoded **out)
{
    for (size_t i = 0; i < c->n_texts; i++) {
        sd_encoded *e = c->texts[i];
        if (e->skip == skip && e->plain == plain && !strcmp(e->text, text)) {
            e->used = ++c->clock;
            *out = e;
            return BT_OK;
        }
    }
    sd_encoded *e = bt_calloc(1, sizeof *e);
    if (!e)
        return bt_no_memory(r->error, "the prompt");
    e->text = bt_strdup(text);
    e->skip = skip;
    e->plain = plain;
    bt_status st = e->text ? encode(c, r, e) : bt_no_memory(r->error, "the prompt");
    if (st == BT_OK)
        st = add(c, e, r->error);
    if (st != BT_OK)
        free_text(e);
    else
        *out = e;
    return st;
}

void sd_cache_forget_texts(sd_cache *c)
{
    for (size_t i = 0; i < c->n_texts; i++)
        free_text(c->texts[i]);
    bt_release(c->texts);
    c->texts = NULL;
    c->n_texts = c->cap_texts = c->text_bytes = 0;
}
