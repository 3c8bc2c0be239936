/* SPDX-License-Identifier: MIT
 * The source text as code points that keep their places, links taken out of it, and
 * the classes of characters that the rules speak of.
 */
#include "parts.h"

#include "text/utf8.h"

/* ---- classes --------------------------------------------------------------- */

bool bt_is_wordy(uint32_t c)
{
    if (c < 0x80)
        return bt_is_ascii_letter(c);
    return bt_is_letter(c) || bt_is_number(c);
}

bool bt_is_word(uint32_t c) { return c == '_' || bt_is_ascii_digit(c) || bt_is_wordy(c); }

bool bt_is_blank(uint32_t c) { return bt_is_space(c) || (c >= 0x1C && c <= 0x1F); }

bool bt_is_latin_lower(uint32_t c)
{
    return bt_is_ascii_lower(c) || (c >= 0xDF && c <= 0xFF && c != 0xF7);
}

bool bt_is_latin_upper(uint32_t c)
{
    return bt_is_ascii_upper(c) || (c >= 0xC0 && c <= 0xDE && c != 0xD7);
}

uint32_t bt_lower_of(uint32_t c)
{
    if (c < 0x80)
        return bt_is_ascii_upper(c) ? c + 32 : c;
    char room[8];
    bt_buf b = { .data = room, .cap = sizeof room };
    bt_utf8_lower(&b, c);
    bt_utf8_next(room, b.len, &c);
    return c;
}

/* Zeros of the scripts' decimal digits (general category Nd), ten each. */
static const uint32_t zeros[] = { 0x0660, 0x06F0,  0x07C0,  0x0966,  0x09E6,  0x0A66, 0x0AE6,
                                  0x0B66, 0x0BE6,  0x0C66,  0x0CE6,  0x0D66,  0x0DE6, 0x0E50,
                                  0x0ED0, 0x0F20,  0x1040,  0x1090,  0x17E0,  0x1810, 0x1946,
                                  0x19D0, 0x1A80,  0x1A90,  0x1B50,  0x1BB0,  0x1C40, 0x1C50,
                                  0xA620, 0xA8D0,  0xA900,  0xA9D0,  0xA9F0,  0xAA50, 0xABF0,
                                  0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6 };

static uint32_t plain_digit(uint32_t c)
{
    for (size_t i = 0; c >= 0x660 && i < sizeof zeros / sizeof *zeros; i++)
        if (c >= zeros[i] && c < zeros[i] + 10)
            return '0' + c - zeros[i];
    return c;
}

/* ---- text -------------------------------------------------------------------- */

void bt_utext_add(bt_utext *t, uint32_t c, uint32_t from, uint32_t to)
{
    if (t->n == t->cap && !t->failed) {
        const size_t cap = t->cap ? 2 * t->cap : 512;
        bt_uchar *v = bt_realloc_array(t->v, t->cap, cap, sizeof *v);
        if (v) {
            t->v = v;
            t->cap = cap;
        }
        t->failed = v == NULL;
    }
    if (!t->failed)
        t->v[t->n++] = (bt_uchar){ c, from, to };
}

bt_str bt_utext_str(bt_pool *a, const bt_utext *t, size_t from, size_t to)
{
    char *out = bt_pool_take(a, 4 * (to - from)), *p = out;
    for (size_t i = from; out && i < to; i++)
        p += bt_utf8_put(p, t->v[i].c);
    return (bt_str){ out, out ? (size_t)(p - out) : 0 };
}

/* ---- links --------------------------------------------------------------------- */

/* [word](what) or [[ what ]] at s[0..n): the parts' places; 0 bytes: none. */
typedef struct link_parts {
    size_t word, word_end, what, what_end, bytes;
} link_parts;

static size_t find(const char *s, size_t n, size_t i, char c)
{
    const char *p = i < n ? memchr(s + i, c, n - i) : NULL;
    return p ? (size_t)(p - s) : n;
}

/* `close`: the place of the first ] behind s[0]. */
static link_parts link_at(const char *s, size_t n, size_t close)
{
    link_parts none = { 0 };
    if (close + 1 >= n || close < 2)
        return none;
    if (s[1] == '[' && s[close + 1] == ']')
        return (link_parts){ 2, 2, 2, close, close + 2 };
    const size_t end = s[close + 1] == '(' ? find(s, n, close + 2, ')') : n;
    if (end == n)
        return none;
    return (link_parts){ 1, close, close + 2, end, end + 1 };
}

/* What voices are asked to say: all of [[ what ]]; /what/; none for other links. */
static bt_str link_phonemes(const char *s, const link_parts *p)
{
    size_t from = p->what, to = p->what_end;
    const bool raw = p->word == p->what;
    if (!raw && (to - from < 2 || s[from] != '/' || s[to - 1] != '/'))
        return BT_NO_STR;
    from += !raw;
    while (to > from && s[to - 1] == (raw ? ' ' : '/'))
        to--;
    while (raw && to > from && s[from] == ' ')
        from++;
    return bt_utf8_valid(s + from, to - from) ? (bt_str){ s + from, to - from } : BT_NO_STR;
}

static void read_range(const char *s, size_t from, size_t to, bt_utext *out)
{
    while (from < to) {
        uint32_t c;
        const size_t len = bt_utf8_next(s + from, to - from, &c);
        if (c == 0 || c >= BT_LINK)
            c = 0xFFFD;
        bt_utext_add(out, plain_digit(c), (uint32_t)from, (uint32_t)(from + len));
        from += len;
    }
}

/* Room for every link there can be. */
static bool links_room(bt_pool *a, const char *s, size_t n, bt_links *links)
{
    size_t most = 0;
    for (size_t i = find(s, n, 0, ']'); i < n; i = find(s, n, i + 1, ']'))
        most++;
    if (most > BT_LINKS_MOST)
        most = BT_LINKS_MOST;
    *links = (bt_links){ most ? bt_pool_take(a, most * sizeof(bt_link)) : NULL, 0 };
    return most == 0 || links->v;
}

bt_status bt_source_read(bt_pool *a, const char *s, size_t n, bt_utext *out, bt_links *links)
{
    size_t done = 0, close = 0;
    out->n = 0;
    if (!links_room(a, s, n, links))
        return BT_ENOMEM;
    for (size_t i = find(s, n, 0, '['); i < n; i = find(s, n, i + 1, '[')) {
        if (close <= i)
            close = find(s, n, i + 1, ']');
        const link_parts p = close < n ? link_at(s + i, n - i, close - i) : (link_parts){ 0 };
        if (p.bytes == 0 || links->n == BT_LINKS_MOST)
            continue;
        read_range(s, done, i, out);
        done = i + p.bytes;
        links->v[links->n] = (bt_link){ link_phonemes(s + i, &p), (uint32_t)i, (uint32_t)done };
        bt_utext_add(out, BT_LINK + (uint32_t)links->n++, (uint32_t)i, (uint32_t)i);
        read_range(s, i + p.word, i + p.word_end, out);
        bt_utext_add(out, BT_LINK_END, (uint32_t)done, (uint32_t)done);
        i = done - 1;
    }
    read_range(s, done, n, out);
    return out->failed || a->failed ? BT_ENOMEM : BT_OK;
}
