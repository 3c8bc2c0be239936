/* SPDX-License-Identifier: MIT
 * Text as it is read out: what lexicons cannot know (times, dates, money, measures,
 * abbreviations, signs) in words. Plain numbers stay: how they are read depends on the
 * words around them.
 *
 * The rules run one after the other over the whole text, each from left to right. Each
 * stands under the expression that it matches, in the notation of Python's re.
 */
#include "parts.h"

#include "text/utf8.h"

/* ---- for rules --------------------------------------------------------------- */

void bt_emit(bt_utext *out, const bt_utext *in, size_t i, size_t n, const char *s)
{
    const uint32_t from = in->v[i].from, to = in->v[i + n - 1].to;
    for (size_t left = strlen(s); left > 0;) {
        uint32_t c;
        const size_t len = bt_utf8_next(s, left, &c);
        bt_utext_add(out, c, from, to);
        s += len;
        left -= len;
    }
}

void bt_emit_buf(bt_utext *out, const bt_utext *in, size_t i, size_t n, bt_buf *b)
{
    out->failed = out->failed || b->failed;
    if (b->len > 0 && !b->failed)
        bt_emit(out, in, i, n, b->data);
    bt_buf_free(b);
}

void bt_keep(bt_utext *out, const bt_utext *in, size_t i, size_t n)
{
    for (size_t k = i; k < i + n; k++)
        bt_utext_add(out, in->v[k].c, in->v[k].from, in->v[k].to);
}

size_t bt_digits(const bt_utext *t, size_t i, size_t most)
{
    size_t n = 0;
    while (n < most && bt_is_ascii_digit(bt_at(t, i + n)))
        n++;
    return n;
}

int bt_value(const bt_utext *t, size_t i, size_t n)
{
    int v = 0;
    for (size_t k = 0; k < n; k++)
        v = 10 * v + (int)(bt_at(t, i + k) - '0');
    return v;
}

bool bt_is_at(const bt_utext *t, size_t i, const char *s)
{
    for (; *s; s++, i++)
        if (bt_at(t, i) != (uint8_t)*s)
            return false;
    return true;
}

size_t bt_number_end(const bt_utext *t, size_t i)
{
    const size_t n = bt_digits(t, i, SIZE_MAX);
    if (n == 0)
        return i;
    i += n;
    while (bt_at(t, i) == ',' && bt_digits(t, i + 1, 3) == 3)
        i += 4;
    const size_t part = bt_at(t, i) == '.' ? bt_digits(t, i + 1, SIZE_MAX) : 0;
    return part ? i + 1 + part : i;
}

static bool reads(const bt_reading *r, const bt_utext *t, size_t i)
{
    for (size_t k = 0; k < r->n; k++)
        if (bt_at(t, i + k) != r->c[k])
            return false;
    return true;
}

const bt_reading *bt_reading_at(const bt_readings *r, const bt_utext *t, size_t i, size_t *end,
                                bool (*fits)(const bt_utext *t, size_t end))
{
    for (size_t k = 0; k < r->n; k++)
        if (reads(&r->v[k], t, i) && (!fits || fits(t, i + r->v[k].n))) {
            *end = i + r->v[k].n;
            return &r->v[k];
        }
    return NULL;
}

bool bt_word_ends(const bt_utext *t, size_t end) { return !bt_is_word(bt_at(t, end)); }

/* ---- words ------------------------------------------------------------------------ */

/* \.? (?=[A-Z]) */
static bool before_name(const bt_utext *t, size_t end)
{
    end += bt_at(t, end) == '.';
    return bt_at(t, end) == ' ' && bt_is_ascii_upper(bt_at(t, end + 1));
}

/* \b(title)\.? (?=[A-Z]): "St Paul", but not "Main St" */
static size_t rule_title(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    size_t end;
    if (!bt_is_ascii_upper(bt_at(in, i)) || !bt_is_edge(in, i))
        return 0;
    const bt_reading *r = bt_reading_at(&t->titles, in, i, &end, before_name);
    if (!r)
        return 0;
    end += 1 + (bt_at(in, end) == '.');
    bt_emit(out, in, i, end - 1 - i, r->one);
    bt_keep(out, in, end - 1, 1);
    return end - i;
}

