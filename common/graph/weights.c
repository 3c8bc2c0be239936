/* SPDX-License-Identifier: MIT
 * The weights of a model: what graphs name, made ready on first use.
 *
 * There is one bt_weight per tensor of the store, found by the store's own index,
 * so that a look-up needs no lock. Weights made in memory are few and stand in a
 * list. What is derived from a weight (floats, packed panels) is kept with it,
 * under one of a few locks shared by all weights.
 */
#include "graph/weights.h"

#include <string.h>

#include "graph/pack_cache.h"
#include "base/file.h"
#include "base/hash.h"
#include "kernels/quant.h"

bt_status bt_weights_create(const bt_store *store, const bt_compute *compute, bt_weights **out,
                            bt_error *err)
{
    *out = NULL;
    size_t n = store ? bt_store_count(store) : 0;
    bt_weights *ws = bt_calloc(1, sizeof *ws);
    bt_weight *list = bt_calloc(n ? n : 1, sizeof *list);
    if (!ws || !list) {
        bt_release(ws);
        bt_release(list);
        return bt_fail(err, BT_ENOMEM, "no memory for %zu weights", n);
    }
    pthread_mutex_init(&ws->lock, NULL); /* cannot fail with default attributes */
    pthread_mutex_init(&ws->keeper, NULL);
    for (int i = 0; i < BT_WEIGHT_LOCKS; i++)
        pthread_mutex_init(&ws->stripes[i], NULL);
    for (size_t i = 0; i < n; i++)
        list[i] = (bt_weight){ .set = ws, .t = bt_store_at(store, i) };
    ws->store = store;
    ws->compute = compute;
    ws->of_store = list;
    ws->n_store = n;
    if (store && compute->cache_dir)
        ws->cache = bt_pack_cache_open(store, compute->cache_dir, compute->cache_size);
    *out = ws;
    return BT_OK;
}

bt_status bt_weights_create_over(bt_weights *base, bt_weights **out, bt_error *err)
{
    const bt_status st = bt_weights_create(NULL, base->compute, out, err);
    if (st == BT_OK)
        (*out)->base = base;
    return st;
}

static void weight_clear(bt_weight *w)
{
    bt_packed_free(w->packed);
    bt_release(w->values);
}

bool bt_weights_spare(bt_weights *ws)
{
    if (ws->base)
        return bt_weights_spare(ws->base);
    if (ws->cache)
        atomic_store(&ws->spare, true);
    return ws->cache != NULL;
}

bool bt_weights_are_spare(const bt_weights *ws)
{
    return atomic_load(&bt_weights_ground(ws)->spare);
}

void bt_weights_free(bt_weights *ws)
{
    if (!ws)
        return;
    for (size_t i = 0; i < ws->n_store; i++)
        weight_clear(&ws->of_store[i]);
    for (bt_weight *w = ws->made, *next; w; w = next) {
        next = w->next_made;
        weight_clear(w);
        bt_release((void *)w->own.name);
        bt_release((void *)w->own.data);
        bt_release(w);
    }
    bt_pack_cache_close(ws->cache);
    pthread_mutex_destroy(&ws->keeper);
    pthread_mutex_destroy(&ws->lock);
    for (int i = 0; i < BT_WEIGHT_LOCKS; i++)
        pthread_mutex_destroy(&ws->stripes[i]);
    bt_release(ws->of_store);
    bt_release(ws);
}

const bt_compute *bt_weights_compute(const bt_weights *ws) { return ws->compute; }

static const bt_weight *find_made(bt_weights *ws, const char *name)
{
    const uint64_t hash = bt_hash(BT_HASH_INIT, name, strlen(name));
    pthread_mutex_lock(&ws->lock);
    bt_weight *w = ws->made;
    while (w && (w->hash != hash || strcmp(w->own.name, name) != 0))
        w = w->next_made;
    pthread_mutex_unlock(&ws->lock);
    return w;
}

const bt_weight *bt_weight_find(bt_weights *ws, const char *name)
{
    const bt_tensor *t = ws->n_store ? bt_store_find(ws->store, name) : NULL;
    if (t)
        return &ws->of_store[t - bt_store_at(ws->store, 0)];
    const bt_weight *made = find_made(ws, name);
    return made || !ws->base ? made : bt_weight_find(ws->base, name);
}

const bt_tensor *bt_weight_tensor(const bt_weight *w) { return w->t; }

int64_t bt_weight_dim(const bt_weight *w, int i)
{
    const bt_tensor *t = w->t;
    if (i >= t->n_dims)
        return 1;
    if (!t->channels_last || i == 0)
        return t->dims[i];
    return i == 1 ? t->dims[t->n_dims - 1] : t->dims[i - 1];
}

/* A weight that is not in the store, without values; NULL: no memory. */
static bt_weight *new_own(const char *name, int n_dims, const int64_t *dims)
{
    bt_weight *w = bt_calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->own = (bt_tensor){ .dtype = BT_F32, .n_dims = n_dims };
    for (int i = 0; i < BT_MAX_DIMS; i++)
        w->own.dims[i] = i < n_dims ? dims[i] : 1;
    w->own.bytes = (size_t)bt_tensor_count(&w->own) * sizeof(float);
    w->own.name = bt_strdup(name);
    w->hash = bt_hash(BT_HASH_INIT, name, strlen(name));
    w->t = &w->own;
    if (w->own.name)
        return w;
    bt_release(w);
    return NULL;
}

