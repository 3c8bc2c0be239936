/* SPDX-License-Identifier: MIT
 * Where sentences end: at the end of a line, and at . ! ? … before a space, unless the
 * full stop belongs to a title or an initial or the next word has a small letter.
 */
#include "parts.h"

#include "text/utf8.h"

enum {
    LONG = 4096, /* bytes after which a sentence is cut where it can be... */
    LEAST = 512  /* ...but not before */
};

static bool is_newline(uint8_t c) { return c == '\n'; }

static uint32_t at(const char *s, size_t n, size_t i, size_t *len)
{
    uint32_t c = 0;
    *len = i < n ? bt_utf8_next(s + i, n - i, &c) : 0;
    return c;
}

/* Behind the closing marks ["”’)\]]* and the spaces at i; i: there are no spaces. */
static size_t skip_gap(const char *s, size_t n, size_t i)
{
    size_t k = i, len;
    for (uint32_t c;
         (c = at(s, n, k, &len)) == '"' || c == ')' || c == ']' || c == 0x201D || c == 0x2019;)
        k += len;
    const size_t marks = k;
    while (bt_is_blank(at(s, n, k, &len)))
        k += len;
    return k > marks ? k : i;
}

/* "Dr." or "J." before the full stop at s[end - 1], in a paragraph that begins at `from`. */
static bool is_short(const bt_english *e, const char *s, size_t from, size_t end)
{
    size_t a = end, len;
    while (a > from && s[a - 1] != ' ')
        a--;
    for (uint32_t c; a < end && ((c = at(s, end, a, &len)) == '(' || c == '"' || c == '\'' ||
                                 c == 0x201C || c == 0x2018);)
        a += len;
    const bt_str word = { s + a, end - 1 > a ? end - 1 - a : 0 };
    for (size_t i = 0; i < e->tables.titles.n; i++)
        if (bt_str_eq(word, e->tables.titles.v[i].word))
            return true;
    const uint32_t c = word.n ? at(word.p, word.n, 0, &len) : 0;
    return c && len == word.n && bt_is_letter(c) && !bt_is_lower(c) && bt_lower_of(c) != c;
}

/* Behind [[ what ]] or (/what/) at i, which may hold any marks; i: no such thing. */
static size_t skip_given(const char *s, size_t n, size_t i)
{
    const bool raw = n - i >= 4 && memcmp(s + i, "[[", 2) == 0;
    if (!raw && (n - i < 4 || memcmp(s + i, "(/", 2) != 0))
        return i;
    for (size_t k = i + 2; k + 1 < n && k < i + LEAST && !is_newline((uint8_t)s[k]); k++)
        if (memcmp(s + k, raw ? "]]" : "/)", 2) == 0)
            return k + 2;
    return i;
}

/* Where too long a sentence s[from..) is best cut: behind a clause, a space, a character. */
static size_t cut(const char *s, size_t from, size_t n)
{
    size_t clause = 0, space = 0;
    const size_t end = n - from > LONG ? from + LONG : n;
    for (size_t i = from + LEAST; i < end; i++)
        if (s[i] == ' ') {
            space = i;
            if (s[i - 1] == ',' || s[i - 1] == ';' || s[i - 1] == ':')
                clause = i;
        }
    if (clause || space)
        return clause ? clause : space;
    size_t i = end;
    while (i > from + LEAST && ((uint8_t)s[i] & 0xC0) == 0x80)
        i--;
    return i;
}

/* The end of the sentence that begins at s[from]; *next: where the one after it does. */
static size_t sentence_end(const bt_english *e, const char *s, size_t n, size_t from, size_t *next)
{
    for (size_t i = from, len; i < n; i += len) {
        if (is_newline((uint8_t)s[i])) {
            *next = i + 1;
            return i;
        }
        if (i - from >= LONG)
            return *next = cut(s, from, n);
        const size_t given = skip_given(s, n, i);
        if (given > i) {
            len = given - i;
            continue;
        }
        const uint32_t c = at(s, n, i, &len);
        if (c != '.' && c != '!' && c != '?' && c != 0x2026)
            continue;
        const size_t gap = skip_gap(s, n, i + len);
        if (gap == i + len || gap >= n || memchr(s + i, '\n', gap - i))
            continue;
        size_t k;
        if (bt_is_lower(at(s, n, gap, &k)) || (c == '.' && is_short(e, s, from, i + 1)))
            continue;
        *next = gap;
        return i + len;
    }
    *next = n;
    return n;
}

bool bt_english_sentence(const bt_english *e, const char *text, size_t n, size_t *at_, size_t *from,
                         size_t *to)
{
    size_t len;
    while (*at_ < n && bt_is_blank(at(text, n, *at_, &len)))
        *at_ += len;
    if (*at_ >= n)
        return false;
    *from = *at_;
    *to = sentence_end(e, text, n, *at_, at_);
    while (*to > *from && (uint8_t)text[*to - 1] <= ' ')
        --*to;
    return true;
}
