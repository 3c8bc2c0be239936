/* SPDX-License-Identifier: MIT
 * Pieces to chunks: as many times bos, 75 ids, eos as the prompt needs (A1111's
 * sd_hijack_clip.py). A phrase is not torn at a chunk's end: what follows its last comma,
 * if that is at most 20 ids back, moves on to the next chunk.
 */
#include <string.h>

#include "image/prompt/prompt.h"

enum { BACKTRACK = 20 };

typedef struct chunker {
    sd_chunks *out;
    const sd_learned *words;
    int32_t bos, eos, pad, comma;
    int room, cap; /* ids of a chunk; chunks there is memory for */
    int used;      /* ids of the last chunk, which is out->n */
    int last_comma;
    bt_error *err;
} chunker;

/* Memory for the chunk that ids go to now. */
static bt_status begin(chunker *c)
{
    sd_chunks *o = c->out;
    const size_t each = (size_t)o->tokens;
    if (o->n == SD_MAX_CHUNKS)
        return bt_fail(c->err, BT_EINVAL, "the prompt is longer than %d words",
                       SD_MAX_CHUNKS * c->room);
    if (o->n == c->cap) {
        const int cap = c->cap ? 2 * c->cap : 1;
        const size_t was = (size_t)c->cap * each, now = (size_t)cap * each;
        int32_t *ids = bt_realloc_array(o->ids, was, now, sizeof *ids);
        if (ids)
            o->ids = ids;
        float *weights = ids ? bt_realloc_array(o->weights, was, now, sizeof *weights) : NULL;
        if (!weights)
            return bt_no_memory(c->err, "the prompt");
        o->weights = weights;
        c->cap = cap;
    }
    return BT_OK;
}

/* Where padding is another id than eos, what follows the first eos is padding, also if the
 * text itself holds that eos. */
static void end(chunker *c)
{
    int32_t *ids = c->out->ids + (size_t)c->out->n * (size_t)c->out->tokens;
    float *weights = c->out->weights + (size_t)c->out->n * (size_t)c->out->tokens;
    ids[0] = c->bos;
    weights[0] = 1;
    for (int i = c->used + 1; i < c->out->tokens; i++) {
        ids[i] = c->eos;
        weights[i] = 1;
    }
    bool over = false;
    for (int i = 1; i < c->out->tokens && c->pad != c->eos; i++) {
        const int32_t was = ids[i];
        if (over)
            ids[i] = c->pad;
        over |= was == c->eos;
    }
    c->out->n++;
    c->used = 0;
    c->last_comma = -1;
}

static bt_status put(chunker *c, int32_t id, float weight)
{
    bt_status st = c->used == 0 ? begin(c) : BT_OK;
    if (st != BT_OK)
        return st;
    const size_t at = (size_t)c->out->n * (size_t)c->out->tokens + 1 + (size_t)c->used++;
    c->out->ids[at] = id;
    c->out->weights[at] = weight;
    return BT_OK;
}

/* Ends the chunk after its last comma; what stood behind that begins the next one. */
static bt_status end_at_comma(chunker *c)
{
    int32_t ids[BACKTRACK];
    float weights[BACKTRACK];
    const size_t first = (size_t)c->out->n * (size_t)c->out->tokens + 1 + (size_t)c->last_comma + 1;
    const int moved = c->used - c->last_comma - 1;
    memcpy(ids, c->out->ids + first, (size_t)moved * sizeof *ids);
    memcpy(weights, c->out->weights + first, (size_t)moved * sizeof *weights);
    c->used -= moved;
    end(c);
    bt_status st = BT_OK;
    for (int i = 0; i < moved && st == BT_OK; i++)
        st = put(c, ids[i], weights[i]);
    return st;
}

static bt_status add(chunker *c, int32_t id, float weight)
{
    bt_status st = BT_OK;
    if (id == c->comma)
        c->last_comma = c->used;
    else if (c->used == c->room && c->last_comma >= 0 && c->used - c->last_comma <= BACKTRACK)
        st = end_at_comma(c);
    if (st == BT_OK && c->used == c->room)
        end(c);
    c->out->weighted |= weight != 1;
    return st == BT_OK ? put(c, id, weight) : st;
}

static bt_status add_piece(chunker *c, const bt_bpe *b, const char *s, const sd_piece *p)
{
    bt_ids ids = { 0 };
    bt_status st = sd_learned_encode(c->words, b, s, p->n, true, &ids);
    if (st != BT_OK)
        bt_no_memory(c->err, "the prompt");
    c->out->words += ids.len;
    for (size_t i = 0; i < ids.len && st == BT_OK; i++) {
        if (c->used && c->used + sd_learned_rows(c->words, ids.data[i]) > c->room)
            end(c);
        st = add(c, ids.data[i], (float)p->weight);
    }
    bt_ids_free(&ids);
    return st;
}

static bt_status add_all(chunker *c, const bt_bpe *b, const sd_pieces *p)
{
    bt_status st = BT_OK;
    for (size_t i = 0; i < p->n && st == BT_OK; i++) {
        const char *s = p->text.data + p->v[i].from;
        const bool cut = p->v[i].n == 5 && !memcmp(s, "BREAK", 5) && p->v[i].weight == -1;
        if (!cut)
            st = add_piece(c, b, s, &p->v[i]);
        else if (c->used > 0 || (st = begin(c)) == BT_OK)
            end(c);
    }
    if (st == BT_OK && c->used == 0 && c->out->n == 0)
        st = begin(c);
    if (st == BT_OK && (c->used > 0 || c->out->n == 0))
        end(c);
    return st;
}

bt_status sd_prompt_chunks(const bt_bpe *b, const sd_learned *words, const sd_pieces *p, int tokens,
                           sd_chunks *out, bt_error *err)
{
    chunker c = { .out = out, .words = words, .room = tokens - 2, .last_comma = -1, .err = err };
    *out = (sd_chunks){ .tokens = tokens };
    if (c.room < 1)
        return bt_fail(err, BT_EUNSUPPORTED, "the text encoder reads %d tokens", tokens);
    const size_t longest = (size_t)bt_bpe_max_length(b);
    int32_t *empty = bt_calloc(longest, sizeof *empty);
    if (!empty || bt_bpe_encode_clip(b, "", 0, empty, NULL) != BT_OK) {
        bt_release(empty);
        return bt_no_memory(err, "the prompt");
    }
    c.bos = empty[0];
    c.eos = empty[1];
    c.pad = longest > 2 ? empty[2] : c.eos;
    c.comma = bt_bpe_find(b, ",</w>", 5);
    bt_release(empty);
    bt_status st = add_all(&c, b, p);
    if (st != BT_OK)
        sd_chunks_free(out);
    return st;
}

bt_status sd_prompt_read(const bt_bpe *b, const sd_learned *words, const char *text, bool plain,
                         int tokens, sd_chunks *out, bt_error *err)
{
    sd_pieces pieces;
    *out = (sd_chunks){ 0 };
    bt_status st =
        plain ? sd_prompt_whole(text, &pieces, err) : sd_prompt_weigh(text, &pieces, err);
    if (st != BT_OK)
        return st;
    st = sd_prompt_chunks(b, words, &pieces, tokens, out, err);
    sd_pieces_free(&pieces);
    return st;
}

void sd_chunks_free(sd_chunks *c)
{
    bt_release(c->ids);
    bt_release(c->weights);
    *c = (sd_chunks){ 0 };
}
