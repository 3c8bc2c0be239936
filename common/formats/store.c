/* SPDX-License-Identifier: MIT
 * The store: owned memory and tables with hashed names. It knows no format: the
 * parsers fill it through store_build.h, open.c chooses the parser.
 */
#include "store_build.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "kernels/quant.h"

#define CHUNK 65536

/* Memory of the store: small pieces share a chunk, large ones have their own. */
typedef struct chunk {
    struct chunk *next;
    size_t used, cap;
    _Alignas(64) uint8_t data[];
} chunk;

/* Names to numbers: open addressing, a power of two of slots, at most half full. */
typedef struct name_slot {
    const char *name;
    size_t i;
} name_slot;
typedef struct name_index {
    name_slot *slots;
    size_t cap, n;
} name_index;

typedef struct table {
    void *rows;
    size_t n, cap;
    name_index names;
} table;

typedef struct mapped {
    bt_map map;
    const char *path;
} mapped;

struct bt_store {
    char *path;
    const char *format;
    chunk *chunks;
    table maps, tensors, metas, files; /* of mapped, bt_tensor, bt_meta, bt_side_file */
};

static const bt_map *map_at(const bt_store *s, size_t i)
{
    return &((const mapped *)s->maps.rows)[i].map;
}

/* ---- names and tables ------------------------------------------------- */

/* The slot of this name, or the empty one where it would go. Ends: the table is
 * at most half full. */
static name_slot *find_slot(const name_index *ix, const char *name)
{
    /* Where the table lies is not the file's to know: names made to collide do
     * not, the next time. */
    const uint64_t salt = (uintptr_t)ix->slots >> 12;
    const uint64_t h = bt_hash(BT_HASH_INIT ^ salt, name, strlen(name));
    size_t k = (h ^ h >> 29) & (ix->cap - 1);
    while (ix->slots[k].name && strcmp(ix->slots[k].name, name) != 0)
        k = (k + 1) & (ix->cap - 1);
    return &ix->slots[k];
}

static bool index_find(const name_index *ix, const char *name, size_t *i)
{
    if (ix->n == 0 || !name)
        return false;
    const name_slot *s = find_slot(ix, name);
    if (s->name)
        *i = s->i;
    return s->name != NULL;
}

static bool index_grow(name_index *ix)
{
    name_index wider = { NULL, ix->cap ? ix->cap * 2 : 64, ix->n };
    wider.slots = bt_calloc(wider.cap, sizeof *wider.slots);
    if (!wider.slots)
        return false;
    for (size_t k = 0; k < ix->cap; k++)
        if (ix->slots[k].name)
            *find_slot(&wider, ix->slots[k].name) = ix->slots[k];
    bt_release(ix->slots);
    *ix = wider;
    return true;
}

/* The name must not be there. */
static bool index_add(name_index *ix, const char *name, size_t i)
{
    if (2 * (ix->n + 1) > ix->cap && !index_grow(ix))
        return false;
    *find_slot(ix, name) = (name_slot){ name, i };
    ix->n++;
    return true;
}

/* Appends a copy of `row` under `name` (NULL: none). On failure nothing is added. */
static bool table_add(table *t, const void *row, size_t size, const char *name)
{
    if (t->n == t->cap) {
        const size_t cap = t->cap ? t->cap * 2 : 16;
        void *rows = bt_realloc_array(t->rows, t->n, cap, size);
        if (!rows)
            return false;
        t->rows = rows;
        t->cap = cap;
    }
    if (name && !index_add(&t->names, name, t->n))
        return false;
    memcpy((uint8_t *)t->rows + t->n++ * size, row, size);
    return true;
}

static void table_free(table *t)
{
    bt_release(t->rows);
    bt_release(t->names.slots);
}

/* ---- building --------------------------------------------------------- */

bt_status bt_store_no_memory(const bt_store *s, bt_error *err)
{
    return bt_fail(err, BT_ENOMEM, "out of memory while reading %s", s->path);
}

