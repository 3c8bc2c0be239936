/* SPDX-License-Identifier: MIT
 * safetensors: u64 length of a JSON header, the header, the data. The header
 * maps names to { "dtype", "shape", "data_offsets": [begin, end] }. A sharded
 * model has an index: { "weight_map": { name: file } }.
 */
#include <string.h>

#include "json.h"
#include "store_build.h"

#define MAX_HEADER 100000000 /* as the reference implementation */
#define MAX_INDEX  (64u << 20)
#define MAX_NAME   1024
#define MAX_SHARDS 4096

typedef struct parse {
    bt_store *s;
    const char *file, *prefix;
    const uint8_t *data; /* after the header */
    size_t size;
    bt_error *err;
} parse;

static const struct {
    const char *name;
    bt_dtype type;
} dtypes[] = {
    { "F64", BT_F64 },         { "F32", BT_F32 },         { "F16", BT_F16 }, { "BF16", BT_BF16 },
    { "F8_E4M3", BT_F8_E4M3 }, { "F8_E5M2", BT_F8_E5M2 }, { "I64", BT_I64 }, { "I32", BT_I32 },
    { "I16", BT_I16 },         { "I8", BT_I8 },           { "U8", BT_U8 },   { "BOOL", BT_U8 },
};

static int find_dtype(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(name, dtypes[i].name) == 0)
            return (int)dtypes[i].type;
    return -1;
}

static bt_status bad(const parse *p, const char *name, const char *what)
{
    return bt_fail(p->err, BT_EFORMAT, "%s: tensor '%.200s': %s", p->file, name, what);
}

static bt_status read_shape(const parse *p, const cJSON *item, bt_tensor *t)
{
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
    const cJSON *dim;
    if (!cJSON_IsArray(shape))
        return bad(p, item->string, "no shape");
    cJSON_ArrayForEach(dim, shape)
    {
        if (t->n_dims == BT_MAX_DIMS)
            return bad(p, item->string, "too many dimensions");
        if (!bt_json_whole(dim, &t->dims[t->n_dims++]))
            return bad(p, item->string, "a dimension is no whole number");
    }
    return bt_tensor_measure(t) ? BT_OK : bad(p, item->string, "an impossible shape");
}

/* The tensor's bytes must lie in the file and be exactly those of its shape. */
static bt_status read_data(const parse *p, const cJSON *item, bt_tensor *t)
{
    const cJSON *offs = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    int64_t begin, end;
    if (cJSON_GetArraySize(offs) != 2 || !bt_json_whole(offs->child, &begin) ||
        !bt_json_whole(offs->child->next, &end) || begin < 0 || end < begin)
        return bad(p, item->string, "bad data_offsets");
    if ((uint64_t)end > p->size)
        return bad(p, item->string, "its data lies beyond the end of the file (is it cut?)");
    if ((uint64_t)(end - begin) != t->bytes)
        return bad(p, item->string, "data_offsets do not fit the shape");
    if (t->bytes > 0)
        t->data = p->data + begin;
    return BT_OK;
}

static bt_status read_tensor(const parse *p, const cJSON *item)
{
    bt_tensor t = { 0 };
    const size_t m = strlen(p->prefix), n = strlen(item->string);
    if (n == 0 || n > MAX_NAME)
        return bad(p, item->string, "a bad name");
    const char *dtype = bt_json_str(item, "dtype");
    const int type = dtype ? find_dtype(dtype) : -1;
    if (!dtype)
        return bad(p, item->string, "no dtype");
    if (type < 0)
        return bt_fail(p->err, BT_EUNSUPPORTED,
                       "%s: tensor '%.200s' has dtype %.20s, "
                       "which is not supported",
                       p->file, item->string, dtype);
    t.dtype = (bt_dtype)type;
    bt_status st = read_shape(p, item, &t);
    if (st == BT_OK)
        st = read_data(p, item, &t);
    if (st != BT_OK)
        return st;
    char *name = bt_store_own(p->s, m + n + 1);
    if (!name)
        return bt_fail(p->err, BT_ENOMEM, "out of memory while reading %s", p->file);
    memcpy(name, p->prefix, m);
    memcpy(name + m, item->string, n + 1);
    t.name = name;
    return bt_store_add(p->s, p->file, &t, p->err);
}

