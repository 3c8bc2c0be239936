/* SPDX-License-Identifier: MIT
 * The cheapest way to take words and groups of phonemes from left to right: one for one, up
 * to MERGE words for one group, one word for up to SPLIT groups. A step costs by how much
 * the lengths differ, and more where a plain word is split or words are merged.
 */
#include "audio/vits/align.h"

#include <float.h>
#include <string.h>

#include "text/utf8.h"

enum {
    MERGE = 4,
    SPLIT = 16,
    DIGIT = 5,         /* phonemes of a digit that is read out: "1984" has some 20 */
    LONGEST = 1 << 20, /* words x groups, above which all is one pair */
};

#define COST_MERGE      1.0f /* of every word more */
#define COST_SPLIT      3.0f /* of every group more of a word of small letters */
#define COST_SPLIT_READ 0.2f /* of one with digits, signs or capitals, which is read out */
#define COST_EDGE       2.0f /* "bin" begins unlike "tin", and ends unlike "bill" */
#define CAPITAL         2    /* phonemes of a letter that is read out: "BBC" */

typedef struct piece {
    bt_span at;
    float length; /* in phonemes */
    bool read_out;
    uint32_t first, last; /* sounds or letters */
} piece;

bool bt_pairs_add(bt_pairs *p, bt_span source, bt_span phonemes)
{
    if (p->n == p->cap) {
        const size_t cap = 2 * p->cap + 32;
        bt_pair *v = bt_realloc_array(p->v, p->cap, cap, sizeof *v);
        if (!v)
            return false;
        p->v = v;
        p->cap = cap;
    }
    p->v[p->n++] = (bt_pair){ source, phonemes };
    return true;
}

/* ---- pieces ------------------------------------------------------------- */

/* The next run between spaces of s[*at..n). */
static bool next_run(const char *s, size_t n, size_t *at, bt_span *run)
{
    uint32_t c;
    size_t len;
    while (*at < n && (len = bt_utf8_next(s + *at, n - *at, &c), bt_is_space(c)))
        *at += len;
    run->from = *at;
    while (*at < n && (len = bt_utf8_next(s + *at, n - *at, &c), !bt_is_space(c)))
        *at += len;
    run->to = *at;
    return run->from < run->to;
}

bool bt_pairs_runs(bt_pairs *p, const char *s, size_t n)
{
    bt_span run;
    for (size_t at = 0; next_run(s, n, &at, &run);)
        if (!bt_pairs_add(p, run, run))
            return false;
    return true;
}

/* Stress and length marks, which no letter stands for. */
static bool is_silent(uint32_t c) { return c == 0x2C8 || c == 0x2CC || c == 0x2D0; }

static uint32_t small_letter(uint32_t c) { return c < 0x80 ? c | 0x20 : c; }

/* A word without the punctuation around it; false: there is nothing else. */
static bool read_word(const char *s, bt_span run, piece *w)
{
    uint32_t c;
    int letters = 0, capitals = 0;
    *w = (piece){ .at = { run.to, run.from } };
    for (size_t at = run.from, len; at < run.to; at += len) {
        len = bt_utf8_next(s + at, run.to - at, &c);
        if (bt_is_punct(c))
            continue;
        const bool letter = bt_is_letter(c);
        if (w->at.from == run.to) {
            w->at.from = at;
            w->first = small_letter(c);
        }
        letters += letter;
        capitals += letter && !bt_is_lower(c);
        w->read_out = w->read_out || !letter;
        w->length += letter ? 1 : DIGIT;
        w->last = small_letter(c);
        w->at.to = at + len;
    }
    if (capitals > 1 && capitals == letters && letters < 6) {
        w->length += (float)(letters * (CAPITAL - 1));
        w->read_out = true;
    }
    return w->at.from < w->at.to;
}

static bool read_group(const char *s, bt_span run, piece *g)
{
    uint32_t c;
    *g = (piece){ .at = run };
    for (size_t at = run.from; at < run.to;) {
        at += bt_utf8_next(s + at, run.to - at, &c);
        if (is_silent(c) || bt_is_punct(c))
            continue;
        g->first = g->first ? g->first : c;
        g->last = c;
        g->length++;
    }
    return g->length > 0;
}

static size_t read_all(const char *s, size_t from, size_t to,
                       bool (*read)(const char *s, bt_span run, piece *p), piece *out)
{
    bt_span run;
    size_t n = 0;
    while (next_run(s, to, &from, &run))
        n += read(s, run, &out[n]);
    return n;
}

/* ---- alignment ---------------------------------------------------------- */

