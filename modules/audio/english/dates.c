/* SPDX-License-Identifier: MIT
 * Times, dates and fractions in words. Each rule stands under the expression that it
 * matches, in the notation of Python's re.
 */
#include "parts.h"

typedef struct clock {
    int hour, minute, second; /* second -1: none */
    uint32_t half;            /* A, P, or 0 */
    size_t end;
} clock;

/* (?:\s?([AaPp])\.?[Mm]\.?(?![A-Za-z]))?(?!\d) at i: its end, 0: it does not match. */
static size_t half_day(const bt_utext *in, size_t i, uint32_t *half)
{
    size_t k = i + bt_is_blank(bt_at(in, i));
    const uint32_t h = bt_at(in, k) & ~32u;
    *half = 0;
    if (h == 'A' || h == 'P') {
        k += 1 + (bt_at(in, k + 1) == '.');
        if ((bt_at(in, k) & ~32u) == 'M') {
            k++;
            *half = h;
            const uint32_t after = bt_at(in, k + 1);
            if (bt_at(in, k) == '.' && !bt_is_ascii_letter(after) && !bt_is_ascii_digit(after))
                return k + 1;
            if (!bt_is_ascii_letter(bt_at(in, k)) && !bt_is_ascii_digit(bt_at(in, k)))
                return k;
        }
    }
    *half = 0;
    return bt_is_ascii_digit(bt_at(in, i)) ? 0 : i;
}

/* \b(\d{1,2}):(\d{2})(?::(\d{2}))? and the half of the day. */
static bool clock_at(const bt_utext *in, size_t i, clock *c)
{
    const size_t n = bt_digits(in, i, 3);
    size_t k = i + n + 1;
    if (n < 1 || n > 2 || !bt_is_edge(in, i) || bt_at(in, i + n) != ':' || bt_digits(in, k, 2) < 2)
        return false;
    *c = (clock){ bt_value(in, i, n), bt_value(in, k, 2), -1, 0, 0 };
    k += 2;
    if (bt_at(in, k) == ':' && bt_digits(in, k + 1, 2) == 2) {
        c->end = half_day(in, k + 3, &c->half);
        if (c->end)
            c->second = bt_value(in, k + 1, 2);
    }
    if (!c->end)
        c->end = half_day(in, k, &c->half);
    return c->end != 0;
}

size_t bt_rule_time(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    clock c;
    (void)t;
    if (!clock_at(in, i, &c))
        return 0;
    if (c.hour > 24 || c.minute > 59 || c.second > 59) {
        bt_keep(out, in, i, c.end - i);
        return c.end - i;
    }
    bt_buf b = { 0 };
    bt_cardinal_of(&b, c.hour);
    if (c.minute > 0) {
        bt_buf_puts(&b, c.minute < 10 ? " oh " : " ");
        bt_cardinal_of(&b, c.minute);
    } else if (!c.half && c.second < 0) {
        bt_buf_puts(&b, " o'clock");
    }
    if (c.second >= 0) {
        bt_buf_puts(&b, " and ");
        bt_cardinal_of(&b, c.second);
        bt_buf_puts(&b, c.second == 1 ? " second" : " seconds");
    }
    if (c.half) /* dotted, so that the letters are spelt */
        bt_buf_printf(&b, " %c.M%s", (int)c.half, bt_at(in, c.end) == '.' ? "" : ".");
    bt_emit_buf(out, in, i, c.end - i, &b);
    return c.end - i;
}

enum { NO_YEAR = -1 };

/* "March fifth, 2024". Nothing: there is no such day. */
static void put_date(const bt_tables *t, bt_buf *b, int year, int month, int day)
{
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return;
    bt_buf_printf(b, "%s ", t->month[month - 1]);
    bt_ordinal_of(b, day);
    if (year != NO_YEAR)
        bt_buf_printf(b, ", %04d", year);
}

static size_t emit_date(bt_utext *out, const bt_utext *in, size_t i, size_t n, bt_buf *b)
{
    if (b->len == 0 && !b->failed)
        bt_keep(out, in, i, n);
    else
        bt_emit_buf(out, in, i, n, b);
    return n;
}

/* \b(\d{4})-(\d{2})-(\d{2})\b */
size_t bt_rule_date_iso(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    bt_buf b = { 0 };
    if (bt_digits(in, i, 5) != 4 || bt_at(in, i + 4) != '-' || bt_digits(in, i + 5, 3) != 2 ||
        bt_at(in, i + 7) != '-' || bt_digits(in, i + 8, 3) != 2 || !bt_is_edge(in, i) ||
        !bt_is_edge(in, i + 10))
        return 0;
    const int year = bt_value(in, i, 4), month = bt_value(in, i + 5, 2);
    put_date(t, &b, year, month, bt_value(in, i + 8, 2));
    return emit_date(out, in, i, 10, &b);
}

