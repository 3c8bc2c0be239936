/* SPDX-License-Identifier: MIT
 * The road of piper (piper1-gpl, phonemize_espeak.py, voice.py): sentences as
 * strings of phonemes, each clause with its punctuation; decomposed (NFD); then
 * ids: ^ _ (p _)* $.
 */
#include "audio/vits/phonemes.h"

#include <string.h>

#include "audio/vits/clauses.h"
#include "text/utf8.h"

enum {
    LONG = 1500,    /* phonemes after which a sentence is cut at the next space... */
    LONGEST = 2000, /* ...or anywhere */
};

/* ---- phonemes to ids --------------------------------------------------- */

static bool add_ids(bt_utterance *u, const bt_phoneme *p)
{
    return bt_utterance_add(u, p->ids, p->n_ids);
}

/* The phoneme at s: the longest cluster, else one code point. */
static const bt_phoneme *phoneme_at(const bt_voice *v, const char *s, size_t n, size_t *len)
{
    uint32_t cp;
    *len = bt_utf8_next(s, n, &cp);
    size_t most = (size_t)v->longest_cluster < n ? (size_t)v->longest_cluster : n;
    for (size_t k = most; k > *len; k--) {
        const bt_phoneme *p = bt_voice_phoneme(v, s, k);
        if (p && p->is_cluster) {
            *len = k;
            return p;
        }
    }
    return cp ? bt_voice_phoneme(v, s, *len) : NULL;
}

/* As piper: "^", then every phoneme with a pad "_" behind it, then "$". The voice
 * was opened only if it has these three.
 *
 * Ids of s from *at up to the end or to where a long sentence is cut; *heard:
 * phonemes other than spaces. */
static bool fill(const bt_voice *v, const char *s, size_t n, size_t *at, bt_utterance *u,
                 size_t *missing, int *heard)
{
    const bt_phoneme *pad = bt_voice_phoneme(v, "_", 1);
    bool ok = add_ids(u, bt_voice_phoneme(v, "^", 1)) && add_ids(u, pad);
    *heard = 0;
    for (int count = 0; ok && *at < n && count < LONGEST;) {
        size_t len;
        const bt_phoneme *p = phoneme_at(v, s + *at, n - *at, &len);
        *at += len;
        *missing += p == NULL;
        if (!p)
            continue;
        ok = add_ids(u, p) && add_ids(u, pad);
        bool space = strcmp(p->text, " ") == 0;
        *heard += !space;
        if (++count > LONG && space)
            break;
    }
    return ok && add_ids(u, bt_voice_phoneme(v, "$", 1));
}

/* One sentence, any form, to one utterance (more if it is very long). */
static bt_status add_sentence(const bt_voice *v, const char *s, size_t n, bt_utterances *out,
                              bt_error *err)
{
    bt_buf nfd = { 0 };
    size_t at = 0;
    bt_status st = bt_utf8_normalize(&nfd, s, n, BT_NFD);
    if (st == BT_OK && nfd.len) {
        if (out->phonemes.len)
            bt_buf_puts(&out->phonemes, "\n");
        bt_buf_add(&out->phonemes, nfd.data, nfd.len);
    }
    while (st == BT_OK && at < nfd.len) {
        int heard;
        bt_utterance *u = bt_utterance_begin(out);
        if (!u || out->phonemes.failed ||
            !fill(v, nfd.data, nfd.len, &at, u, &out->missing, &heard))
            st = BT_ENOMEM;
        else if (heard == 0)
            bt_release(out->v[--out->n].ids);
    }
    bt_buf_free(&nfd);
    return st == BT_OK ? BT_OK : bt_no_memory(err, "phonemes");
}

bt_status bt_utter_phonemes(const bt_voice *v, const char *phonemes, size_t n, bt_utterances *out,
                            bt_error *err)
{
    bt_status st = BT_OK;
    for (size_t at = 0; st == BT_OK && at < n; at++) {
        const char *end = memchr(phonemes + at, '\n', n - at);
        size_t len = end ? (size_t)(end - phonemes) - at : n - at;
        st = add_sentence(v, phonemes + at, len, out, err);
        at += len;
    }
    return st;
}

/* ---- text to phonemes -------------------------------------------------- */

/* Sentences under construction. */
typedef struct sentences {
    bt_buf *v;
    size_t n, cap;
} sentences;

static bt_buf *push(sentences *s)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        bt_buf *v = bt_realloc_array(s->v, s->cap, cap, sizeof *v);
        if (!v)
            return NULL;
        s->v = v;
        s->cap = cap;
    }
    memset(&s->v[s->n], 0, sizeof *s->v);
    return &s->v[s->n++];
}

