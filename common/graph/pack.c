/* SPDX-License-Identifier: MIT
 * From the file's tensors to panels (layout: kernels.h), or panels from the pack
 * cache. The source pages are let go afterwards: a weight is in memory once.
 */
#include "graph/pack.h"

#include <string.h>

#include "base/file.h"
#include "graph/minimal.h"
#include "graph/pack_cache.h"
#include "graph/weights.h"
#include "kernels/quant.h"

/* Where the values of one weight lie: element (n, tap, c) of the source is at
 * n * sn + tap * st + c * sc, in values. */
typedef struct source {
    const char *path; /* of the file, for messages */
    const bt_tensor *t;
    int64_t n, k, taps;
    int64_t sn, st, sc;
    int64_t first; /* the n that t's data begins with */
} source;

/* The strides of the weight's layout; refuses shapes that panels cannot hold. */
static bt_status source_of(const bt_weight *w, bt_form form, source *s, bt_error *err)
{
    const bt_tensor *t = w->t;
    int64_t d0 = bt_weight_dim(w, 0), d1 = bt_weight_dim(w, 1);
    int64_t taps = d0 && d1 ? bt_tensor_count(t) / (d0 * d1) : 0;
    const bt_store *store = bt_weights_ground(w->set)->store;
    *s = (source){ .path = store ? bt_store_path(store) : "weights", .t = t, .taps = taps };
    if (form % BT_FORM_SPLIT == BT_FORM_TRANSPOSED) {
        s->n = d1, s->k = d0;
        s->sn = taps, s->st = 1, s->sc = d1 * taps;
    } else {
        s->n = d0, s->k = d1;
        s->sn = taps * d1;
        s->st = t->channels_last ? d1 : 1;
        s->sc = t->channels_last ? 1 : taps;
    }
    if (taps < 1 || s->n > INT32_MAX || s->k > INT32_MAX || taps > 4096)
        return bt_fail(err, BT_EFORMAT, "tensor %s has an unusable shape", t->name);
    if (s->sc != 1 && bt_dtypes[t->dtype].block > 1)
        return bt_fail(err, BT_EUNSUPPORTED,
                       "tensor %s: %s blocks do not run along the input channels", t->name,
                       bt_dtypes[t->dtype].name);
    if (s->k % bt_dtypes[t->dtype].block)
        return bt_fail(err, BT_EFORMAT, "tensor %s: rows of %lld are not whole %s blocks", t->name,
                       (long long)s->k, bt_dtypes[t->dtype].name);
    return BT_OK;
}

/* Row (n, tap) in the source's type, contiguous: a pointer into the tensor or
 * into `gather`. */
static const void *source_row(const source *s, int64_t n, int64_t tap, uint8_t *gather)
{
    const bt_dtype_info *d = &bt_dtypes[s->t->dtype];
    int64_t at = (n - s->first) * s->sn + tap * s->st;
    if (s->sc == 1)
        return s->t->data + at / d->block * d->bytes;
    for (int64_t c = 0; c < s->k; c++, at += s->sc)
        if (d->bytes == sizeof(float)) /* a size that is known: no call */
            memcpy(gather + c * sizeof(float), s->t->data + at * sizeof(float), sizeof(float));
        else
            memcpy(gather + c * d->bytes, s->t->data + at * d->bytes, d->bytes);
    return gather;
}

/* Buffers of one packing: 16 rows in the source's type, as floats, as packed. */
typedef struct rows {
    uint8_t *gather, *made;
    float *values, *rest;
    size_t src_bytes, dst_bytes;
    bool no_numbers; /* why packing failed */
} rows;

static bool rows_alloc(rows *r, const source *s, const bt_packed *p)
{
    const bool minimal = p->form == BT_FORM_MINIMAL;
    r->src_bytes = bt_row_bytes(s->t->dtype, s->k);
    r->dst_bytes = bt_row_bytes(p->type, s->k);
    r->gather = bt_alloc(BT_NR * r->src_bytes);
    r->made = bt_alloc((minimal ? p->taps : 2) * BT_NR * r->dst_bytes);
    const int64_t at_once = minimal ? s->taps : p->form == BT_FORM_ROWS ? BT_NR : 1;
    r->values = bt_alloc((size_t)(at_once * s->k) * sizeof(float));
    r->rest = bt_alloc(s->k * sizeof(float));
    return r->gather && r->made && r->values && r->rest;
}

