/* SPDX-License-Identifier: MIT
 * gzip files through zlib (gzip.h).
 */
#include "gzip.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

enum { TRAILER = 8, LEAST = 18 }; /* RFC 1952: CRC and size at the end; the least file */

/* The size that the trailer states, which inflate then checks. */
static size_t stated_size(const bt_map *m)
{
    const uint8_t *p = m->data + m->size - TRAILER / 2;
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

static bt_status unpack(const char *name, const bt_map *m, size_t max, bt_packed_file *out,
                        bt_error *err)
{
    const size_t size = m->size < LEAST ? 0 : stated_size(m);
    if (m->size < LEAST || m->size > UINT_MAX || size > max)
        return bt_fail(err, BT_EFORMAT, "%s: not a gzip file of at most %zu bytes", name, max);
    out->owned = bt_alloc(size);
    if (!out->owned)
        return bt_no_memory(err, name);
    z_stream z = { .next_in = (Bytef *)m->data,
                   .avail_in = (uInt)m->size,
                   .next_out = (Bytef *)out->owned,
                   .avail_out = (uInt)size };
    if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
        return bt_no_memory(err, name);
    const int end = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if (end == Z_MEM_ERROR)
        return bt_no_memory(err, name);
    if (end != Z_STREAM_END || z.avail_out != 0)
        return bt_fail(err, BT_EFORMAT, "%s: damaged gzip data", name);
    out->data = out->owned;
    out->size = size;
    return BT_OK;
}

bt_status bt_packed_open(const char *path, size_t max, bt_packed_file *out, bt_error *err)
{
    *out = (bt_packed_file){ 0 };
    bt_error none;
    if (bt_map_open(path, &out->map, &none) == BT_OK) {
        if (out->map.size <= max) {
            out->data = (const char *)out->map.data;
            out->size = out->map.size;
            return BT_OK;
        }
        bt_map_close(&out->map);
        return bt_fail(err, BT_EFORMAT, "%s: more than %zu bytes", path, max);
    }
    if (none.status != BT_ENOTFOUND)
        return bt_fail(err, none.status, "%s", none.text);
    bt_buf name = { 0 };
    bt_buf_printf(&name, "%s.gz", path);
    if (name.failed)
        return bt_no_memory(err, path);
    bt_map m;
    bt_status st = bt_map_open(name.data, &m, err);
    if (st == BT_OK) {
        st = unpack(name.data, &m, max, out, err);
        bt_map_close(&m);
    }
    bt_buf_free(&name);
    if (st != BT_OK)
        bt_packed_close(out);
    return st;
}

void bt_packed_close(bt_packed_file *f)
{
    bt_map_close(&f->map);
    bt_release(f->owned);
    *f = (bt_packed_file){ 0 };
}
