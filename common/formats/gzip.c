/* SPDX-License-Identifier: MIT
 * gzip files through zlib (gzip.h).
 */
#include "gzip.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

enum { TRAILER = 8, LEAST = 18 }; /* RFC 1952: CRC and size at the end; the least file */

/* The size that the trailer states, which inflate then checks. */
static size_t stated_size(const uint8_t *data, size_t n)
{
    const uint8_t *p = data + n - TRAILER / 2;
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

bt_status bt_packed_read(const char *name, const uint8_t *data, size_t n, size_t max,
                         bt_packed_file *out, bt_error *err)
{
    *out = (bt_packed_file){ 0 };
    const size_t size = n < LEAST ? 0 : stated_size(data, n);
    if (n < LEAST || n > UINT_MAX || size > max)
        return bt_fail(err, BT_EFORMAT, "%s: not a gzip file of at most %zu bytes", name, max);
    out->owned = bt_alloc(size);
    if (!out->owned)
        return bt_no_memory(err, name);
    z_stream z = { .next_in = (Bytef *)data,
                   .avail_in = (uInt)n,
                   .next_out = (Bytef *)out->owned,
                   .avail_out = (uInt)size };
    if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK) {
        bt_packed_close(out);
        return bt_no_memory(err, name);
    }
    const int end = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if (end == Z_STREAM_END && z.avail_out == 0) {
        out->data = out->owned;
        out->size = size;
        return BT_OK;
    }
    bt_packed_close(out);
    return end == Z_MEM_ERROR ? bt_no_memory(err, name)
                              : bt_fail(err, BT_EFORMAT, "%s: damaged gzip data", name);
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
        st = bt_packed_read(name.data, m.data, m.size, max, out, err);
        bt_map_close(&m);
    }
    bt_buf_free(&name);
    return st;
}

void bt_packed_close(bt_packed_file *f)
{
    bt_map_close(&f->map);
    bt_release(f->owned);
    *f = (bt_packed_file){ 0 };
}
