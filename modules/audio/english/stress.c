/* SPDX-License-Identifier: MIT
 * Stress marks in misaki's phonemes, and what kinds of phonemes there are.
 */
#include "parts.h"

#include "text/utf8.h"

#define PRIMARY   "ˈ" /* two bytes both */
#define SECONDARY "ˌ"
enum { MARK = 2 };

bool bt_is_vowel(uint32_t c) { return bt_among(c, "AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻ"); }
bool bt_is_consonant(uint32_t c) { return bt_among(c, "bdfhjklmnpstvwzðŋɡɹɾʃʒʤʧθ"); }

static bool is_mark(const char *p, size_t n, const char *mark)
{
    return n >= MARK && memcmp(p, mark, MARK) == 0;
}

static bool has(bt_str s, const char *mark)
{
    for (size_t i = 0; i + MARK <= s.n; i++)
        if (is_mark(s.p + i, s.n - i, mark))
            return true;
    return false;
}

bool bt_has_primary(bt_str s) { return has(s, PRIMARY); }

static bool has_vowel(bt_str s)
{
    for (size_t i = 0; i < s.n;) {
        uint32_t c;
        i += bt_utf8_next(s.p + i, s.n - i, &c);
        if (bt_is_vowel(c))
            return true;
    }
    return false;
}

int bt_stress_weight(bt_str s)
{
    int w = 0;
    for (size_t i = 0; i < s.n; w++) {
        uint32_t c;
        i += bt_utf8_next(s.p + i, s.n - i, &c);
        w += bt_among(c, "AIOQWYʤʧ"); /* diphthongs and affricates count twice */
    }
    return w;
}

/* Each `from` as `to`, each `drop` away; any may be NULL. */
static bt_str exchange(bt_pool *a, bt_str s, const char *from, const char *to, const char *drop)
{
    char *out = bt_pool_take(a, s.n);
    size_t n = 0;
    for (size_t i = 0; out && i < s.n;) {
        if (drop && is_mark(s.p + i, s.n - i, drop)) {
            i += MARK;
        } else if (from && is_mark(s.p + i, s.n - i, from)) {
            memcpy(out + n, to, MARK);
            n += MARK;
            i += MARK;
        } else {
            out[n++] = s.p[i++];
        }
    }
    return (bt_str){ out, n };
}

/* The mark before the first vowel; s has no other. */
static bt_str mark_vowel(bt_pool *a, bt_str s, const char *mark)
{
    size_t i = 0;
    for (size_t len; i < s.n; i += len) {
        uint32_t c;
        len = bt_utf8_next(s.p + i, s.n - i, &c);
        if (bt_is_vowel(c))
            break;
    }
    return bt_str_join(a, (bt_str){ s.p, i }, mark, bt_str_from(s, i));
}

bt_str bt_apply_stress(bt_pool *a, bt_str s, int stress)
{
    if (!s.p || stress == BT_STRESS_NONE)
        return s;
    const bool primary = has(s, PRIMARY), secondary = has(s, SECONDARY);
    if (stress < -2)
        return exchange(a, exchange(a, s, NULL, NULL, PRIMARY), NULL, NULL, SECONDARY);
    if (stress == -2 || ((stress == 0 || stress == -1) && primary))
        return exchange(a, s, PRIMARY, SECONDARY, SECONDARY);
    if (stress >= 0 && stress <= 2 && !primary && !secondary)
        return has_vowel(s) ? mark_vowel(a, s, SECONDARY) : s;
    if (stress >= 2 && !primary && secondary)
        return exchange(a, s, SECONDARY, PRIMARY, NULL);
    if (stress > 2 && !primary && !secondary)
        return has_vowel(s) ? mark_vowel(a, s, PRIMARY) : s;
    return s;
}

/* Letters spelt: the last secondary stress becomes the primary one. */
bt_str bt_stress_last(bt_pool *a, bt_str s)
{
    for (size_t i = s.n; i-- > 0;)
        if (is_mark(s.p + i, s.n - i, SECONDARY))
            return bt_str_join(a, (bt_str){ s.p, i }, PRIMARY, bt_str_from(s, i + MARK));
    return s;
}
