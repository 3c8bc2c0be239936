/* SPDX-License-Identifier: MIT
 * Words and marks, cut as spaCy's English rules do, on which the tagger was trained:
 * what is on a list stays as listed ("don't" -> "do" "n't"); otherwise marks are peeled
 * off both ends of what stands between spaces, and hyphens and the like cut the rest.
 */
#include "parts.h"

#include "text/utf8.h"

enum { SPECIAL_MOST = 64 /* code points that an entry of the list may have */ };

bt_token *bt_token_add(bt_tokens *t)
{
    if (t->n == t->cap) {
        const size_t cap = t->cap ? 2 * t->cap : 64;
        bt_token *v = bt_realloc_array(t->v, t->cap, cap, sizeof *v);
        if (!v)
            return NULL;
        t->v = v;
        t->cap = cap;
    }
    t->v[t->n] = (bt_token){ .head = true };
    return &t->v[t->n++];
}

static bool add(bt_tokens *out, size_t from, size_t to)
{
    bt_token *t = bt_token_add(out);
    if (t) {
        t->from = from;
        t->to = to;
    }
    return t != NULL;
}

/* ---- classes ------------------------------------------------------------------ */

#define QUOTES   "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉"
#define MARKS    "…,:;!?¿¡()[]{}<>_#*&。？！，、；：～·"
#define ICONS    "™®©°§¶†‡•"
#define CURRENCY "$£€¥฿₽₹₩₪₺₴₦₫₱₲₵₸₼₾₿"

static bool is_quote(uint32_t c) { return bt_among(c, QUOTES); }
static bool is_mark(uint32_t c) { return bt_among(c, MARKS); }

/* ---- ends ------------------------------------------------------------------------ */

static size_t dots(const bt_utext *t, size_t a, size_t b)
{
    size_t n = 0;
    while (a + n < b && bt_at(t, a + n) == '.')
        n++;
    return n;
}

/* How much of the beginning of [a, b) is a prefix. */
static size_t prefix(const bt_utext *t, size_t a, size_t b)
{
    const uint32_t c = bt_at(t, a);
    if (bt_is_wordy(c) && c < 0x80) {
        const bool dollar = b - a >= 2 && bt_at(t, a + 1) == '$';
        if (c == 'U' && b - a >= 3 && bt_is_at(t, a, "US$"))
            return 3;
        return (c == 'C' || c == 'A') && dollar ? 2 : 0;
    }
    if (c == '.') {
        const size_t n = dots(t, a, b);
        return n >= 2 ? n : 0;
    }
    if (c == '+')
        return b - a < 2 || !bt_is_ascii_digit(bt_at(t, a + 1));
    return bt_among(c, "%=—–" CURRENCY ICONS) || is_mark(c) || is_quote(c);
}

/* Units and currencies that end a token behind a digit. */
static size_t unit_suffix(const bt_utext *t, size_t a, size_t b)
{
    static const char *const units[] = {
        "km/h", "kmh", "mph", "hPa", "mbar", "m/s", "US$", "km", "dm", "cm", "mm", "ha", "nm", "yd",
        "in",   "ft",  "kg",  "mg",  "lb",   "oz",  "Pa",  "mb", "MB", "kb", "KB", "gb", "GB", "tb",
        "TB",   "C$",  "A$",  "µm",  "µg",   "m",   "g",   "t",  "T",  "G",  "M",  "K",  "%"
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        const bool micro = (uint8_t)units[i][0] == 0xC2;
        const size_t n = strlen(units[i]) - micro;
        if (b - a <= n || !bt_is_ascii_digit(bt_at(t, b - n - 1)))
            continue;
        if (micro ? bt_at(t, b - n) == 0xB5 && bt_is_at(t, b - n + 1, units[i] + 2)
                  : bt_is_at(t, b - n, units[i]))
            return n;
    }
    return b - a >= 2 && bt_is_ascii_digit(bt_at(t, b - 2)) && bt_among(bt_at(t, b - 1), CURRENCY);
}

/* Does the full stop at the end of [a, b) end a token? */
static bool stop_suffix(const bt_utext *t, size_t a, size_t b)
{
    if (b - a < 2)
        return false;
    const uint32_t c = bt_at(t, b - 2);
    if (bt_is_ascii_digit(c) || bt_is_latin_lower(c) || bt_among(c, "%²-+") || is_mark(c) ||
        is_quote(c))
        return true;
    return b - a >= 3 && bt_is_latin_upper(c) && bt_is_latin_upper(bt_at(t, b - 3));
}

