/* SPDX-License-Identifier: MIT
 * Money, temperatures and measures in words. NUM is \d+(?:,\d{3})*(?:\.\d+)?
 */
#include "parts.h"

#include <stdio.h>

#include "text/utf8.h"

/* v[i..end) without commas; at most `size` - 1 characters, which is more than the only
 * numbers that it is compared with. */
static void plain(const bt_utext *in, size_t i, size_t end, char *s, size_t size)
{
    size_t n = 0;
    for (; i < end && n + 1 < size; i++)
        if (bt_at(in, i) != ',')
            s[n++] = (char)bt_at(in, i);
    s[n] = 0;
}

/* "1 mile", "2 miles": what is read for the number in[i..end). */
static const char *plural(const bt_utext *in, size_t i, size_t end, const bt_reading *r)
{
    char s[8];
    plain(in, i, end, s, sizeof s);
    return strcmp(s, "1") == 0 || strcmp(s, "1.0") == 0 || strcmp(s, "-1") == 0 ? r->one : r->many;
}

/* hundred|thousand|million|billion|trillion|[kKmMbB]\b at i: its word, *end; NULL: none */
static const char *scale_at(const bt_utext *in, size_t i, size_t *end)
{
    static const char *const words[] = { "hundred", "thousand", "million", "billion", "trillion" };
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (bt_is_at(in, i, words[k])) {
            *end = i + strlen(words[k]);
            return words[k];
        }
    const uint32_t c = bt_at(in, i) & ~32u;
    if ((c != 'K' && c != 'M' && c != 'B') || !bt_is_edge(in, i + 1))
        return NULL;
    *end = i + 1;
    return c == 'K' ? "thousand" : c == 'M' ? "million" : "billion";
}

static const bt_reading *sign(const bt_tables *t, uint32_t c)
{
    for (size_t i = 0; i < t->currency.n; i++)
        if (t->currency.v[i].n == 1 && t->currency.v[i].c[0] == c)
            return &t->currency.v[i];
    return NULL;
}

/* "5 million dollars": number in[from..to), which with all of in[i..end) is read so. */
static void emit_amount(bt_utext *out, const bt_utext *in, size_t i, size_t end, size_t from,
                        size_t to, const char *scale, const char *unit)
{
    bt_buf b = { 0 };
    bt_keep(out, in, from, to - from);
    bt_buf_printf(&b, " %s%s%s", scale, *scale ? " " : "", unit);
    bt_emit_buf(out, in, i, end - i, &b);
}

/* ([$£€])(NUM)\s?(scale) */
size_t bt_rule_big_money(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    const uint32_t c = bt_at(in, i);
    const bt_reading *r = c == '$' || c == 0xA3 || c == 0x20AC ? sign(t, c) : NULL;
    const size_t to = r ? bt_number_end(in, i + 1) : 0;
    size_t end;
    if (!r || to == i + 1)
        return 0;
    const char *scale = scale_at(in, to + bt_is_blank(bt_at(in, to)), &end);
    if (!scale)
        return 0;
    emit_amount(out, in, i, end, i + 1, to, scale, r->many);
    return end - i;
}

/* (?<![\w.]) */
static bool follows_word(const bt_utext *in, size_t i)
{
    return bt_is_word(bt_at(in, i - 1)) || bt_at(in, i - 1) == '.';
}

/* (?<![\w.])(NUM)\s?¢ */
size_t bt_rule_cents(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    const size_t to = bt_number_end(in, i), end = to + bt_is_blank(bt_at(in, to));
    const bt_reading *r = to > i && bt_at(in, end) == 0xA2 ? sign(t, 0xA2) : NULL;
    if (!r || follows_word(in, i))
        return 0;
    emit_amount(out, in, i, end + 1, i, to, "", plural(in, i, to, r));
    return end + 1 - i;
}

/* (?<![\w])([¥₹₩]|Rs\.?|USD|EUR|GBP)\s?(NUM)(?:\s?(scale))? */
size_t bt_rule_currency(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    const uint32_t c = bt_at(in, i);
    size_t k = i + 1, end;
    if (c != 'R' && c != 'U' && c != 'E' && c != 'G' && c != 0xA5 && c != 0x20B9 && c != 0x20A9)
        return 0;
    const bt_reading *r = c > 0x7F ? sign(t, c) : bt_reading_at(&t->currency, in, i, &k, NULL);
    if (!r || bt_is_word(bt_at(in, i - 1)))
        return 0;
    k += c == 'R' && bt_at(in, k) == '.';
    const size_t from = k + bt_is_blank(bt_at(in, k)), to = bt_number_end(in, from);
    if (to == from)
        return 0;
    const char *scale = scale_at(in, to + bt_is_blank(bt_at(in, to)), &end);
    if (scale)
        emit_amount(out, in, i, end, from, to, scale, r->many);
    else
        emit_amount(out, in, i, to, from, to, "", plural(in, from, to, r));
    return (scale ? end : to) - i;
}

/* (?<![\w.])(-?NUM): its end; i: there is none. */
static size_t signed_number(const bt_utext *in, size_t i)
{
    const size_t from = i + (bt_at(in, i) == '-');
    if (!bt_is_ascii_digit(bt_at(in, from)) || follows_word(in, i))
        return i;
    return bt_number_end(in, from);
}

/* signed NUM\s?°\s?([CF])?(?![\w]) */
size_t bt_rule_degrees(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    const bt_reading degree = { .one = "degree", .many = "degrees" };
    const size_t to = signed_number(in, i), at = to + bt_is_blank(bt_at(in, to));
    (void)t;
    if (to == i || bt_at(in, at) != 0xB0)
        return 0;
    const size_t after = at + 1, letter = after + bt_is_blank(bt_at(in, after));
    const uint32_t c = bt_at(in, letter);
    size_t end = after;
    const char *scale = "";
    if ((c == 'C' || c == 'F') && bt_word_ends(in, letter + 1)) {
        end = letter + 1;
        scale = c == 'C' ? " Celsius" : " Fahrenheit";
    } else if (bt_word_ends(in, letter)) {
        end = letter;
    } else if (!bt_word_ends(in, after)) {
        return 0;
    }
    bt_buf b = { 0 };
    bt_keep(out, in, i, at - i);
    bt_buf_printf(&b, "%s%s%s", at > to ? "" : " ", plural(in, i, to, &degree), scale);
    bt_emit_buf(out, in, at, end - at, &b);
    return end - i;
}

/* signed NUM\s?(unit)(?![\w]) */
size_t bt_rule_unit(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    const size_t to = signed_number(in, i), at = to + bt_is_blank(bt_at(in, to));
    size_t end;
    if (to == i)
        return 0;
    const bt_reading *r = bt_reading_at(&t->units, in, at, &end, bt_word_ends);
    if (!r)
        return 0;
    bt_buf b = { 0 };
    bt_keep(out, in, i, at - i);
    bt_buf_printf(&b, "%s%s", at > to ? "" : " ", plural(in, i, to, r));
    bt_emit_buf(out, in, at, end - at, &b);
    return end - i;
}
