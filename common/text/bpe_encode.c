/* SPDX-License-Identifier: MIT
 * Encoding and decoding (bpe.h), on the tables that bpe.c makes.
 *
 * A word's bytes are tokens in a doubly linked list; a heap holds the possible
 * merges, best first: lowest rank, then leftmost. A merge makes its two
 * neighbours' entries stale; they are recognised when they come up, because the
 * pair at their place no longer has their rank. So n bytes take O(n log n).
 */
#include <limits.h>
#include <string.h>

#include "bpe_impl.h"
#include "utf8.h"

typedef struct symbol {
    int32_t id;         /* -1: merged into the one before */
    int32_t prev, next; /* -1: none */
} symbol;

typedef struct candidate {
    uint64_t key; /* rank << 32 | index of the left symbol */
    int32_t id;   /* what the two become */
} candidate;

typedef struct encoder {
    const bt_bpe *b;
    bt_ids *out;
    symbol *sym;
    size_t sym_cap;
    candidate *heap;
    size_t heap_n, heap_cap;
} encoder;

/* ---- merging one word ----------------------------------------------------- */

/* A binary heap, smallest key on top. */
static bt_status heap_push(encoder *e, candidate c)
{
    if (e->heap_n == e->heap_cap) {
        size_t cap = e->heap_cap ? e->heap_cap * 2 : 64;
        candidate *h = bt_realloc_array(e->heap, e->heap_cap, cap, sizeof *h);
        if (!h)
            return BT_ENOMEM;
        e->heap = h;
        e->heap_cap = cap;
    }
    size_t i = e->heap_n++;
    for (; i > 0 && e->heap[(i - 1) / 2].key > c.key; i = (i - 1) / 2)
        e->heap[i] = e->heap[(i - 1) / 2];
    e->heap[i] = c;
    return BT_OK;
}

static candidate heap_pop(encoder *e)
{
    candidate top = e->heap[0], last = e->heap[--e->heap_n];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < e->heap_n) {
        if (child + 1 < e->heap_n && e->heap[child + 1].key < e->heap[child].key)
            child++;
        if (e->heap[child].key >= last.key)
            break;
        e->heap[i] = e->heap[child];
        i = child;
    }
    e->heap[i] = last;
    return top;
}

/* Puts the merge of symbol `left` with the one after it on the heap, if any. */
static bt_status consider(encoder *e, int32_t left)
{
    const symbol *s = e->sym;
    if (left < 0 || s[left].next < 0)
        return BT_OK;
    const bpe_merge *m = bpe_pair(e->b, s[left].id, s[s[left].next].id);
    if (!m)
        return BT_OK;
    return heap_push(e, (candidate){ (uint64_t)m->rank << 32 | (uint32_t)left, m->id });
}

/* Carries a merge out, unless it is stale, and considers the two new pairs. */
static bt_status apply(encoder *e, candidate c)
{
    symbol *s = e->sym;
    int32_t left = (int32_t)(c.key & UINT32_MAX), right = s[left].next;
    if (s[left].id < 0 || right < 0)
        return BT_OK;
    const bpe_merge *m = bpe_pair(e->b, s[left].id, s[right].id);
    if (!m || m->rank != c.key >> 32)
        return BT_OK;
    s[left].id = c.id;
    s[left].next = s[right].next;
    if (s[left].next >= 0)
        s[s[left].next].prev = left;
    s[right].id = -1;
    bt_status st = consider(e, s[left].prev);
    return st == BT_OK ? consider(e, left) : st;
}

/* One token per byte; bytes without a token become unk or vanish. */
static size_t spell(encoder *e, const char *w, size_t n)
{
    const bt_bpe *b = e->b;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t id = (i + 1 < n ? b->byte_id : b->byte_end)[(uint8_t)w[i]];
        if (id < 0)
            id = b->unk;
        if (id < 0)
            continue;
        e->sym[k] = (symbol){ id, (int32_t)k - 1, (int32_t)k + 1 };
        k++;
    }
    if (k)
        e->sym[k - 1].next = -1;
    return k;
}

