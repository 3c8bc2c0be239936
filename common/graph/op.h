/* SPDX-License-Identifier: MIT
 * What an op is. One op is one file in graph/ops (or in a module): a builder
 * function that checks shapes and makes a node, and one descriptor.
 *
 * The builder function reads its weights (bt_weight_f32) or leaves them to
 * `prepare`; the planner asks for scratch and shared memory; then, at each run,
 * every thread calls `tiles` and claims tiles until none are left. `run` never
 * allocates and cannot fail: what can go wrong is checked while building. To
 * add an op: docs/add-an-op.md.
 */
#ifndef BT_GRAPH_OP_H
#define BT_GRAPH_OP_H

#include "graph/graph.h"

enum {
    BT_MAX_SRC = 6,
    BT_MAX_WEIGHTS = 6,
};

enum {
    BT_OP_INPLACE = 1,  /* may write its output over source 0 of the same shape */
    BT_OP_ACT = 2,      /* honours node->act (a following activation is fused) */
    BT_OP_RESIDUAL = 4, /* honours node->residual: y = act(..) + residual */
    BT_OP_VIEW = 8,     /* shares source 0's memory from value view_offset on; never run */
    BT_OP_HALF = 16,    /* can write bf16 rows (bt_half_row) where node->half is set */
    BT_OP_ROW = 32,     /* adds source 1, a row per picture or one, if the planner put it there */
    BT_OP_SCALE = 64,   /* honours node->scale: y = scale * act(..) + residual */
};

typedef struct bt_step bt_step;

/* Where one tensor lies during a run; rows are `ld` values apart. */
typedef struct bt_mem {
    float *data;
    int64_t ld;
} bt_mem;

/* One thread's view of a run. */
typedef struct bt_exec {
    const bt_kernels *kernels;
    const int64_t *params; /* BT_PARAM_* */
    void *scratch;         /* this thread's, op->scratch bytes, 64-aligned */
    void *shared;          /* this step's, op->shared bytes, seen by all threads */
} bt_exec;

/* What a profile says of a node besides its op's name and its shape. */
typedef struct bt_detail {
    const char *kind;       /* "linear"; NULL: the op's name */
    const char *compute;    /* "f32", "bf16", "int8"; NULL: f32 */
    const char *type;       /* of the weights; NULL: none */
    int64_t in;             /* input channels, or keys; 0: not worth telling */
    int kh, kw, stride, up; /* of a convolution; kh 0: none */
    double flops, bytes;    /* of this run */
} bt_detail;

typedef struct bt_op {
    const char *name;
    unsigned flags;
    int phases; /* 0 means 1; one begins when the one before is done */
    /* Tiles of a phase; tiles are independent and any thread may run any. Must
     * follow from the node alone (shape, weights, kernels), not from threads. */
    int64_t (*tiles)(const bt_node *n, const bt_exec *x, int phase);
    void (*run)(const bt_node *n, const bt_exec *x, int phase, int64_t tile);
    size_t (*scratch)(const bt_node *n, const bt_kernels *k);     /* per thread; NULL: none */
    size_t (*shared)(const bt_node *n, const bt_kernels *k);      /* per step; NULL: none */
    void (*cost)(const bt_node *n, double *flops, double *bytes); /* NULL: memory traffic only */
    /* Can n read its source i as bf16 rows? Only if that changes no byte of what it
     * computes, or if the node's precision allows it. NULL: never. */
    bool (*reads_half)(const bt_node *n, int i);
    /* More for a profile: d comes filled from `cost`; params as in bt_exec. NULL: nothing. */
    void (*detail)(const bt_node *n, const int64_t *params, bt_detail *d);
    size_t (*packed_bytes)(const bt_node *n); /* what `prepare` packs, or finds; NULL: 0 */
    /* Before the first run: packs weights (sets node->packed). NULL: nothing. */
    bt_status (*prepare)(bt_node *n, const bt_kernels *k, bt_error *err);
} bt_op;

struct bt_node {
    const bt_op *op; /* NULL: an input */
    bt_shape shape;
    int is_ids; /* int32 data */
    int is_output;
    int index; /* order of creation, which is an order of evaluation */
    bt_precision precision;
    bt_node *src[BT_MAX_SRC];           /* up to the first NULL */
    const bt_weight *w[BT_MAX_WEIGHTS]; /* those that `prepare` packs */
    const void *attr;                   /* the op's own parameters, in the graph's memory */

    /* epilogue, filled by the planner's fusing */
    bt_act act;
    float alpha;
    float scale; /* 0: none */
    bt_node *residual;

    /* Stored as bf16, because every reader wants it so (half.c): use bt_half_row,
     * never bt_row. Strides and offsets count values, as ever. */
    bool half;
    bool round; /* may read bf16 rows where that rounds (bt_graph_round) */

    /* Lies in another node's memory, from this channel of its rows on (bt_widen). */
    bt_node *into;
    int64_t into_channel;

    /* layout, filled by the planner */
    int64_t view_offset; /* set by a view's builder */
    size_t arena_offset; /* bytes; not for views */
    bt_mem mem;
    const void *packed[BT_MAX_WEIGHTS]; /* bt_packed of w[i], matrix-multiply ops */
    size_t shared_offset;
};

/* Rows of a tensor, and where one begins. During a run only: until then
 * mem.data is not set. */
static inline int64_t bt_rows(bt_shape s) { return s.n * s.h * s.w; }
static inline float *bt_row(const bt_node *n, int64_t row) { return n->mem.data + row * n->mem.ld; }
static inline uint16_t *bt_half_row(const bt_node *n, int64_t row)
{
    return (uint16_t *)(void *)n->mem.data + row * n->mem.ld;
}
static inline size_t bt_value_bytes(const bt_node *n) { return n->half ? 2 : 4; }

static inline bool bt_same_shape(bt_shape a, bt_shape b)
{
    return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}

/* Ops that work row by row take `per` output rows in a tile: how many tiles
 * there are, and the row after the last one of a tile. */
static inline int64_t bt_row_tiles(const bt_node *n, int64_t per)
{
    return (bt_rows(n->shape) + per - 1) / per;
}
static inline int64_t bt_row_tile_end(const bt_node *n, int64_t per, int64_t tile)
{
    const int64_t end = (tile + 1) * per, rows = bt_rows(n->shape);
    return end < rows ? end : rows;
}

/* A new node with a copy of attr; NULL (sticky) if any of the n_src is NULL or
 * memory is short. */
bt_node *bt_node_new(bt_graph *g, const bt_op *op, bt_shape s, bt_node *const *src, int n_src,
                     const void *attr, size_t attr_size);
/* Gives a node its attributes after the fact; false (sticky): no memory. */
bool bt_node_set_attr(bt_graph *g, bt_node *n, const void *attr, size_t size);
bt_weights *bt_graph_weights(bt_graph *g);             /* those given to bt_graph_create */
bt_precision bt_graph_precision_of(const bt_graph *g); /* of the nodes made now */

/* Values of a small weight (norm, bias) as floats, cached with the weights for
 * their lifetime; call from builders, sticky error and NULL on failure. */
const float *bt_weight_f32(bt_graph *g, const bt_weight *w);
/* The same for a weight that has one value per channel: others are an error. */
const float *bt_weight_channels(bt_graph *g, const bt_weight *w, int64_t c);

#endif
