/* SPDX-License-Identifier: MIT
 * The road of piper (piper1-gpl, phonemize_espeak.py, voice.py): sentences as
 * strings of phonemes, each clause with its punctuation; decomposed (NFD); then
 * ids: ^ _ (p _)* $; of pinyin ^ (group _)* $, a group being a syllable or a mark.
 */
#include "audio/vits/phonemes.h"

#include <string.h>

#include "audio/vits/align.h"
#include "audio/vits/clauses.h"
#include "audio/vits/pinyin.h"
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

static bool add_ids_at(bt_utterance *u, const bt_phoneme *p, size_t from, size_t to)
{
    return bt_utterance_add_at(u, p->ids, p->n_ids, from, to);
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
 * Ids of s, the last line of out->phonemes, from *at up to the end or to where a long
 * sentence is cut; *heard: phonemes other than spaces. */
static bool fill(const bt_voice *v, const char *s, size_t n, size_t *at, bt_utterance *u,
                 bt_utterances *out, int *heard)
{
    const bt_phoneme *pad = bt_voice_phoneme(v, "_", 1);
    bool ok = add_ids(u, bt_voice_phoneme(v, "^", 1)) && add_ids(u, pad);
    *heard = 0;
    for (int count = 0; ok && *at < n && count < LONGEST;) {
        size_t len;
        const bt_phoneme *p = phoneme_at(v, s + *at, n - *at, &len);
        const size_t from = out->line + *at;
        if (!p) {
            uint32_t c;
            bt_utf8_next(s + *at, n - *at, &c);
            bt_utterances_lack(out, c);
        }
        *at += len;
        if (!p)
            continue;
        ok = add_ids_at(u, p, from, from + len) && add_ids(u, pad);
        bool space = strcmp(p->text, " ") == 0;
        *heard += !space;
        if (++count > LONG && space)
            break;
    }
    return ok && add_ids(u, bt_voice_phoneme(v, "$", 1));
}

/* The same for pinyin. Spaces only separate syllables. */
static bool fill_pinyin(const bt_voice *v, const char *s, size_t n, size_t *at, bt_utterance *u,
                        bt_utterances *out, int *heard)
{
    bool ok = add_ids(u, bt_voice_phoneme(v, "^", 1));
    *heard = 0;
    for (int count = 0; ok && *at < n && count < LONGEST; count++) {
        const bt_phoneme *part[3];
        size_t end[3], len, from = out->line + *at;
        const int parts = bt_pinyin_next(v, s + *at, n - *at, part, end, &len);
        for (int i = 0; i < parts && ok && s[*at] != ' '; i++) {
            const size_t to = out->line + *at + end[i];
            uint32_t c;
            bt_utf8_next(s + *at, len, &c);
            if (!part[i])
                bt_utterances_lack(out, c);
            else if (!add_ids_at(u, part[i], from, to))
                ok = false;
            else if (bt_pinyin_ends_group(part[i]))
                ok = add_ids(u, bt_voice_phoneme(v, "_", 1));
            *heard += part[i] && (parts > 1 || !bt_pinyin_ends_group(part[i]));
            from = to;
        }
        *at += len;
    }
    return ok && add_ids(u, bt_voice_phoneme(v, "$", 1));
}

/* One sentence, any form, to one utterance (more if it is very long). Its words are the
 * caller's to add. */
static bt_status add_sentence(const bt_voice *v, const char *s, size_t n, bt_utterances *out,
                              bt_error *err)
{
    bt_buf nfd = { 0 };
    size_t at = 0;
    bt_status st = bt_utf8_normalize(&nfd, s, n, BT_NFD);
    if (st == BT_OK && !bt_utterances_line(out, nfd.data, nfd.len))
        st = BT_ENOMEM;
    while (st == BT_OK && at < nfd.len) {
        int heard;
        bt_utterance *u = bt_utterance_begin(out);
        if (!u || !(v->is_pinyin ? fill_pinyin : fill)(v, nfd.data, nfd.len, &at, u, out, &heard))
            st = BT_ENOMEM;
        else if (heard == 0)
            bt_utterance_withdraw(out);
    }
    bt_buf_free(&nfd);
    return st == BT_OK ? BT_OK : bt_no_memory(err, "phonemes");
}

/* The words of the last line, which was s[0..n) before it was decomposed and begins at `from`
 * in the source. */
static bt_status add_words(const char *s, const bt_pair *w, size_t n, size_t from,
                           bt_utterances *out, bt_error *err)
{
    bt_buf nfd = { 0 };
    size_t done = 0, at[2];
    bt_status st = BT_OK;
    for (size_t i = 0; i < n && st == BT_OK; i++) {
        const size_t ends[] = { w[i].phonemes.from, w[i].phonemes.to };
        for (int k = 0; k < 2 && st == BT_OK; k++) { /* lengths of decomposed parts add up */
            st = bt_utf8_normalize(&nfd, s + done, ends[k] - done, BT_NFD);
            done = ends[k];
            at[k] = out->line + nfd.len;
        }
        const bt_span source = { from + w[i].source.from, from + w[i].source.to };
        if (st == BT_OK &&
            !bt_utterances_word(out, (bt_spoken){ .source = source, .phonemes = { at[0], at[1] } }))
            st = BT_ENOMEM;
    }
    bt_buf_free(&nfd);
    return st == BT_OK ? BT_OK : bt_no_memory(err, "words");
}

bt_status bt_utter_phonemes(const bt_voice *v, const char *phonemes, size_t n, bt_utterances *out,
                            bt_error *err)
{
    bt_status st = BT_OK;
    for (size_t at = 0; st == BT_OK && at < n; at++) {
        const char *end = memchr(phonemes + at, '\n', n - at);
        size_t len = end ? (size_t)(end - phonemes) - at : n - at;
        bt_pairs w = { 0 };
        st = add_sentence(v, phonemes + at, len, out, err);
        if (st == BT_OK && !bt_pairs_runs(&w, phonemes + at, len))
            st = bt_no_memory(err, "words");
        if (st == BT_OK)
            st = add_words(phonemes + at, w.v, w.n, at, out, err);
        bt_release(w.v);
        at += len;
    }
    return st;
}

/* ---- text to phonemes -------------------------------------------------- */

typedef struct sentence {
    bt_buf text;
    bt_pairs words;
} sentence;

/* Sentences under construction. */
typedef struct sentences {
    sentence *v;
    size_t n, cap;
} sentences;

static sentence *push(sentences *s)
{
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 16;
        sentence *v = bt_realloc_array(s->v, s->cap, cap, sizeof *v);
        if (!v)
            return NULL;
        s->v = v;
        s->cap = cap;
    }
    memset(&s->v[s->n], 0, sizeof *s->v);
    return &s->v[s->n++];
}