/* Phonemes of any length of text: espeak-ng's lines are cut between words. */
static bt_status ask(bt_espeak *e, const char *text, size_t n, bt_buf *out, bt_error *err)
{
    bt_status st = BT_OK;
    for (size_t done = 0; st == BT_OK && n;) {
        size_t k = n < BT_ESPEAK_MAX ? n : BT_ESPEAK_MAX;
        if (k < n) {
            while (k > BT_ESPEAK_MAX / 2 && text[k] != ' ')
                k--;
            while (k > 1 && ((unsigned char)text[k] & 0xC0) == 0x80)
                k--;
        }
        if (done)
            bt_buf_puts(out, " ");
        st = bt_espeak_ask(e, text, k, out, err);
        done += k;
        text += k;
        n -= k;
    }
    return st;
}

/* A stretch of plain text; join: its first sentence continues the last one. */
static bt_status add_text(bt_espeak *e, const char *text, size_t n, bool join,
                          const atomic_bool *cancel, sentences *s, bt_error *err)
{
    bt_clause c = { 0 };
    bt_buf *open = join && s->n ? &s->v[s->n - 1] : NULL;
    bt_status st = BT_OK;
    while (st == BT_OK && bt_clause_next(text, n, c.end, &c)) {
        if (cancel && atomic_load(cancel))
            return bt_fail(err, BT_ECANCELLED, "cancelled");
        if (!open && !(open = push(s)))
            return bt_no_memory(err, "phonemes");
        st = ask(e, text + c.begin, c.end - c.begin, open, err);
        bt_buf_puts(open, c.mark);
        if (c.ends_sentence)
            open = NULL;
    }
    return st;
}

/* [[phonemes]] at text[at..end), brackets excluded. */
static bt_status add_raw(const char *text, size_t n, size_t at, size_t end, sentences *s,
                         bt_error *err)
{
    bt_buf *b = s->n ? &s->v[s->n - 1] : push(s);
    if (!b)
        return bt_no_memory(err, "phonemes");
    if (at > 2 && text[at - 3] == ' ')
        bt_buf_puts(b, " ");
    bool space = end + 2 < n && text[end + 2] == ' ';
    while (at < end && text[at] == ' ')
        at++;
    while (end > at && text[end - 1] == ' ')
        end--;
    bt_buf_add(b, text + at, end - at);
    if (space)
        bt_buf_puts(b, " ");
    return BT_OK;
}

/* The next "[[...]]" on one line: brackets excluded; false: none. */
static bool find_raw(const char *text, size_t n, size_t from, size_t *at, size_t *end)
{
    const char *p, *stop = text + n;
    for (const char *s = text + from; (p = memmem(s, (size_t)(stop - s), "[[", 2));) {
        const char *line = memchr(p, '\n', (size_t)(stop - p));
        if (!line)
            line = stop;
        const char *q = memmem(p + 2, (size_t)(line - p - 2), "]]", 2);
        if (q) {
            *at = (size_t)(p + 2 - text);
            *end = (size_t)(q - text);
            return true;
        }
        s = line;
    }
    return false;
}

static bt_status phonemize(bt_espeak *e, const char *text, size_t n, const atomic_bool *cancel,
                           sentences *s, bt_error *err)
{
    size_t from = 0, at, end;
    bool join = false;
    bt_status st = BT_OK;
    while (st == BT_OK && find_raw(text, n, from, &at, &end)) {
        st = add_text(e, text + from, at - 2 - from, join, cancel, s, err);
        if (st == BT_OK)
            st = add_raw(text, n, at, end, s, err);
        from = end + 2;
        join = true;
    }
    return st == BT_OK ? add_text(e, text + from, n - from, join, cancel, s, err) : st;
}

bt_status bt_utter_text(const bt_voice *v, bt_espeak *e, const char *text, size_t n,
                        const atomic_bool *cancel, bt_utterances *out, bt_error *err)
{
    bt_buf clean = { 0 };
    sentences s = { 0 };
    bt_status st = BT_OK;
    bt_utf8_clean(&clean, text, n);
    if (clean.failed)
        st = bt_no_memory(err, "phonemes");
    else if (clean.len)
        st = phonemize(e, clean.data, clean.len, cancel, &s, err);
    for (size_t i = 0; i < s.n; i++) {
        if (st == BT_OK && s.v[i].failed)
            st = bt_no_memory(err, "phonemes");
        if (st == BT_OK && s.v[i].len)
            st = add_sentence(v, s.v[i].data, s.v[i].len, out, err);
        bt_buf_free(&s.v[i]);
    }
    bt_release(s.v);
    bt_buf_free(&clean);
    return st;
}
