/* SPDX-License-Identifier: MIT
 * Several prompts for one picture: "a cat :1.2 AND a dog" (Liu et al. 2022, arXiv
 * 2206.01714). A weight is what follows the last colon, if it is a number.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/prompt/prompt.h"
#include "text/utf8.h"

/* s[0..n) without the white space at its end. */
static size_t trim(const char *s, size_t n)
{
    uint32_t cp;
    size_t end = 0;
    for (size_t i = 0; i < n;) {
        i += bt_utf8_next(s + i, n - i, &cp);
        if (!sd_is_space(cp))
            end = i;
    }
    return end;
}

/* "text : 1.2 " -> "text" and 1.2; without a weight, white space at the end goes. */
static size_t split_weight(const char *s, size_t n, double *weight)
{
    const size_t end = trim(s, n);
    size_t i = end;
    *weight = 1;
    while (i > 0 && ((s[i - 1] >= '0' && s[i - 1] <= '9') || s[i - 1] == '.'))
        i--;
    i -= i > 0 && (s[i - 1] == '-' || s[i - 1] == '+');
    if (i == end || sd_decimal(s + i, end - i) != end - i)
        return end;
    const size_t colon = trim(s, i);
    if (colon == 0 || s[colon - 1] != ':')
        return end;
    *weight = strtod(s + i, NULL);
    return trim(s, colon - 1);
}

static bt_status add(sd_clauses *c, const char *s, size_t n, bt_error *err)
{
    if (c->n == SD_MAX_CLAUSES)
        return bt_fail(err, BT_EINVAL, "AND joins more than %d prompts", SD_MAX_CLAUSES);
    sd_clause *v = &c->v[c->n];
    n = split_weight(s, n, &v->weight);
    if (!isfinite(v->weight))
        return bt_fail(err, BT_EINVAL, "the weight of \"%.*s\" is out of range",
                       n > 40 ? 40 : (int)n, s);
    v->text = bt_strndup(s, n);
    if (!v->text)
        return bt_no_memory(err, "the prompt");
    c->n++;
    return BT_OK;
}

bt_status sd_prompt_clauses(const char *text, sd_clauses *out, bt_error *err)
{
    const size_t n = strlen(text);
    uint32_t before = 0;
    size_t from = 0;
    bt_status st;
    out->n = 0;
    for (size_t i = 0; i < n;) {
        if (sd_word_at(text, n, i, "AND", before)) {
            BT_TRY(add(out, text + from, i - from, err));
            from = i += 3;
            before = 'D';
        } else
            i += bt_utf8_next(text + i, n - i, &before);
    }
    BT_TRY(add(out, text + from, n - from, err));
    return BT_OK;
fail:
    sd_clauses_free(out);
    return st;
}

void sd_clauses_free(sd_clauses *c)
{
    for (int i = 0; i < c->n; i++)
        bt_release(c->v[i].text);
    c->n = 0;
}
