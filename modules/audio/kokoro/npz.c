/* SPDX-License-Identifier: MIT
 * Arrays of floats out of numpy's npz: a zip archive of npy files, stored, not deflated
 * (numpy.savez; APPNOTE.TXT of PKWARE, numpy's format.py).
 */
#include <stdbool.h>
#include <string.h>

#include "audio/kokoro/npz.h"

enum { END = 22, ENTRY = 46, LOCAL = 30, COMMENT = 65535, MAX_HEADER = 512 };

static uint32_t u16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }
static uint32_t u32(const uint8_t *p) { return u16(p) | u16(p + 2) << 16; }

static bt_status bad(const char *file, const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "%s: not a file of styles: %s", file, what);
}

/* The record at the end; NULL: there is none. */
static const uint8_t *find_end(const uint8_t *p, size_t n)
{
    for (size_t back = END; back <= n && back <= END + COMMENT; back++)
        if (u32(p + n - back) == 0x06054b50)
            return p + n - back;
    return NULL;
}

/* "'shape': (510, 1, 256)" -> rows and the product of the rest */
static bool read_shape(const char *s, size_t *rows, size_t *cols)
{
    size_t dims = 0, value = 0;
    bool digits = false;
    *rows = *cols = 1;
    for (; *s && *s != '('; s++) {}
    for (; *s && s[1] && *s != ')'; s++) {
        const bool digit = s[1] >= '0' && s[1] <= '9';
        if (digit)
            value = value * 10 + (size_t)(s[1] - '0');
        else if (digits) {
            if (value == 0 || value > 1 << 20)
                return false;
            *(dims++ ? cols : rows) *= value;
            value = 0;
        }
        digits = digit;
        if (value > 1 << 20 || *cols > 1 << 20)
            return false;
    }
    return dims >= 1 && *s == ')';
}

/* An npy file of little-endian floats in rows. */
static bool read_array(const uint8_t *p, size_t n, bt_npz_array *a)
{
    char text[MAX_HEADER + 1];
    if (n < 12 || memcmp(p, "\x93NUMPY", 6) != 0 || p[6] < 1 || p[6] > 3)
        return false;
    const size_t at = p[6] == 1 ? 10 : 12, len = p[6] == 1 ? u16(p + 8) : u32(p + 8);
    if (len > MAX_HEADER || len > n - at)
        return false;
    memcpy(text, p + at, len);
    text[len] = 0;
    const char *shape = strstr(text, "'shape'");
    if (!strstr(text, "'<f4'") || !strstr(text, "'fortran_order': False") || !shape ||
        !read_shape(shape, &a->rows, &a->cols))
        return false;
    a->data = p + at + len;
    return a->rows * a->cols <= (n - at - len) / sizeof(float);
}

static bt_status read_entry(const uint8_t *p, size_t n, const uint8_t *e, const char *file,
                            bt_npz_take take, void *user, bt_error *err)
{
    const size_t len = u16(e + 28), size = u32(e + 24), at = u32(e + 42);
    bt_npz_array a = { .name = (const char *)e + ENTRY, .name_len = len };
    if (u16(e + 10) != 0 || u32(e + 20) != size)
        return bad(file, "it is compressed; numpy.savez makes one that is not", err);
    if (n < LOCAL || at > n - LOCAL || u32(p + at) != 0x04034b50)
        return bad(file, "an entry points nowhere", err);
    const size_t data = at + LOCAL + u16(p + at + 26) + u16(p + at + 28);
    if (data > n || size > n - data)
        return bad(file, "an entry is longer than the file", err);
    if (len > 4 && memcmp(a.name + len - 4, ".npy", 4) == 0)
        a.name_len -= 4;
    if (a.name_len == 0 || memchr(a.name, 0, a.name_len) || !read_array(p + data, size, &a))
        return bad(file, "an entry is no array of floats", err);
    return take(user, &a, err);
}

bt_status bt_npz_read(const uint8_t *p, size_t n, const char *file, bt_npz_take take, void *user,
                      bt_error *err)
{
    const uint8_t *end = n >= END ? find_end(p, n) : NULL;
    bt_status st = BT_OK;
    if (!end)
        return bad(file, "it is no zip archive", err);
    const size_t count = u16(end + 10), limit = (size_t)(end - p);
    size_t at = u32(end + 16);
    for (size_t i = 0; i < count && st == BT_OK; i++) {
        if (limit < ENTRY || at > limit - ENTRY || u32(p + at) != 0x02014b50)
            return bad(file, "its table of contents is damaged", err);
        const uint8_t *e = p + at;
        const size_t more = (size_t)u16(e + 28) + u16(e + 30) + u16(e + 32);
        if (more > limit - ENTRY - at)
            return bad(file, "its table of contents is damaged", err);
        at += ENTRY + more;
        st = read_entry(p, n, e, file, take, user, err);
    }
    return st;
}
