/* SPDX-License-Identifier: MIT
 * See weave.h.
 */
#include "audio/script/weave.h"

#include <string.h>

#include "text/utf8.h"

/* ---- marks ------------------------------------------------------------------ */

/* Marks that hang on the word before them. */
static bool is_closer(uint32_t c)
{
    static const char closers[] = ".,;:!?…)]}\"'”’»。、！？";
    char utf8[4];
    return memmem(closers, sizeof closers - 1, utf8, bt_utf8_put(utf8, c)) != NULL;
}

/* Bytes of closing marks that s begins with. */
static size_t closers(const char *s, size_t n)
{
    size_t at = 0, len;
    uint32_t c;
    while (at < n && (len = bt_utf8_next(s + at, n - at, &c), is_closer(c)))
        at += len;
    return at;
}

/* Are there only spaces, dashes and closing marks? */
static bool says_nothing(const bt_buf *b)
{
    uint32_t c;
    for (size_t at = 0, len; at < b->len; at += len) {
        len = bt_utf8_next(b->data + at, b->len - at, &c);
        if (c != ' ' && c != '-' && c != 0x2013 && c != 0x2014 && !is_closer(c))
            return false;
    }
    return true;
}

/* A mark that ends sentences, and brackets or quotes behind it. */
static bool ends_sentence(const bt_buf *b)
{
    static const char ends[] = ".!?…。！？";
    size_t at = b->len;
    while (at > 0) {
        size_t from = at - 1;
        uint32_t c;
        while (from > 0 && ((uint8_t)b->data[from] & 0xC0) == 0x80)
            from--;
        bt_utf8_next(b->data + from, at - from, &c);
        if (memmem(ends, sizeof ends - 1, b->data + from, at - from))
            return true;
        if (!is_closer(c) || c == ',' || c == ';' || c == ':')
            return false;
        at = from;
    }
    return false;
}

/* ---- passages --------------------------------------------------------------- */

static void add_gap(bt_gap *g, bt_gap more)
{
    g->join = more.join > g->join ? more.join : g->join;
    g->asked = g->asked || more.asked;
    g->seconds += more.seconds;
}

/* The passage under construction is done: given on, or forgotten if it says nothing. */
static void flush(bt_weave *w)
{
    bt_woven *b = &w->now;
    while (b->text.len && b->text.data[b->text.len - 1] == ' ')
        b->text.len--;
    if (says_nothing(&b->text)) {
        add_gap(&w->gap, b->before);
    } else {
        if (ends_sentence(&b->text))
            add_gap(&w->gap, (bt_gap){ .join = BT_JOIN_SENTENCE });
        const bt_woven old = w->done;
        w->done = *b;
        *b = old;
        b->first = false;
        w->ready = true;
    }
    b->text.len = b->n_places = 0;
    b->before = (bt_gap){ 0 };
}

static void add_place(bt_weave *w, size_t n, size_t from, size_t to, bool exact)
{
    bt_woven *b = &w->now;
    const bt_place *last = b->n_places ? &b->places[b->n_places - 1] : NULL;
    if (last && exact && last->exact && last->from + (b->text.len - last->text) == from)
        return;
    if (b->n_places == b->cap_places) {
        const size_t cap = 2 * b->cap_places + 16;
        bt_place *places = bt_realloc_array(b->places, b->cap_places, cap, sizeof *places);
        if (!places) {
            w->failed = true;
            return;
        }
        b->places = places;
        b->cap_places = cap;
    }
    b->places[b->n_places++] = (bt_place){ b->text.len, from, exact ? from + n : to, exact };
}

static void add(bt_weave *w, const char *text, size_t n, size_t from, size_t to, bool exact)
{
    add_place(w, n, from, to, exact);
    bt_buf_add(&w->now.text, text, n);
    if (w->now.text.failed)
        w->failed = true;
}

void bt_weave_word(bt_weave *w, const char *text, size_t n, size_t from, size_t to, bool exact)
{
    if (w->cut && !w->apart && exact && w->now.text.len) { /* "</prosody>," */
        const size_t hang = closers(text, n);
        if (hang)
            add(w, text, hang, from, from + hang, true);
        text += hang;
        from += hang;
        n -= hang;
    }
    if (n == 0)
        return;
    if (w->cut && w->now.text.len)
        flush(w);
    if (w->cut || !w->now.text.len) {
        w->now.manner = w->manner;
        w->now.before = w->gap;
        w->gap = (bt_gap){ 0 };
        w->cut = false;
    }
    add(w, text, n, from, to, exact);
}

void bt_weave_space(bt_weave *w, size_t from, size_t to)
{
    const bt_buf *b = &w->now.text;
    w->apart = true;
    if (!w->cut && b->len && b->data[b->len - 1] != ' ')
        add(w, " ", 1, from, to, to - from == 1);
}

void bt_weave_cut(bt_weave *w, bt_join join)
{
    const bt_buf *b = &w->now.text;
    w->apart = w->cut ? w->apart : b->len && b->data[b->len - 1] == ' ';
    w->cut = true;
    add_gap(&w->gap, (bt_gap){ .join = join });
}

void bt_weave_pause(bt_weave *w, double seconds)
{
    bt_weave_cut(w, BT_JOIN_NONE);
    add_gap(&w->gap, (bt_gap){ .asked = true, .seconds = seconds });
}

void bt_weave_end(bt_weave *w) { flush(w); }

void bt_weave_begin(bt_weave *w)
{
    memset(w, 0, sizeof *w);
    w->manner = (bt_manner){ .pace = 1, .volume = 1 };
    w->cut = w->now.first = true;
}

void bt_weave_free(bt_weave *w)
{
    bt_buf_free(&w->now.text);
    bt_buf_free(&w->done.text);
    bt_release(w->now.places);
    bt_release(w->done.places);
}
