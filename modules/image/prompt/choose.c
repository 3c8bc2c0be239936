/* SPDX-License-Identifier: MIT
 * Prompts with choices, in the spelling of the Dynamic Prompts extension: {a|b|c}, weights
 * {2::a|b}, several at once {2$$a|b|c} or {1-3$$ and $$a|b|c}, and wildcards: __name__ is a
 * line of FOLDER/name.txt ("#" begins a remark; 2::line has a weight). What a seed chooses
 * is this program's own order, not that of Python's generator.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "image/prompt/prompt.h"
#include "text/utf8.h"

enum {
    MAX_DEPTH = 24,        /* choices inside choices */
    MAX_CHOICES = 10000,   /* made for one prompt */
    MAX_FILE = 16 << 20,   /* bytes of a wildcard */
    MAX_OPTIONS = 1 << 20, /* of one choice */
    MAX_WORK = 1 << 26,    /* bytes of wildcards read, and options looked at, for one prompt */
};

typedef struct span {
    const char *s;
    size_t n;
} span;

typedef struct option {
    span text;
    double weight;
} option;

typedef struct options {
    option *v;
    size_t n, cap;
} options;

typedef struct chooser {
    const char *folder;
    uint64_t random;
    int choices, unmatched; /* made; brackets that nobody closes */
    size_t work;            /* see MAX_WORK */
    bt_buf out;
    bt_error *err;
} chooser;

static bt_status expand(chooser *c, span t, int depth);

/* A few words may ask for much: {9999$$__long_list__}. */
static bt_status work(chooser *c, size_t n)
{
    c->work += n;
    return c->work <= MAX_WORK
               ? BT_OK
               : bt_fail(c->err, BT_EINVAL, "the prompt chooses too often from too much");
}

/* ---- options ----------------------------------------------------------------- */

/* "2::text" has weight 2, others 1. */
static bt_status add_option(chooser *c, options *o, span t)
{
    option v = { t, 1 };
    const size_t space = sd_skip_space(t.s, t.n);
    const size_t k = sd_decimal(t.s + space, t.n - space), end = space + k;
    if (k > 0 && t.s[space] != '-' && t.n - end >= 2 && !memcmp(t.s + end, "::", 2)) {
        v.weight = strtod(t.s + space, NULL);
        v.text = (span){ t.s + end + 2, t.n - end - 2 };
    }
    if (o->n == MAX_OPTIONS)
        return bt_fail(c->err, BT_EINVAL, "a choice has more than %d options", MAX_OPTIONS);
    if (o->n == o->cap) {
        const size_t cap = o->cap ? 2 * o->cap : 16;
        option *w = bt_realloc_array(o->v, o->cap, cap, sizeof *w);
        if (!w)
            return bt_no_memory(c->err, "the prompt's choices");
        o->v = w;
        o->cap = cap;
    }
    o->v[o->n++] = v;
    return BT_OK;
}

/* Draws one by weight and takes it out of those left to draw. */
static bt_status draw(chooser *c, options *o, span *text)
{
    double sum = 0;
    size_t last = 0;
    if (++c->choices > MAX_CHOICES)
        return bt_fail(c->err, BT_EINVAL, "the prompt makes more than %d choices", MAX_CHOICES);
    const bt_status st = work(c, o->n);
    if (st != BT_OK)
        return st;
    for (size_t j = 0; j < o->n; j++)
        sum += o->v[j].weight;
    if (!(sum > 0 && sum < 1e300))
        return bt_fail(c->err, BT_EINVAL, "a choice's weights have no sum");
    double at = bt_uniform(&c->random) * sum;
    for (size_t j = 0; j < o->n && at >= 0; j++)
        if (o->v[j].weight > 0) {
            at -= o->v[j].weight;
            last = j;
        }
    *text = o->v[last].text;
    o->v[last].weight = 0;
    return BT_OK;
}

/* ---- {a|b} ------------------------------------------------------------------- */

/* The place of `close` for the bracket s[0]; n: none. Escapes do not count, nor do the
 * brackets of another kind. */
static size_t matching(chooser *c, const char *s, size_t n, char close)
{
    int depth = 0;
    for (size_t i = 0; i < n && c->unmatched <= SD_MAX_OPEN; i++)
        if (s[i] == '\\')
            i++;
        else if (s[i] == s[0])
            depth++;
        else if (s[i] == close && --depth == 0)
            return i;
    c->unmatched++;
    return n;
}