bt_status bt_store_new(const char *path, const char *format, bt_store **out, bt_error *err)
{
    bt_store *s = bt_calloc(1, sizeof *s);
    *out = NULL;
    if (s)
        s->path = bt_strdup(path);
    if (!s || !s->path) {
        bt_release(s);
        return bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    }
    s->format = format;
    *out = s;
    return BT_OK;
}

void bt_store_set_format(bt_store *s, const char *format) { s->format = format; }

void bt_store_mark_mapped(bt_store *s)
{
    for (size_t i = 0; i < s->tensors.n; i++) {
        bt_tensor *t = bt_store_edit(s, i);
        for (size_t k = 0; k < s->maps.n && !t->in_file && t->bytes > 0; k++) {
            const bt_map *m = map_at(s, k);
            t->in_file = t->data >= m->data && t->data < m->data + m->size;
        }
    }
}

void bt_store_close(bt_store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->maps.n; i++)
        bt_map_close(&((mapped *)s->maps.rows)[i].map);
    while (s->chunks) {
        chunk *next = s->chunks->next;
        bt_release(s->chunks);
        s->chunks = next;
    }
    table_free(&s->maps);
    table_free(&s->tensors);
    table_free(&s->metas);
    table_free(&s->files);
    bt_release(s->path);
    bt_release(s);
}

void *bt_store_own(bt_store *s, size_t n)
{
    size_t need, bytes;
    if (!bt_add_ok(n, 15, &need))
        return NULL;
    need &= ~(size_t)15;
    chunk *c = s->chunks;
    if (!c || c->cap - c->used < need) {
        const size_t cap = need > CHUNK / 4 ? need : CHUNK;
        if (!bt_add_ok(sizeof *c, cap, &bytes) || !(c = bt_alloc(bytes)))
            return NULL;
        c->used = 0;
        c->cap = cap;
        /* A piece with a chunk of its own goes second: the first stays in use. */
        chunk **at = s->chunks && cap == need ? &s->chunks->next : &s->chunks;
        c->next = *at;
        *at = c;
    }
    void *p = c->data + c->used;
    c->used += need;
    return p;
}

char *bt_store_own_str(bt_store *s, const char *p, size_t n)
{
    char *q = n < SIZE_MAX ? bt_store_own(s, n + 1) : NULL;
    if (!q)
        return NULL;
    if (n)
        memcpy(q, p, n);
    q[n] = 0;
    return q;
}

bt_status bt_store_map_file(bt_store *s, const char *path, bt_map *out, bt_error *err)
{
    const bt_status st = bt_map_open(path, out, err);
    if (st != BT_OK)
        return st;
    const mapped m = { *out, bt_store_own_str(s, path, strlen(path)) };
    if (m.path && table_add(&s->maps, &m, sizeof m, NULL))
        return BT_OK;
    bt_map_close(out);
    return bt_store_no_memory(s, err);
}

/* Adds a named row; names are unique in a table. */
static bt_status add_row(bt_store *s, table *t, const void *row, size_t size, const char *name,
                         const char *file, const char *what, bt_error *err)
{
    size_t i;
    if (index_find(&t->names, name, &i))
        return bt_fail(err, BT_EFORMAT, "%s: %s '%.200s' is there twice", file, what, name);
    return table_add(t, row, size, name) ? BT_OK : bt_store_no_memory(s, err);
}

bt_status bt_store_add(bt_store *s, const char *file, const bt_tensor *t, bt_error *err)
{
    return add_row(s, &s->tensors, t, sizeof *t, t->name, file, "tensor", err);
}

bt_status bt_store_add_meta(bt_store *s, const char *file, const bt_meta *m, bt_error *err)
{
    return add_row(s, &s->metas, m, sizeof *m, m->key, file, "metadata key", err);
}

bt_status bt_store_add_str(bt_store *s, const char *file, const char *key, const char *v,
                           bt_error *err)
{
    bt_meta m = { .type = BT_META_STR, .elem = BT_META_STR, .n = 1, .str_n = strlen(v) };
    m.key = bt_store_own_str(s, key, strlen(key));
    m.str = bt_store_own_str(s, v, m.str_n);
    if (!m.key || !m.str)
        return bt_store_no_memory(s, err);
    return bt_store_add_meta(s, file, &m, err);
}

