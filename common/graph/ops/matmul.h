/* SPDX-License-Identifier: MIT
 * The one matrix multiply behind linear layers, convolutions and transposed
 * convolutions. Output row m, tap t reads one input row (or zeros); which one
 * is all that the three differ in.
 */
#ifndef BT_GRAPH_OPS_MATMUL_H
#define BT_GRAPH_OPS_MATMUL_H

#include "graph/ops.h"
#include "graph/pack.h"

enum { BT_MM_MAX_TAPS = 1024 };

typedef enum bt_mm_kind { BT_MM_LINEAR, BT_MM_CONV, BT_MM_TRANSPOSED } bt_mm_kind;
typedef enum bt_mm_compute { BT_MM_F32, BT_MM_BF16, BT_MM_Q8 } bt_mm_compute;

/* What distinguishes one multiply from another. Callers fill the geometry, all
 * of it at least 1 but for the padding; bt_matmul_node fills the rest. */
typedef struct bt_mm {
    bt_mm_kind kind;
    int kh, kw, stride, dilation;
    int top, left; /* padding; what lies below and right follows from the output's shape */
    int upsample;
    bt_mm_compute compute; /* chosen from weight type, precision and kernels */
    bt_dtype type;         /* of the packed weight */
    const float *bias;     /* or NULL */
} bt_mm;

/* ---- matmul_rows.c ----------------------------------------------------- */

/* Rows of the input in the compute type, and a row of zeros. */
typedef struct bt_mm_input {
    const uint8_t *base, *zero;
    int64_t step; /* bytes between rows */
} bt_mm_input;

/* m output positions from m0 on, of one group (a transposed convolution has
 * one for each remainder of the output position by the stride, else there is
 * one). rows[k * stride + i]: what tap[k] of position m0 + i reads. */
typedef struct bt_mm_tile {
    int group, m, taps;
    int64_t m0, stride;
    const int *tap;
    const uint8_t **rows;
} bt_mm_tile;

void bt_mm_rows(const bt_node *n, const bt_mm_input *in, const bt_mm_tile *t);
int64_t bt_mm_group_rows(const bt_node *n,
                         int group);                  /* output positions of a group, per picture */
int bt_mm_taps(const bt_mm *mm, int group, int *tap); /* lists the taps that a group uses */
int64_t bt_mm_out_row(const bt_node *n, int group, int64_t m); /* -1: beyond the output */

/* ---- matmul.c ---------------------------------------------------------- */

extern const bt_op bt_op_matmul;
void bt_mm_detail(const bt_node *n, const int64_t *params, bt_detail *d); /* matmul_detail.c */

/* Chooses compute type and packed type, fetches the bias, makes the node of
 * shape `out`; b may be NULL. The weight's shape was checked by the caller. */
bt_node *bt_matmul_node(bt_graph *g, bt_node *x, bt_shape out, bt_mm mm, const bt_weight *w,
                        const bt_weight *b);

#endif