static bt_status encode_word(encoder *e, const char *w, size_t n)
{
    bt_status st = BT_OK;
    if (n > e->sym_cap) {
        size_t cap = n < 128 ? 256 : n * 2;
        symbol *s = bt_realloc_array(e->sym, e->sym_cap, cap, sizeof *s);
        if (!s)
            return BT_ENOMEM;
        e->sym = s;
        e->sym_cap = cap;
    }
    const size_t k = spell(e, w, n);
    e->heap_n = 0;
    for (size_t i = 0; i + 1 < k && st == BT_OK; i++)
        st = consider(e, (int32_t)i);
    while (e->heap_n > 0 && st == BT_OK)
        st = apply(e, heap_pop(e));
    for (int32_t i = k ? 0 : -1; i >= 0 && st == BT_OK; i = e->sym[i].next)
        st = bt_ids_add(e->out, e->sym[i].id);
    return st;
}

/* The token whose bytes are the word w, or -1. */
static int32_t whole_word(encoder *e, const char *w, size_t n)
{
    bt_buf spelt = { 0 };
    for (size_t i = 0; i < n; i++) {
        size_t len;
        const char *s = bt_bpe_text(e->b, e->b->byte_id[(uint8_t)w[i]], &len);
        if (s)
            bt_buf_add(&spelt, s, len);
    }
    int32_t id = spelt.data ? bt_bpe_find(e->b, spelt.data, spelt.len) : -1;
    bt_buf_free(&spelt);
    return id >= 0 && e->b->type[id] == BT_TOKEN_NORMAL ? id : -1;
}

/* ---- texts ------------------------------------------------------------------ */

static bt_status encode_words(encoder *e, const char *s, size_t n)
{
    const bt_pretok *pre = e->b->pre;
    bt_status st = BT_OK;
    for (size_t i = 0, len; i < n && st == BT_OK; i += len) {
        len = pre->next(s + i, n - i);
        int32_t id = pre->whole_words ? whole_word(e, s + i, len) : -1;
        st = id >= 0 ? bt_ids_add(e->out, id) : encode_word(e, s + i, len);
    }
    return st;
}

/* CLIP: collapses white space and lowers the case of NFC text. */
static void fold(bt_buf *out, const char *s, size_t n)
{
    bool space = false;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += bt_utf8_next(s + i, n - i, &cp);
        bool is_space = bt_is_space(cp);
        if (!is_space)
            bt_utf8_lower(out, cp);
        else if (!space)
            bt_buf_add(out, " ", 1);
        space = is_space;
    }
}

static const char *find_text(const char *s, size_t n, const bpe_text *what)
{
    const char *p = what->n ? memmem(s, n, what->s, what->n) : NULL;
    return p ? p : s + n;
}

/* Folded text: its bos tokens, and between them CLIP's words, each cut again by
 * GPT-2's rule, as the ByteLevel step of CLIPTokenizer does. */
static bt_status encode_folded(encoder *e, const char *s, size_t n)
{
    const bt_bpe *b = e->b;
    bt_status st = BT_OK;
    for (const char *end = s + n; s < end && st == BT_OK;) {
        const char *bos = find_text(s, (size_t)(end - s), &b->text[b->bos]);
        while (s < bos && st == BT_OK) {
            uint32_t cp;
            size_t len = bt_pretok_clip(s, (size_t)(bos - s));
            bt_utf8_next(s, len, &cp);
            if (!bt_is_space(cp))
                st = encode_words(e, s, len);
            s += len;
        }
        if (bos < end && st == BT_OK) {
            st = bt_ids_add(e->out, b->bos);
            s = bos + b->text[b->bos].n;
        }
    }
    return st;
}

