/* SPDX-License-Identifier: MIT
 * The one matrix multiply behind linear layers, convolutions and transposed
 * convolutions. Output row m, tap t reads one input row (or zeros); which one
 * is all that the three differ in.
 *
 *   matmul_node.c  makes nodes: compute type, packed type, parts
 *   matmul_rows.c  which input row a tap reads
 *   matmul.c       the op: input rows to the compute type, tiles, epilogue
 *   matmul_sums.c  the products of a tile
 */
#ifndef BT_GRAPH_OPS_MATMUL_H
#define BT_GRAPH_OPS_MATMUL_H

#include "graph/ops.h"
#include "graph/pack.h"

enum { BT_MM_MAX_TAPS = 1024, BT_MM_MAX_PARTS = 3, BT_MM_CHUNK = 256 };

typedef enum bt_mm_kind { BT_MM_LINEAR, BT_MM_CONV, BT_MM_TRANSPOSED } bt_mm_kind;
/* BT_MM_SPLIT: x y as x_high y_high + (x_low y_high + x_high y_low), all bf16. */
/* BT_MM_ROWS, BT_MM_ROWS24: gemm_row with one part or three. */
typedef enum bt_mm_compute {
    BT_MM_F32,
    BT_MM_BF16,
    BT_MM_SPLIT,
    BT_MM_Q8,
    BT_MM_ROWS,
    BT_MM_ROWS24
} bt_mm_compute;

/* Parts of a row of inputs; 0: these are not of whole rows. */
static inline int bt_mm_parts(bt_mm_compute c)
{
    return c == BT_MM_ROWS ? 1 : c == BT_MM_ROWS24 ? 3 : 0;
}

/* Output channels [to, to + n): those of weight w[weight] from panel `panel` on. */
typedef struct bt_mm_part {
    int weight, panel;
    int64_t to, n;
    bt_dtype type;     /* of the packed weight */
    const float *bias; /* n values, or NULL */
} bt_mm_part;

/* What distinguishes one multiply from another. Callers fill the geometry, all
 * of it at least 1 but for the padding; matmul_node.c fills the rest. */
typedef struct bt_mm {
    bt_mm_kind kind;
    int kh, kw, stride, dilation;
    int top, left; /* padding; what lies below and right follows from the output's shape */
    int upsample;
    bt_mm_compute compute; /* chosen from weight types, precision and kernels */
    int n_parts;
    bt_mm_part part[BT_MM_MAX_PARTS];
    bool gated; /* y = act[0](part 0) * act[1](part 1), both written at part 0's place */
    bt_act act[2];
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

/* ---- matmul_sums.c ----------------------------------------------------- */

/* Rows [i0, i0 + m) of a tile times panels [p0, p0 + np) of one weight. */
typedef struct bt_mm_block {
    const bt_kernels *k;
    const bt_packed *packed;
    bt_mm_compute compute;
    const bt_mm_tile *t;
    int i0, m, p0, np;
    float *c; /* [m][ldc], filled */
    int ldc;
    void *b; /* panels on their way: BT_MM_EXPANDED bytes, or np whole ones in bf16 */
} bt_mm_block;

enum { BT_MM_EXPANDED = BT_MAX_NP * BT_MM_CHUNK * BT_NR * sizeof(float) };

/* The products, summed over taps and channels, in the compute type. */
void bt_mm_sums(const bt_mm_block *s);

/* ---- matmul_node.c ----------------------------------------------------- */

extern const bt_op bt_op_matmul;
void bt_mm_detail(const bt_node *n, const int64_t *params, bt_detail *d); /* matmul_detail.c */

/* The node of shape `out`, its output channels those of n weights side by side,
 * whose shapes were checked by the caller; b: n biases, each may be NULL. n > 1:
 * NULL without an error if their compute types differ. */
bt_node *bt_matmul_node(bt_graph *g, bt_node *x, bt_shape out, bt_mm mm, int n,
                        const bt_weight *const *w, const bt_weight *const *b);

#endif
