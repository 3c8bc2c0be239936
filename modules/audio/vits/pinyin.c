/* SPDX-License-Identifier: MIT
 * See pinyin.h. Names and groups are those of piper (piper1-gpl,
 * phonemize_chinese.py); reading Chinese text is another matter (voice.c).
 */
#include "audio/vits/pinyin.h"

#include <string.h>

#include "text/utf8.h"

enum {
    MOST = 16,     /* bytes of a syllable's letters, or of a name; the longest are 6 */
    DOTS = 0x0308, /* the combining diaeresis */
};

static const char no_initial[] = "\xC3\x98"; /* O with a stroke */

bool bt_pinyin_ends_group(const bt_phoneme *p)
{
    static const char *const ends[] = { "1", "2", "3",  "4",  "5",  "。", "？", "！", ".", "?", "!",
                                        "—", "…", "、", "，", "：", "；", ",",  ":",  ";", " " };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strcmp(p->text, ends[i]) == 0)
            return true;
    return false;
}

/* The letters at s in ASCII, the rounded i as "v"; where[i]: bytes up to letter i's end. */
static size_t letters(const char *s, size_t n, char out[MOST], size_t where[MOST], size_t *len)
{
    size_t k = 0, at = 0;
    while (at < n && k < MOST) {
        uint32_t c;
        const size_t m = bt_utf8_next(s + at, n - at, &c);
        const bool dots = (c == DOTS || c == ':') && k && out[k - 1] == 'u';
        if (!dots && !(c >= 'a' && c <= 'z'))
            break;
        at += m;
        if (dots)
            out[k - 1] = 'v';
        else
            out[k++] = (char)c;
        where[k - 1] = at;
    }
    *len = at;
    return k;
}

static size_t initial_length(const char *s, size_t n)
{
    if (n > 1 && s[1] == 'h' && memchr("zcs", s[0], 3))
        return 2;
    return n && memchr("bpmfdtnlgkhjqxrzcsyw", s[0], 20) ? 1 : 0;
}

int bt_pinyin_next(const bt_voice *v, const char *s, size_t n, const bt_phoneme *part[3],
                   size_t end[3], size_t *len)
{
    char name[MOST];
    size_t where[MOST], at;
    const size_t k = letters(s, n, name, where, &at), initial = initial_length(name, k);
    if (k && at < n && s[at] >= '1' && s[at] <= '5') {
        end[0] = initial ? where[initial - 1] : 0;
        end[1] = at;
        end[2] = *len = at + 1;
        part[0] = NULL;
        if (k == initial)
            return 1;
        part[0] = initial ? bt_voice_phoneme(v, name, initial)
                          : bt_voice_phoneme(v, no_initial, sizeof no_initial - 1);
        part[1] = bt_voice_phoneme(v, name + initial, k - initial);
        part[2] = bt_voice_phoneme(v, s + at, 1);
        return 3;
    }
    if (k == 0) {
        uint32_t c;
        at = bt_utf8_next(s, n, &c);
    }
    part[0] = k ? bt_voice_phoneme(v, name, k) : bt_voice_phoneme(v, s, at);
    end[0] = *len = at;
    return 1;
}
