/* SPDX-License-Identifier: MIT
 * Value by value: activation, sum, product, scaling, gate. Rows are taken in
 * tiles of about TILE values; contiguous tiles in one kernel call.
 */
#include "graph/ops.h"

enum { TILE = 8192 };

typedef struct elem_attr {
    bt_act act_a, act_b;
    float alpha, scale;
} elem_attr;

static int64_t rows_per_tile(const bt_node *n)
{
    return n->shape.c >= TILE ? 1 : TILE / n->shape.c;
}

static int64_t elem_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return (bt_rows(n->shape) + rows_per_tile(n) - 1) / rows_per_tile(n);
}

static bool broadcast(const bt_node *n, const bt_node *b)
{
    return bt_rows(b->shape) != bt_rows(n->shape);
}

/* The row of b that goes with row r of n: the same, one per picture, or one. */
static const float *row_for(const bt_node *n, const bt_node *b, int64_t r)
{
    if (!broadcast(n, b))
        return bt_row(b, r);
    return bt_row(b, b->shape.n == 1 ? 0 : r / (n->shape.h * n->shape.w));
}

/* No gaps between rows anywhere, so that a whole tile is one long row. */
static bool contiguous(const bt_node *n)
{
    const bt_node *b = n->src[1];
    return n->mem.ld == n->shape.c && n->src[0]->mem.ld == n->shape.c &&
           (!b || (b->mem.ld == n->shape.c && !broadcast(n, b)));
}

/* y = f(a, b) for `count` values; b is NULL for ops of one source. */
typedef void (*row_fn)(const bt_node *n, const bt_kernels *k, int64_t count, float *y,
                       const float *a, const float *b);

static void run_rows(const bt_node *n, const bt_exec *x, int64_t tile, row_fn fn)
{
    int64_t r0 = tile * rows_per_tile(n), r1 = r0 + rows_per_tile(n), rows = bt_rows(n->shape);
    const bt_node *a = n->src[0], *b = n->src[1];
    if (r1 > rows)
        r1 = rows;
    if (contiguous(n)) {
        fn(n, x->kernels, (r1 - r0) * n->shape.c, bt_row(n, r0), bt_row(a, r0),
           b ? bt_row(b, r0) : NULL);
        return;
    }
    for (int64_t r = r0; r < r1; r++)
        fn(n, x->kernels, n->shape.c, bt_row(n, r), bt_row(a, r), b ? row_for(n, b, r) : NULL);
}

/* ---- activation -------------------------------------------------------- */

static void act_row(const bt_node *n, const bt_kernels *k, int64_t c, float *y, const float *a,
                    const float *b)
{
    const elem_attr *e = n->attr;
    (void)b;
    k->act((int)c, y, a, e->act_a, e->alpha);
}

static void act_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    run_rows(n, x, tile, act_row);
}

static const bt_op op_act = {
    .name = "act", .flags = BT_OP_INPLACE, .tiles = elem_tiles, .run = act_run
};

bt_node *bt_act_of(bt_graph *g, bt_node *x, bt_act act, float alpha)
{
    elem_attr e = { .act_a = act, .alpha = alpha };
    return bt_node_new(g, &op_act, bt_shape_of(x), &x, 1, &e, sizeof e);
}

bool bt_node_is_act(const bt_node *n, bt_act *act, float *alpha)
{
    if (n->op != &op_act)
        return false;
    const elem_attr *e = n->attr;
    *act = e->act_a;
    *alpha = e->alpha;
    return true;
}

/* ---- sum and product --------------------------------------------------- */

static void add_row(const bt_node *n, const bt_kernels *k, int64_t c, float *y, const float *a,
                    const float *b)
{
    (void)n;
    k->add((int)c, y, a, b);
}

static void mul_row(const bt_node *n, const bt_kernels *k, int64_t c, float *y, const float *a,
                    const float *b)
{
    (void)n;
    k->mul((int)c, y, a, b);
}

