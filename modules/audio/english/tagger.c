/* SPDX-License-Identifier: MIT
 * Parts of speech (Penn Treebank's tags) by an averaged perceptron: a word that nearly
 * always is one thing is looked up, others are the tag with the greatest sum of the
 * weights of fifteen features: the word, its ending, its shape, its neighbours.
 */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "text/utf8.h"

enum { TAG_SLOTS = sizeof((bt_tagger *)0)->slots };
enum {
    LONGEST_FILE = 256 << 20,
    MOST_TAGS = 255,
    EDGE = 2,
    DECIMALS_MOST = 15,
    BYTES_PER_FEATURE = 48
};

/* ---- opening ----------------------------------------------------------------- */

static bt_status bad(const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "tagger.json: %s", what);
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static size_t tag_slot(const char tag[8])
{
    uint64_t k;
    memcpy(&k, tag, sizeof k);
    return (size_t)(k * 0x9E3779B97F4A7C15u >> 32) % TAG_SLOTS;
}

static void hash_tags(bt_tagger *t)
{
    for (int i = 0; i < t->n_tags; i++) {
        size_t k = tag_slot(t->tags[i]);
        while (t->slots[k])
            k = (k + 1) % TAG_SLOTS;
        t->slots[k] = (uint8_t)(i + 1);
    }
}

/* The list of tags begins at data[*at]. */
static bt_status read_tags(bt_tagger *t, size_t *at, bt_error *err)
{
    const char *data = t->file.data;
    const char *end = *at < t->file.size ? memchr(data + *at, ']', t->file.size - *at) : NULL;
    if (!end)
        return bad("no list of tags", err);
    const bt_str raw = { data + *at, (size_t)(end + 1 - (data + *at)) };
    bt_str key, value;
    t->tags = bt_calloc(MOST_TAGS, sizeof *t->tags);
    if (!t->tags)
        return bt_no_memory(err, "tags");
    for (size_t i = 0; bt_flat_next(raw, &i, &key, &value);) {
        const bt_str tag = bt_flat_string(value);
        if (!tag.p || tag.n >= sizeof *t->tags || t->n_tags == MOST_TAGS)
            return bad("a tag of more than 7 letters, or too many", err);
        memcpy(t->tags[t->n_tags++], tag.p, tag.n);
    }
    qsort(t->tags, (size_t)t->n_tags, sizeof *t->tags, by_name);
    hash_tags(t);
    *at = (size_t)(end + 1 - data);
    return t->n_tags ? BT_OK : bad("no tags", err);
}

bt_status bt_tagger_open(const char *folder, bt_tagger *t, bt_error *err)
{
    bt_buf path = { 0 };
    *t = (bt_tagger){ 0 };
    bt_buf_printf(&path, "%s/tagger.json", folder);
    if (path.failed)
        return bt_no_memory(err, "tagger.json");
    bt_status st = bt_packed_open(path.data, LONGEST_FILE, &t->file, err);
    bt_buf_free(&path);
    size_t at = 0;
    bt_str key;
    while (st == BT_OK && bt_flat_member(t->file.data, t->file.size, &at, &key)) {
        bt_flat *f = bt_str_is(key, "tagdict")   ? &t->known
                     : bt_str_is(key, "vocab")   ? &t->vocabulary
                     : bt_str_is(key, "weights") ? &t->weights
                                                 : NULL;
        if (bt_str_is(key, "tags") && !t->tags) {
            while (at < t->file.size && t->file.data[at] == ' ')
                at++;
            st = read_tags(t, &at, err);
        } else if (f && !f->slots) {
            st = bt_flat_read("tagger.json", t->file.data, t->file.size, &at,
                              f == &t->weights ? t->file.size / BYTES_PER_FEATURE : 0, f, err);
        } else {
            st = bad("an unknown member, or one twice", err);
        }
    }
    if (st == BT_OK && (!t->tags || !t->known.slots || !t->vocabulary.slots || !t->weights.slots))
        st = bad("tags, tagdict, vocab or weights are missing", err);
    if (st != BT_OK)
        bt_tagger_close(t);
    return st;
}

void bt_tagger_close(bt_tagger *t)
{
    bt_flat_free(&t->known);
    bt_flat_free(&t->vocabulary);
    bt_flat_free(&t->weights);
    bt_release(t->tags);
    bt_packed_close(&t->file);
    *t = (bt_tagger){ 0 };
}

