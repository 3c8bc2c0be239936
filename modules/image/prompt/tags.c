/* SPDX-License-Identifier: MIT
 * <lora:name:0.8>, <lora:name:0.5:0.8>, <lora:name:te=0.5:unet=0.8>: other networks that the
 * prompt asks for (A1111's extra_networks.py and its Lora extension).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/prompt/prompt.h"
#include "text/utf8.h"

/* Bytes of "<word:anything>" at s, 0: none; *word: of the word. last: the text's last '>'. */
static size_t tag_at(const char *s, size_t n, const char *last, size_t *word)
{
    uint32_t cp;
    size_t i = 1, k;
    while (i < n && (k = bt_utf8_next(s + i, n - i, &cp)) && sd_is_word(cp))
        i += k;
    *word = i - 1;
    if (i == 1 || i == n || s[i] != ':' || !last || last < s)
        return 0;
    const char *end = memchr(s + i, '>', n - i);
    return end && end > s + i + 1 ? (size_t)(end - s) + 1 : 0;
}

static bool is(const char *s, size_t n, const char *what)
{
    return n == strlen(what) && memcmp(s, what, n) == 0;
}

static bt_status read_weight(const char *s, size_t n, double *out, bt_error *err)
{
    char text[32], *end = text;
    const size_t from = sd_skip_space(s, n);
    if (n - from < sizeof text) {
        memcpy(text, s + from, n - from);
        text[n - from] = 0;
        *out = strtod(text, &end);
    }
    if (end == text || end[sd_skip_space(end, strlen(end))] || !isfinite(*out))
        return bt_fail(err, BT_EINVAL, "<lora:...>: \"%.*s\" is not a weight", n > 40 ? 40 : (int)n,
                       s);
    return BT_OK;
}

/* The parts after the name, between colons: the text encoder's weight, the UNet's (the
 * same if not given), or both by name. */
static bt_status read_weights(const char *s, const char *end, sd_tag *t, bt_error *err)
{
    bool unet = false;
    bt_status st = BT_OK;
    t->text = 1;
    for (int place = 0; s < end && st == BT_OK;) {
        const char *stop = memchr(s + 1, ':', (size_t)(end - s - 1)), *part = s + 1;
        s = stop ? stop : end;
        const size_t n = (size_t)(s - part);
        const char *equals = memchr(part, '=', n);
        const size_t key = equals ? (size_t)(equals - part) : 0;
        const bool named_unet = equals && is(part, key, "unet");
        if (equals && !named_unet && !is(part, key, "te"))
            continue;
        const char *value = equals ? equals + 1 : part;
        const bool second = named_unet || (!equals && ++place == 2);
        if (place > 2)
            continue;
        st = read_weight(value, (size_t)(s - value), second ? &t->unet : &t->text, err);
        unet |= second;
    }
    if (!unet)
        t->unet = t->text;
    return st;
}

static bt_status add(sd_tags *tags, const char *args, size_t n, bt_error *err)
{
    const char *colon = memchr(args, ':', n);
    const size_t name = colon ? (size_t)(colon - args) : n;
    if (tags->n == tags->cap) {
        const size_t cap = tags->cap ? 2 * tags->cap : 4;
        sd_tag *v = bt_realloc_array(tags->v, tags->cap, cap, sizeof *v);
        if (!v)
            return bt_no_memory(err, "the prompt");
        tags->v = v;
        tags->cap = cap;
    }
    sd_tag t = { .name = bt_strndup(args, name) };
    if (!t.name)
        return bt_no_memory(err, "the prompt");
    tags->v[tags->n++] = t;
    return read_weights(args + name, args + n, &tags->v[tags->n - 1], err);
}

/* One tag s[0..n) whose word has `word` bytes. */
static bt_status take(sd_tags *tags, const char *s, size_t n, size_t word, bt_error *err)
{
    if (is(s + 1, word, "hypernet"))
        return bt_fail(err, BT_EUNSUPPORTED, "%.*s: hypernetworks are not supported",
                       n > 60 ? 60 : (int)n, s);
    if (is(s + 1, word, "lora") || is(s + 1, word, "lyco"))
        return add(tags, s + word + 2, n - word - 3, err);
    return BT_OK;
}

bt_status sd_prompt_tags(const char *text, char **rest, sd_tags *tags, bt_error *err)
{
    const size_t n = strlen(text);
    const char *last = strrchr(text, '>');
    bt_buf b = { 0 };
    bt_status st = BT_OK;
    *tags = (sd_tags){ 0 };
    *rest = NULL;
    bt_buf_add(&b, "", 0);
    for (size_t i = 0; i < n && st == BT_OK;) {
        const char *next = memchr(text + i, '<', n - i);
        const size_t plain = next ? (size_t)(next - text) - i : n - i;
        size_t word, k;
        bt_buf_add(&b, text + i, plain);
        i += plain;
        if (i == n)
            break;
        if ((k = tag_at(text + i, n - i, last, &word)) > 0)
            st = take(tags, text + i, k, word, err);
        else
            bt_buf_add(&b, "<", k = 1);
        i += k;
    }
    *rest = bt_buf_take(&b);
    if (st == BT_OK && !*rest)
        st = bt_no_memory(err, "the prompt");
    if (st != BT_OK) {
        bt_release(*rest);
        *rest = NULL;
        sd_tags_free(tags);
    }
    return st;
}

void sd_tags_free(sd_tags *t)
{
    for (size_t i = 0; i < t->n; i++)
        bt_release(t->v[i].name);
    bt_release(t->v);
    *t = (sd_tags){ 0 };
}
