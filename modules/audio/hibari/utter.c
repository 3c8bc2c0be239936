/* SPDX-License-Identifier: MIT
 * Phonemes to ids as the package has it (tts.py): 0, one id per character, 0. Sentences
 * of more than MOST are put together anew of their clauses; where there are none, of words.
 */
#include <string.h>

#include "audio/hibari/hibari.h"
#include "text/utf8.h"

enum { MOST = 400, PAD = 0 };

static bool ends_clause(uint32_t c) { return c == ',' || c == ';' || c == ':' || c == 0x2014; }

/* Where the sentence that begins at s is cut: after the last clause, else the last word, else
 * the last character within MOST. */
static size_t cut(const char *s, size_t n)
{
    size_t at = 0, clause = 0, word = 0;
    uint32_t c, last = 0;
    for (int count = 0; at < n; count++, last = c) {
        if (count >= MOST)
            return clause ? clause : word ? word : at;
        const size_t len = bt_utf8_next(s + at, n - at, &c);
        if (c == ' ')
            word = at;
        if (c == ' ' && ends_clause(last))
            clause = at;
        at += len;
    }
    return n;
}

/* s[0..n) is out->phonemes from `base` on. */
static bt_status add_piece(const bt_hibari *v, const char *s, size_t n, size_t base,
                           bt_utterances *out, bt_error *err)
{
    const int32_t pad = PAD;
    bt_utterance *u = bt_utterance_begin(out);
    const bool ok =
        u && bt_utterance_add(u, &pad, 1) && bt_alphabet_add(&v->alphabet, s, n, base, out, u);
    if (!ok || !bt_utterance_add(u, &pad, 1))
        return bt_no_memory(err, "phonemes");
    if (u->n < 3)
        bt_utterance_withdraw(out);
    return BT_OK;
}

bt_status bt_hibari_utter(const bt_hibari *v, const char *s, size_t n, bt_utterances *u,
                          bt_error *err)
{
    bt_status st = BT_OK;
    while (n && strchr(" \t\r\n", s[n - 1]))
        n--;
    if (!bt_utterances_line(u, s, n))
        return bt_no_memory(err, "phonemes");
    size_t base = u->line;
    while (n && st == BT_OK) {
        while (n && strchr(" \t", *s))
            s++, n--, base++;
        const size_t end = cut(s, n);
        st = n ? add_piece(v, s, end, base, u, err) : BT_OK;
        s += end;
        base += end;
        n -= end;
    }
    return st;
}