/* Bytes up to the next '|' of this choice: those in { } and in [a|b] are others'. */
static size_t option_end(chooser *c, const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] != '|') {
        size_t k = 1;
        if (s[i] == '\\')
            k = 2;
        else if (s[i] == '{' || s[i] == '[') {
            k = matching(c, s + i, n - i, s[i] == '{' ? '}' : ']') + 1;
            k = k > n - i ? 1 : k;
        }
        i += k;
    }
    return i < n ? i : n;
}

typedef struct how_many {
    int least, most;
    span between;
} how_many;

static int read_count(const char **s, const char *end)
{
    int v = 0;
    for (; *s < end && **s >= '0' && **s <= '9'; (*s)++)
        v = v < MAX_OPTIONS ? v * 10 + (**s - '0') : v;
    return v;
}

static const char *find_dollars(const char *s, const char *end)
{
    for (; end - s >= 2; s++)
        if (s[0] == '$' && s[1] == '$')
            return s;
    return NULL;
}

/* "2$$", "1-3$$" or "2$$ and $$" at the beginning; returns its bytes. */
static size_t read_how_many(chooser *c, span t, how_many *h)
{
    const char *s = t.s, *end = t.s + t.n;
    *h = (how_many){ 1, 1, { ", ", 2 } };
    const int least = read_count(&s, end);
    const bool range = s > t.s && s < end && *s == '-';
    if (s == t.s)
        return 0;
    s += range;
    const int most = range ? read_count(&s, end) : least;
    if (end - s < 2 || s[0] != '$' || s[1] != '$')
        return 0;
    s += 2;
    h->least = least;
    h->most = most;
    const char *more = find_dollars(s, s + option_end(c, s, (size_t)(end - s)));
    if (more) {
        h->between = (span){ s, (size_t)(more - s) };
        s = more + 2;
    }
    return (size_t)(s - t.s);
}

static bt_status choose_some(chooser *c, options *o, const how_many *h, int depth)
{
    const int all = (int)o->n, most = h->most < all ? h->most : all;
    const int least = h->least < most ? h->least : most;
    const int n = least + (int)(bt_uniform(&c->random) * (most - least + 1));
    bt_status st = BT_OK;
    for (int i = 0; i < n && st == BT_OK; i++) {
        span t;
        if (i > 0)
            bt_buf_add(&c->out, h->between.s, h->between.n);
        st = draw(c, o, &t);
        if (st == BT_OK)
            st = expand(c, t, depth + 1);
    }
    return st;
}

/* ---- __name__ ---------------------------------------------------------------- */

/* Bytes of "__name__" at s; 0: none. */
static size_t wildcard_at(const char *s, size_t n)
{
    if (n < 5 || s[0] != '_' || s[1] != '_' || s[2] == '_' || s[2] == ' ')
        return 0;
    for (size_t i = 3; i + 1 < n; i++) {
        if (s[i] == '_' && s[i + 1] == '_')
            return s[i - 1] == ' ' ? 0 : i + 2;
        if (!strchr("_-+./* ", s[i]) && !((s[i] | 32) >= 'a' && (s[i] | 32) <= 'z') &&
            !(s[i] >= '0' && s[i] <= '9') && !(s[i] & 0x80))
            return 0;
    }
    return 0;
}

static bt_status read_lines(chooser *c, const char *path, const char *text, size_t n, options *o)
{
    bt_status st = BT_OK;
    if (!bt_utf8_valid(text, n))
        return bt_fail(c->err, BT_EFORMAT, "%s: not UTF-8", path);
    const size_t mark = n >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3) ? 3 : 0;
    for (size_t at = mark, end; at < n && st == BT_OK; at = end + 1) {
        const char *newline = memchr(text + at, '\n', n - at);
        end = newline ? (size_t)(newline - text) : n;
        at += sd_skip_space(text + at, end - at);
        size_t k = end - at;
        while (k > 0 && strchr(" \t\r", text[at + k - 1]))
            k--;
        if (k > 0 && text[at] != '#')
            st = add_option(c, o, (span){ text + at, k });
    }
    if (st == BT_OK && o->n == 0)
        st = bt_fail(c->err, BT_EFORMAT, "%s: a wildcard without lines", path);
    return st;
}

/* The lines of folder/name.txt, which lie in *text (bt_release). A name is a path inside of
 * the folder, never out of it. */
