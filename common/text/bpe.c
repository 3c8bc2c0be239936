/* SPDX-License-Identifier: MIT
 * A BPE tokenizer's tables: making them from tokens and merges, and look-ups.
 *
 * Byte-level vocabularies spell each byte as a printable character (GPT-2,
 * encoder.py, bytes_to_unicode). The tables keep that spelling to look tokens
 * up, and the plain bytes to decode.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "bpe_impl.h"
#include "utf8.h"

/* Printable bytes of Latin-1 stand for themselves, the others for 256, 257, ... in
 * rising order; bt_bpe_byte is the way back, -1 for a foreign character. */
static uint32_t byte_to_cp(uint8_t b)
{
    if (b < 33)
        return 256u + b;
    if (b >= 127 && b <= 160)
        return 256u + 33 + (b - 127u);
    return b == 173 ? 256u + 67 : b;
}

int bt_bpe_byte(uint32_t cp)
{
    if (cp >= 256 && cp < 289)
        return (int)(cp - 256);
    if (cp >= 289 && cp < 323)
        return (int)(cp - 289 + 127);
    if (cp == 323)
        return 173;
    return cp < 256 && byte_to_cp((uint8_t)cp) == cp ? (int)cp : -1;
}

/* ---- tokens by text ----------------------------------------------------- */

/* A power of two, at least twice as many slots as entries. */
static size_t table_size(size_t n)
{
    size_t size = 16;
    while (size < n * 2)
        size *= 2;
    return size;
}

int32_t bt_bpe_find(const bt_bpe *b, const char *text, size_t n)
{
    size_t h = (size_t)bt_hash(BT_HASH_INIT, text, n);
    for (int i = 0; i < BPE_PROBES; i++, h++) {
        int32_t id = b->by_text[h & b->text_mask];
        if (id < 0)
            return -1;
        if (b->text[id].n == n && memcmp(b->text[id].s, text, n) == 0)
            return id;
    }
    return -1;
}

static bool add_text(bt_bpe *b, int32_t id)
{
    const bpe_text *t = &b->text[id];
    size_t h = (size_t)bt_hash(BT_HASH_INIT, t->s, t->n);
    for (int i = 0; i < BPE_PROBES; i++, h++) {
        int32_t *slot = &b->by_text[h & b->text_mask];
        if (*slot < 0)
            *slot = id;
        if (b->text[*slot].n == t->n && memcmp(b->text[*slot].s, t->s, t->n) == 0)
            return true; /* of equal texts the first counts */
    }
    return false;
}

/* The bytes that a token stands for; at most as many as its text has. A control
 * or user-defined token, or one with a foreign character, stands for itself. */
static size_t spell_out(char *out, const bpe_text *t, bool plain, const char *end_of_word)
{
    size_t n = t->n, k = 0, e = strlen(end_of_word);
    bool ends = e && n >= e && !plain && memcmp(t->s + n - e, end_of_word, e) == 0;
    if (ends)
        n -= e;
    for (size_t i = 0; i < n && !plain;) {
        uint32_t cp;
        i += bt_utf8_next(t->s + i, n - i, &cp);
        int byte = bt_bpe_byte(cp);
        if (byte < 0)
            plain = true;
        out[k++] = (char)byte;
    }
    if (plain) {
        if (n)
            memcpy(out, t->s, n);
        k = n;
    }
    if (ends)
        out[k++] = ' ';
    return k;
}

static bt_token_type type_of(const bt_bpe_vocab *v, size_t i)
{
    int t = v->type ? v->type(v->user, i) : BT_TOKEN_NORMAL;
    return t >= BT_TOKEN_NORMAL && t <= BT_TOKEN_BYTE ? (bt_token_type)t : BT_TOKEN_UNUSED;
}

static bt_status add_tokens(bt_bpe *b, const bt_bpe_vocab *v, const char *end, bt_error *err)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < v->n_tokens; i++) {
        const char *s = v->token(v->user, i, &b->text[i].n);
        if (!s || !bt_add_ok(total, b->text[i].n, &total) || total > SIZE_MAX / 4)
            return bt_fail(err, BT_EFORMAT, "tokenizer: token %zu has no text", i);
    }
    b->pool = bt_alloc(2 * total + 1);
    if (!b->pool)
        return bt_fail(err, BT_ENOMEM, "tokenizer: no memory for its tokens");
    for (size_t i = 0; i < v->n_tokens; i++) {
        bpe_text *t = &b->text[i];
        t->s = b->pool + at;
        memcpy(b->pool + at, v->token(v->user, i, &t->n), t->n);
        at += t->n;
        b->type[i] = (uint8_t)type_of(v, i);
        bool plain = b->type[i] == BT_TOKEN_CONTROL || b->type[i] == BT_TOKEN_USER_DEFINED;
        b->piece[i].s = b->pool + at;
        b->piece[i].n = spell_out(b->pool + at, t, plain, end);
        at += b->piece[i].n;
        if (t->n && !add_text(b, (int32_t)i))
            return bt_fail(err, BT_EFORMAT, "tokenizer: its tokens make no usable table");
    }
    return BT_OK;
}