/* What a letter or a sound is surely: a consonant, 'a' for vowels; 0: it may be anything. */
static uint32_t class_of(uint32_t c)
{
    static const uint32_t vowels[] = { 'a',   'e',   'i',   'o',   'u',   0xE6,  0x251, 0x254,
                                       0x259, 0x25A, 0x25B, 0x25C, 0x26A, 0x28A, 0x28C };
    for (size_t i = 0; i < sizeof vowels / sizeof *vowels; i++)
        if (c == vowels[i])
            return 'a';
    if (c == 0x279)
        return 'r';
    return c && c < 0x80 && strchr("bdflmnprstvz", (int)c) ? c : 0;
}

/* Ends change more ("of", "asked", "dogs", silent vowels): fewer of them tell anything. */
static uint32_t end_class_of(uint32_t c)
{
    c = class_of(c);
    return c && strchr("blmnpr", (int)c) ? c : 0;
}

static bool differ(uint32_t a, uint32_t b) { return a && b && a != b; }

/* Of taking words w[0..nw) for groups g[0..ng), one of which is 1. */
static float cost_of(const piece *w, size_t nw, const piece *g, size_t ng)
{
    float letters = 0, sounds = 0;
    for (size_t i = 0; i < nw; i++)
        letters += w[i].length;
    for (size_t i = 0; i < ng; i++)
        sounds += g[i].length;
    const float d = letters - sounds, per_group = w->read_out ? COST_SPLIT_READ : COST_SPLIT;
    return d * d / (letters + sounds) + COST_MERGE * (float)(nw - 1) + per_group * (float)(ng - 1) +
           (differ(class_of(w->first), class_of(g->first)) ? COST_EDGE : 0) +
           (differ(end_class_of(w[nw - 1].last), end_class_of(g[ng - 1].last)) ? COST_EDGE : 0);
}

typedef struct step {
    float cost;
    uint8_t words, groups;
} step;

static void relax(step *s, const step *from, float cost, size_t words, size_t groups)
{
    if (from->cost + cost < s->cost)
        *s = (step){ from->cost + cost, (uint8_t)words, (uint8_t)groups };
}

/* best[i * (ng + 1) + j]: the last step to words 0..i for groups 0..j. */
static void search(const piece *w, size_t nw, const piece *g, size_t ng, step *best)
{
    const size_t row = ng + 1;
    for (size_t i = 0; i <= nw; i++) {
        for (size_t j = 0; j <= ng; j++) {
            step *s = &best[i * row + j];
            *s = (step){ i || j ? FLT_MAX : 0, 0, 0 };
            if (i == 0 || j == 0)
                continue;
            for (size_t k = 1; k <= MERGE && k <= i; k++)
                relax(s, s - k * row - 1, cost_of(w + i - k, k, g + j - 1, 1), k, 1);
            for (size_t k = 2; k <= SPLIT && k <= j; k++)
                relax(s, s - row - k, cost_of(w + i - 1, 1, g + j - k, k), 1, k);
        }
    }
}

static bt_span across(const piece *p, size_t n, size_t from)
{
    return (bt_span){ from + p[0].at.from, from + p[n - 1].at.to };
}

/* Follows the steps from the end back to the beginning; false: no way, or no memory. */
static bool follow(bt_pairs *p, const piece *w, size_t nw, const piece *g, size_t ng,
                   const step *best, size_t from)
{
    const size_t first = p->n;
    for (size_t i = nw, j = ng; i && j;) {
        const step *s = &best[i * (ng + 1) + j];
        i -= s->words;
        j -= s->groups;
        if (!bt_pairs_add(p, across(w + i, s->words, from), across(g + j, s->groups, 0)))
            return false;
    }
    for (size_t a = first, b = p->n; a + 1 < b; a++) {
        const bt_pair swap = p->v[a];
        p->v[a] = p->v[--b];
        p->v[b] = swap;
    }
    return true;
}

bool bt_pairs_align(bt_pairs *p, const char *text, size_t n, size_t from, const char *phonemes,
                    size_t begin, size_t end)
{
    const size_t most = n + (end - begin) + 2;
    piece *w = bt_calloc(most, sizeof *w), *g = w;
    step *best = NULL;
    bool ok = w != NULL;
    const size_t nw = ok ? read_all(text, 0, n, read_word, w) : 0;
    g = w + nw;
    const size_t ng = ok ? read_all(phonemes, begin, end, read_group, g) : 0;
    const size_t cells = (nw + 1) * (ng + 1);
    if (nw && ng && cells <= LONGEST) {
        best = bt_calloc(cells, sizeof *best);
        ok = best != NULL;
    }
    if (best) {
        search(w, nw, g, ng, best);
        if (best[cells - 1].cost < FLT_MAX)
            ok = follow(p, w, nw, g, ng, best, from);
    }
    if (ok && nw && ng && (!best || best[cells - 1].cost >= FLT_MAX))
        ok = bt_pairs_add(p, across(w, nw, from), across(g, ng, 0));
    bt_release(best);
    bt_release(w);
    return ok;
}
