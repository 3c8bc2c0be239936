/* SPDX-License-Identifier: MIT
 * GGUF reader, versions 2 and 3, little endian.
 *
 *   "GGUF"  u32 version  u64 tensors  u64 entries
 *   entries: string key, u32 type, value     (a string is u64 length + bytes)
 *   tensors: string name, u32 n_dims, u64 dims (innermost first), u32 type,
 *            u64 offset into the data
 *   data: from the next multiple of general.alignment (default 32)
 *
 * Counts are checked against the bytes that are left before anything is taken
 * for them: an entry has at least MIN_ENTRY bytes, a tensor MIN_TENSOR. Values of
 * metadata stay in the file; strings are copied, since they need a zero.
 */
#include <string.h>

#include "store_build.h"

#define MAX_NAME    127 /* ggml allows 63 */
#define MAX_DIMS    4
#define MAX_NESTING 4
#define MIN_ENTRY   13 /* key length, type, one byte */
#define MIN_TENSOR  24 /* name length, n_dims, type, offset */
#define FILE_KEY    "bottega.file."

typedef struct reader {
    bt_store *s;
    bt_error *err;
    const char *file;
    const uint8_t *p, *end;
} reader;

static bt_status bad(const reader *r, const char *what)
{
    return bt_fail(r->err, BT_EFORMAT, "%s: malformed GGUF: %s", r->file, what);
}

static size_t left(const reader *r) { return (size_t)(r->end - r->p); }

/* An integer of `size` bytes. */
static bool get(reader *r, size_t size, uint64_t *v)
{
    if (left(r) < size)
        return false;
    *v = 0;
    for (size_t i = 0; i < size; i++)
        *v |= (uint64_t)r->p[i] << (8 * i);
    r->p += size;
    return true;
}

static bool get_u32(reader *r, uint32_t *v)
{
    uint64_t u;
    if (!get(r, 4, &u))
        return false;
    *v = (uint32_t)u;
    return true;
}

/* A string where it lies in the file; not zero-terminated. */
static bool get_str(reader *r, const char **p, size_t *n)
{
    uint64_t len;
    if (!get(r, 8, &len) || len > left(r))
        return false;
    *p = (const char *)r->p;
    *n = (size_t)len;
    r->p += len;
    return true;
}

/* A name or key: a copy without zeros in it. */
static bt_status get_name(reader *r, const char *what, size_t max, const char **out)
{
    const char *p;
    size_t n;
    if (!get_str(r, &p, &n) || n == 0 || n > max || memchr(p, 0, n))
        return bad(r, what);
    *out = bt_store_own_str(r->s, p, n);
    if (!*out)
        return bt_fail(r->err, BT_ENOMEM, "out of memory while reading %s", r->file);
    return BT_OK;
}

/* Steps over `n` values of a type; arrays of arrays are kept as bytes only. */
static bool skip_values(reader *r, uint32_t type, uint64_t n, int depth)
{
    const size_t size = bt_meta_size((bt_meta_type)type);
    if (size > 0) {
        if (n > left(r) / size)
            return false;
        r->p += n * size;
        return true;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint32_t elem;
        uint64_t len;
        const char *p;
        size_t k;
        if (type == BT_META_STR) {
            if (!get_str(r, &p, &k))
                return false;
        } else if (type != BT_META_ARRAY || depth == MAX_NESTING || !get_u32(r, &elem) ||
                   !get(r, 8, &len) || !skip_values(r, elem, len, depth + 1)) {
            return false;
        }
    }
    return true;
}