/* The token of each byte, inside a word and at its end. */
static void find_bytes(bt_bpe *b, const char *end_of_word)
{
    for (int i = 0; i < 256; i++) {
        char s[16];
        size_t n = bt_utf8_put(s, byte_to_cp((uint8_t)i)), e = strlen(end_of_word);
        b->byte_id[i] = bt_bpe_find(b, s, n);
        memcpy(s + n, end_of_word, e);
        b->byte_end[i] = bt_bpe_find(b, s, n + e);
    }
}

/* ---- merges --------------------------------------------------------------- */

static bool add_merge(bt_bpe *b, const bpe_merge *m)
{
    size_t h = bpe_pair_hash(m->left, m->right);
    for (int i = 0; i < BPE_PROBES; i++, h++) {
        bpe_merge *slot = &b->merges[h & b->merge_mask];
        if (slot->left < 0)
            *slot = *m;
        if (slot->left == m->left && slot->right == m->right)
            return true;
    }
    return false;
}

/* "left right": ids of both and of what they make. */
static bool read_merge(const bt_bpe *b, const char *s, size_t n, bt_buf *joined, bpe_merge *m)
{
    const char *space = n > 1 ? memchr(s + 1, ' ', n - 1) : NULL;
    if (!space)
        return false;
    size_t k = (size_t)(space - s);
    joined->len = 0;
    bt_buf_add(joined, s, k);
    bt_buf_add(joined, space + 1, n - k - 1);
    if (joined->failed)
        return true;
    m->left = bt_bpe_find(b, s, k);
    m->right = bt_bpe_find(b, space + 1, n - k - 1);
    m->id = bt_bpe_find(b, joined->data, joined->len);
    return m->left >= 0 && m->right >= 0 && m->id >= 0;
}

static bt_status add_merges(bt_bpe *b, const bt_bpe_vocab *v, bt_error *err)
{
    bt_status st = BT_OK;
    bt_buf joined = { 0 };
    for (size_t i = 0; i < v->n_merges && st == BT_OK; i++) {
        size_t n = 0;
        const char *s = v->merge(v->user, i, &n);
        bpe_merge m = { .rank = (uint32_t)i };
        if (!s || !read_merge(b, s, n, &joined, &m))
            st = bt_fail(err, BT_EFORMAT, "tokenizer: merge %zu (%.*s) is not of known tokens", i,
                         s ? (int)(n < 60 ? n : 60) : 0, s ? s : "");
        else if (joined.failed)
            st = bt_fail(err, BT_ENOMEM, "tokenizer: no memory for its merges");
        else if (!add_merge(b, &m))
            st = bt_fail(err, BT_EFORMAT, "tokenizer: its merges make no usable table");
    }
    bt_buf_free(&joined);
    return st;
}

/* ---- special tokens --------------------------------------------------------- */

static int by_text(const void *x, const void *y, void *user)
{
    const bt_bpe *b = user;
    const bpe_text *p = &b->text[*(const int32_t *)x], *q = &b->text[*(const int32_t *)y];
    int c = memcmp(p->s, q->s, p->n < q->n ? p->n : q->n);
    return c ? c : (p->n > q->n) - (p->n < q->n);
}

static bool is_special(const bt_bpe *b, size_t i)
{
    return (b->type[i] == BT_TOKEN_CONTROL || b->type[i] == BT_TOKEN_USER_DEFINED) &&
           b->text[i].n > 0 && b->text[i].n <= BPE_SPECIAL_MAX;
}

static bt_status sort_specials(bt_bpe *b, bt_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += is_special(b, i);
    b->special = bt_calloc(n + 1, sizeof *b->special);
    if (!b->special)
        return bt_fail(err, BT_ENOMEM, "tokenizer: no memory");
    for (size_t i = 0; i < b->n; i++) {
        if (!is_special(b, i))
            continue;
        b->special[b->n_special++] = (int32_t)i;
        b->special_first[(uint8_t)b->text[i].s[0]] = true;
    }
    qsort_r(b->special, n, sizeof *b->special, by_text, b);
    return BT_OK;
}

