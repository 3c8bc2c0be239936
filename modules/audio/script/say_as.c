/* SPDX-License-Identifier: MIT
 * say-as: text that reads out as its writer means it. In English numbers and dates become
 * words; elsewhere they are left in the form that a phonemizer of the language reads so.
 */
#include <string.h>

#include "audio/english/parts.h"
#include "audio/script/ssml_parts.h"
#include "text/utf8.h"

/* ---- characters ------------------------------------------------------------ */

static const char *symbol_name(uint32_t c)
{
    static const char signs[] = ".,-_@/:+#&*!?%$='\";\\()<>~^|";
    static const char *const names[] = { "dot",
                                         "comma",
                                         "dash",
                                         "underscore",
                                         "at",
                                         "slash",
                                         "colon",
                                         "plus",
                                         "hash",
                                         "ampersand",
                                         "star",
                                         "exclamation mark",
                                         "question mark",
                                         "percent",
                                         "dollar",
                                         "equals",
                                         "apostrophe",
                                         "quote",
                                         "semicolon",
                                         "backslash",
                                         "open parenthesis",
                                         "close parenthesis",
                                         "less than",
                                         "greater than",
                                         "tilde",
                                         "caret",
                                         "bar" };
    const char *at = c && c < 0x80 ? strchr(signs, (int)c) : NULL;
    return at ? names[at - signs] : NULL;
}

/* Letters as capitals: small ones are words ("a") more often. */
static void spell(bt_buf *out, const char *s, size_t n, bt_tongue tongue)
{
    const char *gap = "";
    uint32_t c;
    for (size_t at = 0, len; at < n; at += len) {
        len = bt_utf8_next(s + at, n - at, &c);
        if (bt_is_space(c))
            continue;
        const char *sign = tongue.english ? symbol_name(c) : NULL;
        bt_buf_puts(out, gap);
        gap = " ";
        if (sign)
            bt_buf_puts(out, sign);
        else if (tongue.english && (c | 32) == 'a') /* no article */
            bt_buf_puts(out, tongue.notation == BT_NOTATION_MISAKI ? "[[ˈA]]"
                             : tongue.notation == BT_NOTATION_IPA  ? "[[ˈeɪ]]"
                                                                   : "A");
        else
            bt_utf8_upper(out, c);
    }
}

/* Digit by digit, a moment between groups. */
static void digits(bt_buf *out, const char *s, size_t n, bt_tongue tongue)
{
    const size_t begin = out->len;
    bool group = false;
    for (size_t i = 0; i < n; i++) {
        const bool digit = s[i] >= '0' && s[i] <= '9';
        if (s[i] == '+' && tongue.english)
            bt_buf_puts(out, "plus");
        if (digit && out->len > begin)
            bt_buf_puts(out, group ? ", " : " ");
        if (digit)
            bt_buf_add(out, s + i, 1);
        group = !digit && s[i] != '+';
    }
}

/* ---- numbers ----------------------------------------------------------------- */

/* The number s[0..n), without what parts its thousands, in 64 bytes; false: it is none. */
static bool plain_number(const char *s, size_t n, char *number, bool *minus)
{
    size_t k = 0, dots = 0, figures = 0;
    *minus = n && (*s == '-' || *s == '+') ? *s == '-' : false;
    for (size_t i = n && (*s == '-' || *s == '+'); i < n; i++) {
        if (s[i] == ',' || s[i] == ' ' || s[i] == '_')
            continue;
        const bool figure = s[i] >= '0' && s[i] <= '9';
        if ((!figure && s[i] != '.') || k == 63)
            return false;
        figures += figure;
        dots += !figure;
        number[k++] = s[i];
    }
    number[k] = 0;
    return figures && dots <= 1 && number[k - 1] != '.' && number[0] != '.';
}

static void cardinal(bt_buf *out, const char *s, size_t n, bt_tongue tongue)
{
    char number[64];
    bool minus;
    if (!plain_number(s, n, number, &minus)) {
        bt_buf_add(out, s, n);
        return;
    }
    if (!tongue.english) {
        bt_buf_puts(out, minus ? "-" : "");
        bt_buf_puts(out, number);
        return;
    }
    const bt_str digits = { number, strlen(number) };
    bt_buf_puts(out, minus ? "minus " : "");
    if (strchr(number, '.'))
        bt_decimal(out, digits);
    else
        bt_cardinal(out, digits);
}

