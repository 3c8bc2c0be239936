/* SPDX-License-Identifier: MIT
 * Tokens to words and words to phonemes (misaki's G2P.__call__). Words are read from the
 * last to the first, since how "the" sounds hangs on what follows; within a word, the
 * longest piece that a lexicon knows wins.
 */
#include "parts.h"

#include <stdlib.h>

#include "text/utf8.h"

enum { LONGEST_WORD = 40 /* pieces; longer ones are cut, or they would cost their cube */ };

/* ---- pieces ------------------------------------------------------------------------- */

static bool is_one(const bt_utext *t, const bt_token *k, uint32_t c)
{
    return k->to - k->from == 1 && bt_at(t, k->from) == c;
}

static bool is_closed_mark(uint32_t c)
{
    return c == ';' || c == ':' || c == ',' || c == '.' || c == '!' || c == '?' || c == 0x2014 ||
           c == 0x2026;
}

static bool is_spoken_mark(uint32_t c)
{
    return is_closed_mark(c) || c == '"' || c == 0x201C || c == 0x201D;
}

static bool is_junk(const bt_utext *t, const bt_token *k)
{
    for (size_t i = k->from; i < k->to; i++) {
        const uint32_t c = bt_at(t, i);
        if (!c || !(c == 0x2018 || c == 0x2019 || (c < 0x80 && strchr("',-._/", (int)c))))
            return false;
    }
    return true;
}

static bool tagged(const bt_token *k, const char *list)
{
    return bt_str_among((bt_str){ k->tag, strlen(k->tag) }, list);
}

static bool is_punctuation(const bt_utext *t, const bt_token *k)
{
    if (!tagged(k, ". , -LRB- -RRB- `` \"\" '' : $ # NFP"))
        return false;
    for (size_t i = k->from; i < k->to; i++)
        if (!bt_is_ascii_lower(bt_lower_of(bt_at(t, i))))
            return true;
    return false;
}

/* What voices know of a mark. */
static bt_str mark_phonemes(bt_pool *a, const bt_utext *t, const bt_token *k)
{
    if (tagged(k, "-LRB-"))
        return BT_STR("(");
    if (tagged(k, "-RRB-"))
        return BT_STR(")");
    if (tagged(k, "``"))
        return BT_STR("\u201C");
    if (tagged(k, "\"\" ''"))
        return BT_STR("\u201D");
    char *out = bt_pool_take(a, 4 * (k->to - k->from)), *p = out;
    for (size_t i = k->from; out && i < k->to; i++)
        if (is_spoken_mark(bt_at(t, i)))
            p += bt_utf8_put(p, bt_at(t, i));
    return (bt_str){ out, out ? (size_t)(p - out) : 0 };
}

typedef struct grouping {
    bt_work *w;
    const bt_tokens *tokens;
    bt_tokens *pieces;
    size_t *ends, n_words;
    uint32_t currency; /* a sign whose number has not ended */
    bool open;         /* the last word may go on */
} grouping;

static void give(bt_token *k, bt_str phonemes, int rating)
{
    k->phonemes = phonemes;
    k->rating = rating;
}

/* Piece j of n of token i: what can be said of it without a lexicon. */
static void prepare(grouping *g, size_t i, bt_token *k, size_t j, size_t n)
{
    const bt_utext *t = g->w->text;
    const uint32_t c = bt_at(t, k->from);
    if (k->phonemes.p)
        return;
    if (tagged(k, "$") && k->to - k->from == 1 && (c == '$' || c == 0xA3 || c == 0x20AC)) {
        g->currency = c;
        give(k, BT_STR(""), 4);
    } else if (tagged(k, ":") && (is_one(t, k, '-') || is_one(t, k, 0x2013))) {
        give(k, BT_STR("—"), 3);
    } else if (is_punctuation(t, k)) {
        give(k, mark_phonemes(g->w->arena, t, k), 4);
    } else if (g->currency) {
        const bool last = i + 1 == g->tokens->n || strcmp(g->tokens->v[i + 1].tag, "CD") != 0;
        if (!tagged(k, "CD"))
            g->currency = 0;
        else if (j + 1 == n && last)
            k->currency = g->currency;
    } else if (j > 0 && j + 1 < n && is_one(t, k, '2')) {
        k->is_to = bt_is_letter(bt_at(t, k[-1].to - 1)) && bt_is_letter(bt_at(t, k[1].from));
    }
}