static void rows_free(rows *r)
{
    bt_release(r->gather);
    bt_release(r->made);
    bt_release(r->values);
    bt_release(r->rest);
}

/* A row of the source as floats. NaN and infinities end here: rounded to bytes, they would be
 * numbers like others. */
static int open_row(const source *s, rows *r, const void *src, float *to)
{
    if (bt_dequantize_row(s->t->dtype, src, to, s->k))
        return -1;
    r->no_numbers |= !bt_are_numbers(to, s->k);
    return r->no_numbers ? -1 : 0;
}

/* Both panels of BT_FORM_SPLIT: values as bf16, then what that left over. */
static int pack_split(bt_packed *p, const source *s, rows *r, int panel, int tap)
{
    const size_t step = r->dst_bytes;
    const void *row[2][BT_NR] = { 0 };
    for (int i = 0; i < BT_NR && panel * BT_NR + i < p->n; i++) {
        const void *src = source_row(s, panel * BT_NR + i, tap, r->gather);
        uint8_t *high = r->made + i * step, *low = r->made + (BT_NR + i) * step;
        if (open_row(s, r, src, r->values) || bt_quantize_row(BT_BF16, r->values, high, s->k) ||
            bt_dequantize_row(BT_BF16, high, r->rest, s->k))
            return -1;
        for (int64_t c = 0; c < s->k; c++)
            r->rest[c] = r->values[c] - r->rest[c];
        if (bt_quantize_row(BT_BF16, r->rest, low, s->k))
            return -1;
        row[0][i] = high;
        row[1][i] = low;
    }
    uint8_t *dst = (uint8_t *)(uintptr_t)bt_panel(p, panel, tap);
    bt_pack_panel(BT_BF16, dst, row[0], p->k);
    bt_pack_panel(BT_BF16, dst + p->panel_bytes / 2, row[1], p->k);
    return 0;
}

/* BT_FORM_MINIMAL: all points of 16 outputs. */
static int pack_minimal(bt_packed *p, const source *s, rows *r, int panel)
{
    double g[BT_MAX_POINTS][BT_MINIMAL_TAPS];
    const void *row[BT_MAX_POINTS][BT_NR] = { 0 };
    bt_minimal_weights((int)s->taps, p->taps - (int)s->taps + 1, g);
    for (int i = 0; i < BT_NR && panel * BT_NR + i < p->n; i++) {
        for (int64_t t = 0; t < s->taps; t++)
            if (open_row(s, r, source_row(s, panel * BT_NR + i, t, r->gather),
                         r->values + t * s->k))
                return -1;
        for (int point = 0; point < p->taps; point++) {
            float *dst = (float *)(void *)r->made + (size_t)(point * BT_NR + i) * s->k;
            row[point][i] = dst;
            memset(dst, 0, r->dst_bytes);
            for (int64_t t = 0; t < s->taps; t++)
                for (int64_t c = 0; c < s->k; c++)
                    dst[c] += (float)g[point][t] * r->values[t * s->k + c];
        }
    }
    for (int point = 0; point < p->taps; point++)
        bt_pack_panel(BT_F32, (void *)bt_panel(p, panel, point), row[point], p->k);
    return 0;
}

/* BT_FORM_ROWS. */
static int pack_rows(bt_packed *p, const source *s, rows *r, int panel)
{
    const float *row[BT_NR] = { 0 };
    for (int i = 0; i < BT_NR && panel * BT_NR + i < p->n; i++) {
        float *values = r->values + (size_t)i * s->k;
        if (open_row(s, r, source_row(s, panel * BT_NR + i, 0, r->gather), values))
            return -1;
        row[i] = values;
    }
    bt_pack_row_panel((void *)bt_panel(p, panel, 0), row, p->k);
    return 0;
}