bt_status bt_store_add_file(bt_store *s, const char *name, const char *text, size_t len,
                            bt_error *err)
{
    const bt_side_file f = { bt_store_own_str(s, name, strlen(name)), text, len };
    if (!f.name)
        return bt_store_no_memory(s, err);
    return add_row(s, &s->files, &f, sizeof f, f.name, s->path, "file", err);
}

bt_status bt_store_rename(bt_store *s, size_t i, const char *name, bt_error *err)
{
    if (!index_add(&s->tensors.names, name, i))
        return bt_store_no_memory(s, err);
    bt_store_edit(s, i)->name = name;
    return BT_OK;
}

bt_tensor *bt_store_edit(bt_store *s, size_t i) { return (bt_tensor *)s->tensors.rows + i; }

bool bt_tensor_measure(bt_tensor *t)
{
    const bt_dtype_info *info = &bt_dtypes[t->dtype];
    size_t n = 1;
    for (int i = t->n_dims; i < BT_MAX_DIMS; i++)
        t->dims[i] = 1;
    /* The product of the dimensions that are not 0 must fit as well: others
     * multiply some of them only. */
    bool empty = false;
    for (int i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0)
            return false;
        if (t->dims[i] == 0)
            empty = true;
        else if (!bt_mul_ok(n, (size_t)t->dims[i], &n) || n > INT64_MAX / 16)
            return false;
    }
    const int64_t row = t->n_dims ? t->dims[t->n_dims - 1] : 1;
    if (row % info->block != 0)
        return false;
    t->bytes = empty ? 0 : n / info->block * info->bytes;
    return true;
}

static int by_data(const void *a, const void *b)
{
    const bt_tensor *const *x = a, *const *y = b;
    return (*x)->data < (*y)->data ? -1 : (*x)->data > (*y)->data;
}

bt_status bt_store_check_overlap(const bt_store *s, size_t first, const char *file, bt_error *err)
{
    size_t n = 0;
    bt_status st = BT_OK;
    const bt_tensor **list = bt_calloc(s->tensors.n - first + 1, sizeof *list);
    if (!list)
        return bt_store_no_memory(s, err);
    for (size_t i = first; i < s->tensors.n; i++)
        if (bt_store_at(s, i)->bytes > 0)
            list[n++] = bt_store_at(s, i);
    qsort(list, n, sizeof *list, by_data);
    for (size_t i = 1; i < n && st == BT_OK; i++)
        if (list[i]->data < list[i - 1]->data + list[i - 1]->bytes)
            st = bt_fail(err, BT_EFORMAT, "%s: tensors '%.100s' and '%.100s' overlap", file,
                         list[i - 1]->name, list[i]->name);
    bt_release(list);
    return st;
}

/* ---- reading ---------------------------------------------------------- */

const char *bt_store_path(const bt_store *s) { return s->path; }

const char *bt_store_format(const bt_store *s) { return s->format; }

size_t bt_store_count(const bt_store *s) { return s->tensors.n; }

const bt_tensor *bt_store_at(const bt_store *s, size_t i)
{
    return (const bt_tensor *)s->tensors.rows + i;
}

double bt_store_parameters(const bt_store *s)
{
    double sum = 0;
    for (size_t i = 0; i < bt_store_count(s); i++)
        sum += (double)bt_tensor_count(bt_store_at(s, i));
    return sum;
}

const bt_tensor *bt_store_find(const bt_store *s, const char *name)
{
    size_t i;
    return index_find(&s->tensors.names, name, &i) ? bt_store_at(s, i) : NULL;
}

void bt_tensor_drop(const bt_tensor *t)
{
    if (t->in_file)
        bt_map_drop(t->data, t->bytes);
}