/* Phonemes of any length of text, which begins at `from` in the source: espeak-ng's lines are
 * cut between words. */
static bt_status ask(bt_espeak *e, const char *text, size_t n, size_t from, sentence *s,
                     bt_error *err)
{
    bt_buf *out = &s->text;
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
        const size_t begin = out->len;
        st = bt_espeak_ask(e, text, k, out, err);
        if (st == BT_OK && !out->failed &&
            !bt_pairs_align(&s->words, text, k, from + done, out->data, begin, out->len))
            st = bt_no_memory(err, "words");
        done += k;
        text += k;
        n -= k;
    }
    return st;
}

/* A stretch of plain text, at `from` in the source; join: its first sentence continues the
 * last one. */
static bt_status add_text(bt_espeak *e, const char *text, size_t n, size_t from, bool join,
                          const atomic_bool *cancel, sentences *s, bt_error *err)
{
    bt_clause c = { 0 };
    sentence *open = join && s->n ? &s->v[s->n - 1] : NULL;
    bt_status st = BT_OK;
    while (st == BT_OK && bt_clause_next(text, n, c.end, &c)) {
        if (cancel && atomic_load(cancel))
            return bt_fail(err, BT_ECANCELLED, "cancelled");
        if (!open && !(open = push(s)))
            return bt_no_memory(err, "phonemes");
        st = ask(e, text + c.begin, c.end - c.begin, from + c.begin, open, err);
        bt_buf_puts(&open->text, c.mark);
        if (c.ends_sentence)
            open = NULL;
    }
    return st;
}

/* [[phonemes]] at text[at..end), brackets excluded. */
static bt_status add_raw(const char *text, size_t n, size_t at, size_t end, sentences *s,
                         bt_error *err)
{
    sentence *of = s->n ? &s->v[s->n - 1] : push(s);
    if (!of)
        return bt_no_memory(err, "phonemes");
    const bt_span source = { at - 2, end + 2 };
    bt_buf *b = &of->text;
    if (at > 2 && text[at - 3] == ' ')
        bt_buf_puts(b, " ");
    bool space = end + 2 < n && text[end + 2] == ' ';
    while (at < end && text[at] == ' ')
        at++;
    while (end > at && text[end - 1] == ' ')
        end--;
    const size_t begin = b->len;
    bt_buf_add(b, text + at, end - at);
    if (!bt_pairs_add(&of->words, source, (bt_span){ begin, b->len }))
        return bt_no_memory(err, "words");
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
        st = add_text(e, text + from, at - 2 - from, from, join, cancel, s, err);
        if (st == BT_OK)
            st = add_raw(text, n, at, end, s, err);
        from = end + 2;
        join = true;
    }
    return st == BT_OK ? add_text(e, text + from, n - from, from, join, cancel, s, err) : st;
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
        sentence *x = &s.v[i];
        if (st == BT_OK && x->text.failed)
            st = bt_no_memory(err, "phonemes");
        if (st == BT_OK && x->text.len)
            st = add_sentence(v, x->text.data, x->text.len, out, err);
        if (st == BT_OK && x->text.len)
            st = add_words(x->text.data, x->words.v, x->words.n, 0, out, err);
        bt_buf_free(&x->text);
        bt_release(x->words.v);
    }
    bt_release(s.v);
    bt_buf_free(&clean);
    return st;
}