static void ordinal(bt_buf *out, const char *s, size_t n, bt_tongue tongue)
{
    size_t k = 0;
    while (k < n && s[k] >= '0' && s[k] <= '9')
        k++;
    const size_t rest = n - k;
    const bool ending = rest == 2 && memmem("st nd rd th", 11, s + k, 2);
    if (tongue.english && k && (rest == 0 || ending))
        bt_ordinal(out, (bt_str){ s, k });
    else
        bt_buf_add(out, s, n);
}

/* ---- dates ------------------------------------------------------------------- */

typedef struct date {
    int year, month, day; /* 0: not named; year -1: it neither */
} date;

static bool set_field(date *d, char field, int value)
{
    if (field == 'y')
        d->year = value;
    else if (field == 'm' && value >= 1 && value <= 12)
        d->month = value;
    else if (field == 'd' && value >= 1 && value <= 31)
        d->day = value;
    else
        return false;
    return true;
}

/* Numbers in the order of `format`, or as the first one's length tells. */
static bool read_date(const char *s, size_t n, const char *format, date *d)
{
    size_t at = 0, field = 0;
    *d = (date){ .year = -1 };
    if (!*format)
        format = n >= 4 && strspn(s, "0123456789") == 4 ? "ymd" : "mdy";
    while (at < n) {
        int value = 0;
        const size_t from = at;
        while (at < n && s[at] >= '0' && s[at] <= '9' && at - from < 4)
            value = 10 * value + s[at++] - '0';
        if (at == from || !format[field] || !set_field(d, format[field++], value))
            return false;
        if (at < n && !strchr("-/. ", s[at++]))
            return false;
    }
    return field && !format[field];
}

static void year_of(bt_buf *out, int year)
{
    if (year >= 1000)
        bt_year(out, year);
    else
        bt_cardinal_of(out, year);
}

static const char *const months[] = { "January",   "February", "March",    "April",
                                      "May",       "June",     "July",     "August",
                                      "September", "October",  "November", "December" };

static void say_date(bt_buf *out, const char *s, size_t n, const char *format, bt_tongue tongue)
{
    date d;
    if (!tongue.english || !read_date(s, n, format, &d)) {
        bt_buf_add(out, s, n);
        return;
    }
    const bool day_first = strncmp(format, "dm", 2) == 0;
    if (d.day && (day_first || !d.month)) {
        bt_buf_puts(out, "the ");
        bt_ordinal_of(out, d.day);
        bt_buf_puts(out, d.month ? " of " : "");
    }
    if (d.month)
        bt_buf_puts(out, months[d.month - 1]);
    if (d.day && d.month && !day_first) {
        bt_buf_puts(out, " ");
        bt_ordinal_of(out, d.day);
    }
    if (d.year >= 0) {
        bt_buf_puts(out, d.day ? ", " : d.month ? " " : "");
        year_of(out, d.year);
    }
}

/* ---- all ----------------------------------------------------------------------- */

bool bt_say_as(bt_buf *out, const char *how, const char *format, const char *s, size_t n,
               bt_tongue tongue)
{
    const bt_str what = { how, strlen(how) };
    if (bt_str_among(what, "characters spell-out verbatim letters"))
        spell(out, s, n, tongue);
    else if (bt_str_among(what, "digits telephone"))
        digits(out, s, n, tongue);
    else if (bt_str_is(what, "ordinal") || strcmp(format, "ordinal") == 0)
        ordinal(out, s, n, tongue);
    else if (bt_str_among(what, "cardinal number"))
        cardinal(out, s, n, tongue);
    else if (bt_str_is(what, "date"))
        say_date(out, s, n, format, tongue);
    else { /* the readers know these by their form */
        bt_buf_add(out, s, n);
        return bt_str_among(what, "time currency unit fraction measure address name");
    }
    return true;
}
