/* SPDX-License-Identifier: MIT
 * Statuses, their names and texts, and the one way to report a failure.
 */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *bt_status_text(bt_status s)
{
    switch (s) {
#define ROW(name, number, text)                                                                    \
    case BT_##name: return text;
        BT_STATUS_MAP(ROW)
#undef ROW
    }
    return "unknown status";
}

const char *bt_kind_name(bt_kind k)
{
    switch (k) {
    case BT_KIND_TEXT: return "text";
    case BT_KIND_IMAGE: return "image";
    case BT_KIND_AUDIO: return "audio";
    }
    return "unknown";
}

bt_status bt_fail(bt_error *err, bt_status st, const char *fmt, ...)
{
    if (!err)
        return st;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    err->status = st;
    size_t n = strlen(err->text);
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)err->text[i];
        if (c < 0x20 || c == 0x7f)
            err->text[i] = '?';
    }
    /* A text that was cut must not end inside a character. */
    if (n == sizeof err->text - 1) {
        while (n > 0 && ((unsigned char)err->text[n - 1] & 0xc0) == 0x80)
            n--;
        if (n > 0 && (unsigned char)err->text[n - 1] >= 0xc0)
            n--;
        err->text[n] = 0;
    }
    return st;
}
