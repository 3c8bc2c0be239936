/* SPDX-License-Identifier: MIT
 * Two tensors side by side along channels: row i is a's row i, then b's.
 */
#include <string.h>

#include "graph/op.h"

enum { TILE = 64 };

static int64_t concat_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, TILE);
}

static void concat_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)x, (void)phase;
    const bt_node *a = n->src[0], *b = n->src[1];
    int64_t end = bt_row_tile_end(n, TILE, tile);

    for (int64_t i = tile * TILE; i < end; i++) {
        float *y = bt_row(n, i);
        memcpy(y, bt_row(a, i), (size_t)a->shape.c * sizeof *y);
        memcpy(y + a->shape.c, bt_row(b, i), (size_t)b->shape.c * sizeof *y);
    }
}

static const bt_op op_concat = {
    .name = "concat",
    .tiles = concat_tiles,
    .run = concat_run,
};

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
