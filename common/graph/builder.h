/* SPDX-License-Identifier: MIT
 * Inside of a graph under construction; for builder.c and the planner.
 */
#ifndef BT_GRAPH_BUILDER_H
#define BT_GRAPH_BUILDER_H

#include "graph/op.h"

typedef struct bt_block bt_block;

struct bt_graph {
    bt_weights *ws;
    bt_precision precision;
    bool round; /* bt_graph_round */
    bt_node **nodes;
    int n_nodes, cap;
    bt_block *blocks; /* memory of nodes and attributes */
    bt_error error;   /* first failure; status BT_OK: none */
};

#endif