bt_status bt_bpe_build(bt_bpe *b, const bt_bpe_vocab *v, const char *end_of_word, bt_error *err)
{
    if (v->n_tokens == 0 || v->n_tokens > INT32_MAX / 4 || v->n_merges > INT32_MAX / 4)
        return bt_fail(err, BT_EFORMAT, "tokenizer: %zu tokens and %zu merges", v->n_tokens,
                       v->n_merges);
    b->n = v->n_tokens;
    b->text_mask = table_size(b->n) - 1;
    b->merge_mask = table_size(v->n_merges) - 1;
    b->text = bt_calloc(b->n, sizeof *b->text);
    b->piece = bt_calloc(b->n, sizeof *b->piece);
    b->type = bt_calloc(b->n, sizeof *b->type);
    b->by_text = bt_calloc(b->text_mask + 1, sizeof *b->by_text);
    b->merges = bt_calloc(b->merge_mask + 1, sizeof *b->merges);
    if (!b->text || !b->piece || !b->type || !b->by_text || !b->merges)
        return bt_fail(err, BT_ENOMEM, "tokenizer: no memory for %zu tokens", b->n);
    memset(b->by_text, 0xFF, (b->text_mask + 1) * sizeof *b->by_text);
    for (size_t i = 0; i <= b->merge_mask; i++)
        b->merges[i].left = -1;
    bt_status st = add_tokens(b, v, end_of_word, err);
    if (st == BT_OK)
        find_bytes(b, end_of_word);
    if (st == BT_OK)
        st = add_merges(b, v, err);
    return st == BT_OK ? sort_specials(b, err) : st;
}

void bt_bpe_free(bt_bpe *b)
{
    if (!b)
        return;
    bt_release(b->pool);
    bt_release(b->text);
    bt_release(b->piece);
    bt_release(b->type);
    bt_release(b->by_text);
    bt_release(b->merges);
    bt_release(b->special);
    bt_release(b);
}

bt_status bt_bpe_new_gpt2(const bt_bpe_vocab *v, const char *pre, bt_bpe **out, bt_error *err)
{
    *out = NULL;
    const bt_pretok *p = bt_pretok_find(pre ? pre : "default");
    if (!p)
        return bt_fail(err, BT_EUNSUPPORTED, "tokenizer: unknown pre-tokenizer \"%s\"", pre);
    bt_bpe *b = bt_calloc(1, sizeof *b);
    if (!b)
        return bt_fail(err, BT_ENOMEM, "tokenizer: no memory");
    b->pre = p;
    b->unk = b->bos = b->eos = b->pad = -1;
    bt_status st = bt_bpe_build(b, v, "", err);
    if (st != BT_OK) {
        bt_bpe_free(b);
        return st;
    }
    *out = b;
    return BT_OK;
}

/* ---- looking at tokens ----------------------------------------------------- */

int bt_bpe_max_length(const bt_bpe *b) { return b->max_length; }

int32_t bt_bpe_clip_eos(const bt_bpe *b) { return b->eos; }

size_t bt_bpe_count(const bt_bpe *b) { return b->n; }

static const char *part(const bt_bpe *b, const bpe_text *of, int32_t id, size_t *n)
{
    const bool known = id >= 0 && (size_t)id < b->n;
    *n = known ? of[id].n : 0;
    return known ? of[id].s : NULL;
}

const char *bt_bpe_text(const bt_bpe *b, int32_t id, size_t *n) { return part(b, b->text, id, n); }

const char *bt_bpe_piece(const bt_bpe *b, int32_t id, size_t *n)
{
    return part(b, b->piece, id, n);
}

bt_token_type bt_bpe_type(const bt_bpe *b, int32_t id)
{
    return id >= 0 && (size_t)id < b->n ? (bt_token_type)b->type[id] : BT_TOKEN_UNUSED;
}

/* ---- lists of ids ---------------------------------------------------------- */

bt_status bt_ids_add(bt_ids *ids, int32_t id)
{
    if (ids->len == ids->cap) {
        size_t cap = ids->cap ? ids->cap * 2 : 64;
        int32_t *p = bt_realloc_array(ids->data, ids->cap, cap, sizeof *p);
        if (!p)
            return BT_ENOMEM;
        ids->data = p;
        ids->cap = cap;
    }
    ids->data[ids->len++] = id;
    return BT_OK;
}

void bt_ids_free(bt_ids *ids)
{
    bt_release(ids->data);
    *ids = (bt_ids){ 0 };
}