/* 16 outputs (fewer in the last panel: the rest is zeros) of one tap. Not 0: a type
 * that cannot be read or made. */
static int pack_panel(bt_packed *p, const source *s, rows *r, int panel, int tap)
{
    const void *row[BT_NR] = { 0 };
    if (p->form & BT_FORM_SPLIT)
        return pack_split(p, s, r, panel, tap);
    if (p->form == BT_FORM_ROWS)
        return pack_rows(p, s, r, panel);
    for (int i = 0; i < BT_NR && panel * BT_NR + i < p->n; i++) {
        row[i] = source_row(s, panel * BT_NR + i, tap, r->gather + i * r->src_bytes);
        if (p->type == s->t->dtype)
            continue;
        void *made = r->made + i * r->dst_bytes;
        if (open_row(s, r, row[i], r->values) || bt_quantize_row(p->type, r->values, made, s->k))
            return -1;
        row[i] = made;
    }
    bt_pack_panel(p->type, (void *)bt_panel(p, panel, tap), row, p->k);
    return 0;
}

static bt_status why_not(const bt_packed *p, const source *s, const rows *r, bt_error *err)
{
    if (r->no_numbers)
        return bt_fail(err, BT_EFORMAT, "%s: tensor %s has values that are no numbers", s->path,
                       s->t->name);
    return bt_fail(err, BT_EUNSUPPORTED, "tensor %s: cannot pack %s as %s", s->t->name,
                   bt_dtypes[s->t->dtype].name, bt_dtypes[p->type].name);
}

static bt_status pack_panels(bt_packed *p, const source *s, rows *r, int from, int to,
                             bt_error *err)
{
    const bool minimal = p->form == BT_FORM_MINIMAL;
    for (int panel = from; panel < to; panel++)
        for (int tap = 0; tap < (minimal ? 1 : p->taps); tap++)
            if (minimal ? pack_minimal(p, s, r, panel) : pack_panel(p, s, r, panel, tap))
                return why_not(p, s, r, err);
    return BT_OK;
}

/* How many rows of dim 0 are derived at once: whole panels, so many that they stay in a
 * processor's own memory. */
static int64_t rows_at_once(const bt_weight *w, const bt_packed *p, int64_t row)
{
    enum { VALUES = 1 << 19 };
    const int64_t all = bt_weight_dim(w, 0), panels = VALUES / (row * BT_NR);
    if (w->whole || p->form % BT_FORM_SPLIT == BT_FORM_TRANSPOSED)
        return all;
    const int64_t n = BT_NR * (panels > 1 ? panels : 1);
    return n < all ? n : all;
}

/* Values that are derived exist while they are packed. */
static bt_status pack_derived(const bt_weight *w, bt_packed *p, const source *s, rows *r,
                              bt_error *err)
{
    const int64_t all = bt_weight_dim(w, 0), row = bt_tensor_count(w->t) / all;
    const int64_t at_once = rows_at_once(w, p, row);
    float *values = bt_alloc((size_t)(at_once * row) * sizeof *values);
    bt_tensor t = *w->t;
    source part = *s;
    part.t = &t;
    t.data = (const uint8_t *)values;
    bt_status st = values ? BT_OK : bt_fail(err, BT_ENOMEM, "no memory to pack %s", t.name);
    for (; st == BT_OK && part.first < all; part.first += at_once) {
        const int64_t n = all - part.first < at_once ? all - part.first : at_once;
        const int from = (int)(part.first / BT_NR);
        const int to = n == all ? p->panels : (int)((part.first + n + BT_NR - 1) / BT_NR);
        st = bt_weight_read(w, part.first, n, values, err);
        if (st == BT_OK)
            st = pack_panels(p, &part, r, from, to, err);
    }
    bt_release(values);
    return st;
}

static bt_status pack_all(const bt_weight *w, bt_packed *p, const source *s, bt_error *err)
{
    rows r = { 0 };
    bt_status st =
        rows_alloc(&r, s, p) ? BT_OK : bt_fail(err, BT_ENOMEM, "no memory to pack %s", s->t->name);
    if (st == BT_OK && (w->fill || w->rows))
        st = pack_derived(w, p, s, &r, err);
    else if (st == BT_OK)
        st = pack_panels(p, s, &r, 0, p->panels, err);
    rows_free(&r);
    return st;
}

