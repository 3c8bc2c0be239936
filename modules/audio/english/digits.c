/* SPDX-License-Identifier: MIT
 * How a word with digits sounds: years, ordinals, amounts of money, digits one by one;
 * in misaki's order of questions.
 */
#include "parts.h"

/* What has been said so far. */
typedef struct said {
    const bt_speller *speller;
    bt_buf all;
    bool any;
    int rating;
} said;

static void say(said *s, bt_sound v)
{
    if (!v.phonemes.p)
        return;
    bt_buf_add(&s->all, " ", s->any);
    bt_buf_add(&s->all, v.phonemes.p, v.phonemes.n);
    s->any = true;
    s->rating = v.rating < s->rating ? v.rating : s->rating;
}

static void say_word(said *s, bt_str word, int stress)
{
    say(s, bt_lookup(s->speller, word, NULL, stress, NULL));
}

/* The words of b, which goes; "and" is not said, "point" not stressed. */
static void say_words(said *s, bt_buf *b)
{
    s->speller->arena->failed |= b->failed;
    for (size_t i = 0; !b->failed && i < b->len;) {
        size_t n = 0;
        while (i + n < b->len && bt_is_ascii_lower((uint8_t)b->data[i + n]))
            n++;
        const bt_str w = bt_str_copy(s->speller->arena, b->data + i, n);
        if (n > 0 && w.p && !bt_str_is(w, "and"))
            say_word(s, w, bt_str_is(w, "point") ? BT_STRESS_STRIP : BT_STRESS_NONE);
        i += n ? n : 1;
    }
    bt_buf_free(b);
}

static void say_cardinal(said *s, bt_str digits)
{
    bt_buf b = { 0 };
    bt_cardinal(&b, digits);
    say_words(s, &b);
}

static void say_digits(said *s, bt_str digits)
{
    for (size_t i = 0; i < digits.n; i++)
        say_cardinal(s, (bt_str){ digits.p + i, 1 });
}

static bt_str without_commas(bt_pool *a, bt_str w)
{
    char *out = bt_pool_take(a, w.n);
    size_t n = 0;
    for (size_t i = 0; out && i < w.n; i++)
        if (w.p[i] != ',')
            out[n++] = w.p[i];
    return (bt_str){ out, n };
}

/* Part of a longer word: "A320", "Boeing747", "R2". */
static void say_inner(said *s, bt_str num)
{
    if (num.n == 0)
        return;
    if (num.p[0] == '0' || num.n > 3) {
        say_digits(s, num);
    } else if (num.n == 3 && !bt_str_ends(num, "00")) {
        say_cardinal(s, (bt_str){ num.p, 1 });
        if (num.p[1] == '0') {
            say_word(s, BT_STR("O"), BT_STRESS_STRIP);
            say_cardinal(s, bt_str_from(num, 2));
        } else {
            say_cardinal(s, bt_str_from(num, 1));
        }
    } else {
        say_cardinal(s, num);
    }
}

static bool only_zeros(bt_str w)
{
    for (size_t i = 0; i < w.n; i++)
        if (w.p[i] != '0')
            return false;
    return true;
}

/* "1.2.3": versions, addresses. */
static void say_parts(said *s, bt_str word)
{
    while (true) {
        const char *dot = word.n ? memchr(word.p, '.', word.n) : NULL;
        const bt_str num = { word.p, dot ? (size_t)(dot - word.p) : word.n };
        if (num.n > 0 && (num.p[0] == '0' || (num.n != 2 && !only_zeros(bt_str_from(num, 1)))))
            say_digits(s, num);
        else if (num.n > 0)
            say_cardinal(s, num);
        if (!dot)
            return;
        word = bt_str_from(word, num.n + 1);
    }
}

static bool is_one(bt_str digits)
{
    return digits.n > 0 && digits.p[digits.n - 1] == '1' && only_zeros(bt_str_less(digits, 1));
}

static bool is_nothing(bt_str digits) { return only_zeros(digits); }

static void say_money_part(said *s, bt_str digits, const char *unit)
{
    const bt_speller *k = s->speller;
    const bt_str name = { unit, strlen(unit) };
    say_cardinal(s, digits.n ? digits : BT_STR("0"));
    if (is_one(digits) || strcmp(unit, "pence") == 0)
        say_word(s, name, BT_STRESS_NONE);
    else
        say(s, bt_stem_s(k, bt_str_cat(k->arena, name, BT_STR("s")), NULL, BT_STRESS_NONE, NULL));
}

static const struct {
    uint32_t sign;
    const char *whole, *part;
} currencies[] = { { '$', "dollar", "cent" },
                   { 0xA3, "pound", "pence" },
                   { 0x20AC, "euro", "cent" } };

static int currency_index(uint32_t sign)
{
    for (int i = 0; i < 3; i++)
        if (currencies[i].sign == sign)
            return i;
    return -1;
}

bt_str bt_currency_plural(const bt_speller *s, uint32_t sign)
{
    const int c = currency_index(sign);
    if (c < 0)
        return BT_NO_STR;
    const bt_str name = { currencies[c].whole, strlen(currencies[c].whole) };
    return bt_stem_s(s, bt_str_cat(s->arena, name, BT_STR("s")), NULL, BT_STRESS_NONE, NULL)
        .phonemes;
}