/* The tag's index; -1: there is none of that name. */
static int tag_index(const bt_tagger *t, bt_str name)
{
    char tag[8] = "";
    if (name.n >= sizeof tag)
        return -1;
    for (size_t i = 0; i < name.n; i++)
        tag[i] = name.p[i];
    for (size_t k = tag_slot(tag); t->slots[k]; k = (k + 1) % TAG_SLOTS)
        if (memcmp(t->tags[t->slots[k] - 1], tag, sizeof tag) == 0)
            return t->slots[k] - 1;
    return -1;
}

/* ---- what words look like ------------------------------------------------------ */

typedef struct look {
    size_t n;                /* characters */
    uint32_t c[4];           /* the first ones; 0 behind the end */
    bool letters, digits;    /* only such */
    bool lower, upper;       /* every letter with a case has this one, and one has */
    bool tail_lower, hyphen; /* the same from the second letter on; a - behind the first */
} look;

static bool has_case(uint32_t c, bool *is_lower)
{
    *is_lower = bt_is_lower(c);
    return *is_lower || bt_lower_of(c) != c;
}

static look look_at(bt_str w)
{
    look k = { .letters = true, .digits = true };
    bool any = false, tail_any = false;
    k.lower = k.upper = k.tail_lower = true;
    for (size_t i = 0; i < w.n; k.n++) {
        uint32_t c;
        bool is_lower;
        i += bt_utf8_next(w.p + i, w.n - i, &c);
        if (k.n < 4)
            k.c[k.n] = c;
        k.letters = k.letters && bt_is_letter(c);
        k.digits = k.digits && bt_is_ascii_digit(c);
        k.hyphen = k.hyphen || c == '-';
        if (!has_case(c, &is_lower))
            continue;
        any = true;
        k.lower = k.lower && is_lower;
        k.upper = k.upper && !is_lower;
        tail_any = tail_any || k.n > 0;
        k.tail_lower = k.tail_lower && (k.n == 0 || is_lower);
    }
    k.lower = k.lower && any;
    k.upper = k.upper && any;
    k.tail_lower = k.tail_lower && tail_any;
    return k;
}

/* "x" word, "XX" WORD, "X1" I, "Xx" Word, "xX" other letters, "d" digits; otherwise its
 * first four characters, letters as x and digits as d. */
static bt_str shape(bt_pool *a, const look *k)
{
    bool is_lower;
    if (k->letters && k->lower)
        return BT_STR("x");
    if (k->letters && k->upper)
        return k->n > 1 ? BT_STR("XX") : BT_STR("X1");
    if (k->letters)
        return has_case(k->c[0], &is_lower) && !is_lower && k->tail_lower ? BT_STR("Xx")
                                                                          : BT_STR("xX");
    if (k->digits)
        return BT_STR("d");
    char *out = bt_pool_take(a, 16), *p = out;
    for (int i = 0; out && i < 4 && k->c[i]; i++)
        p += bt_utf8_put(p, bt_is_ascii_digit(k->c[i]) ? 'd'
                            : bt_is_letter(k->c[i])    ? 'x'
                                                       : k->c[i]);
    return (bt_str){ out, out ? (size_t)(p - out) : 0 };
}

static bt_str lower(bt_pool *a, bt_str w)
{
    bt_buf b = { 0 };
    for (size_t i = 0; i < w.n;) {
        uint32_t c;
        i += bt_utf8_next(w.p + i, w.n - i, &c);
        bt_utf8_lower(&b, c);
    }
    const bt_str out = b.failed ? BT_NO_STR : bt_str_copy(a, b.data, b.len);
    a->failed = a->failed || b.failed;
    bt_buf_free(&b);
    return out;
}

/* A word as the features know it, JSON-escaped; those outside the vocabulary are known
 * by their shape. */
static bt_str context_word(const bt_tagger *t, bt_pool *a, bt_str w, const look *k)
{
    bt_str n;
    if (k->hyphen && k->c[0] != '-')
        n = BT_STR("!HYPHEN");
    else if (k->digits && k->n == 4)
        n = BT_STR("!YEAR");
    else if (bt_is_ascii_digit(k->c[0]))
        n = BT_STR("!DIGITS");
    else
        n = bt_flat_escape(a, lower(a, w));
    if (n.p && bt_flat_get(&t->vocabulary, n).p)
        return n;
    n = bt_flat_escape(a, shape(a, k));
    return bt_str_join(a, bt_str_cat(a, BT_STR("<"), n), "", BT_STR(">"));
}

/* The last three characters. An escaped " or \ counts as one. */
static bt_str ending(bt_str s)
{
    size_t i = s.n;
    for (int k = 0; k < 3 && i > 0; k++) {
        i--;
        while (i > 0 && ((uint8_t)s.p[i] & 0xC0) == 0x80)
            i--;
        if (i > 0 && (s.p[i] == '"' || s.p[i] == '\\') && s.p[i - 1] == '\\')
            i--;
    }
    return bt_str_from(s, i);
}