/* How much of the end of [a, b) is a suffix: of several the longest. */
static size_t suffix(const bt_utext *t, size_t a, size_t b)
{
    if (a == b)
        return 0;
    const uint32_t c = bt_at(t, b - 1), d = b - a >= 2 ? bt_at(t, b - 2) : 0;
    if (c == '.' && d == '.') {
        size_t n = 2;
        while (b - a > n && bt_at(t, b - n - 1) == '.')
            n++;
        return n;
    }
    const size_t n = unit_suffix(t, a, b);
    if (n > 0)
        return n;
    if ((c == 's' || c == 'S') && (d == '\'' || d == 0x2019))
        return 2;
    if (c == '.')
        return stop_suffix(t, a, b);
    if (c == '+')
        return bt_is_ascii_digit(d);
    return bt_among(c, "—–" ICONS) || is_mark(c) || is_quote(c);
}

/* ---- the list ----------------------------------------------------------------------- */

typedef struct cutter {
    const bt_flat *special;
    bt_pool *arena;
    const bt_utext *text;
    bt_tokens *out;
    bool ok;
} cutter;

static bt_str special(const cutter *k, size_t a, size_t b)
{
    if (a >= b || b - a > SPECIAL_MOST)
        return BT_NO_STR;
    char room[8 * SPECIAL_MOST];
    size_t n = 0;
    for (size_t i = a; i < b; i++) {
        const uint32_t c = bt_at(k->text, i);
        if (c == '"' || c == '\\')
            room[n++] = '\\';
        n += bt_utf8_put(room + n, c);
    }
    return bt_flat_get(k->special, (bt_str){ room, n });
}

/* Code points of a JSON string. */
static size_t length(bt_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; n++) {
        uint32_t c;
        i += s.p[i] == '\\';
        i += i < s.n ? bt_utf8_next(s.p + i, s.n - i, &c) : 0;
    }
    return n;
}

/* The listed pieces of [a, b), which together are as long as it. */
static void add_special(cutter *k, bt_str pieces, size_t a, size_t b)
{
    bt_str key, value;
    for (size_t at = 0; a < b && bt_flat_next(pieces, &at, &key, &value);) {
        const size_t n = value.n >= 2 ? length((bt_str){ value.p + 1, value.n - 2 }) : 0;
        const size_t end = at >= pieces.n || n > b - a ? b : a + n;
        if (end > a)
            k->ok = k->ok && add(k->out, a, end);
        a = end;
    }
    if (a < b)
        k->ok = k->ok && add(k->out, a, b);
}

/* ---- addresses ------------------------------------------------------------------------ */

static bool is_label(uint32_t c) { return bt_is_word(c) || c == '-'; }

/* Labels parted by single dots; *last: where the last one begins. At least two. */
static bool labels(const bt_utext *t, size_t a, size_t b, size_t *last)
{
    bool dotted = false;
    *last = a;
    for (size_t i = a; i < b; i++) {
        if (bt_at(t, i) == '.') {
            if (i == *last)
                return false;
            *last = i + 1;
            dotted = true;
        } else if (!is_label(bt_at(t, i))) {
            return false;
        }
    }
    return dotted && *last < b;
}

static bool is_at_folded(const bt_utext *t, size_t i, size_t b, const char *s)
{
    for (; *s; s++, i++)
        if (i >= b || bt_lower_of(bt_at(t, i)) != (uint8_t)*s)
            return false;
    return true;
}

/* scheme://..., www...., name@host.tld, host.tld/... */
static bool is_address(const bt_utext *t, size_t a, size_t b)
{
    static const char *const begins[] = { "http://", "https://", "ftp://", "www." };
    static const char *const tops[] = { "com", "org", "net", "edu",  "gov", "io", "co",
                                        "uk",  "de",  "fr",  "info", "biz", "us", "ca",
                                        "au",  "tv",  "me",  "ly",   "ai" };
    size_t i = a, last;
    for (size_t k = 0; k < sizeof begins / sizeof *begins; k++)
        if (is_at_folded(t, a, b, begins[k]) && b - a > strlen(begins[k]))
            return true;
    while (i < b && (is_label(bt_at(t, i)) || bt_at(t, i) == '.' || bt_at(t, i) == '+'))
        i++;
    if (i > a && i < b && bt_at(t, i) == '@' && labels(t, i + 1, b, &last))
        return true;
    for (i = a; i < b && bt_at(t, i) != '/';)
        i++;
    if (!labels(t, a, i, &last))
        return false;
    for (size_t k = 0; k < sizeof tops / sizeof *tops; k++)
        if (i - last == strlen(tops[k]) && is_at_folded(t, last, i, tops[k]))
            return true;
    return false;
}

/* ---- the middle ---------------------------------------------------------------------- */

static bool is_letter(uint32_t c) { return bt_is_wordy(c); }

static bool stands_for_dash(uint32_t c)
{
    return c == '-' || c == 0x2013 || c == 0x2014 || c == '~';
}

