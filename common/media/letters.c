/* SPDX-License-Identifier: MIT */
#include "letters.h"

#include <string.h>

#include "text/utf8.h"

/* Bytes of the well-formed character at s[0..n), n >= 1, and its code point; 0: none. */
static size_t next(const uint8_t *s, size_t n, uint32_t *c)
{
    const size_t k = bt_utf8_next((const char *)s, n, c);
    return *c == 0xfffd && !bt_utf8_valid((const char *)s, k) ? 0 : k;
}

static void put(bt_buf *out, uint32_t c)
{
    char s[4];
    bt_buf_add(out, s, bt_utf8_put(s, c));
}

void bt_letters_clean(bt_buf *out, const uint8_t *s, size_t n)
{
    uint32_t c;
    for (size_t i = 0; i < n && s[i];) {
        const size_t k = next(s + i, n - i, &c);
        if (k > 0)
            bt_buf_add(out, s + i, k);
        else
            bt_buf_puts(out, "?");
        i += k > 0 ? k : 1;
    }
}

bool bt_letters_ascii(const char *s)
{
    while (*s && !(*s & 0x80))
        s++;
    return !*s;
}

void bt_letters_latin1(bt_buf *out, const uint8_t *s, size_t n)
{
    if (bt_utf8_valid((const char *)s, n)) {
        bt_letters_clean(out, s, n);
        return;
    }
    for (size_t i = 0; i < n && s[i]; i++)
        put(out, s[i]);
}

static void put16(bt_buf *out, uint32_t unit)
{
    const char s[2] = { (char)(unit >> 8), (char)unit };
    bt_buf_add(out, s, 2);
}

void bt_letters_to_utf16(bt_buf *out, const char *text)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t n = strlen(text);
    while (n > 0) {
        uint32_t c;
        const size_t k = next(s, n, &c);
        c = k > 0 ? c : '?';
        if (c >= 0x10000) {
            put16(out, 0xd800 + ((c - 0x10000) >> 10));
            put16(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            put16(out, c);
        }
        s += k > 0 ? k : 1;
        n -= k > 0 ? k : 1;
    }
}

void bt_letters_utf16(bt_buf *out, const uint8_t *s, size_t n, bool low_first)
{
    uint32_t high = 0;
    for (size_t i = 0; i + 1 < n; i += 2) {
        const uint32_t unit = (uint32_t)s[i + low_first] << 8 | s[i + !low_first];
        if (unit == 0)
            break;
        if (unit >= 0xdc00 && unit < 0xe000 && high) {
            put(out, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
            high = 0;
            continue;
        }
        if (high)
            bt_buf_puts(out, "?");
        high = unit >= 0xd800 && unit < 0xdc00 ? unit : 0;
        if (!high && unit != 0xfeff) /* the mark of byte order says nothing */
            put(out, unit >= 0xd800 && unit < 0xe000 ? '?' : unit);
    }
    if (high)
        bt_buf_puts(out, "?");
}
