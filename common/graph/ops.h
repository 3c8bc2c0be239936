/* SPDX-License-Identifier: MIT
 * What ops and the planner tell each other beyond the builder functions.
 */
#ifndef BT_GRAPH_OPS_H
#define BT_GRAPH_OPS_H

#include "graph/op.h"

/* Is this node a plain activation, a plain sum? (ops/elementwise.c) */
bool bt_node_is_act(const bt_node *n, bt_act *act, float *alpha);
bool bt_node_is_add(const bt_node *n);
bool bt_node_is_scale(const bt_node *n, float *s);
bool bt_node_is_gate(const bt_node *n, bt_act *act_a, bt_act *act_b);
/* Two tensors side by side? (ops/concat.c) */
bool bt_node_is_concat(const bt_node *n);

/* [c or 1][1 or c][taps] of the file as [taps][c], made once for all graphs; NULL: a
 * sticky error (ops/depthwise.c) */
const float *bt_taps_first(bt_graph *g, const bt_weight *w, int64_t c, int64_t taps);
/* bt_conv1d with groups = channels: W [c, 1, k] (ops/depthwise.c) */
bt_node *bt_depthwise1d(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b, bt_conv p);

/* bt_conv1d with stride and dilation 1, a length of filter that bt_minimal_outs knows, over
 * one picture's rows, no fewer than taps - 1; shapes checked (ops/conv_minimal.c) */
bt_node *bt_conv_minimal(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b,
                         bt_conv p);

/* Adds values and squares of rows r0..r0+rows of a source, floats or bf16, to its channels'
 * sums; scratch: BT_SUM_BAND rows of floats (ops/group_norm.c) */
enum { BT_SUM_BAND = 4 };
void bt_sum_rows(const bt_node *src, const bt_exec *x, int64_t r0, int rows, double *sum,
                 double *sq);

/* Does a multiply by float weights compute in bf16 at this precision? */
bool bt_matmul_bf16(const bt_kernels *k, bt_precision p);
/* In bf16 or int8, so that its inputs may lose some digits? */
bool bt_matmul_rounds(const bt_kernels *k, bt_precision p);
/* *out = the matrix multiply x, but with act_a(first half of its channels) *
 * act_b(second half) as its value; false if x cannot be split so (ops/matmul_node.c). */
bool bt_matmul_gate(bt_graph *g, const bt_node *x, int64_t half, bt_act act_a, bt_act act_b,
                    bt_node *out);

#endif
