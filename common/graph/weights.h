/* SPDX-License-Identifier: MIT
 * Inside of the weight set; for weights.c and pack.c only.
 */
#ifndef BT_GRAPH_WEIGHTS_H
#define BT_GRAPH_WEIGHTS_H

#include <pthread.h>

#include "graph/graph.h"
#include "graph/pack.h"

struct bt_weight {
    bt_weights *set;
    const bt_tensor *t;
    bt_tensor own;     /* what t points to, for weights made in memory */
    float *values;     /* cached by bt_weight_f32, or NULL */
    bt_packed *packed; /* list, one per form and type */
    bt_weight *next_made;
};

struct bt_weights {
    const bt_store *store;
    const bt_compute *compute;
    bt_weight *of_store; /* one per tensor of the store, in its order */
    size_t n_store;
    bt_weight *made; /* list */
    uint64_t bytes;  /* of packed data and cached values */
    pthread_mutex_t lock;
};

#endif