static void free_data(const bt_packed *p)
{
    if (p->scratch)
        bt_scratch_close(p->data, bt_packed_bytes(p));
    else if (!p->mapped)
        bt_release(p->data);
}

/* Panels made from the tensor. */
static bt_status pack_now(const bt_weight *w, bt_packed *p, const source *s, bt_error *err)
{
    if (bt_weights_are_spare(w->set))
        p->data = bt_pack_cache_scratch(bt_weights_ground(w->set)->cache, bt_packed_bytes(p));
    p->mapped = p->scratch = p->data != NULL;
    if (!p->data)
        p->data = bt_alloc(bt_packed_bytes(p));
    if (!p->data)
        return bt_fail(err, BT_ENOMEM, "no memory to pack %s", w->t->name);
    bt_status st = pack_all(w, p, s, err);
    if (st != BT_OK)
        free_data(p);
    else if (w->t != &w->own)
        bt_tensor_drop(w->t);
    return st;
}

/* Weights made in memory are small, and their names do not say what is in them: they are
 * not kept. */
static bool find_panels(const bt_weight *w, bt_packed *p)
{
    const bt_pack_item want = { w->t->name, p };
    const uint8_t *data = NULL;
    if (w->set->cache && !bt_weight_is_made(w))
        data = bt_pack_cache_find(w->set->cache, &want);
    p->data = (uint8_t *)(uintptr_t)data;
    p->mapped = p->kept = data != NULL;
    return data != NULL;
}

static bt_status packed_new(const bt_weight *w, bt_form form, bt_dtype type, bt_packed **out,
                            bt_error *err)
{
    source s;
    bt_status st = source_of(w, form, &s, err);
    if (st != BT_OK)
        return st;
    if (s.k % bt_dtypes[type].block)
        return bt_fail(err, BT_EINVAL, "tensor %s: rows of %lld do not fit %s", w->t->name,
                       (long long)s.k, bt_dtypes[type].name);
    bt_packed *p = bt_calloc(1, sizeof *p);
    if (!p)
        return bt_fail(err, BT_ENOMEM, "no memory to pack %s", w->t->name);
    *p = (bt_packed){
        .type = type, .form = form, .n = (int)s.n, .k = (int)s.k, .taps = (int)s.taps
    };
    if (form == BT_FORM_MINIMAL)
        p->taps += bt_minimal_outs(p->taps, p->k, p->n) - 1;
    p->panels = (int)((s.n + BT_NR - 1) / BT_NR);
    p->panel_bytes = bt_panel_bytes(type, p->k) * (form & BT_FORM_SPLIT ? 2 : 1);
    if (form == BT_FORM_ROWS)
        p->panel_bytes = bt_row_panel_bytes(p->k);
    size_t bytes;
    if (!bt_mul_ok((size_t)p->panels * p->taps, p->panel_bytes, &bytes))
        st = bt_fail(err, BT_ENOMEM, "no memory to pack %s", w->t->name);
    else if (!find_panels(w, p))
        st = pack_now(w, p, &s, err);
    if (st != BT_OK) {
        bt_release(p);
        return st;
    }
    if (!p->kept)
        atomic_store(&w->set->unkept, true);
    *out = p;
    return BT_OK;
}

void bt_packed_free(bt_packed *list)
{
    for (bt_packed *p = list, *next; p; p = next) {
        next = p->next;
        free_data(p);
        bt_release(p);
    }
}

bt_status bt_weight_pack(const bt_weight *w, bt_form form, bt_dtype type, const bt_packed **out,
                         bt_error *err)
{
    bt_weight *mine = (bt_weight *)w; /* its list of packed forms grows under its lock */
    bt_status st = BT_OK;
    pthread_mutex_lock(bt_weight_lock(w));
    bt_packed *p = w->packed;
    while (p && (p->form != form || p->type != type))
        p = p->next;
    if (!p) {
        st = packed_new(w, form, type, &p, err);
        if (st == BT_OK) {
            p->next = mine->packed;
            mine->packed = p;
        }
    }
    pthread_mutex_unlock(bt_weight_lock(w));
    *out = st == BT_OK ? p : NULL;
    return st;
}