static bt_status read_array(reader *r, bt_meta *m)
{
    uint32_t elem;
    uint64_t n;
    if (!get_u32(r, &elem) || !get(r, 8, &n))
        return bad(r, "a cut array");
    if (elem >= BT_META_COUNT)
        return bad(r, "an array of an unknown type");
    m->elem = (bt_meta_type)elem;
    m->items = r->p;
    if (elem != BT_META_STR) {
        if (!skip_values(r, elem, n, 1))
            return bad(r, "an array that is longer than the file");
        m->n = (size_t)n;
        return BT_OK;
    }
    /* Each string takes 8 bytes at least, so the table is no larger than the file. */
    if (n > left(r) / 8)
        return bad(r, "an array that is longer than the file");
    uint64_t *offs = bt_store_own(r->s, (size_t)n * sizeof *offs);
    if (!offs)
        return bt_fail(r->err, BT_ENOMEM, "out of memory while reading %s", r->file);
    for (uint64_t i = 0; i < n; i++) {
        const char *p;
        size_t len;
        offs[i] = (uint64_t)(r->p - m->raw);
        if (!get_str(r, &p, &len))
            return bad(r, "a string that is longer than the file");
    }
    m->offs = offs;
    m->n = (size_t)n;
    return BT_OK;
}

static bt_status read_value(reader *r, bt_meta *m)
{
    const char *p;
    const size_t size = bt_meta_size(m->type);
    m->raw = m->items = r->p;
    m->elem = m->type;
    m->n = 1;
    if (size > 0) {
        if (left(r) < size)
            return bad(r, "a cut metadata value");
        r->p += size;
    } else if (m->type == BT_META_STR) {
        if (!get_str(r, &p, &m->str_n))
            return bad(r, "a string that is longer than the file");
        m->str = bt_store_own_str(r->s, p, m->str_n);
        if (!m->str)
            return bt_fail(r->err, BT_ENOMEM, "out of memory while reading %s", r->file);
    } else {
        const bt_status st = read_array(r, m);
        if (st != BT_OK)
            return st;
    }
    m->raw_n = (size_t)(r->p - m->raw);
    return BT_OK;
}

static bt_status read_entry(reader *r)
{
    bt_meta m = { 0 };
    uint32_t type;
    const size_t prefix = strlen(FILE_KEY);
    bt_status st = get_name(r, "a bad metadata key", 65535, &m.key);
    if (st != BT_OK)
        return st;
    if (!get_u32(r, &type) || type >= BT_META_COUNT)
        return bad(r, "an unknown metadata type");
    m.type = (bt_meta_type)type;
    if ((st = read_value(r, &m)) != BT_OK)
        return st;
    if ((st = bt_store_add_meta(r->s, r->file, &m, r->err)) != BT_OK)
        return st;
    if (m.type == BT_META_STR && strncmp(m.key, FILE_KEY, prefix) == 0)
        st = bt_store_add_file(r->s, m.key + prefix, m.str, m.str_n, r->err);
    return st;
}

/* Until the data's place is known, data holds the offset. */
static bt_status read_tensor(reader *r)
{
    bt_tensor t = { 0 };
    uint32_t n_dims, type;
    uint64_t dims[MAX_DIMS], offset;
    const bt_status st = get_name(r, "a bad tensor name", MAX_NAME, &t.name);
    if (st != BT_OK)
        return st;
    if (!get_u32(r, &n_dims) || n_dims > MAX_DIMS)
        return bad(r, "a bad number of dimensions");
    for (uint32_t i = 0; i < n_dims; i++)
        if (!get(r, 8, &dims[i]) || dims[i] > INT64_MAX)
            return bad(r, "a bad dimension");
    if (!get_u32(r, &type) || !get(r, 8, &offset) || (uintptr_t)offset != offset)
        return bad(r, "a cut list of tensors");
    if (type >= BT_U8 || !bt_dtypes[type].name)
        return bt_fail(r->err, BT_EUNSUPPORTED,
                       "%s: tensor '%s' has type number %u, "
                       "which is not supported",
                       r->file, t.name, type);
    t.dtype = (bt_dtype)type;
    t.n_dims = (int)n_dims;
    for (uint32_t i = 0; i < n_dims; i++)
        t.dims[i] = (int64_t)dims[n_dims - 1 - i];
    if (!bt_tensor_measure(&t))
        return bad(r, "a tensor of impossible size");
    t.data = (const uint8_t *)(uintptr_t)offset;
    return bt_store_add(r->s, r->file, &t, r->err);
}

