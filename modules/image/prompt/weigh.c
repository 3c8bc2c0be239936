/* SPDX-License-Identifier: MIT
 * Brackets to weights: (x) 1.1, [x] 1/1.1, (x:1.3) 1.3, each times what is around it; \( is
 * a bracket as such; BREAK ends a chunk. Brackets that nobody closes reach to the end.
 */
#include <stdlib.h>
#include <string.h>

#include "image/prompt/prompt.h"
#include "text/utf8.h"

/* ---- shared ------------------------------------------------------------------ */

bool sd_is_space(uint32_t cp) { return bt_is_space(cp) || (cp >= 0x1C && cp <= 0x1F); }

bool sd_is_word(uint32_t cp) { return cp == '_' || bt_is_letter(cp) || bt_is_number(cp); }

size_t sd_skip_space(const char *s, size_t n)
{
    uint32_t cp;
    size_t i = 0, k;
    while (i < n && (k = bt_utf8_next(s + i, n - i, &cp)) && sd_is_space(cp))
        i += k;
    return i;
}

bool sd_word_at(const char *s, size_t n, size_t at, const char *word, uint32_t before)
{
    const size_t k = strlen(word);
    uint32_t after = 0;
    if (n - at < k || memcmp(s + at, word, k) != 0 || sd_is_word(before))
        return false;
    if (at + k < n)
        bt_utf8_next(s + at + k, n - at - k, &after);
    return !sd_is_word(after);
}

size_t sd_decimal(const char *s, size_t n)
{
    size_t i = n > 0 && (s[0] == '+' || s[0] == '-');
    int digits = 0, points = 0;
    for (; i < n && ((s[i] >= '0' && s[i] <= '9') || s[i] == '.'); i++) {
        points += s[i] == '.';
        digits += s[i] != '.';
    }
    return digits > 0 && points < 2 ? i : 0;
}

/* ---- pieces ------------------------------------------------------------------ */

typedef struct weigher {
    sd_pieces *out;
    size_t round[SD_MAX_OPEN], square[SD_MAX_OPEN]; /* the piece at which each was opened */
    size_t n_round, n_square;
    bt_error *err;
} weigher;

static bt_status add(weigher *w, const char *s, size_t n, double weight)
{
    sd_pieces *p = w->out;
    if (p->n == p->cap) {
        const size_t cap = p->cap ? 2 * p->cap : 16;
        sd_piece *v = bt_realloc_array(p->v, p->cap, cap, sizeof *v);
        if (!v)
            return bt_no_memory(w->err, "the prompt");
        p->v = v;
        p->cap = cap;
    }
    p->v[p->n++] = (sd_piece){ p->text.len, n, weight };
    bt_buf_add(&p->text, s, n);
    return p->text.failed ? bt_no_memory(w->err, "the prompt") : BT_OK;
}

static void multiply(sd_pieces *p, size_t from, double by)
{
    for (size_t i = from; i < p->n; i++)
        p->v[i].weight *= by;
}

static bt_status open_bracket(weigher *w, size_t *list, size_t *n)
{
    if (*n == SD_MAX_OPEN)
        return bt_fail(w->err, BT_EINVAL, "the prompt opens more than %d brackets", SD_MAX_OPEN);
    list[(*n)++] = w->out->n;
    return BT_OK;
}

/* Text without brackets, cut where BREAK stands, with the white space around it. */
static bt_status add_text(weigher *w, const char *s, size_t n)
{
    static const char word[] = "BREAK";
    size_t from = 0, gap = 0; /* gap: where the white space before i began */
    uint32_t before = 0;
    bt_status st;
    for (size_t i = 0; i < n;) {
        if (sd_word_at(s, n, i, word, before)) {
            BT_TRY(add(w, s + from, gap - from, 1));
            BT_TRY(add(w, word, sizeof word - 1, -1));
            i += sizeof word - 1;
            const size_t space = sd_skip_space(s + i, n - i);
            before = space ? ' ' : 'K';
            from = gap = i += space;
            continue;
        }
        i += bt_utf8_next(s + i, n - i, &before);
        if (!sd_is_space(before))
            gap = i;
    }
    return add(w, s + from, n - from, 1);
fail:
    return st;
}