void bt_packed_rest(const bt_packed *p)
{
    if (p->mapped)
        bt_map_drop(p->data, bt_packed_bytes(p));
}

static void rest(const bt_weight *w, const char *prefix)
{
    if (strncmp(w->t->name, prefix, strlen(prefix)) != 0)
        return;
    pthread_mutex_lock(bt_weight_lock(w));
    for (bt_packed *p = w->packed; p; p = p->next)
        bt_packed_rest(p);
    pthread_mutex_unlock(bt_weight_lock(w));
}

void bt_weights_rest(bt_weights *ws, const char *prefix)
{
    if (ws->base)
        bt_weights_rest(ws->base, prefix);
    if (!ws->base && !ws->cache)
        return;
    for (size_t i = 0; i < ws->n_store; i++)
        rest(&ws->of_store[i], prefix);
    if (ws->store)
        bt_store_drop(ws->store);
    pthread_mutex_lock(&ws->lock);
    const bt_weight *w = ws->made; /* what is on the list stays there */
    pthread_mutex_unlock(&ws->lock);
    for (; w; w = w->next_made)
        rest(w, prefix);
}

/* ---- keeping ------------------------------------------------------------- */

/* What is packed and not kept, as a list of its own; others may pack meanwhile. */
typedef struct news {
    bt_pack_item *items;
    bt_packed **packed;
    uint32_t n, cap;
} news;

static bool news_add(news *list, const bt_weight *w, bt_packed *p)
{
    if (list->n == list->cap) {
        const uint32_t cap = list->cap ? list->cap * 2 : 256;
        bt_pack_item *items = bt_realloc_array(list->items, list->n, cap, sizeof *items);
        if (items)
            list->items = items;
        bt_packed **packed = bt_realloc_array(list->packed, list->n, cap, sizeof *packed);
        if (packed)
            list->packed = packed;
        if (!items || !packed)
            return false;
        list->cap = cap;
    }
    list->items[list->n] = (bt_pack_item){ w->t->name, p };
    list->packed[list->n++] = p;
    return true;
}

static bool news_of(news *list, const bt_weight *w)
{
    bool ok = true;
    pthread_mutex_lock(bt_weight_lock(w));
    for (bt_packed *p = w->packed; ok && p; p = p->next)
        ok = p->kept || news_add(list, w, p);
    pthread_mutex_unlock(bt_weight_lock(w));
    return ok;
}

/* Weights made in memory only ever come before those that the list begins with. */
static bool news_collect(news *list, bt_weights *ws)
{
    bool ok = true;
    for (size_t i = 0; ok && i < ws->n_store; i++)
        ok = news_of(list, &ws->of_store[i]);
    pthread_mutex_lock(&ws->lock);
    const bt_weight *w = ws->made;
    pthread_mutex_unlock(&ws->lock);
    for (; ok && w; w = w->next_made)
        ok = bt_weight_is_made(w) || news_of(list, w);
    return ok;
}

/* Panels never change once they are there, so they are written without a lock;
 * `kept` belongs to who has the lock of the keeper. */
void bt_weights_keep(bt_weights *ws)
{
    if (ws->base)
        bt_weights_keep(ws->base);
    if (!ws->cache)
        return;
    pthread_mutex_lock(&ws->keeper);
    if (atomic_exchange(&ws->unkept, false)) {
        news list = { 0 };
        bool again = false, ok = news_collect(&list, ws);
        if (ok && list.n)
            ok = bt_pack_cache_save(ws->cache, list.items, list.n, ws->compute->threads, &again);
        for (uint32_t i = 0; i < list.n && !again; i++)
            list.packed[i]->kept = true;
        if (again)
            atomic_store(&ws->unkept, true);
        bt_release(list.items);
        bt_release(list.packed);
    }
    pthread_mutex_unlock(&ws->keeper);
}