float *bt_tensor_values(const bt_tensor *t, bt_error *err)
{
    const size_t n = (size_t)bt_tensor_count(t);
    float *v = bt_alloc(n * sizeof *v);
    if (v && bt_dequantize_row(t->dtype, t->data, v, n) == 0)
        return v;
    if (!v)
        bt_fail(err, BT_ENOMEM, "no memory for the values of %s", t->name);
    else
        bt_fail(err, BT_EUNSUPPORTED, "tensor %s has type %s, which cannot be read", t->name,
                bt_dtypes[t->dtype].name);
    bt_release(v);
    return NULL;
}

void bt_store_drop(const bt_store *s)
{
    for (size_t i = 0; i < s->maps.n; i++)
        bt_map_drop(map_at(s, i)->data, map_at(s, i)->size);
}

/* ---- identity --------------------------------------------------------- */

enum { SAMPLES = 16, SAMPLE_BYTES = 4096, WHOLE_BYTES = 1 << 20 };

/* Small files whole, large ones in pieces from begin to end. Why at all, when
 * times tell: not every file system keeps them well. Pages go back afterwards. */
static uint64_t hash_samples(uint64_t h, const bt_map *m)
{
    if (m->size <= WHOLE_BYTES)
        return bt_hash_data(h, m->data, m->size);
    const size_t step = (m->size - SAMPLE_BYTES) / (SAMPLES - 1);
    for (size_t i = 0; i < SAMPLES; i++)
        h = bt_hash_data(h, m->data + i * step, SAMPLE_BYTES);
    bt_map_drop(m->data + step / 2, m->size - step / 2);
    return h;
}

static uint64_t hash_tensor(uint64_t h, const bt_tensor *t)
{
    const uint64_t facts[] = { t->dtype, (uint64_t)t->n_dims, t->channels_last, t->in_file,
                               t->bytes };
    h = bt_hash_data(h, t->name, strlen(t->name));
    h = bt_hash_data(h, facts, sizeof facts);
    return bt_hash_data(h, t->dims, sizeof t->dims);
}

bool bt_store_key(const bt_store *s, uint64_t key[2])
{
    key[0] = 1, key[1] = 2;
    for (size_t i = 0; i < s->maps.n; i++) {
        const bt_map *m = map_at(s, i);
        key[0] = bt_hash_data(key[0], &m->id, sizeof m->id);
        key[1] = bt_hash_data(key[1], &m->id, sizeof m->id);
        key[1] = hash_samples(key[1], m);
    }
    for (size_t i = 0; i < s->tensors.n; i++)
        key[0] = hash_tensor(key[0], bt_store_at(s, i));
    return s->maps.n > 0;
}

bool bt_store_unchanged(const bt_store *s)
{
    for (size_t i = 0; i < s->maps.n; i++) {
        bt_file_id now;
        const mapped *m = (const mapped *)s->maps.rows + i;
        if (!bt_file_id_at(m->path, &now) || !bt_file_id_same(&now, &m->map.id))
            return false;
    }
    return true;
}

static const bt_side_file *file_at(const bt_store *s, size_t i)
{
    return (const bt_side_file *)s->files.rows + i;
}

const char *bt_store_file(const bt_store *s, const char *name, size_t *len)
{
    size_t i;
    if (!index_find(&s->files.names, name, &i))
        return NULL;
    if (len)
        *len = file_at(s, i)->len;
    return file_at(s, i)->text;
}

size_t bt_store_file_count(const bt_store *s) { return s->files.n; }

const char *bt_store_file_name(const bt_store *s, size_t i) { return file_at(s, i)->name; }

size_t bt_store_meta_count(const bt_store *s) { return s->metas.n; }

const bt_meta *bt_store_meta_at(const bt_store *s, size_t i)
{
    return (const bt_meta *)s->metas.rows + i;
}

const char *bt_store_meta_key(const bt_store *s, size_t i) { return bt_store_meta_at(s, i)->key; }

const bt_meta *bt_store_meta(const bt_store *s, const char *key)
{
    size_t i;
    return index_find(&s->metas.names, key, &i) ? bt_store_meta_at(s, i) : NULL;
}
