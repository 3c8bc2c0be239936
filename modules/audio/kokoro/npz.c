/* SPDX-License-Identifier: MIT
 * Arrays of floats out of numpy's npz: a zip archive of npy files, stored, not deflated
 * (numpy.savez; APPNOTE.TXT of PKWARE, formats/npy.h).
 */
#include <stdbool.h>
#include <string.h>

#include "audio/kokoro/npz.h"
#include "formats/npy.h"

enum { END = 22, ENTRY = 46, LOCAL = 30, COMMENT = 65535, MOST = 1 << 20 };

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

/* An npy file of 32-bit floats in rows. */
static bool read_array(const uint8_t *p, size_t n, bt_npz_array *a)
{
    bt_npy y;
    if (bt_npy_parse("", p, n, &y, NULL) != BT_OK || y.type != BT_F32 || y.fortran || y.n_dims < 1)
        return false;
    a->rows = (size_t)y.dims[0];
    a->cols = y.count / a->rows;
    a->data = y.data;
    return a->rows <= MOST && a->cols <= MOST;
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
