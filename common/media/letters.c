/* SPDX-License-Identifier: MIT */
#include "letters.h"

#include <string.h>

int bt_letter_next(const uint8_t *s, size_t n, uint32_t *c)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const size_t len = n == 0        ? 0
                       : s[0] < 0x80 ? 1
                       : s[0] < 0xc2 ? 0
                       : s[0] < 0xe0 ? 2
                       : s[0] < 0xf0 ? 3
                       : s[0] < 0xf5 ? 4
                                     : 0;
    if (len == 0 || len > n)
        return 0;
    uint32_t v = len == 1 ? s[0] : s[0] & (0x7f >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (s[i] & 0x3f);
    }
    if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return 0;
    *c = v;
    return (int)len;
}

static void put(bt_buf *out, uint32_t c)
{
    char s[4];
    size_t n = 0;
    if (c < 0x80) {
        s[n++] = (char)c;
    } else if (c < 0x800) {
        s[n++] = (char)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        s[n++] = (char)(0xe0 | c >> 12);
        s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        s[n++] = (char)(0xf0 | c >> 18);
        s[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        s[n++] = (char)(0x80 | (c >> 6 & 0x3f));
    }
    if (c >= 0x80)
        s[n++] = (char)(0x80 | (c & 0x3f));
    bt_buf_add(out, s, n);
}

void bt_letters_clean(bt_buf *out, const uint8_t *s, size_t n)
{
    uint32_t c;
    for (size_t i = 0; i < n && s[i];) {
        const int k = bt_letter_next(s + i, n - i, &c);
        if (k > 0)
            bt_buf_add(out, s + i, (size_t)k);
        else
            bt_buf_puts(out, "?");
        i += k > 0 ? (size_t)k : 1;
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
    uint32_t c;
    size_t i = 0;
    for (int k; i < n && (k = bt_letter_next(s + i, n - i, &c)) > 0; i += (size_t)k)
        ;
    if (i == n) {
        bt_letters_clean(out, s, n);
        return;
    }
    for (i = 0; i < n && s[i]; i++)
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
        uint32_t c = '?';
        const int k = bt_letter_next(s, n, &c);
        if (c >= 0x10000) {
            put16(out, 0xd800 + ((c - 0x10000) >> 10));
            put16(out, 0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            put16(out, c);
        }
        s += k > 0 ? k : 1;
        n -= k > 0 ? (size_t)k : 1;
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
