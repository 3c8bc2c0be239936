/* SPDX-License-Identifier: MIT
 * Rows of an activation by number, in any order and as often as wanted.
 */
#include <string.h>

#include "graph/op.h"

enum { TILE = 64 }; /* rows */

static int64_t gather_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, TILE);
}

/* A number outside the source gives a row of zeros. */
static void gather_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)x, (void)phase;
    const bt_node *src = n->src[0];
    const int32_t *ids = (const int32_t *)(const void *)n->src[1]->mem.data;
    int64_t from = bt_rows(src->shape);
    int64_t end = bt_row_tile_end(n, TILE, tile);
    size_t bytes = (size_t)n->shape.c * sizeof(float);
    for (int64_t i = tile * TILE; i < end; i++) {
        if (ids[i] < 0 || ids[i] >= from)
            memset(bt_row(n, i), 0, bytes);
        else
            memcpy(bt_row(n, i), bt_row(src, ids[i]), bytes);
    }
}

static const bt_op op_gather = { .name = "gather", .tiles = gather_tiles, .run = gather_run };

bt_node *bt_gather(bt_graph *g, bt_node *x, bt_node *ids)
{
    if (!x || !ids)
        return NULL;
    if (!ids->is_ids)
        return bt_graph_fail(g, "gather needs row numbers");
    bt_shape s = { 1, 1, bt_rows(ids->shape) * ids->shape.c, x->shape.c };
    return bt_node_new(g, &op_gather, s, (bt_node *[]){ x, ids }, 2, NULL, 0);
}