/* (?<![\w.])(abbreviation)(?![\w]) */
static size_t rule_abbreviation(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    size_t end;
    if (!bt_is_ascii_letter(bt_at(in, i)) || bt_is_word(bt_at(in, i - 1)) ||
        bt_at(in, i - 1) == '.')
        return 0;
    const bt_reading *r = bt_reading_at(&t->abbreviations, in, i, &end, bt_word_ends);
    if (!r)
        return 0;
    bt_emit(out, in, i, end - i, r->one);
    if (end == in->n && bt_at(in, end - 1) == '.') /* which also ends the sentence */
        bt_keep(out, in, end - 1, 1);
    return end - i;
}

/* \b(No|Nos)\. ?(?=\d) */
static size_t rule_no(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    (void)t;
    if (!bt_is_at(in, i, "No") || !bt_is_edge(in, i))
        return 0;
    const bool many = bt_at(in, i + 2) == 's';
    size_t end = i + 2 + many;
    if (bt_at(in, end) != '.')
        return 0;
    end += 1 + (bt_at(in, end + 1) == ' ');
    if (!bt_is_ascii_digit(bt_at(in, end)))
        return 0;
    bt_emit(out, in, i, end - i, many ? "Numbers " : "Number ");
    return end - i;
}

/* (?<![\w&])#(?=\d) */
static size_t rule_hash(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    const uint32_t before = bt_at(in, i - 1);
    (void)t;
    if (bt_at(in, i) != '#' || bt_is_word(before) || before == '&' ||
        !bt_is_ascii_digit(bt_at(in, i + 1)))
        return 0;
    bt_emit(out, in, i, 1, "number ");
    return 1;
}

/* ---- Roman numerals ------------------------------------------------------------------ */

/* One decimal place, as CM|CD|D?C{0,3}: its worth; *i moves. */
static int roman_place(const bt_utext *t, size_t *i, char one, char five, char ten)
{
    const uint32_t c = bt_at(t, *i), d = bt_at(t, *i + 1);
    if (c == (uint8_t)one && (d == (uint8_t)ten || d == (uint8_t)five)) {
        *i += 2;
        return d == (uint8_t)ten ? 9 : 4;
    }
    int n = 0;
    if (c == (uint8_t)five) {
        n = 5;
        ++*i;
    }
    for (int k = 0; k < 3 && bt_at(t, *i) == (uint8_t)one; k++, ++*i)
        n++;
    return n;
}

/* A numeral below 1000 that is a whole word, not followed by ['’.] and a letter: its
 * worth and *end; 0: none. */
static int roman_at(const bt_utext *t, size_t i, size_t *end)
{
    const uint32_t c = bt_at(t, i);
    if (c != 'I' && c != 'V' && c != 'X' && c != 'L' && c != 'C')
        return 0;
    int n = 100 * roman_place(t, &i, 'C', 'D', 'M');
    n += 10 * roman_place(t, &i, 'X', 'L', 'C');
    n += roman_place(t, &i, 'I', 'V', 'X');
    const uint32_t after = bt_at(t, i);
    if (!bt_word_ends(t, i) ||
        ((after == '.' || after == '\'' || after == 0x2019) && bt_is_word(bt_at(t, i + 1))))
        return 0;
    *end = i;
    return n;
}

static bool before_roman(const bt_utext *t, size_t end)
{
    return bt_at(t, end) == ' ' && roman_at(t, end + 1, &end) > 0;
}