static void add_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    run_rows(n, x, tile, add_row);
}

static void mul_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    run_rows(n, x, tile, mul_row);
}

static const bt_op op_add = {
    .name = "add", .flags = BT_OP_INPLACE, .tiles = elem_tiles, .run = add_run
};
static const bt_op op_mul = {
    .name = "mul", .flags = BT_OP_INPLACE, .tiles = elem_tiles, .run = mul_run
};

/* May b be added to a: the same shape, one row, or one row per picture. */
static bool broadcasts(bt_shape a, bt_shape b)
{
    if (a.c != b.c)
        return false;
    if (b.h == 1 && b.w == 1)
        return b.n == 1 || b.n == a.n;
    return a.n == b.n && a.h == b.h && a.w == b.w;
}

static bt_node *binary(bt_graph *g, const bt_op *op, bt_node *a, bt_node *b)
{
    bt_node *src[] = { a, b };
    if (a && b && !broadcasts(a->shape, b->shape))
        return bt_graph_fail(g, "%s: shapes do not fit: %lld rows of %lld and %lld rows of %lld",
                             op->name, (long long)bt_rows(a->shape), (long long)a->shape.c,
                             (long long)bt_rows(b->shape), (long long)b->shape.c);
    return bt_node_new(g, op, bt_shape_of(a), src, 2, NULL, 0);
}

bt_node *bt_add(bt_graph *g, bt_node *a, bt_node *b) { return binary(g, &op_add, a, b); }
bt_node *bt_mul(bt_graph *g, bt_node *a, bt_node *b) { return binary(g, &op_mul, a, b); }
bool bt_node_is_add(const bt_node *n) { return n->op == &op_add; }

/* ---- scaling ----------------------------------------------------------- */

static void scale_row(const bt_node *n, const bt_kernels *k, int64_t c, float *y, const float *a,
                      const float *b)
{
    const elem_attr *e = n->attr;
    (void)b;
    k->scale((int)c, y, a, e->scale);
}

static void scale_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    run_rows(n, x, tile, scale_row);
}

static const bt_op op_scale = {
    .name = "scale", .flags = BT_OP_INPLACE, .tiles = elem_tiles, .run = scale_run
};

bt_node *bt_scale(bt_graph *g, bt_node *x, float s)
{
    elem_attr e = { .scale = s };
    return bt_node_new(g, &op_scale, bt_shape_of(x), &x, 1, &e, sizeof e);
}

bool bt_node_is_scale(const bt_node *n, float *s)
{
    if (n->op != &op_scale)
        return false;
    *s = ((const elem_attr *)n->attr)->scale;
    return true;
}

/* ---- gate -------------------------------------------------------------- */

static void gate_row(const bt_node *n, const bt_kernels *k, int64_t c, float *y, const float *a,
                     const float *b)
{
    const elem_attr *e = n->attr;
    k->gate((int)c, y, a, e->act_a, b, e->act_b);
}

static void gate_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    run_rows(n, x, tile, gate_row);
}

static const bt_op op_gate = {
    .name = "gate", .flags = BT_OP_INPLACE, .tiles = elem_tiles, .run = gate_run
};

bt_node *bt_gate(bt_graph *g, bt_node *a, bt_act act_a, bt_node *b, bt_act act_b)
{
    elem_attr e = { .act_a = act_a, .act_b = act_b };
    bt_node *src[] = { a, b };
    if (a && b && (a->shape.c != b->shape.c || bt_rows(a->shape) != bt_rows(b->shape)))
        return bt_graph_fail(g, "gate: shapes do not fit");
    return bt_node_new(g, &op_gate, bt_shape_of(a), src, 2, &e, sizeof e);
}

bool bt_node_is_gate(const bt_node *n, bt_act *act_a, bt_act *act_b)
{
    if (n->op != &op_gate)
        return false;
    const elem_attr *e = n->attr;
    *act_a = e->act_a;
    *act_b = e->act_b;
    return true;
}