/* "3.50" as "three dollars and fifty cents"; a part of nothing is not said. */
static void say_money(said *s, bt_str word, int currency)
{
    const bt_str w = without_commas(s->speller->arena, word);
    const char *dot = w.n ? memchr(w.p, '.', w.n) : NULL;
    const bt_str whole = { w.p, dot ? (size_t)(dot - w.p) : w.n };
    const bt_str part = dot ? bt_str_from(w, whole.n + 1) : BT_STR("");
    const bool has_part = dot && !is_nothing(part);
    if (!has_part || !is_nothing(whole)) {
        say_money_part(s, whole, currencies[currency].whole);
        if (has_part)
            say_word(s, BT_STR("and"), BT_STRESS_NONE);
    }
    if (has_part)
        say_money_part(s, part, currencies[currency].part);
}

static size_t count(bt_str w, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < w.n; i++)
        n += w.p[i] == c;
    return n;
}

/* Dollars with at most two digits of cents. */
static bool is_money(bt_str word)
{
    const char *dot = word.n ? memchr(word.p, '.', word.n) : NULL;
    return !dot || (count(word, '.') == 1 && word.n - (size_t)(dot - word.p) - 1 < 3);
}

static bool is_ordinal_end(bt_str end) { return bt_str_among(end, "st nd rd th"); }

static void say_plain(said *s, bt_str word, bt_str end)
{
    bt_buf b = { 0 };
    const bt_str w = without_commas(s->speller->arena, word);
    if (!bt_str_has(w, '.')) {
        if (is_ordinal_end(end) && w.n != word.n)
            bt_ordinal(&b, w);
        else
            bt_cardinal(&b, w);
    } else if (w.p[0] == '.') {
        bt_buf_puts(&b, "point");
        for (size_t i = 1; i < w.n; i++) {
            bt_buf_puts(&b, " ");
            bt_cardinal(&b, (bt_str){ w.p + i, 1 });
        }
    } else {
        bt_decimal(&b, w);
    }
    say_words(s, &b);
}

static int year_of(bt_str w)
{
    int n = 0;
    for (size_t i = 0; i < w.n; i++)
        n = 10 * n + (w.p[i] - '0');
    return n;
}

/* The digits of a word without sign and ending. */
static void say_number(said *s, bt_str word, bt_str end, int currency, bool head, bool minus)
{
    bt_buf b = { 0 };
    if (bt_str_is_digits(word) && is_ordinal_end(end)) {
        bt_ordinal(&b, word);
        say_words(s, &b);
    } else if (!minus && word.n == 4 && currency < 0 && bt_str_is_digits(word)) {
        bt_year(&b, year_of(word));
        say_words(s, &b);
    } else if (!head && !bt_str_has(word, '.')) {
        say_inner(s, without_commas(s->speller->arena, word));
    } else if (count(word, '.') > 1 || !head) {
        say_parts(s, without_commas(s->speller->arena, word));
    } else if (currency >= 0 && is_money(word)) {
        say_money(s, word, currency);
    } else {
        say_plain(s, word, end);
    }
}

bt_sound bt_spell_number(const bt_speller *k, bt_str word, uint32_t currency, bool head)
{
    said s = { .speller = k, .rating = 4 };
    size_t n = word.n;
    while (n > 0 && (bt_is_ascii_lower((uint8_t)word.p[n - 1]) || word.p[n - 1] == '\''))
        n--;
    const bt_str end = bt_str_from(word, n);
    bool minus = false;
    word.n = n;
    if (word.n > 0 && word.p[0] == '-') {
        minus = true;
        say_word(&s, BT_STR("minus"), BT_STRESS_NONE);
        word = bt_str_from(word, 1);
    }
    if (word.n > 0)
        say_number(&s, word, end, currency_index(currency), head, minus);
    bt_str all = s.any ? bt_str_copy(k->arena, s.all.data, s.all.len) : BT_NO_STR;
    k->arena->failed |= s.all.failed;
    bt_buf_free(&s.all);
    if (!all.p)
        return (bt_sound){ BT_NO_STR, 0 };
    if (bt_str_among(end, "s 's"))
        all = bt_end_s(k, all);
    else if (bt_str_among(end, "ed 'd"))
        all = bt_end_ed(k, all);
    else if (bt_str_is(end, "ing"))
        all = bt_end_ing(k, all);
    return (bt_sound){ all, s.rating };
}

bool bt_is_number_word(bt_str word, bool head)
{
    static const char *const ends[] = { "ing", "'d", "ed", "'s", "st", "nd", "rd", "th", "s" };
    bool any = false;
    for (size_t i = 0; i < word.n; i++)
        any = any || bt_is_ascii_digit((uint8_t)word.p[i]);
    if (!any)
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (bt_str_ends(word, ends[i])) {
            word.n -= strlen(ends[i]);
            break;
        }
    for (size_t i = 0; i < word.n; i++) {
        const char c = word.p[i];
        if (!bt_is_ascii_digit((uint8_t)c) && c != ',' && c != '.' && !(head && i == 0 && c == '-'))
            return false;
    }
    return true;
}
