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
static size_t cut(const bt_alphabet *a, const char *s, size_t n, int left, int most)
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
        count += bt_alphabet_id(a, c) >= 0;
        at += len;
    }
    return best ? best : at;
}

/* s[0..n), which is out->phonemes from `base` on, between zeros, unless it has no sound. */
static bool add_piece(const bt_alphabet *a, const char *s, size_t n, size_t base,
                      bt_utterances *out, bt_utterance *u)
{
    const int32_t pad = PAD;
    const bool sounds = bt_alphabet_count(a, s, n) > 0;
    return (!sounds || bt_utterance_add(u, &pad, 1)) && bt_alphabet_add(a, s, n, base, out, u) &&
           (!sounds || bt_utterance_add(u, &pad, 1));
}

bt_status bt_kok_utter(const bt_kokoro *k, const bt_alphabet *a, const char *s, size_t n,
                       bt_utterances *out, bt_error *err)
{
    while (n && strchr(" \t", s[n - 1]))
        n--;
    bt_utterance *u = bt_utterances_line(out, s, n) ? bt_utterance_begin(out) : NULL;
    bool ok = u != NULL;
    int left = bt_alphabet_count(a, s, n);
    for (size_t at = 0, end; ok && at < n; at = end) {
        for (; strchr(" \t", s[at]); at++)
            left -= bt_alphabet_id(a, (uint32_t)s[at]) >= 0;
        end = at + cut(a, s + at, n - at, left, k->positions - 2);
        left -= bt_alphabet_count(a, s + at, end - at);
        ok = add_piece(a, s + at, end - at, out->line + at, out, u);
    }
    if (!ok)
        return bt_no_memory(err, "phonemes");
    if (u->n == 0)
        bt_utterance_withdraw(out);
    return BT_OK;
}