/* \b(word) (numeral)\b(?!['’.]\w) */
static size_t roman(const bt_readings *words, const bt_utext *in, size_t i, bt_utext *out,
                    bool ordinal)
{
    size_t at, end;
    bt_buf b = { 0 };
    if (!bt_is_ascii_letter(bt_at(in, i)) || !bt_is_edge(in, i) ||
        !bt_reading_at(words, in, i, &at, before_roman))
        return 0;
    const int n = roman_at(in, at + 1, &end);
    bt_keep(out, in, i, at + 1 - i);
    if (ordinal) {
        bt_buf_puts(&b, "the ");
        bt_ordinal_of(&b, n);
    } else {
        bt_buf_printf(&b, "%d", n);
    }
    bt_emit_buf(out, in, at + 1, end - at - 1, &b);
    return end - i;
}

static size_t rule_roman_cardinal(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    return roman(&t->roman_cardinal, in, i, out, false);
}

static size_t rule_roman_ordinal(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    return roman(&t->roman_ordinal, in, i, out, true);
}

/* ---- digits and signs ------------------------------------------------------------------ */

static bool is_joiner(uint32_t c) { return bt_is_word(c) || c == '.' || c == '-'; }

/* (?<![\w.\-])(?:\d{3}-)?\d{3}-\d{4}(?![\w.\-]): digit by digit */
static size_t rule_phone(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    size_t k = i;
    (void)t;
    if (bt_digits(in, i, 4) != 3 || is_joiner(bt_at(in, i - 1)))
        return 0;
    if (bt_at(in, i + 3) == '-' && bt_digits(in, i + 4, 4) == 3)
        k += 4;
    if (bt_at(in, k + 3) != '-' || bt_digits(in, k + 4, 5) != 4 || is_joiner(bt_at(in, k + 8)))
        return 0;
    for (size_t d = i; d < k + 8; d++) {
        if (d > i && bt_at(in, d) != '-')
            bt_emit(out, in, d, 1, " ");
        if (bt_at(in, d) == '-')
            bt_emit(out, in, d, 1, ",");
        else
            bt_keep(out, in, d, 1);
    }
    return k + 8 - i;
}

/* (?<![\w.\-])(\d{1,4})\s?[-–]\s?(\d{1,4})(?![\w.\-%]) */
static size_t rule_range(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    const size_t n = bt_digits(in, i, 5), dash = i + n + bt_is_blank(bt_at(in, i + n));
    (void)t;
    if (n < 1 || n > 4 || is_joiner(bt_at(in, i - 1)) ||
        (bt_at(in, dash) != '-' && bt_at(in, dash) != 0x2013))
        return 0;
    const size_t to = dash + 1 + bt_is_blank(bt_at(in, dash + 1)), m = bt_digits(in, to, 5);
    if (m < 1 || m > 4 || is_joiner(bt_at(in, to + m)) || bt_at(in, to + m) == '%')
        return 0;
    bt_keep(out, in, i, n);
    bt_emit(out, in, i + n, to - i - n, " to ");
    bt_keep(out, in, to, m);
    return to + m - i;
}

/* (?<![\w+])\+(?=\d) */
static size_t rule_plus(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    (void)t;
    if (bt_at(in, i) != '+' || bt_is_word(bt_at(in, i - 1)) || bt_at(in, i - 1) == '+' ||
        !bt_is_ascii_digit(bt_at(in, i + 1)))
        return 0;
    bt_emit(out, in, i, 1, "plus ");
    return 1;
}

static bool solid(uint32_t c) { return c != 0 && !bt_is_blank(c); }
static bool is_relation(uint32_t c) { return c == '=' || c == '<' || c == '>' || c == '~'; }

/* (?<=\S) ?sign ?(?=\S), for signs that stand between two things */
static size_t relation(const bt_reading *r, const bt_utext *in, size_t i, bt_utext *out)
{
    size_t k = i + (bt_at(in, i) == ' ');
    if (bt_at(in, k) != r->c[0] || !solid(bt_at(in, i - 1)))
        return 0;
    k++;
    if (bt_at(in, k) == ' ' && solid(bt_at(in, k + 1)))
        k++;
    else if (!solid(bt_at(in, k)))
        return 0;
    bt_emit(out, in, i, k - i, " ");
    bt_emit(out, in, i, k - i, r->one);
    bt_emit(out, in, i, k - i, " ");
    return k - i;
}

