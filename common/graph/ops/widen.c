/* SPDX-License-Identifier: MIT
 * Two tensors side by side along channels, as a concatenation, but the second is made in
 * its place (node->into): so a dense block of convolutions, each of which reads all that
 * the ones before it made, widens one tensor and copies nothing but its beginning.
 */
#include <string.h>

#include "graph/ops.h"

enum { TILE = 64 };

/* Was source i made in its place? Then there is nothing to copy. */
static bool in_place(const bt_node *n, int i) { return n->src[i]->into == n; }

static int64_t widen_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return in_place(n, 0) ? 0 : bt_row_tiles(n, TILE);
}

static void widen_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    const bt_node *a = n->src[0];
    const int64_t end = bt_row_tile_end(n, TILE, tile);
    for (int64_t i = tile * TILE; i < end; i++)
        if (n->half)
            x->kernels->to_bf16((int)a->shape.c, bt_row(a, i), bt_half_row(n, i));
        else
            memcpy(bt_row(n, i), bt_row(a, i), (size_t)a->shape.c * sizeof(float));
}

static void widen_cost(const bt_node *n, double *flops, double *bytes)
{
    const bt_node *a = n->src[0];
    *flops = 0;
    *bytes = in_place(n, 0) ? 0
                            : (double)(bt_rows(a->shape) * a->shape.c) *
                                  (double)(bt_value_bytes(a) + bt_value_bytes(n));
}

static const bt_op op_widen = {
    .name = "widen",
    .flags = BT_OP_HALF,
    .tiles = widen_tiles,
    .run = widen_run,
    .cost = widen_cost,
    .reads_half = in_place, /* of one form with it; what is copied is floats */
};

static bool same_rows(bt_shape a, bt_shape b) { return a.n == b.n && a.h == b.h && a.w == b.w; }

static void put_into(bt_node *x, bt_node *wide, int64_t channel)
{
    x->into = wide;
    x->into_channel = channel;
}

bt_node *bt_widen(bt_graph *g, bt_node *a, bt_node *b)
{
    if (!a || !b)
        return NULL;
    bt_shape s = a->shape;
    if (!same_rows(s, b->shape) || a->is_ids || !b->op || b->op->flags & BT_OP_VIEW || b->into ||
        a == b)
        return bt_graph_fail(g, "widen: %lld channels cannot be made beside %lld",
                             (long long)b->shape.c, (long long)s.c);
    s.c += b->shape.c;
    bt_node *n = bt_node_new(g, &op_widen, s, (bt_node *[]){ a, b }, 2, NULL, 0);
    if (!n)
        return NULL;
    put_into(b, n, a->shape.c);
    if (a->op == &op_widen && !a->into)
        put_into(a, n, 0);
    return n;
}