static const bt_weight *add_own(bt_weights *ws, bt_weight *w)
{
    w->set = ws;
    pthread_mutex_lock(&ws->lock);
    w->next_made = ws->made;
    ws->made = w;
    pthread_mutex_unlock(&ws->lock);
    return w;
}

const bt_weight *bt_weight_make(bt_weights *ws, const char *name, const float *data, int n_dims,
                                const int64_t *dims)
{
    const bt_weight *old = find_made(ws, name);
    if (old)
        return old;
    bt_weight *w = new_own(name, n_dims, dims);
    uint8_t *copy = w ? bt_alloc(w->own.bytes) : NULL;
    if (!copy) {
        bt_release(w ? (void *)w->own.name : NULL);
        bt_release(w);
        return NULL;
    }
    memcpy(copy, data, w->own.bytes);
    w->own.data = copy;
    return add_own(ws, w);
}

const bt_weight *bt_weight_derive(bt_weights *ws, const char *name, int n_dims, const int64_t *dims,
                                  bt_weight_fill fill, const void *from)
{
    const bt_weight *old = find_made(ws, name);
    if (old)
        return old;
    bt_weight *w = new_own(name, n_dims, dims);
    if (!w)
        return NULL;
    w->fill = fill;
    w->from = from;
    w->whole = true;
    return add_own(ws, w);
}

const bt_weight *bt_weight_replace(bt_weights *ws, const bt_weight *of, bt_weight_rows rows,
                                   bool whole, const void *from)
{
    int64_t dims[BT_MAX_DIMS]; /* torch order, whatever the layout of `of` */
    for (int i = 0; i < of->t->n_dims; i++)
        dims[i] = bt_weight_dim(of, i);
    bt_weight *w = new_own(of->t->name, of->t->n_dims, dims);
    if (!w)
        return NULL;
    w->rows = rows;
    w->from = from;
    w->whole = whole;
    const bool packs =
        bt_dtypes[of->t->dtype].block > 1 || of->t->dtype == BT_F16 || of->t->dtype == BT_BF16;
    w->like = packs ? of->t->dtype : BT_F32;
    return add_own(ws, w);
}

/* [taps][in] to [in][taps] */
static void channels_first(float *dst, const float *src, int64_t taps, int64_t in)
{
    for (int64_t t = 0; t < taps; t++)
        for (int64_t i = 0; i < in; i++)
            dst[i * taps + t] = src[t * in + i];
}

/* n values from number `at` on, as they are stored. */
static bt_status read_values(const bt_tensor *t, int64_t at, int64_t n, float *out, bt_error *err)
{
    const uint8_t *data = n ? t->data + bt_row_bytes(t->dtype, (size_t)at) : NULL;
    if (bt_dequantize_row(t->dtype, data, out, (size_t)n) == 0)
        return BT_OK;
    return bt_fail(err, BT_EUNSUPPORTED, "tensor %s has type %s, which cannot be read", t->name,
                   bt_dtypes[t->dtype].name);
}

/* Rows that are stored with their channels last. */
static bt_status read_turned(const bt_weight *w, int64_t first, int64_t n, float *out,
                             bt_error *err)
{
    const int64_t row = bt_tensor_count(w->t) / w->t->dims[0], in = bt_weight_dim(w, 1);
    float *v = bt_alloc((size_t)row * sizeof *v);
    bt_status st = v ? BT_OK : bt_fail(err, BT_ENOMEM, "no memory for %s", w->t->name);
    for (int64_t i = 0; i < n && st == BT_OK; i++) {
        st = read_values(w->t, (first + i) * row, row, v, err);
        if (st == BT_OK)
            channels_first(out + i * row, v, row / in, in);
    }
    bt_release(v);
    return st;
}

bt_status bt_weight_read(const bt_weight *w, int64_t first, int64_t n, float *out, bt_error *err)
{
    const int64_t rows = bt_weight_dim(w, 0), row = rows ? bt_tensor_count(w->t) / rows : 0;
    if (w->fill)
        return w->fill(w->from, out, err);
    if (w->rows)
        return w->rows(w->from, first, n, out, err);
    if (w->t->channels_last)
        return read_turned(w, first, n, out, err);
    return read_values(w->t, first * row, n * row, out, err);
}

bool bt_are_numbers(const float *v, size_t n)
{
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= (bt_f32_bits(v[i]) & 0x7f800000u) == 0x7f800000u;
    return !bad;
}

float *bt_weight_values(const bt_weight *w, bt_error *err)
{
    const size_t n = (size_t)bt_tensor_count(w->t);
    float *v = bt_alloc(n * sizeof *v);
    bt_status st = v ? bt_weight_read(w, 0, bt_weight_dim(w, 0), v, err)
                     : bt_fail(err, BT_ENOMEM, "no memory for the values of %s", w->t->name);
    if (st == BT_OK && !w->fill && !bt_are_numbers(v, n))
        st = bt_fail(err, BT_EFORMAT, "tensor %s has values that are no numbers", w->t->name);
    if (st == BT_OK)
        return v;
    bt_release(v);
    return NULL;
}

const float *bt_weight_cached(const bt_weight *w, bt_error *err)
{
    bt_weight *mine = (bt_weight *)w; /* the cache is the only thing that changes */
    pthread_mutex_lock(bt_weight_lock(w));
    if (!mine->values)
        mine->values = bt_weight_values(w, err);
    const float *values = mine->values;
    pthread_mutex_unlock(bt_weight_lock(w));
    return values;
}