static bt_str beginning(bt_str s)
{
    uint32_t c;
    return (bt_str){ s.p, s.n > 1 && s.p[0] == '\\' ? 2 : bt_utf8_next(s.p, s.n, &c) };
}

/* ---- weights --------------------------------------------------------------------- */

/* "-12.3": exact, as both digits and power of ten are. */
static double number(bt_str s)
{
    double v = 0, scale = 1;
    bool point = false;
    for (size_t i = s.n > 0 && s.p[0] == '-'; i < s.n && i < DECIMALS_MOST; i++) {
        if (s.p[i] == '.') {
            point = true;
        } else if (bt_is_ascii_digit((uint8_t)s.p[i])) {
            v = v * 10 + (s.p[i] - '0');
            scale *= point ? 10 : 1;
        }
    }
    return s.n > 0 && s.p[0] == '-' ? -v / scale : v / scale;
}

typedef struct scores {
    const bt_tagger *tagger;
    bt_pool *arena;
    double of[MOST_TAGS];
    bool any;
} scores;

static void feature(scores *s, const char *kind, bt_str value)
{
    char room[160];
    const size_t n = strlen(kind);
    if (n + value.n > sizeof room || !value.p)
        return;
    memcpy(room, kind, n);
    memcpy(room + n, value.p, value.n);
    const bt_str raw = bt_flat_get(&s->tagger->weights, (bt_str){ room, n + value.n });
    bt_str tag, weight;
    if (raw.n == 0 || raw.p[0] != '{')
        return;
    for (size_t at = 0; bt_flat_next(raw, &at, &tag, &weight);) {
        const int k = tag_index(s->tagger, tag);
        if (k >= 0)
            s->of[k] += number(weight);
        s->any = true;
    }
}

/* Order matters: sums of rounded numbers. */
static const char *predict(scores *s, bt_str word, bt_str w_shape, const bt_str *ctx, bool first,
                           const char *before, const char *before2)
{
    char both[24];
    memset(s->of, 0, sizeof s->of);
    s->any = false;
    feature(s, "b", BT_STR(""));
    feature(s, "s3=", ending(word));
    feature(s, "p1=", beginning(word));
    feature(s, "w=", ctx[0]);
    feature(s, "sh=", w_shape);
    feature(s, first ? "i0" : "i+", BT_STR(""));
    feature(s, "t-1=", (bt_str){ before, strlen(before) });
    feature(s, "t-2=", (bt_str){ before2, strlen(before2) });
    const int n = snprintf(both, sizeof both, "%s,%s", before, before2);
    feature(s, "t-12=", (bt_str){ both, (size_t)n });
    feature(s, "w-1=", ctx[-1]);
    feature(s, "s3-1=", ending(ctx[-1]));
    feature(s, "w-2=", ctx[-2]);
    feature(s, "w+1=", ctx[1]);
    feature(s, "s3+1=", ending(ctx[1]));
    feature(s, "w+2=", ctx[2]);
    int best = 0; /* of equal ones the last by name */
    for (int k = 1; k < s->tagger->n_tags; k++)
        if (s->of[k] >= s->of[best])
            best = k;
    return s->any ? s->tagger->tags[best] : "NN";
}

void bt_tagger_run(const bt_tagger *t, bt_pool *a, const bt_str *words, size_t n, const char **tags)
{
    bt_str *room = bt_pool_take(a, (n + 2 * EDGE) * sizeof *room), *ctx = room + EDGE;
    look *looks = bt_pool_take(a, n * sizeof *looks);
    const char *before = "-START-", *before2 = "-START2-";
    scores s = { .tagger = t, .arena = a };
    if (!room || !looks)
        return;
    ctx[-2] = BT_STR("-START2-");
    ctx[-1] = BT_STR("-START-");
    ctx[n] = BT_STR("-END-");
    ctx[n + 1] = BT_STR("-END2-");
    for (size_t i = 0; i < n; i++) {
        looks[i] = look_at(words[i]);
        ctx[i] = context_word(t, a, words[i], &looks[i]);
    }
    for (size_t i = 0; i < n && !a->failed; i++) {
        const bt_str word = bt_flat_escape(a, words[i]);
        const bt_str known = bt_flat_string(bt_flat_get(&t->known, word));
        const int k = known.p ? tag_index(t, known) : -1;
        tags[i] = k >= 0 ? t->tags[k]
                         : predict(&s, word, bt_flat_escape(a, shape(a, &looks[i])), ctx + i,
                                   i == 0, before, before2);
        before2 = before;
        before = tags[i];
    }
}