/* How much at i, inside [a, b), cuts a word in two. Alternatives in their order. */
static size_t infix(const bt_utext *t, size_t a, size_t b, size_t i)
{
    const uint32_t c = bt_at(t, i), before = i > a ? bt_at(t, i - 1) : 0;
    const uint32_t after = i + 1 < b ? bt_at(t, i + 1) : 0;
    if (bt_is_wordy(c) || bt_is_ascii_digit(c))
        return 0;
    if (c == '.' && after == '.')
        return dots(t, i, b);
    if (bt_among(c, "…" ICONS))
        return 1;
    if (bt_among(c, "+-*^") && bt_is_ascii_digit(before) &&
        (bt_is_ascii_digit(after) || after == '-'))
        return 1;
    if (c == '.')
        return (bt_is_latin_lower(before) || is_quote(before)) &&
               (bt_is_latin_upper(after) || is_quote(after));
    if (c == ',')
        return is_letter(before) && is_letter(after);
    if (!bt_is_wordy(before) && !bt_is_ascii_digit(before))
        return 0;
    if (bt_among(c, ":<>=/"))
        return is_letter(after);
    if (!stands_for_dash(c))
        return 0;
    size_t n = 1;
    while (i + n < b && n < 3 && c != '~' && c != 0x2013 && bt_at(t, i + n) == c)
        n++;
    if (n == 3 && c != '-')
        return 0;
    return i + n < b && is_letter(bt_at(t, i + n)) ? n : 0;
}

static void cut_middle(cutter *k, size_t a, size_t b)
{
    size_t start = a;
    for (size_t i = a; i < b;) {
        const size_t n = infix(k->text, a, b, i);
        if (n > 0 && i > a) {
            if (i > start)
                k->ok = k->ok && add(k->out, start, i);
            k->ok = k->ok && add(k->out, i, i + n);
            start = i + n;
        }
        i += n ? n : 1;
    }
    if (start < b)
        k->ok = k->ok && add(k->out, start, b);
}

/* ---- one chunk --------------------------------------------------------------------------- */

/* Peels marks off [*a, *b) until a listed word or nothing more is left: those of the
 * beginning go to `out`, those of the end to `tail`, the last first. */
static void peel(cutter *k, size_t *a, size_t *b, bt_tokens *tail)
{
    while (k->ok && *a < *b && !special(k, *a, *b).p) {
        const size_t pre = prefix(k->text, *a, *b);
        if (pre && special(k, *a + pre, *b).p) {
            k->ok = add(k->out, *a, *a + pre);
            *a += pre;
            return;
        }
        const size_t suf = suffix(k->text, *a + pre, *b);
        if (suf && special(k, *a, *b - suf).p) {
            k->ok = add(tail, *b - suf, *b);
            *b -= suf;
            return;
        }
        if (pre == 0 && suf == 0)
            return;
        if (pre)
            k->ok = add(k->out, *a, *a + pre);
        if (suf && k->ok)
            k->ok = add(tail, *b - suf, *b);
        *a += pre;
        *b -= suf;
    }
}

/* Pieces side by side that together are on the list: "Sept" "." */
static void rejoin(cutter *k, size_t first)
{
    bt_tokens *t = k->out;
    const size_t n = t->n;
    size_t done = first;
    for (size_t i = first; k->ok && i < n;) {
        bt_str pieces = BT_NO_STR;
        size_t m = 3;
        for (; m >= 2 && !pieces.p; m--)
            if (i + m <= n)
                pieces = special(k, t->v[i].from, t->v[i + m - 1].to);
        m = pieces.p ? m + 1 : 1;
        if (pieces.p)
            add_special(k, pieces, t->v[i].from, t->v[i + m - 1].to);
        else
            k->ok = add(t, t->v[i].from, t->v[i].to);
        i += m;
    }
    for (size_t i = n; i < t->n; i++)
        t->v[done++] = t->v[i];
    t->n = done;
}

static void cut_chunk(cutter *k, size_t a, size_t b)
{
    bt_tokens tail = { 0 };
    const size_t first = k->out->n;
    bt_str pieces = special(k, a, b);
    if (pieces.p) {
        add_special(k, pieces, a, b);
        return;
    }
    peel(k, &a, &b, &tail);
    pieces = special(k, a, b);
    if (pieces.p)
        add_special(k, pieces, a, b);
    else if (a < b && is_address(k->text, a, b))
        k->ok = k->ok && add(k->out, a, b);
    else if (a < b)
        cut_middle(k, a, b);
    for (size_t i = tail.n; i-- > 0;)
        k->ok = k->ok && add(k->out, tail.v[i].from, tail.v[i].to);
    bt_release(tail.v);
    if (k->out->n - first > 1)
        rejoin(k, first);
}

bool bt_cut_tokens(const bt_flat *listed, bt_pool *a, const bt_utext *text, size_t from, size_t to,
                   bt_tokens *out)
{
    cutter k = { listed, a, text, out, true };
    while (k.ok && from < to) {
        size_t end = from;
        while (end < to && !bt_is_blank(bt_at(text, end)))
            end++;
        if (end > from) {
            cut_chunk(&k, from, end);
            if (out->n > 0)
                out->v[out->n - 1].space = end < to;
        }
        from = end + 1;
    }
    return k.ok;
}