static void join_word(grouping *g, size_t index)
{
    bt_token *k = &g->pieces->v[index];
    const size_t begin = g->n_words > 1 ? g->ends[g->n_words - 2] : 0;
    const bool known = k->phonemes.p || k->is_to;
    if (!known && g->open && index - begin < LONGEST_WORD) {
        k->head = false;
        g->ends[g->n_words - 1] = index + 1;
    } else {
        g->ends[g->n_words++] = index + 1;
    }
    g->open = !known && !k->space;
}

static bool group(grouping *g)
{
    bt_tokens *p = g->pieces;
    size_t longest = 0;
    for (size_t i = 0; i < g->tokens->n; i++) /* a piece has one character at least */
        longest += g->tokens->v[i].to - g->tokens->v[i].from + 1;
    g->ends = bt_pool_take(g->w->arena, longest * sizeof *g->ends);
    for (size_t i = 0; g->ends && i < g->tokens->n; i++) {
        const bt_token *token = &g->tokens->v[i];
        const size_t first = p->n;
        if (token->phonemes.p) {
            bt_token *k = bt_token_add(p);
            if (!k)
                return false;
            *k = *token;
        } else if (!bt_split_token(g->w->text, token, p)) {
            return false;
        }
        for (size_t j = first; j < p->n; j++) {
            prepare(g, i, &p->v[j], j - first, p->n - first);
            join_word(g, j);
        }
    }
    return g->ends != NULL;
}

/* ---- lexicons -------------------------------------------------------------------------- */

/* Pieces that are looked up as one. */
typedef struct merged {
    bt_str text;
    const char *tag;
    uint32_t currency;
    bool head;
} merged;

/* The tag is that of the longest piece; capitals count twice. */
static merged merge(const bt_work *w, const bt_token *k, size_t n)
{
    merged m = { BT_STR(""), k[0].tag, 0, k[0].head };
    size_t best = 0, bytes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t weight = 0;
        for (size_t c = k[i].from; c < k[i].to; c++)
            weight += bt_lower_of(bt_at(w->text, c)) == bt_at(w->text, c) ? 1 : 2;
        if (weight > best)
            m.tag = k[i].tag;
        best = weight > best ? weight : best;
        m.currency = k[i].currency > m.currency ? k[i].currency : m.currency;
        bytes += 4 * (k[i].to - k[i].from);
    }
    char *out = bt_pool_take(w->arena, bytes), *p = out;
    for (size_t i = 0; out && i < n; i++)
        for (size_t c = k[i].from; c < k[i].to; c++)
            p += bt_utf8_put(p, bt_at(w->text, c));
    m.text = (bt_str){ out, out ? (size_t)(p - out) : 0 };
    return m;
}

static bool is_ascii(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)s[i] >= 0x80)
            return false;
    return true;
}

/* Typographers' apostrophes as '. */
static bt_str plain_apostrophes(bt_pool *a, bt_str s)
{
    if (is_ascii(s.p, s.n))
        return s;
    char *out = bt_pool_take(a, s.n);
    size_t n = 0;
    for (size_t i = 0; out && i < s.n;) {
        const bool mark =
            s.n - i >= 3 && (memcmp(s.p + i, "‘", 3) == 0 || memcmp(s.p + i, "’", 3) == 0);
        out[n++] = mark ? '\'' : s.p[i];
        i += mark ? 3 : 1;
    }
    return (bt_str){ out, n };
}

/* As lexicons spell it: compatible characters in their plain form. None: no lexicon
 * has such letters. */
