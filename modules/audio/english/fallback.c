/* SPDX-License-Identifier: MIT
 * What no lexicon knows, piece by piece: letters go to the network, digits are read as
 * numbers, a few signs have names.
 */
#include "parts.h"

#include "text/utf8.h"

static const char *sign_phonemes(uint32_t c)
{
    switch (c) {
    case '/': return "slˈæʃ";
    case '=': return "ˈikwᵊlz";
    case '+': return "plˈʌs";
    case '&': return "ænd";
    case '@': return "æt";
    case '%': return "pəɹsˈɛnt";
    case '#': return "hˈæʃ";
    case '*': return "ˈæstəɹˌɪsk";
    case '~': return "tˈɪldə";
    case '^': return "kˈɛɹət";
    case '<': return "lˈɛs ðən";
    case '>': return "ɡɹˈATəɹ ðən";
    case 0x2014: return "—";
    default: return "";
    }
}

static uint32_t peek(bt_str s, size_t i, size_t *len)
{
    uint32_t c = 0;
    *len = i < s.n ? bt_utf8_next(s.p + i, s.n - i, &c) : 0;
    return c;
}

static size_t run(bt_str s, size_t i, bool (*is)(uint32_t))
{
    size_t len;
    while (i < s.n && is(peek(s, i, &len)))
        i += len;
    return i;
}

static bool is_digit(uint32_t c) { return bt_is_ascii_digit(c); }
static bool is_sign(uint32_t c) { return !bt_is_word(c) && !bt_is_blank(c); }

/* The end of letters, digits or signs that go together from i on. */
static size_t unknown_end(bt_str s, size_t i)
{
    size_t len, end, skip;
    const uint32_t c = peek(s, i, &len);
    bool (*const is)(uint32_t) = bt_is_ascii_digit(c) ? is_digit
                                 : bt_is_wordy(c)     ? bt_is_wordy
                                                      : is_sign;
    for (end = run(s, i, is); is != is_sign; end = run(s, end + skip, is)) {
        const uint32_t mark = peek(s, end, &skip);
        const bool joins =
            is == is_digit ? mark == ',' || mark == '.' : mark == '\'' || mark == 0x2019;
        if (!joins || !is(peek(s, end + skip, &len)) || end + skip >= s.n)
            break;
    }
    return end;
}

static bt_status spell_piece(const bt_work *w, bt_str piece, bt_str *out, bt_error *err)
{
    size_t len;
    const uint32_t c = peek(piece, 0, &len);
    *out = BT_STR("");
    if (bt_is_ascii_digit(c)) {
        *out = bt_spell_number(&w->speller, piece, 0, false).phonemes;
    } else if (bt_is_letter(c)) {
        return bt_unknown_spell(w->unknown, w->arena, piece, out, err);
    } else {
        for (size_t i = 0; i < piece.n; i += len) {
            const char *s = sign_phonemes(peek(piece, i, &len));
            *out = bt_str_cat(w->arena, *out, (bt_str){ s, strlen(s) });
        }
    }
    return BT_OK;
}

bt_status bt_spell_unknown(const bt_work *w, bt_str text, bt_token *k, bt_error *err)
{
    k->phonemes = BT_STR("");
    k->rating = 3;
    for (size_t i = 0, end; i < text.n; i = end) {
        size_t len;
        bt_str sound;
        const uint32_t c = peek(text, i, &len);
        end = i + len;
        if (c == '_' || bt_is_blank(c))
            continue;
        end = unknown_end(text, i);
        const bt_status st = spell_piece(w, (bt_str){ text.p + i, end - i }, &sound, err);
        if (st != BT_OK)
            return st;
        if (sound.n == 0)
            continue;
        k->phonemes = k->phonemes.n ? bt_str_join(w->arena, k->phonemes, " ", sound) : sound;
        k->rating = 2;
    }
    return BT_OK;
}