static size_t rule_sign(const bt_tables *t, const bt_utext *in, size_t i, bt_utext *out)
{
    const uint32_t c = bt_at(in, i);
    if (bt_is_ascii_letter(c) || c == ' ' || is_relation(c))
        return 0;
    for (size_t k = 0; k < t->symbols.n; k++) {
        const bt_reading *r = &t->symbols.v[k];
        if (r->n != 1 || r->c[0] != c)
            continue;
        bt_emit(out, in, i, 1, " ");
        if (*r->one) {
            bt_emit(out, in, i, 1, r->one);
            bt_emit(out, in, i, 1, " ");
        }
        return 1;
    }
    return 0;
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* \s+ as one space, none at the ends; typographers' forms of ' and -. */
static void squeeze(bt_utext *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        uint32_t c = t->v[i].c;
        if (bt_is_blank(c)) {
            if (n == 0 || t->v[n - 1].c == ' ')
                continue;
            c = ' ';
        }
        t->v[n] = t->v[i];
        t->v[n++].c = c == 0x2019 ? '\'' : c == 0x2012 ? '-' : c == 0x2015 ? 0x2014 : c;
    }
    t->n = n - (n > 0 && t->v[n - 1].c == ' ');
}

/* " +([,.;:!?])": no space before a mark */
static void close_marks(bt_utext *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const uint32_t c = t->v[i].c;
        if (n > 0 && c < 0x80 && strchr(",.;:!?", (int)c) && t->v[n - 1].c == ' ')
            n--;
        t->v[n++] = t->v[i];
    }
    t->n = n;
}

/* t and scratch change places; what failed once stays failed. */
static void trade(bt_utext *t, bt_utext *scratch)
{
    const bt_utext swap = *t;
    *t = *scratch;
    *scratch = swap;
    t->failed = t->failed || scratch->failed;
}

/* One rule over the text. */
static void pass(const bt_tables *tables, bt_rule rule, bt_utext *t, bt_utext *scratch)
{
    scratch->n = 0;
    for (size_t i = 0; i < t->n;) {
        const size_t n = rule(tables, t, i, scratch);
        if (n == 0)
            bt_keep(scratch, t, i, 1);
        i += n ? n : 1;
    }
    trade(t, scratch);
}

static bool has(const bt_utext *t, uint32_t c)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].c == c)
            return true;
    return false;
}

static void relations(const bt_tables *tables, bt_utext *t, bt_utext *scratch)
{
    for (size_t k = 0; k < tables->symbols.n; k++) {
        const bt_reading *r = &tables->symbols.v[k];
        if (r->n != 1 || !is_relation(r->c[0]) || !has(t, r->c[0]))
            continue;
        scratch->n = 0;
        for (size_t i = 0; i < t->n;) {
            const size_t n = relation(r, t, i, scratch);
            if (n == 0)
                bt_keep(scratch, t, i, 1);
            i += n ? n : 1;
        }
        trade(t, scratch);
    }
}

void bt_normalize(const bt_tables *tables, bt_utext *t, bt_utext *scratch)
{
    static const bt_rule rules[] = {
        bt_rule_time,      bt_rule_date_iso,  bt_rule_date_us,     bt_rule_big_money,
        bt_rule_cents,     bt_rule_currency,  bt_rule_degrees,     bt_rule_unit,
        bt_rule_month_day, bt_rule_day_month, rule_title,          rule_abbreviation,
        rule_no,           rule_hash,         rule_roman_cardinal, rule_roman_ordinal,
        rule_phone,        bt_rule_fraction,  rule_range,          rule_plus,
    };
    squeeze(t);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        pass(tables, rules[i], t, scratch);
    relations(tables, t, scratch);
    pass(tables, rule_sign, t, scratch);
    squeeze(t);
    close_marks(t);
}