static bt_str plain_form(bt_pool *a, bt_str s)
{
    bt_buf b = { 0 };
    if (is_ascii(s.p, s.n))
        return s;
    a->failed |= bt_utf8_normalize(&b, s.p, s.n, BT_NFKC) != BT_OK;
    const bt_str out =
        !a->failed && is_ascii(b.data, b.len) ? bt_str_copy(a, b.data, b.len) : BT_NO_STR;
    bt_buf_free(&b);
    return out;
}

static bt_sound look_up(const bt_work *w, const merged *m, const bt_context *ctx)
{
    const bt_str text = plain_apostrophes(w->arena, m->text);
    const bt_str given = text.p ? bt_user_lexicon_get(w->speller.user, w->arena, text) : BT_NO_STR;
    const bt_str word = text.p && !given.p ? plain_form(w->arena, text) : BT_NO_STR;
    if (given.p || !word.p)
        return (bt_sound){ given, 5 };
    const int stress = bt_str_is_lower(word)   ? BT_STRESS_NONE
                       : bt_str_is_upper(word) ? BT_STRESS_PRIMARY
                                               : BT_STRESS_RAISE;
    bt_sound v = bt_spell_word(&w->speller, word, m->tag, stress, ctx);
    if (v.phonemes.p && m->currency) {
        const bt_str unit = bt_currency_plural(&w->speller, m->currency);
        if (unit.p)
            v.phonemes = bt_str_join(w->arena, v.phonemes, " ", unit);
    } else if (!v.phonemes.p && bt_is_number_word(word, m->head)) {
        v = bt_spell_number(&w->speller, word, m->currency, m->head);
    }
    return v;
}

/* ---- words --------------------------------------------------------------------------------- */

/* What the word before will see of this one. */
static bt_context context_of(const bt_context *ctx, bt_str phonemes, bt_str text, const char *tag)
{
    bt_context v = { ctx->vowel, false };
    for (size_t i = 0; i < phonemes.n;) {
        uint32_t c;
        i += bt_utf8_next(phonemes.p + i, phonemes.n - i, &c);
        const bool vowel = bt_is_vowel(c), mark = is_closed_mark(c);
        if (!vowel && !mark && !bt_is_consonant(c))
            continue;
        v.vowel = mark ? BT_NEXT_UNKNOWN : vowel ? BT_NEXT_VOWEL : BT_NEXT_CONSONANT;
        break;
    }
    v.to = bt_str_is(text, "to") || bt_str_is(text, "To") ||
           (bt_str_is(text, "TO") && (strcmp(tag, "TO") == 0 || strcmp(tag, "IN") == 0));
    return v;
}

/* The last piece is known by no lexicon, alone or with those before it. True: it may be
 * left unsaid; false: the whole word is unknown. */
static bool drop_last(const bt_work *w, bt_token *last)
{
    if (last->phonemes.p)
        return true;
    if (!is_junk(w->text, last))
        return false;
    give(last, BT_STR(""), 3);
    return true;
}

/* Pieces from the last to the first, each time as many as a lexicon knows together. */
static bool spell_pieces(const bt_work *w, bt_token *k, size_t n, bt_context *ctx)
{
    size_t left = 0, right = n;
    while (left < right && !w->arena->failed) {
        const merged m = merge(w, k + left, right - left);
        const bt_sound v = look_up(w, &m, ctx);
        if (v.phonemes.p) {
            give(&k[left], v.phonemes, v.rating);
            for (size_t i = left + 1; i < right; i++)
                give(&k[i], BT_STR(""), v.rating);
            *ctx = context_of(ctx, v.phonemes, m.text, m.tag);
            right = left;
            left = 0;
        } else if (left + 1 < right) {
            left++;
        } else {
            right--;
            if (!drop_last(w, &k[right]))
                return false;
            left = 0;
        }
    }
    return true;
}

/* Letters, digits and the rest in one word: then its pieces are said with spaces. */
static bool is_mixed(const bt_utext *t, const bt_token *k, size_t n)
{
    bool kinds[3] = { false, false, false };
    for (size_t i = 0; i < n; i++)
        for (size_t c = k[i].from; c < k[i].to; c++) {
            const uint32_t u = bt_at(t, c);
            const bt_token one = { .from = c, .to = c + 1 };
            if (u == ' ' || u == '/')
                return true;
            if (!is_junk(t, &one))
                kinds[bt_is_letter(u) ? 0 : bt_is_ascii_digit(u) ? 1 : 2] = true;
        }
    return kinds[0] + kinds[1] + kinds[2] > 1;
}

