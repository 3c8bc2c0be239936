/* SPDX-License-Identifier: MIT
 * Inside of the weight set; for weights.c, pack.c and builder.c.
 */
#ifndef BT_GRAPH_WEIGHTS_H
#define BT_GRAPH_WEIGHTS_H

#include <pthread.h>

#include "graph/graph.h"
#include "graph/pack.h"

enum { BT_WEIGHT_LOCKS = 16 };

struct bt_weight {
    bt_weights *set;
    const bt_tensor *t;
    bt_tensor own;       /* what t points to, for weights made in memory; data NULL: derived */
    uint64_t hash;       /* of own.name */
    bt_dtype like;       /* derived in place of a weight of this type; BT_F32 for all others */
    bt_weight_fill fill; /* derived: one of these two */
    bt_weight_rows rows;
    const void *from;
    bool whole;        /* all rows at once */
    float *values;     /* cached by bt_weight_cached, or NULL */
    bt_packed *packed; /* list, one per form and type */
    bt_weight *next_made;
};

struct bt_weights {
    bt_weights *base; /* where to look for what is not here; NULL: nowhere */
    const bt_store *store;
    const bt_compute *compute;
    struct bt_pack_cache *cache; /* NULL: none */
    atomic_bool spare;           /* panels lie in files, and stay in memory while they are used */
    atomic_bool unkept;          /* something was packed that the cache does not have */
    pthread_mutex_t keeper;      /* who puts it there */
    bt_weight *of_store;         /* one per tensor of the store, in its order */
    size_t n_store;
    bt_weight *made;      /* list */
    pthread_mutex_t lock; /* of the list of made weights */
    pthread_mutex_t stripes[BT_WEIGHT_LOCKS];
};

/* The set of the model itself: it has the pack cache. */
static inline const bt_weights *bt_weights_ground(const bt_weights *ws)
{
    return ws->base ? ws->base : ws;
}

/* The lock of a weight's cached values and packed forms: several threads may
 * pack different weights at once. */
static inline pthread_mutex_t *bt_weight_lock(const bt_weight *w)
{
    return &w->set->stripes[(uintptr_t)w / sizeof *w % BT_WEIGHT_LOCKS];
}

/* Made in memory from what the caller had: its name does not say what is in it. */
static inline bool bt_weight_is_made(const bt_weight *w)
{
    return w->t == &w->own && !w->fill && !w->rows;
}

/* The type by which a weight's multiply is chosen. No kernel opens 8-bit floats: halves,
 * which hold each of them, go in their place. */
static inline bt_dtype bt_weight_type(const bt_weight *w, bt_precision p)
{
    if (w->t->dtype == BT_F8_E4M3 || w->t->dtype == BT_F8_E5M2)
        return BT_F16;
    if (w->like == BT_F32 || p == BT_PREC_F32)
        return w->t->dtype;
    return bt_dtypes[w->like].block > 1 ? BT_Q8_0 : w->like;
}

/* Is none of them NaN or infinite? */
bool bt_are_numbers(const float *v, size_t n);

void bt_packed_free(bt_packed *list); /* pack.c */

/* All values as bt_weight_values gives them, kept with the weights; NULL: failed. */
const float *bt_weight_cached(const bt_weight *w, bt_error *err);

#endif