/* \b(\d{1,2})/(\d{1,2})/(\d{4}|\d{2})\b */
size_t bt_rule_date_us(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    bt_buf b = { 0 };
    const size_t n = bt_digits(in, i, 3), m = bt_digits(in, i + n + 1, 3), k = i + n + m + 2;
    const size_t y = bt_digits(in, k, 5);
    if (n < 1 || n > 2 || m < 1 || m > 2 || (y != 4 && y != 2) || bt_at(in, i + n) != '/' ||
        bt_at(in, k - 1) != '/' || !bt_is_edge(in, i) || !bt_is_edge(in, k + y))
        return 0;
    const int first = bt_value(in, i, n), second = bt_value(in, i + n + 1, m);
    int year = bt_value(in, k, y);
    if (y == 2)
        year += year > 30 ? 1900 : 2000;
    put_date(t, &b, year, first <= 12 ? first : second, first <= 12 ? second : first);
    return emit_date(out, in, i, k + y - i, &b);
}

/* \b(month)\.? (\d{1,2})(?:st|nd|rd|th)?\b(?![\d:%])(,? \d{4}\b)? */
size_t bt_rule_month_day(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    size_t k;
    const bt_reading *month = bt_is_ascii_upper(bt_at(in, i)) && bt_is_edge(in, i)
                                  ? bt_reading_at(&t->months, in, i, &k, NULL)
                                  : NULL;
    if (!month)
        return 0;
    k += bt_at(in, k) == '.';
    const size_t day = k + 1, n = bt_digits(in, day, 3);
    if (bt_at(in, k) != ' ' || n < 1 || n > 2)
        return 0;
    k = day + n;
    if (bt_is_at(in, k, "st") || bt_is_at(in, k, "nd") || bt_is_at(in, k, "rd") ||
        bt_is_at(in, k, "th"))
        k += 2;
    if (!bt_is_edge(in, k) || bt_at(in, k) == ':' || bt_at(in, k) == '%')
        return 0;
    const size_t year = k + (bt_at(in, k) == ','), end = year + 5;
    const bool dated =
        bt_at(in, year) == ' ' && bt_digits(in, year + 1, 5) == 4 && bt_is_edge(in, end);
    const int number = bt_value(in, day, n);
    if (number < 1 || number > 31) {
        bt_keep(out, in, i, (dated ? end : k) - i);
        return (dated ? end : k) - i;
    }
    bt_buf b = { 0 };
    bt_buf_printf(&b, "%s ", month->one);
    bt_ordinal_of(&b, number);
    bt_emit_buf(out, in, i, k - i, &b);
    if (dated)
        bt_keep(out, in, k, end - k);
    return (dated ? end : k) - i;
}

/* \b(the )?(\d{1,2}) (?:of )?(month)\b\.? */
size_t bt_rule_day_month(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    size_t k = i + (bt_is_at(in, i, "the ") ? 4 : 0);
    const size_t day = k, n = bt_digits(in, day, 3);
    if (n < 1 || n > 2 || bt_at(in, k + n) != ' ' || !bt_is_edge(in, i))
        return 0;
    k += n + 1;
    const bt_reading *month = NULL;
    if (bt_is_at(in, k, "of "))
        month = bt_reading_at(&t->months, in, k + 3, &k, bt_word_ends);
    else
        month = bt_reading_at(&t->months, in, k, &k, bt_word_ends);
    if (!month)
        return 0;
    k += bt_at(in, k) == '.';
    const int number = bt_value(in, day, n);
    if (number < 1 || number > 31) {
        bt_keep(out, in, i, k - i);
        return k - i;
    }
    bt_buf b = { 0 };
    bt_buf_puts(&b, "the ");
    bt_ordinal_of(&b, number);
    bt_buf_printf(&b, " of %s", month->one);
    bt_emit_buf(out, in, i, k - i, &b);
    return k - i;
}

/* (?<![\w./])(\d{1,2})/(\d{1,2})(?![\w./]) */
size_t bt_rule_fraction(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    static const char *const parts[] = { "third",   "quarter", "fifth", "sixth",
                                         "seventh", "eighth",  "ninth", "tenth" };
    const uint32_t before = bt_at(in, i - 1);
    const size_t n = bt_digits(in, i, 3), m = bt_digits(in, i + n + 1, 3), end = i + n + 1 + m;
    if (n < 1 || n > 2 || m < 1 || m > 2 || bt_at(in, i + n) != '/' || bt_is_word(before) ||
        before == '.' || before == '/' || !bt_word_ends(in, end) || bt_at(in, end) == '.' ||
        bt_at(in, end) == '/')
        return 0;
    const int a = bt_value(in, i, n), d = bt_value(in, i + n + 1, m);
    bt_buf b = { 0 };
    if (a > 0 && d == 2 && a < d)
        bt_buf_puts(&b, "one half");
    else if (a > 0 && a < d && d <= 10)
        bt_buf_printf(&b, "%d %s%s", a, parts[d - 3], a == 1 ? "" : "s");
    else if (a >= 1 && a <= 12 && d >= 1 && d <= 31)
        put_date(t, &b, NO_YEAR, a, d);
    else
        bt_buf_printf(&b, "%d slash %d", a, d);
    bt_emit_buf(out, in, i, end - i, &b);
    return end - i;
}
