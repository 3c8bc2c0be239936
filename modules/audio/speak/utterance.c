/* SPDX-License-Identifier: MIT
 * See utterance.h.
 */
#include "audio/speak/utterance.h"

#include <string.h>

#include "text/utf8.h"

void bt_utterances_drop(bt_utterances *u)
{
    for (size_t i = 0; i < u->n; i++) {
        bt_release(u->v[i].ids);
        bt_release(u->v[i].at);
    }
    u->n = u->n_words = u->spelling.len = 0;
}

void bt_utterances_free(bt_utterances *u)
{
    bt_utterances_drop(u);
    bt_release(u->v);
    bt_release(u->words);
    bt_buf_free(&u->phonemes);
    bt_buf_free(&u->spelling);
    memset(u, 0, sizeof *u);
}

bt_utterance *bt_utterance_begin(bt_utterances *out)
{
    if (out->n == out->cap) {
        size_t cap = out->cap ? 2 * out->cap : 16;
        bt_utterance *v = bt_realloc_array(out->v, out->cap, cap, sizeof *v);
        if (!v)
            return NULL;
        out->v = v;
        out->cap = cap;
    }
    bt_utterance *u = &out->v[out->n++];
    memset(u, 0, sizeof *u);
    return u;
}

void bt_utterance_withdraw(bt_utterances *out)
{
    bt_utterance *u = &out->v[--out->n];
    bt_release(u->ids);
    bt_release(u->at);
}

static bool reserve(bt_utterance *u, int n)
{
    if (u->n + n <= u->cap)
        return true;
    const int cap = 2 * u->cap + n + 256;
    int32_t *ids = bt_realloc_array(u->ids, (size_t)u->cap, (size_t)cap, sizeof *ids);
    if (!ids)
        return false;
    u->ids = ids;
    bt_span *at = bt_realloc_array(u->at, (size_t)u->cap, (size_t)cap, sizeof *at);
    if (!at)
        return false;
    u->at = at;
    u->cap = cap;
    return true;
}

bool bt_utterance_add_at(bt_utterance *u, const int32_t *ids, int n, size_t from, size_t to)
{
    if (!reserve(u, n))
        return false;
    for (int i = 0; i < n; i++) {
        u->ids[u->n] = ids[i];
        u->at[u->n++] = (bt_span){ from, to };
    }
    return true;
}

bool bt_utterance_add(bt_utterance *u, const int32_t *ids, int n)
{
    return bt_utterance_add_at(u, ids, n, 0, 0);
}

/* ---- words -------------------------------------------------------------- */

bool bt_utterances_line(bt_utterances *u, const char *s, size_t n)
{
    if (n && u->phonemes.len)
        bt_buf_puts(&u->phonemes, "\n");
    u->line = u->phonemes.len;
    bt_buf_add(&u->phonemes, s, n);
    return !u->phonemes.failed;
}

bool bt_utterances_sounds(const char *s, size_t n)
{
    for (size_t at = 0; at < n;) {
        uint32_t c;
        at += bt_utf8_next(s + at, n - at, &c);
        if (!bt_is_space(c) && !bt_is_punct(c))
            return true;
    }
    return false;
}

bool bt_utterances_word(bt_utterances *u, bt_spoken w)
{
    if (w.phonemes.from >= w.phonemes.to ||
        !bt_utterances_sounds(u->phonemes.data + w.phonemes.from, w.phonemes.to - w.phonemes.from))
        return true;
    bt_spoken *last = u->n_words ? &u->words[u->n_words - 1] : NULL;
    if (last && w.source.from < last->source.to) {
        last->source.to = w.source.to > last->source.to ? w.source.to : last->source.to;
        last->spelling.to = w.spelling.to;
        last->phonemes.to = w.phonemes.to;
        return true;
    }
    if (u->n_words == u->cap_words) {
        const size_t cap = 2 * u->cap_words + 64;
        bt_spoken *words = bt_realloc_array(u->words, u->cap_words, cap, sizeof *words);
        if (!words)
            return false;
        u->words = words;
        u->cap_words = cap;
    }
    u->words[u->n_words++] = w;
    return true;
}

bool bt_utterances_runs(bt_utterances *u)
{
    const char *s = u->phonemes.data;
    for (size_t from = u->line, to; from < u->phonemes.len; from = to) {
        from += strspn(s + from, " \t\r\n");
        to = from + strcspn(s + from, " \t\r\n");
        const bt_span source = { from - u->line, to - u->line };
        if (!bt_utterances_word(u, (bt_spoken){ .source = source, .phonemes = { from, to } }))
            return false;
    }
    return true;
}

void bt_utterances_lack(bt_utterances *u, uint32_t code)
{
    if (u->missing++ == 0)
        u->lacks = code;
}
