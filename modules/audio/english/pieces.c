/* SPDX-License-Identifier: MIT
 * Tokens to pieces, at which lexicons look: cut where letters, digits and marks meet and
 * before the capital inside a name (misaki's subtokens).
 */
#include "parts.h"

static bool is_apostrophe(uint32_t c) { return c == '\'' || c == 0x2018 || c == 0x2019; }

/* Code point i of the token, 0 behind its end. */
static uint32_t in(const bt_utext *t, const bt_token *k, size_t i)
{
    return i < k->to ? bt_at(t, i) : 0;
}

/* (?:\d?[,.]?\d)+ */
static size_t number_end(const bt_utext *t, const bt_token *k, size_t i)
{
    for (;; i++) {
        const uint32_t c = in(t, k, i);
        if (bt_is_ascii_digit(c))
            continue;
        if ((c != ',' && c != '.') || !bt_is_ascii_digit(in(t, k, i + 1)))
            return i;
    }
}

/* (?:['‘’][^\W\d_])*: apostrophes with one letter each */
static size_t clipped_end(const bt_utext *t, const bt_token *k, size_t i)
{
    while (is_apostrophe(in(t, k, i)) && bt_is_wordy(in(t, k, i + 1)))
        i += 2;
    return i;
}

/* Does a small letter stand at i, and a capital behind it? */
static bool is_hump(const bt_utext *t, const bt_token *k, size_t i)
{
    return bt_is_latin_lower(in(t, k, i)) && bt_is_latin_upper(in(t, k, i + 1));
}

/* Letters up to the first hump ("Mc" "Donald"), else all, with clipped ones behind. */
static size_t letters_end(const bt_utext *t, const bt_token *k, size_t i)
{
    for (; bt_is_wordy(in(t, k, i)); i++)
        if (is_hump(t, k, i))
            return i + 1;
    for (size_t m = i; is_apostrophe(in(t, k, m)) && bt_is_wordy(in(t, k, m + 1)); m += 2)
        if (is_hump(t, k, m + 2))
            return m + 3;
    return clipped_end(t, k, i);
}

static size_t run_end(const bt_utext *t, const bt_token *k, size_t i, bool (*is)(uint32_t))
{
    while (i < k->to && is(bt_at(t, i)))
        i++;
    return i;
}

static bool is_dash(uint32_t c) { return c == '-' || c == '_'; }

/* The end of the piece that begins at i; i: the character there goes unread. */
static size_t piece_end(const bt_utext *t, const bt_token *k, size_t i)
{
    const uint32_t c = in(t, k, i);
    if (is_apostrophe(c)) {
        const size_t end = run_end(t, k, i, is_apostrophe);
        return i == k->from || end - i >= 2 || end == k->to ? end : i;
    }
    if (bt_is_latin_upper(c) && bt_is_latin_upper(in(t, k, i + 1)) &&
        bt_is_latin_lower(in(t, k, i + 2)))
        return i + 1;
    const size_t sign = i == k->from && c == '-';
    const size_t number = number_end(t, k, i + sign);
    if (number > i + sign)
        return number;
    if (is_dash(c))
        return run_end(t, k, i, is_dash);
    return bt_is_wordy(c) ? letters_end(t, k, i) : i + 1;
}

bool bt_split_token(const bt_utext *text, const bt_token *token, bt_tokens *out)
{
    const size_t first = out->n;
    for (size_t i = token->from; i < token->to;) {
        const size_t end = piece_end(text, token, i);
        if (end == i) {
            i++;
            continue;
        }
        bt_token *p = bt_token_add(out);
        if (!p)
            return false;
        *p = *token;
        p->from = i;
        p->to = i = end;
        p->space = false;
    }
    if (out->n > first)
        out->v[out->n - 1].space = token->space;
    return true;
}