/* Offsets to pointers, now that the header's end is known. */
static bt_status place_tensors(reader *r, const uint8_t *begin)
{
    uint64_t align = 32;
    bt_store_u64(r->s, "general.alignment", &align);
    if (align == 0 || align > 1u << 20 || (align & (align - 1)) != 0)
        return bad(r, "a bad general.alignment");
    const size_t header = (size_t)(r->p - begin);
    const size_t start = (header + align - 1) / align * align;
    const size_t size = (size_t)(r->end - begin);
    for (size_t i = 0; i < bt_store_count(r->s); i++) {
        bt_tensor *t = bt_store_edit(r->s, i);
        const uint64_t offset = (uint64_t)(uintptr_t)t->data;
        if (offset % align != 0)
            return bad(r, "a tensor off the alignment");
        t->data = NULL;
        if (t->bytes == 0)
            continue;
        if (start > size || t->bytes > size - start || offset > size - start - t->bytes)
            return bt_fail(r->err, BT_EFORMAT,
                           "%s: the data of tensor '%s' lies beyond the end "
                           "of the file (is it cut?)",
                           r->file, t->name);
        t->data = begin + start + offset;
    }
    return bt_store_check_overlap(r->s, 0, r->file, r->err);
}

/* The list that bt_convert_store wrote: which convolutions it turned. */
static bt_status mark_channels_last(reader *r)
{
    size_t n;
    char name[MAX_NAME + 1];
    const bt_meta *a = bt_store_array(r->s, "bottega.channels_last", NULL, &n);
    for (size_t i = 0; a && i < n; i++) {
        size_t len;
        const char *p = bt_store_array_str(a, i, &len);
        if (!p || len > MAX_NAME)
            return bad(r, "a bad list bottega.channels_last");
        memcpy(name, p, len);
        name[len] = 0;
        const bt_tensor *t = bt_store_find(r->s, name);
        if (!t || t->n_dims < 3)
            return bad(r, "bottega.channels_last names no convolution");
        bt_store_edit(r->s, (size_t)(t - bt_store_at(r->s, 0)))->channels_last = true;
    }
    return BT_OK;
}

bt_status bt_gguf_parse(bt_store *s, const uint8_t *data, size_t n, bt_error *err)
{
    reader r = { s, err, bt_store_path(s), data, data + n };
    uint32_t version;
    uint64_t tensors, entries;
    if (n < 4 || memcmp(data, "GGUF", 4) != 0)
        return bad(&r, "no magic");
    r.p += 4;
    if (!get_u32(&r, &version))
        return bad(&r, "a cut header");
    if (version != 2 && version != 3)
        return bt_fail(err, BT_EUNSUPPORTED, "%s: GGUF version %u is not supported%s", r.file,
                       version, (version & 0xffff) == 0 ? " (big endian?)" : "");
    if (!get(&r, 8, &tensors) || !get(&r, 8, &entries))
        return bad(&r, "a cut header");
    if (entries > left(&r) / MIN_ENTRY)
        return bad(&r, "more metadata than the file can hold");
    bt_status st = BT_OK;
    for (uint64_t i = 0; i < entries && st == BT_OK; i++)
        st = read_entry(&r);
    if (st != BT_OK)
        return st;
    if (tensors > left(&r) / MIN_TENSOR)
        return bad(&r, "more tensors than the file can hold");
    for (uint64_t i = 0; i < tensors && st == BT_OK; i++)
        st = read_tensor(&r);
    if (st == BT_OK)
        st = place_tensors(&r, data);
    return st == BT_OK ? mark_channels_last(&r) : st;
}