static bt_status encode_plain(encoder *e, const char *s, size_t n)
{
    if (n == 0)
        return BT_OK;
    if (!e->b->clip && !e->b->pre->nfc)
        return encode_words(e, s, n);
    bt_buf nfc = { 0 }, folded = { 0 };
    bt_status st = bt_utf8_normalize(&nfc, s, n, BT_NFC);
    if (st == BT_OK && e->b->clip) {
        fold(&folded, nfc.data, nfc.len);
        st = folded.failed ? BT_ENOMEM : encode_folded(e, folded.data, folded.len);
    } else if (st == BT_OK) {
        st = encode_words(e, nfc.data, nfc.len);
    }
    bt_buf_free(&nfc);
    bt_buf_free(&folded);
    return st;
}

/* The longest special token at the start of s[0..n), or -1. The sorted list
 * narrows byte by byte to the tokens that begin so. */
static int32_t special_at(const bt_bpe *b, const char *s, size_t n, bool control)
{
    size_t lo = 0, hi = b->n_special;
    int32_t best = -1;
    for (size_t d = 0; d < n && lo < hi; d++) {
        for (int side = 0; side < 2; side++) { /* first token with byte >= c, then > c */
            size_t a = lo, z = hi;
            while (a < z) {
                size_t mid = a + (z - a) / 2;
                const bpe_text *t = &b->text[b->special[mid]];
                int c = d < t->n ? (uint8_t)t->s[d] : -1;
                if (c < (uint8_t)s[d] + side)
                    a = mid + 1;
                else
                    z = mid;
            }
            *(side ? &hi : &lo) = a;
        }
        if (lo == hi)
            break;
        int32_t id = b->special[lo];
        if (b->text[id].n == d + 1 && (control || b->type[id] != BT_TOKEN_CONTROL))
            best = id;
    }
    return best;
}

/* Special tokens are cut out first; what lies between is text. */
static bt_status encode_text(encoder *e, const char *s, size_t n, bool special)
{
    const bt_bpe *b = e->b;
    size_t done = 0;
    bt_status st = BT_OK;
    for (size_t i = 0; i < n && st == BT_OK; i++) {
        if (!b->special_first[(uint8_t)s[i]])
            continue;
        int32_t id = special_at(b, s + i, n - i, special);
        if (id < 0)
            continue;
        st = encode_plain(e, s + done, i - done);
        if (st == BT_OK)
            st = bt_ids_add(e->out, id);
        done = i + b->text[id].n;
        i = done - 1;
    }
    return st == BT_OK ? encode_plain(e, s + done, n - done) : st;
}

bt_status bt_bpe_encode(const bt_bpe *b, const char *text, size_t n, bool special, bt_ids *out)
{
    encoder e = { .b = b, .out = out };
    bt_buf clean = { 0 };
    if (n > INT32_MAX / 4)
        return BT_EINVAL;
    if (!bt_utf8_valid(text, n)) {
        bt_utf8_clean(&clean, text, n);
        text = clean.data;
        n = clean.len;
    }
    bt_status st = clean.failed ? BT_ENOMEM : encode_text(&e, text, n, special);
    bt_buf_free(&clean);
    bt_release(e.sym);
    bt_release(e.heap);
    return st;
}

bt_status bt_bpe_encode_clip(const bt_bpe *b, const char *text, size_t n, int32_t *ids,
                             size_t *used)
{
    bt_ids list = { 0 };
    bt_status st = bt_bpe_encode(b, text, n, true, &list);
    if (st == BT_OK) {
        const size_t max = (size_t)b->max_length;
        const size_t k = list.len < max - 2 ? list.len : max - 2;
        ids[0] = b->bos;
        if (k)
            memcpy(ids + 1, list.data, k * sizeof *ids);
        ids[k + 1] = b->eos;
        for (size_t i = k + 2; i < max; i++)
            ids[i] = b->pad;
        if (used)
            *used = k + 2;
    }
    bt_ids_free(&list);
    return st;
}

/* ---- decoding -------------------------------------------------------------- */

void bt_bpe_decode(const bt_bpe *b, const int32_t *ids, size_t n, bool special, bt_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= b->n)
            continue;
        if (!special && b->type[ids[i]] == BT_TOKEN_CONTROL)
            continue;
        bt_buf_add(out, b->piece[ids[i]].s, b->piece[ids[i]].n);
    }
}
