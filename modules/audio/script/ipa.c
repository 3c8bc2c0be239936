/* SPDX-License-Identifier: MIT
 * What dictionaries write (ˈtoʊ.keɪ) in the alphabets that voices were trained with. In both
 * a mark of stress stands before its vowel, not before its syllable; misaki's has one
 * letter for a diphthong or an affricate.
 */
#include <string.h>

#include "audio/script/ssml_parts.h"
#include "text/utf8.h"

typedef struct rule {
    const char *from, *to;
} rule;

/* Of both; tie bars go first. */
static const rule plain[] = { { "\u0361", "" }, { "\u035C", "" }, { ".", "" },
                              { "\u203F", "" }, { "g", "ɡ" },     { "'", "ˈ" } };
static const rule english[] = { { "r", "ɹ" } };
/* Of espeak-ng's phonemes in misaki's alphabet (misaki 0.9.4, espeak.py). */
static const rule misaki[] = { { "eɪ", "A" }, { "aɪ", "I" },       { "aʊ", "W" },
                               { "ɔɪ", "Y" }, { "oʊ", "O" },       { "əʊ", "Q" },
                               { "tʃ", "ʧ" }, { "dʒ", "ʤ" },       { "ɝ", "ɜɹ" },
                               { "ɚ", "əɹ" }, { "r", "ɹ" },        { "e", "A" },
                               { "o", "ɔ" },  { "x", "k" },        { "ʔ", "t" },
                               { "ː", "" },   { "l\u0329", "ᵊl" }, { "n\u0329", "ᵊn" } };

static size_t apply(const rule *rules, size_t n, const char *s, bt_buf *out)
{
    for (size_t i = 0; i < n; i++) {
        const size_t len = strlen(rules[i].from);
        if (strncmp(s, rules[i].from, len) == 0) {
            bt_buf_puts(out, rules[i].to);
            return len;
        }
    }
    return 0;
}

static void replace(const rule *rules, size_t n, bt_buf *text)
{
    bt_buf out = { 0 };
    bt_buf_puts(&out, "");
    for (const char *s = text->data; s && *s;) {
        const size_t len = apply(rules, n, s, &out);
        if (len == 0)
            bt_buf_add(&out, s, 1);
        s += len ? len : 1;
    }
    out.failed = out.failed || text->failed;
    bt_buf_free(text);
    *text = out;
}

static bool is_vowel(uint32_t c)
{
    static const char vowels[] = "aeiouyæøœɐɑɒɔəɘɚɛɜɝɞɤɨɪɯɵɶʉʊʌʏᵊᵻAIOQWY";
    char utf8[4];
    return memmem(vowels, sizeof vowels - 1, utf8, bt_utf8_put(utf8, c)) != NULL;
}

/* Appends s with each mark of stress before the vowel that follows it. */
static void move_stress(const char *s, size_t n, bt_buf *out)
{
    const char *held = NULL;
    uint32_t c;
    for (size_t at = 0, len; at < n; at += len) {
        len = bt_utf8_next(s + at, n - at, &c);
        if (held && (is_vowel(c) || c == ' ' || c == 0x2C8 || c == 0x2CC)) {
            bt_buf_puts(out, held);
            held = NULL;
        }
        if (c == 0x2C8 || c == 0x2CC)
            held = c == 0x2C8 ? "ˈ" : "ˌ";
        else
            bt_buf_add(out, s + at, len);
    }
    if (held)
        bt_buf_puts(out, held);
}

void bt_ipa_convert(bt_buf *out, const char *s, bt_tongue tongue)
{
    bt_buf text = { 0 };
    bt_buf_puts(&text, s);
    replace(plain, sizeof plain / sizeof *plain, &text);
    if (tongue.notation == BT_NOTATION_MISAKI)
        replace(misaki, sizeof misaki / sizeof *misaki, &text);
    else if (tongue.english)
        replace(english, sizeof english / sizeof *english, &text);
    if (!text.failed)
        move_stress(text.data, text.len, out);
    out->failed = out->failed || text.failed;
    bt_buf_free(&text);
}
