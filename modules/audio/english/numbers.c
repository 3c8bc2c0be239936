/* SPDX-License-Identifier: MIT
 * Numbers in words, as num2words says them: "one thousand, two hundred and thirty-four".
 * Commas and hyphens matter to those who paste the words into text.
 */
#include "parts.h"

#include <stdio.h>

static const char *const ones[] = { "zero",    "one",     "two",       "three",    "four",
                                    "five",    "six",     "seven",     "eight",    "nine",
                                    "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen" };
static const char *const tens[] = { "",      "",      "twenty",  "thirty", "forty",
                                    "fifty", "sixty", "seventy", "eighty", "ninety" };
static const char *const scales[] = { "",           "thousand",    "million",     "billion",
                                      "trillion",   "quadrillion", "quintillion", "sextillion",
                                      "septillion", "octillion",   "nonillion",   "decillion" };
enum { SCALES = sizeof scales / sizeof *scales };

static void below_hundred(bt_buf *out, int n)
{
    if (n < 20) {
        bt_buf_puts(out, ones[n]);
        return;
    }
    bt_buf_puts(out, tens[n / 10]);
    if (n % 10)
        bt_buf_printf(out, "-%s", ones[n % 10]);
}

static void below_thousand(bt_buf *out, int n)
{
    if (n >= 100) {
        bt_buf_printf(out, "%s hundred", ones[n / 100]);
        if (n % 100 == 0)
            return;
        bt_buf_puts(out, " and ");
    }
    below_hundred(out, n % 100);
}

static bt_str without_zeros(bt_str d)
{
    while (d.n > 1 && d.p[0] == '0')
        d = bt_str_from(d, 1);
    return d;
}

static void digit_by_digit(bt_buf *out, bt_str d)
{
    for (size_t i = 0; i < d.n; i++)
        bt_buf_printf(out, "%s%s", i ? " " : "", ones[d.p[i] - '0']);
}

/* Digits 3 * scale .. from the right. */
static int group(bt_str d, size_t scale)
{
    int n = 0;
    for (size_t k = 3 * scale + 3; k > 3 * scale; k--)
        if (k <= d.n)
            n = 10 * n + (d.p[d.n - k] - '0');
    return n;
}

void bt_cardinal(bt_buf *out, bt_str digits)
{
    const bt_str d = without_zeros(digits);
    const size_t groups = (d.n + 2) / 3;
    if (d.n == 0 || groups > SCALES) {
        digit_by_digit(out, d);
        return;
    }
    bool any = false;
    for (size_t s = groups; s-- > 0;) {
        const int n = group(d, s);
        if (n == 0 && (any || s > 0))
            continue;
        /* The last group follows an "and" if it is one word: "one thousand and one". */
        if (any)
            bt_buf_puts(out, s == 0 && n < 100 ? " and " : ", ");
        below_thousand(out, n);
        if (s > 0)
            bt_buf_printf(out, " %s", scales[s]);
        any = true;
    }
}

static const struct {
    const char *word, *ordinal;
} irregular[] = { { "one", "first" },     { "two", "second" },   { "three", "third" },
                  { "five", "fifth" },    { "eight", "eighth" }, { "nine", "ninth" },
                  { "twelve", "twelfth" } };

/* "one" to "first", at the end of what was written from `from` on. */
void bt_ordinal(bt_buf *out, bt_str digits)
{
    const size_t from = out->len;
    bt_cardinal(out, digits);
    if (out->failed || out->len == from)
        return;
    size_t word = out->len;
    while (word > from && out->data[word - 1] != ' ' && out->data[word - 1] != '-')
        word--;
    for (size_t i = 0; i < sizeof irregular / sizeof *irregular; i++)
        if (strcmp(out->data + word, irregular[i].word) == 0) {
            out->len = word;
            bt_buf_puts(out, irregular[i].ordinal);
            return;
        }
    if (out->data[out->len - 1] == 'y') {
        out->len--;
        bt_buf_puts(out, "ie");
    }
    bt_buf_puts(out, "th");
}

void bt_cardinal_of(bt_buf *out, int n)
{
    char d[16];
    bt_cardinal(out, (bt_str){ d, (size_t)snprintf(d, sizeof d, "%d", n) });
}

void bt_ordinal_of(bt_buf *out, int n)
{
    char d[16];
    bt_ordinal(out, (bt_str){ d, (size_t)snprintf(d, sizeof d, "%d", n) });
}

void bt_year(bt_buf *out, int year)
{
    const int high = year / 100, low = year % 100;
    if (high == 0 || (high % 10 == 0 && low < 10) || high >= 100) {
        bt_cardinal_of(out, year);
        return;
    }
    bt_cardinal_of(out, high);
    bt_buf_puts(out, low == 0 ? " hundred" : low < 10 ? " oh-" : " ");
    if (low)
        bt_cardinal_of(out, low);
}

void bt_decimal(bt_buf *out, bt_str number)
{
    const char *point = memchr(number.p, '.', number.n);
    const size_t whole = point ? (size_t)(point - number.p) : number.n;
    bt_str part = point ? bt_str_from(number, whole + 1) : BT_STR("");
    while (part.n > 0 && part.p[part.n - 1] == '0')
        part.n--;
    bt_cardinal(out, whole ? (bt_str){ number.p, whole } : BT_STR("0"));
    if (part.n > 0)
        bt_buf_puts(out, " point ");
    digit_by_digit(out, part);
}
