/* SPDX-License-Identifier: MIT
 * Phonemes to ids, and where a sentence that is too long for one pass is cut: into as few
 * pieces as will do, all about equally long, after the end of a clause, else between words.
 */
#include <stdlib.h>
#include <string.h>

#include "audio/kokoro/styles.h"
#include "text/utf8.h"

enum { PAD = 0 };

static bool ends_clause(uint32_t c)
{
    return c == ',' || c == ';' || c == ':' || c == '.' || c == '!' || c == '?' || c == 0x2014 ||
           c == 0x2026;
}

/* Bytes of s that the next piece has, of `left` known phonemes: the cut nearest to `aim`
 * phonemes and not above `most`; clauses win over words, words over anything. */
static size_t cut(const bt_kok_beside *b, const char *s, size_t n, int left, int most)
{
    const int pieces = (left + most - 1) / most, aim = (left + pieces - 1) / pieces;
    size_t best = 0, at = 0;
    int count = 0, rank = 0, miss = 0;
    uint32_t c, last = 0;
    if (left <= most)
        return n;
    for (; at < n && count <= most; last = c) {
        const size_t len = bt_utf8_next(s + at, n - at, &c);
        const int level = c == ' ' ? ends_clause(last) ? 3 : 2 : 1, off = abs(count - aim);
        /* a clause far from the aim would leave the rest too long for the pieces planned */
        const bool fits = left - count <= (pieces - 1) * most;
        if (at && fits && (level > rank || (level == rank && off < miss))) {
            best = at;
            rank = level;
            miss = off;
        }
        count += bt_kok_symbol_id(b, c) >= 0;
        at += len;
    }
    return best ? best : at;
}

static int count_known(const bt_kok_beside *b, const char *s, size_t n)
{
    int count = 0;
    uint32_t c;
    for (size_t at = 0; at < n; count += bt_kok_symbol_id(b, c) >= 0)
        at += bt_utf8_next(s + at, n - at, &c);
    return count;
}

bt_status bt_kok_check(const bt_kok_beside *b, const char *s, size_t n, bt_error *err)
{
    for (size_t at = 0; at < n;) {
        uint32_t c;
        const size_t len = bt_utf8_next(s + at, n - at, &c);
        if (bt_kok_symbol_id(b, c) < 0)
            return bt_fail(err, BT_EINVAL, "the voice has no phoneme \"%.*s\" (U+%04X)", (int)len,
                           s + at, (unsigned)c);
        at += len;
    }
    return BT_OK;
}

static bool add_ids(const bt_kok_beside *b, const char *s, size_t n, bt_utterance *u,
                    size_t *missing)
{
    const int32_t pad = PAD;
    bool ok = bt_utterance_add(u, &pad, 1);
    for (size_t at = 0; ok && at < n;) {
        uint32_t c;
        at += bt_utf8_next(s + at, n - at, &c);
        const int32_t id = bt_kok_symbol_id(b, c);
        *missing += id < 0;
        ok = id < 0 || bt_utterance_add(u, &id, 1);
    }
    return ok && bt_utterance_add(u, &pad, 1);
}

bt_status bt_kok_utter(const bt_kokoro *k, const bt_kok_beside *b, const char *s, size_t n,
                       bt_utterances *out, bt_error *err)
{
    while (n && strchr(" \t", s[n - 1]))
        n--;
    while (n && strchr(" \t", *s))
        s++, n--;
    if (n && out->phonemes.len)
        bt_buf_puts(&out->phonemes, "\n");
    bt_buf_add(&out->phonemes, s, n);
    int left = count_known(b, s, n);
    if (out->phonemes.failed)
        return bt_no_memory(err, "phonemes");
    if (left == 0) {
        out->missing += n > 0;
        return BT_OK;
    }
    bt_utterance *u = bt_utterance_begin(out);
    bool ok = u != NULL;
    while (n && ok) {
        const size_t end = cut(b, s, n, left, k->positions - 2);
        left -= count_known(b, s, end);
        ok = add_ids(b, s, end, u, &out->missing);
        for (s += end, n -= end; n && *s == ' '; s++, n--)
            left--;
    }
    return ok ? BT_OK : bt_no_memory(err, "phonemes");
}
