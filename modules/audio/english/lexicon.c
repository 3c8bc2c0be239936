/* SPDX-License-Identifier: MIT
 * Lexicons: misaki's, and the user's own.
 */
#include "parts.h"

#include <stdlib.h>

#include "text/utf8.h"

enum { LONGEST_WORD = 255, LONGEST_FILE = 64 << 20 };

/* The word with its first letter in the other case, in `out`; false if that is no other
 * form of it: "word" <-> "Word", while "WoRD" stands for itself. */
static bool other_form(bt_str w, char *out)
{
    if (w.n < 2 || w.n > LONGEST_WORD || !bt_is_ascii_letter((uint8_t)w.p[0]) ||
        !bt_str_is_lower(bt_str_from(w, 1)))
        return false;
    memcpy(out, w.p, w.n);
    out[0] ^= 32;
    return true;
}

bt_str bt_lexicon_get(const bt_flat *f, bt_str word)
{
    char other[LONGEST_WORD];
    if (word.n == 0 || bt_str_has(word, '"') || bt_str_has(word, '\\'))
        return BT_NO_STR;
    bt_str v = bt_flat_get(f, word);
    if (!v.p && other_form(word, other))
        v = bt_flat_get(f, (bt_str){ other, word.n });
    return v.p && !bt_str_is(v, "null") ? v : BT_NO_STR;
}

/* ---- the user's words ------------------------------------------------------- */

static int compare(const void *x, const void *y)
{
    const bt_user_word *a = x, *b = y;
    const size_t n = a->word.n < b->word.n ? a->word.n : b->word.n;
    const int c = memcmp(a->word.p, b->word.p, n);
    if (c != 0)
        return c;
    if (a->word.n != b->word.n)
        return a->word.n < b->word.n ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static bool add(bt_user_lexicon *u, bt_str word, bt_str phonemes)
{
    if (u->n == u->cap) {
        const size_t cap = u->cap ? 2 * u->cap : 64;
        bt_user_word *v = bt_realloc_array(u->v, u->cap, cap, sizeof *v);
        if (!v)
            return false;
        u->v = v;
        u->cap = cap;
    }
    const bt_str w = bt_str_copy(&u->text, word.p, word.n);
    const bt_str p = bt_str_copy(&u->text, phonemes.p, phonemes.n);
    u->v[u->n] = (bt_user_word){ w, p, u->n };
    u->n += w.p && p.p;
    return w.p && p.p;
}

static bool is_gap(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* "word phonemes": false if one of them is missing. */
static bool cut_line(bt_str line, bt_str *word, bt_str *phonemes)
{
    size_t i = 0;
    while (line.n > 0 && is_gap(line.p[line.n - 1]))
        line.n--;
    while (i < line.n && !is_gap(line.p[i]))
        i++;
    *word = (bt_str){ line.p, i };
    while (i < line.n && is_gap(line.p[i]))
        i++;
    *phonemes = bt_str_from(line, i);
    return word->n > 0 && phonemes->n > 0;
}

bt_status bt_user_lexicon_add(bt_user_lexicon *u, const char *path, bt_error *err)
{
    char *text;
    size_t n;
    bt_status st = bt_file_read(path, LONGEST_FILE, &text, &n, err);
    if (st != BT_OK)
        return st;
    if (!bt_utf8_valid(text, n))
        st = bt_fail(err, BT_EFORMAT, "%s: not UTF-8", path);
    const size_t mark = n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    long number = 1;
    for (size_t at = mark, end; st == BT_OK && at < n; at = end + 1, number++) {
        const char *newline = memchr(text + at, '\n', n - at);
        end = newline ? (size_t)(newline - text) : n;
        while (at < end && is_gap(text[at]))
            at++;
        bt_str word, phonemes;
        if (at == end || text[at] == '#')
            continue;
        if (!cut_line((bt_str){ text + at, end - at }, &word, &phonemes))
            st = bt_fail(err, BT_EFORMAT, "%s: line %ld has no phonemes", path, number);
        else if (!add(u, word, phonemes))
            st = bt_no_memory(err, path);
    }
    bt_release(text);
    if (u->n > 0)
        qsort(u->v, u->n, sizeof *u->v, compare);
    return st;
}

/* The last one added of this spelling. */
static bt_str find(const bt_user_lexicon *u, bt_str word)
{
    const bt_user_word key = { word, BT_NO_STR, SIZE_MAX };
    size_t a = 0, b = u->n;
    while (a < b) {
        const size_t m = (a + b) / 2;
        if (compare(&u->v[m], &key) < 0)
            a = m + 1;
        else
            b = m;
    }
    return a > 0 && bt_str_eq(u->v[a - 1].word, word) ? u->v[a - 1].phonemes : BT_NO_STR;
}

bt_str bt_user_lexicon_get(const bt_user_lexicon *u, bt_pool *a, bt_str word)
{
    if (u->n == 0)
        return BT_NO_STR;
    const bt_str v = find(u, word);
    const bt_str small = v.p || bt_str_is_lower(word) ? BT_NO_STR : bt_str_lower(a, word);
    return small.p ? find(u, small) : v;
}

void bt_user_lexicon_free(bt_user_lexicon *u)
{
    bt_release(u->v);
    bt_pool_free(&u->text);
    *u = (bt_user_lexicon){ 0 };
}