/* A sounding piece, as they are sorted by how much stress they bear. */
typedef struct beat {
    bool primary;
    int weight;
    size_t index;
} beat;

static int weaker_first(const void *x, const void *y)
{
    const beat *a = x, *b = y;
    if (a->primary != b->primary)
        return a->primary ? 1 : -1;
    if (a->weight != b->weight)
        return a->weight < b->weight ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static void lower(const bt_work *w, bt_token *k)
{
    k->phonemes = bt_apply_stress(w->arena, k->phonemes, BT_STRESS_LOWER);
}

/* One word bears one primary stress or two, not one for each of its pieces. */
static void settle_stress(const bt_work *w, bt_token *k, size_t n)
{
    beat beats[LONGEST_WORD];
    size_t m = 0, primaries = 0;
    for (size_t i = 0; i < n && m < LONGEST_WORD; i++)
        if (k[i].phonemes.n > 0) {
            const bool primary = bt_has_primary(k[i].phonemes);
            beats[m++] = (beat){ primary, bt_stress_weight(k[i].phonemes), i };
            primaries += primary;
        }
    if (m == 2 && k[beats[0].index].to - k[beats[0].index].from == 1) {
        lower(w, &k[beats[1].index]);
        return;
    }
    if (m < 2 || primaries <= (m + 1) / 2)
        return;
    qsort(beats, m, sizeof *beats, weaker_first);
    for (size_t i = 0; i < m / 2; i++)
        lower(w, &k[beats[i].index]);
}

static void settle(const bt_work *w, bt_token *k, size_t n)
{
    const bool mixed = is_mixed(w->text, k, n);
    for (size_t i = 1; i < n; i++)
        k[i].gap = mixed;
    if (!mixed)
        settle_stress(w, k, n);
}

static bt_status spell_word(const bt_work *w, const merged *all, bt_token *k, size_t n,
                            bt_context *ctx, bt_error *err)
{
    const merged m = *all;
    if (n > 1) {
        if (spell_pieces(w, k, n, ctx)) {
            settle(w, k, n);
            return BT_OK;
        }
        for (size_t i = 1; i < n; i++)
            give(&k[i], BT_STR(""), 2);
        return bt_spell_unknown(w, m.text, k, err);
    }
    if (!k->phonemes.p) {
        const merged to = { BT_STR("to"), m.tag, 0, m.head };
        const bt_sound v = look_up(w, k->is_to ? &to : &m, ctx);
        give(k, v.phonemes, v.rating);
    }
    bt_status st = BT_OK;
    if (!k->phonemes.p)
        st = bt_spell_unknown(w, m.text, k, err);
    *ctx = context_of(ctx, k->phonemes, m.text, m.tag);
    return st;
}

bt_status bt_words_spell(bt_work *w, const bt_tokens *tokens, bt_tokens *pieces, size_t **ends,
                         size_t *n_words, bt_error *err)
{
    grouping g = { .w = w, .tokens = tokens, .pieces = pieces };
    bt_context ctx = { BT_NEXT_UNKNOWN, false };
    if (!group(&g))
        return bt_no_memory(err, "a sentence's words");
    *ends = g.ends;
    *n_words = g.n_words;
    for (size_t i = g.n_words; i-- > 0;) {
        const size_t begin = i ? g.ends[i - 1] : 0;
        const merged m = merge(w, pieces->v + begin, g.ends[i] - begin);
        const bt_status st = spell_word(w, &m, pieces->v + begin, g.ends[i] - begin, &ctx, err);
        if (st != BT_OK)
            return st;
        pieces->v[begin].tag = m.tag;
    }
    return w->arena->failed ? bt_no_memory(err, "a sentence's phonemes") : BT_OK;
}
