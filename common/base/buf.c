/* SPDX-License-Identifier: MIT
 * Growable strings (alloc.h), and JSON strings from any bytes.
 *
 * Capacity grows by half, so n appends cost O(n) in all. Once an append has
 * failed all later ones do nothing, and bt_buf_take gives NULL.
 */
#include "alloc.h"

#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for n more bytes and a zero. */
static bool reserve(bt_buf *b, size_t n)
{
    size_t need;
    if (b->failed)
        return false;
    if (!bt_add_ok(b->len, n, &need) || !bt_add_ok(need, 1, &need)) {
        b->failed = true;
        return false;
    }
    if (need <= b->cap)
        return true;
    const size_t cap = need < 64 ? 64 : need + need / 2;
    char *p = bt_realloc_array(b->data, b->len, cap, 1);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->data = p;
    b->cap = cap;
    return true;
}

void bt_buf_add(bt_buf *b, const void *data, size_t n)
{
    if (!reserve(b, n))
        return;
    if (n)
        memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = 0;
}

void bt_buf_puts(bt_buf *b, const char *s) { bt_buf_add(b, s, strlen(s)); }

void bt_buf_printf(bt_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0) {
        b->failed = true;
    } else if (reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}

/* Bytes of the well-formed UTF-8 character at s (RFC 3629), 0 if there is none. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
    const unsigned c = s[0];
    if (c < 0x80)
        return 1;
    const size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    const bool overlong = (c == 0xe0 && s[1] < 0xa0) || (c == 0xf0 && s[1] < 0x90);
    const bool beyond = (c == 0xed && s[1] > 0x9f) || (c == 0xf4 && s[1] > 0x8f);
    return overlong || beyond ? 0 : len;
}

void bt_buf_json(bt_buf *b, const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    bt_buf_add(b, "\"", 1);
    for (size_t i = 0; i < n && !b->failed;) {
        const unsigned c = p[i];
        const size_t len = utf8_len(p + i, n - i);
        if (c == '"' || c == '\\')
            bt_buf_printf(b, "\\%c", c);
        else if (c == '\n')
            bt_buf_puts(b, "\\n");
        else if (c < 0x20 || c == 0x7f)
            bt_buf_printf(b, "\\u%04x", c);
        else if (len == 0)
            bt_buf_puts(b, "\xef\xbf\xbd");
        else
            bt_buf_add(b, p + i, len);
        i += len ? len : 1;
    }
    bt_buf_add(b, "\"", 1);
}

void bt_buf_f64(bt_buf *b, double v)
{
    char text[40];
    snprintf(text, sizeof text, isfinite(v) ? "%.9g" : "null", v);
    /* The host's locale may have another decimal point. */
    const char *point = localeconv()->decimal_point;
    char *at = *point && *point != '.' ? strstr(text, point) : NULL;
    if (at) {
        *at = '.';
        memmove(at + 1, at + strlen(point), strlen(at + strlen(point)) + 1);
    }
    bt_buf_puts(b, text);
}

char *bt_buf_take(bt_buf *b)
{
    bt_buf_add(b, "", 0);
    char *s = b->failed ? NULL : b->data;
    if (b->failed)
        bt_release(b->data);
    *b = (bt_buf){ 0 };
    return s;
}

void bt_buf_free(bt_buf *b)
{
    bt_release(b->data);
    *b = (bt_buf){ 0 };
}
