/* SPDX-License-Identifier: MIT
 * The rules were found by comparing outputs of espeak-ng 1.51 and of piper-tts
 * 1.8 (tests/golden/phonemes.json):
 *  - a clause ends at . , ; : ? ! and their kin when white space, a quote, a
 *    bracket or the end follows; of a run such as "?!" the first decides;
 *  - not at a full stop before a lower-case word on the same line;
 *  - three dots or an ellipsis end a clause (not a sentence) wherever they are,
 *    and so do the full-width marks of Chinese and Japanese;
 *  - dashes count before white space, as a semicolon;
 *  - an empty line ends a sentence.
 */
#include "audio/vits/clauses.h"

#include <string.h>

#include "text/utf8.h"

enum { DOT = 1, SENTENCE = 2, DASH = 4, ANYWHERE = 8 };

typedef struct mark {
    uint32_t cp;
    const char *adds;
    int flags;
} mark;

/* Piper knows six marks; others end a clause in espeak-ng but add nothing. */
static const mark marks[] = {
    { '.', ".", DOT | SENTENCE },
    { ',', ", ", 0 },
    { ';', "; ", 0 },
    { ':', ": ", 0 },
    { '?', "?", SENTENCE },
    { '!', "!", SENTENCE },
    { 0x2013, "; ", DASH },              /* en dash */
    { 0x2014, "; ", DASH },              /* em dash */
    { 0x2026, "", ANYWHERE },            /* ellipsis */
    { 0x037E, "?", SENTENCE },           /* Greek question mark */
    { 0x060C, ", ", 0 },                 /* Arabic comma */
    { 0x061B, "; ", 0 },                 /* Arabic semicolon */
    { 0x061F, "?", SENTENCE },           /* Arabic question mark */
    { 0x0964, "", SENTENCE },            /* danda */
    { 0x203C, "!", SENTENCE },           /* two exclamation marks */
    { 0x2047, "?", SENTENCE },           /* two question marks */
    { 0x3001, "", ANYWHERE },            /* ideographic comma */
    { 0x3002, "", SENTENCE | ANYWHERE }, /* ideographic full stop */
    { 0xFF01, "", SENTENCE | ANYWHERE }, /* full-width ! , ? */
    { 0xFF0C, "", ANYWHERE },
    { 0xFF1F, "", SENTENCE | ANYWHERE },
};

static const mark *mark_of(uint32_t cp)
{
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (marks[i].cp == cp)
            return &marks[i];
    return NULL;
}

/* Quotes and brackets, which may stand between a mark and the next word. */
static bool is_bracket(uint32_t cp)
{
    switch (cp) {
    case '(':
    case ')':
    case '[':
    case ']':
    case '{':
    case '}':
    case '<':
    case '>':
    case '"':
    case '\'':
    case '`':
    case 0xAB:
    case 0xBB:
    case 0x2018:
    case 0x2019:
    case 0x201C:
    case 0x201D: return true;
    default: return false;
    }
}

/* A cursor over the characters of the text. */
typedef struct cursor {
    const char *text;
    size_t n, at;
} cursor;

static uint32_t peek(const cursor *c, size_t *len)
{
    uint32_t cp = 0;
    *len = c->at < c->n ? bt_utf8_next(c->text + c->at, c->n - c->at, &cp) : 0;
    return cp;
}

/* Steps over white space; the number of line ends in it. */
static int skip_space(cursor *c)
{
    int lines = 0;
    size_t len;
    for (uint32_t cp; (cp = peek(c, &len)), len && bt_is_space(cp); c->at += len)
        lines += cp == '\n';
    return lines;
}

/* Steps over a run of marks. */
static void skip_marks(cursor *c)
{
    size_t len;
    for (const mark *m; m = mark_of(peek(c, &len)), len && m && !(m->flags & DASH);)
        c->at += len;
}

/* Does a full stop here, white space following, close nothing? */
static bool lower_follows(cursor c)
{
    size_t len;
    int lines = skip_space(&c);
    uint32_t cp = peek(&c, &len);
    return lines == 0 && len && bt_is_lower(cp);
}

/* The mark at c->at, already known to be one; steps over its run. */
static bool ends_clause(cursor *c, const mark *m, size_t len, bt_clause *out)
{
    bool dots = m->flags & DOT && c->n - c->at >= 3 && memcmp(c->text + c->at, "...", 3) == 0;
    c->at += len;
    if (!(m->flags & DASH))
        skip_marks(c);
    out->end = c->at;
    out->mark = dots ? "" : m->adds;
    out->ends_sentence = !dots && m->flags & SENTENCE;
    if (dots || m->flags & ANYWHERE)
        return true;
    uint32_t next = peek(c, &len);
    if (len == 0)
        return true;
    if (bt_is_space(next))
        return !(m->flags & DOT && lower_follows(*c));
    return is_bracket(next);
}

static bool too_long(size_t n, uint32_t next)
{
    return n >= 2 * BT_CLAUSE_MAX || (n >= BT_CLAUSE_MAX && bt_is_space(next));
}

bool bt_clause_next(const char *text, size_t n, size_t from, bt_clause *out)
{
    cursor c = { text, n, from };
    bool word = false; /* punctuation before the first word ends nothing */
    skip_space(&c);
    if (c.at == n)
        return false;
    out->begin = c.at;
    while (c.at < n) {
        size_t len;
        uint32_t cp = peek(&c, &len);
        const mark *m = mark_of(cp);
        if (too_long(c.at - out->begin, cp))
            break;
        if (m && word) {
            if (ends_clause(&c, m, len, out))
                return true;
            continue;
        }
        if (bt_is_space(cp)) {
            out->end = c.at;
            if (skip_space(&c) > 1 && word)
                break;
            continue;
        }
        word = word || !bt_is_punct(cp);
        c.at += len;
        out->end = c.at;
    }
    out->mark = "";
    out->ends_sentence = true;
    return true;
}
