/* SPDX-License-Identifier: MIT
 * Layers by name: the weights are "<prefix>.weight" and, where the store has
 * it, "<prefix>.bias"; the prefix is printf-style:
 *
 *     x = bt_nn_linear(g, x, "encoder.layers.%d.fc1", i);
 *
 * Otherwise as the functions of graph.h: a missing weight is a sticky error.
 */
#ifndef BT_NN_LAYERS_H
#define BT_NN_LAYERS_H

#include "graph/graph.h"

bt_node *bt_nn_linear(bt_graph *g, bt_node *x, const char *fmt, ...) BT_PRINTF(3, 4);
/* y[i] = layer "<prefix>.<name[i]>" of x, i < n <= 3, in one multiply (bt_linears). */
void bt_nn_linears(bt_graph *g, bt_node *x, const char *prefix, int n, const char *const *name,
                   bt_node **y);
bt_node *bt_nn_conv1d(bt_graph *g, bt_node *x, bt_conv p, const char *fmt, ...) BT_PRINTF(4, 5);
bt_node *bt_nn_conv2d(bt_graph *g, bt_node *x, bt_conv p, const char *fmt, ...) BT_PRINTF(4, 5);
bt_node *bt_nn_layer_norm(bt_graph *g, bt_node *x, float eps, const char *fmt, ...) BT_PRINTF(4, 5);
bt_node *bt_nn_group_norm(bt_graph *g, bt_node *x, int groups, float eps, const char *fmt, ...)
    BT_PRINTF(5, 6);

#endif