static bt_status read_wildcard(chooser *c, span name, options *o, char **text)
{
    const int shown = name.n > 60 ? 60 : (int)name.n;
    bt_buf path = { 0 };
    size_t n;
    if (!c->folder[0])
        return bt_fail(c->err, BT_EINVAL, "__%.*s__: no folder of wildcards is given", shown,
                       name.s);
    bt_buf_printf(&path, "%s/%.*s.txt", c->folder, (int)name.n, name.s);
    char *file = bt_buf_take(&path);
    if (!file)
        return bt_no_memory(c->err, "a wildcard");
    bt_status st = BT_OK;
    if (name.s[0] == '/' || strstr(file + strlen(c->folder), "/../"))
        st = bt_fail(c->err, BT_EINVAL, "__%.*s__: not inside the folder of wildcards", shown,
                     name.s);
    if (st == BT_OK)
        st = bt_file_read(file, MAX_FILE, text, &n, c->err);
    if (st == BT_OK)
        st = work(c, n);
    if (st == BT_OK)
        st = read_lines(c, file, *text, n, o);
    bt_release(file);
    return st;
}

/* ---- both -------------------------------------------------------------------- */

/* t: what is between the braces. A wildcard alone gives its lines: {2$$__name__}. */
static bt_status choose_braces(chooser *c, span t, int depth)
{
    options o = { 0 };
    how_many h;
    char *text = NULL;
    bt_status st = BT_OK;
    const size_t head = read_how_many(c, t, &h);
    for (size_t i = head; i <= t.n && st == BT_OK;) {
        const size_t k = option_end(c, t.s + i, t.n - i);
        st = add_option(c, &o, (span){ t.s + i, k });
        i += k + 1;
    }
    const span first = o.n ? o.v[0].text : t;
    if (st == BT_OK && o.n == 1 && first.n > 0 && wildcard_at(first.s, first.n) == first.n) {
        o.n = 0;
        st = read_wildcard(c, (span){ first.s + 2, first.n - 4 }, &o, &text);
    }
    if (st == BT_OK)
        st = choose_some(c, &o, &h, depth);
    bt_release(o.v);
    bt_release(text);
    return st;
}

static bt_status choose_line(chooser *c, span name, int depth)
{
    options o = { 0 };
    const how_many one = { 1, 1, { "", 0 } };
    char *text = NULL;
    bt_status st = read_wildcard(c, name, &o, &text);
    if (st == BT_OK)
        st = choose_some(c, &o, &one, depth);
    bt_release(o.v);
    bt_release(text);
    return st;
}

/* ---- the whole --------------------------------------------------------------- */

static bt_status expand(chooser *c, span t, int depth)
{
    bt_status st = BT_OK;
    if (depth > MAX_DEPTH)
        return bt_fail(c->err, BT_EINVAL, "the prompt has more than %d choices in one another",
                       MAX_DEPTH);
    for (size_t i = 0; i < t.n && st == BT_OK;) {
        const char *s = t.s + i;
        const size_t left = t.n - i;
        size_t k = 1;
        if (s[0] == '{' && (k = matching(c, s, left, '}')) < left) {
            st = choose_braces(c, (span){ s + 1, k - 1 }, depth);
            k++;
        } else if ((k = wildcard_at(s, left)) > 0)
            st = choose_line(c, (span){ s + 2, k - 4 }, depth);
        else
            bt_buf_add(&c->out, s, k = s[0] == '\\' && left > 1 ? 2 : 1);
        i += k;
    }
    if (st == BT_OK && c->unmatched > SD_MAX_OPEN)
        st = bt_fail(c->err, BT_EINVAL, "the prompt opens more than %d braces", SD_MAX_OPEN);
    if (st == BT_OK && c->out.len > SD_MAX_PROMPT)
        st = bt_fail(c->err, BT_EINVAL, "a prompt of more than %d bytes", SD_MAX_PROMPT);
    return st;
}

bt_status sd_prompt_choose(const char *text, const char *folder, uint64_t seed, int stream,
                           char **out, bt_error *err)
{
    const uint64_t from[2] = { seed, (uint64_t)stream };
    chooser c = { .folder = folder,
                  .random = bt_hash(BT_HASH_INIT, from, sizeof from),
                  .err = err };
    bt_buf_add(&c.out, "", 0);
    bt_status st = expand(&c, (span){ text, strlen(text) }, 0);
    *out = bt_buf_take(&c.out);
    if (st == BT_OK && !*out)
        st = bt_no_memory(err, "the prompt");
    if (st != BT_OK) {
        bt_release(*out);
        *out = NULL;
    }
    return st;
}