/* ":1.2)" and what its number is; 0: something else, or a number that is none. */
static size_t weight_at(const char *s, size_t n, const char **number, size_t *digits)
{
    size_t i = 1 + sd_skip_space(s + 1, n - 1);
    *number = s + i;
    i += i < n && (s[i] == '+' || s[i] == '-');
    const size_t first = i;
    while (i < n && ((s[i] >= '0' && s[i] <= '9') || s[i] == '.'))
        i++;
    *digits = (size_t)(s + i - *number);
    if (i == first)
        return 0;
    i += sd_skip_space(s + i, n - i);
    return i < n && s[i] == ')' ? i + 1 : 0;
}

static bt_status close_weighted(weigher *w, const char *number, size_t digits)
{
    if (sd_decimal(number, digits) != digits)
        return bt_fail(w->err, BT_EINVAL, "the prompt's weight \"%.*s\" is not a number",
                       digits > 40 ? 40 : (int)digits, number);
    multiply(w->out, w->round[--w->n_round], strtod(number, NULL));
    return BT_OK;
}

/* What begins at s; *used: how far it goes. */
static bt_status take(weigher *w, const char *s, size_t n, size_t *used)
{
    const char *number;
    size_t digits, k;
    *used = 1;
    switch (s[0]) {
    case '\\': /* of others than these, a backslash alone goes away */
        *used += n > 1 && strchr("()[]\\", s[1]) && s[1];
        return add(w, s + 1, *used - 1, 1);
    case '(': return open_bracket(w, w->round, &w->n_round);
    case '[': return open_bracket(w, w->square, &w->n_square);
    case ')':
        if (w->n_round == 0)
            break;
        multiply(w->out, w->round[--w->n_round], 1.1);
        return BT_OK;
    case ']':
        if (w->n_square == 0)
            break;
        multiply(w->out, w->square[--w->n_square], 1 / 1.1);
        return BT_OK;
    case ':':
        if ((k = weight_at(s, n, &number, &digits)) == 0)
            break;
        *used = k;
        if (w->n_round > 0)
            return close_weighted(w, number, digits);
        break;
    default: *used = strcspn(s, "\\()[]:");
    }
    return add_text(w, s, *used);
}

/* Neighbours of one weight become one piece: tokens are made of whole pieces. */
static void merge(sd_pieces *p)
{
    size_t n = 0;
    for (size_t i = 1; i < p->n; i++)
        if (p->v[i].weight == p->v[n].weight)
            p->v[n].n += p->v[i].n;
        else
            p->v[++n] = p->v[i];
    p->n = n + 1;
}

bt_status sd_prompt_weigh(const char *text, sd_pieces *out, bt_error *err)
{
    weigher w = { .out = out, .err = err };
    bt_status st;
    size_t used;
    *out = (sd_pieces){ 0 };
    for (size_t n = strlen(text); n > 0; text += used, n -= used)
        BT_TRY(take(&w, text, n, &used));
    while (w.n_round > 0)
        multiply(out, w.round[--w.n_round], 1.1);
    while (w.n_square > 0)
        multiply(out, w.square[--w.n_square], 1 / 1.1);
    if (out->n == 0)
        BT_TRY(add(&w, "", 0, 1));
    merge(out);
    return BT_OK;
fail:
    sd_pieces_free(out);
    return st;
}

bt_status sd_prompt_whole(const char *text, sd_pieces *out, bt_error *err)
{
    weigher w = { .out = out, .err = err };
    *out = (sd_pieces){ 0 };
    bt_status st = add(&w, text, strlen(text), 1);
    if (st != BT_OK)
        sd_pieces_free(out);
    return st;
}

void sd_pieces_free(sd_pieces *p)
{
    bt_buf_free(&p->text);
    bt_release(p->v);
    *p = (sd_pieces){ 0 };
}
