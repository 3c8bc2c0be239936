/* SPDX-License-Identifier: MIT
 * Two tensors side by side along channels: row i is a's row i, then b's. A group
 * norm of the two reads them where they lie (group_norm.c).
 */
#include <string.h>

#include "graph/ops.h"

enum { TILE = 64 };

static int64_t concat_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, TILE);
}

static void concat_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    int64_t end = bt_row_tile_end(n, TILE, tile), at = 0;

    for (int j = 0; j < 2; at += n->src[j++]->shape.c)
        for (int64_t i = tile * TILE; i < end; i++)
            if (n->half)
                x->kernels->to_bf16((int)n->src[j]->shape.c, bt_row(n->src[j], i),
                                    bt_half_row(n, i) + at);
            else
                memcpy(bt_row(n, i) + at, bt_row(n->src[j], i),
                       (size_t)n->src[j]->shape.c * sizeof(float));
}

static const bt_op op_concat = {
    .name = "concat",
    .flags = BT_OP_HALF,
    .tiles = concat_tiles,
    .run = concat_run,
};

bool bt_node_is_concat(const bt_node *n) { return n->op == &op_concat; }

bt_node *bt_concat(bt_graph *g, bt_node *a, bt_node *b)
{
    if (!a || !b)
        return NULL;
    bt_shape s = a->shape, t = b->shape;
    if (a->is_ids || b->is_ids || s.n != t.n || s.h != t.h || s.w != t.w)
        return bt_graph_fail(g, "concat: %lldx%lldx%lld rows beside %lldx%lldx%lld", (long long)s.n,
                             (long long)s.h, (long long)s.w, (long long)t.n, (long long)t.h,
                             (long long)t.w);
    s.c += t.c;
    return bt_node_new(g, &op_concat, s, (bt_node *[]){ a, b }, 2, NULL, 0);
}
