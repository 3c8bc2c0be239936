/* SPDX-License-Identifier: MIT
 * Channels in reverse order: what normalizing flows put between couplings.
 */
#include "graph/op.h"

enum { TILE = 64 }; /* rows */

static int64_t flip_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, TILE);
}

static void flip_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)x, (void)phase;
    int64_t c = n->shape.c;
    int64_t end = bt_row_tile_end(n, TILE, tile);
    for (int64_t r = tile * TILE; r < end; r++) {
        const float *src = bt_row(n->src[0], r);
        float *y = bt_row(n, r);
        for (int64_t i = 0; i < c; i++)
            y[i] = src[c - 1 - i];
    }
}

static const bt_op op_flip = { .name = "flip", .tiles = flip_tiles, .run = flip_run };

bt_node *bt_flip(bt_graph *g, bt_node *x)
{
    return bt_node_new(g, &op_flip, bt_shape_of(x), &x, 1, NULL, 0);
}