/* The strings of "__metadata__", of the first file of a store that has them. */
static bt_status read_metadata(const parse *p, const cJSON *o)
{
    const cJSON *item;
    bt_status st = BT_OK;
    if (bt_store_meta_count(p->s) > 0)
        return BT_OK;
    cJSON_ArrayForEach(item, o) if (st == BT_OK && cJSON_IsString(item) && item->string) st =
        bt_store_add_str(p->s, p->file, item->string, item->valuestring, p->err);
    return st;
}

bt_status bt_safetensors_parse(bt_store *s, const char *file, const char *prefix,
                               const uint8_t *data, size_t n, bt_error *err)
{
    uint64_t header = 0;
    cJSON *json = NULL;
    const cJSON *item;
    const size_t first = bt_store_count(s);
    for (int i = 0; i < 8 && n >= 8; i++)
        header |= (uint64_t)data[i] << (8 * i);
    if (n < 9 || header > n - 8)
        return bt_fail(err, BT_EFORMAT,
                       "%s: the safetensors header lies beyond the end of the "
                       "file (is it cut?)",
                       file);
    if (header > MAX_HEADER)
        return bt_fail(err, BT_EFORMAT, "%s: the safetensors header is too large", file);
    const parse p = { s, file, prefix, data + 8 + header, n - 8 - (size_t)header, err };
    bt_status st = bt_json_parse(file, (const char *)data + 8, (size_t)header, &json, err);
    if (st != BT_OK)
        return st;
    cJSON_ArrayForEach(item, json)
    {
        if (strcmp(item->string, "__metadata__") == 0)
            st = read_metadata(&p, item);
        else
            st = read_tensor(&p, item);
        if (st != BT_OK)
            break;
    }
    cJSON_Delete(json);
    return st == BT_OK ? bt_store_check_overlap(s, first, file, err) : st;
}

/* Opens a file of an index, which must lie in the same folder. */
static bt_status open_shard(bt_store *s, const char *index, const char *name, const char *prefix,
                            bt_error *err)
{
    bt_map m;
    const char *slash = strrchr(index, '/');
    const int folder = slash ? (int)(slash + 1 - index) : 0;
    if (*name == 0 || strchr(name, '/') || strcmp(name, "..") == 0)
        return bt_fail(err, BT_EFORMAT, "%s names a file outside its folder", index);
    bt_buf b = { 0 };
    bt_buf_printf(&b, "%.*s%s", folder, index, name);
    char *path = bt_buf_take(&b);
    if (!path)
        return bt_fail(err, BT_ENOMEM, "out of memory while reading %s", index);
    bt_status st = bt_store_map_file(s, path, &m, err);
    if (st == BT_OK)
        st = bt_safetensors_parse(s, path, prefix, m.data, m.size, err);
    bt_release(path);
    return st;
}

/* Each file of the map once, in the order in which they are named. */
static bt_status open_shards(bt_store *s, const char *index, const cJSON *map, const char *prefix,
                             bt_error *err)
{
    const char *seen[MAX_SHARDS];
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, map)
    {
        size_t i = 0;
        if (!cJSON_IsString(item))
            return bt_fail(err, BT_EFORMAT, "%s: a bad weight_map", index);
        /* Why from the end: neighbours in the map are mostly in one file. */
        while (i < n && strcmp(seen[n - 1 - i], item->valuestring) != 0)
            i++;
        if (i < n)
            continue;
        if (n == MAX_SHARDS)
            return bt_fail(err, BT_EFORMAT, "%s: too many files", index);
        seen[n++] = item->valuestring;
        const bt_status st = open_shard(s, index, item->valuestring, prefix, err);
        if (st != BT_OK)
            return st;
    }
    return BT_OK;
}

bt_status bt_safetensors_open_index(bt_store *s, const char *path, const char *prefix,
                                    bt_error *err)
{
    char *text = NULL;
    size_t n = 0;
    cJSON *json = NULL;
    bt_status st = bt_file_read(path, MAX_INDEX, &text, &n, err);
    if (st == BT_OK)
        st = bt_json_parse(path, text, n, &json, err);
    if (st == BT_OK) {
        const cJSON *map = cJSON_GetObjectItemCaseSensitive(json, "weight_map");
        if (cJSON_IsObject(map))
            st = open_shards(s, path, map, prefix, err);
        else
            st = bt_fail(err, BT_EFORMAT, "%s has no weight_map", path);
    }
    cJSON_Delete(json);
    bt_release(text);
    return st;
}
