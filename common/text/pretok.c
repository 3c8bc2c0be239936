/* SPDX-License-Identifier: MIT
 * The regular expressions of the well-known tokenizers, written out by hand:
 * exact, linear in time on any text, and without a regex engine's limits. Each
 * matcher stands under the expression that it implements. See pretok.h.
 */
#include "pretok.h"

#include <string.h>

#include "utf8.h"

typedef enum class { END, LETTER, NUMBER, SPACE, OTHER } class;

/* Class of the character at s[i..n); END if i == n. *len gets its bytes. */
static class peek(const char *s, size_t n, size_t i, size_t *len)
{
    uint32_t cp;
    *len = 0;
    if (i >= n)
        return END;
    *len = bt_utf8_next(s + i, n - i, &cp);
    return bt_is_letter(cp) ? LETTER : bt_is_number(cp) ? NUMBER : bt_is_space(cp) ? SPACE : OTHER;
}

/* End of the run of class c that starts at i. */
static size_t run(const char *s, size_t n, size_t i, class c)
{
    size_t len;
    while (peek(s, n, i, &len) == c)
        i += len;
    return i;
}

static bool is_newline(char c) { return c == '\r' || c == '\n'; }

/* 's|'t|'re|'ve|'m|'ll|'d at s[0..n): its bytes, or 0. With `fold` in any case;
 * Unicode folds U+017F, the long s, to s. */
static size_t contraction(const char *s, size_t n, bool fold)
{
    if (n < 2 || s[0] != '\'')
        return 0;
    if (fold && n >= 3 && memcmp(s + 1, "\xC5\xBF", 2) == 0)
        return 3;
    char a = s[1], b = n >= 3 ? s[2] : 0;
    if (fold && a >= 'A' && a <= 'Z')
        a = (char)(a + 32);
    if (fold && b >= 'A' && b <= 'Z')
        b = (char)(b + 32);
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    return (b == 'e' && (a == 'r' || a == 'v')) || (a == 'l' && b == 'l') ? 3 : 0;
}

/* \s+(?!\S)|\s+ at white space; `stop` ends the text early, as a cut made by an
 * earlier rule does. The last space of a run belongs to the word after it. */
static size_t spaces(const char *s, size_t n, bool (*stop)(const char *s, size_t n))
{
    size_t i = 0, last = 0, len;
    while (peek(s, n, i, &len) == SPACE) {
        last = i;
        i += len;
    }
    if (i == n || last == 0 || (stop && stop(s + i, n - i)))
        return i;
    return last;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t next_gpt2(const char *s, size_t n)
{
    size_t len, k = contraction(s, n, false);
    if (k)
        return k;
    k = s[0] == ' ';
    class c = peek(s, n, k, &len);
    if (c == SPACE || c == END)
        return spaces(s, n, NULL);
    return run(s, n, k, c);
}

static bool at_number(const char *s, size_t n)
{
    size_t len;
    return peek(s, n, 0, &len) == NUMBER;
}

/* \p{N} first, one by one; then GPT-2's rule on what lies between. */
static size_t next_smollm(const char *s, size_t n)
{
    size_t len, k = contraction(s, n, false);
    if (k)
        return k;
    if (peek(s, n, 0, &len) == NUMBER)
        return len;
    k = s[0] == ' ';
    class c = peek(s, n, k, &len);
    if (c == SPACE || c == END || c == NUMBER)
        return spaces(s, n, at_number);
    return run(s, n, k, c);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}|
 *  ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t next_cl100k(const char *s, size_t n, int digits)
{
    size_t len, len2, i, k = contraction(s, n, true);
    if (k)
        return k;
    class c = peek(s, n, 0, &len);
    if (c == LETTER)
        return run(s, n, 0, LETTER);
    if (c == NUMBER) {
        for (i = 0; digits > 0 && peek(s, n, i, &len) == NUMBER; digits--)
            i += len;
        return i;
    }
    class c2 = peek(s, n, len, &len2);
    if (c2 == LETTER && !is_newline(s[0]))
        return run(s, n, len, LETTER);
    if (c == OTHER || (s[0] == ' ' && c2 == OTHER)) {
        i = run(s, n, c == OTHER ? 0 : len, OTHER);
        while (i < n && is_newline(s[i]))
            i++;
        return i;
    }
    for (i = run(s, n, 0, SPACE); i > 0; i--) /* back to the last line end */
        if (is_newline(s[i - 1]))
            return i;
    return spaces(s, n, NULL);
}

static size_t next_llama3(const char *s, size_t n) { return next_cl100k(s, n, 3); }

static size_t next_qwen2(const char *s, size_t n) { return next_cl100k(s, n, 1); }

/* [\p{P}\$\+<=>\^~\|] */
static bool at_mark(const char *s, size_t n)
{
    uint32_t cp;
    bt_utf8_next(s, n, &cp);
    return bt_is_punct(cp) || (cp < 0x80 && cp && strchr("$+<=>^~|", (int)cp));
}

static bool three_digits(const char *s, size_t n)
{
    return n >= 3 && s[0] >= '0' && s[0] <= '9' && s[1] >= '0' && s[1] <= '9' && s[2] >= '0' &&
           s[2] <= '9';
}

/* llama.cpp's default: four rules, each cutting the pieces of the one before:
 * [\p{P}\$\+<=>\^~\|]+   then GPT-2's   then \p{N}+   then [0-9][0-9][0-9] */
static size_t next_default(const char *s, size_t n)
{
    size_t i = 0, len;
    if (at_mark(s, n)) {
        for (; i < n && at_mark(s + i, n - i); i += len)
            peek(s, n, i, &len);
        return i;
    }
    if (peek(s, n, 0, &len) == NUMBER) {
        if (three_digits(s, n))
            return 3;
        for (; peek(s, n, i, &len) == NUMBER && !three_digits(s + i, n - i);)
            i += len;
        return i;
    }
    i = s[0] == ' ';
    class c = peek(s, n, i, &len);
    if (c == NUMBER)
        return 1;
    if (c == SPACE || c == END || at_mark(s + i, n - i))
        return spaces(s, n, at_mark);
    while (peek(s, n, i, &len) == c && !at_mark(s + i, n - i))
        i += len;
    return i;
}

/* <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|
 * [\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
 * The first alternative is a special token and never gets here. */
size_t bt_pretok_clip(const char *s, size_t n)
{
    static const char eos[] = "<|endoftext|>";
    size_t len, k = contraction(s, n, false);
    if (k)
        return k;
    if (n >= 13 && memcmp(s, eos, 13) == 0)
        return 13;
    class c = peek(s, n, 0, &len);
    return c == NUMBER ? len : run(s, n, 0, c);
}

const bt_pretok *bt_pretok_find(const char *name)
{
    static const bt_pretok known[] = {
        { "smollm", next_smollm, false, false },   { "gpt-2", next_gpt2, false, false },
        { "llama-bpe", next_llama3, false, true }, { "llama3", next_llama3, false, true },
        { "llama-v3", next_llama3, false, true },  { "qwen2", next_qwen2, true, false },
        { "default", next_default, false, false },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            return &known[i];
    return NULL;
}
