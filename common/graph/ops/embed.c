/* SPDX-License-Identifier: MIT
 * Embedding: rows of a table by id, read from the file's own (quantized) rows.
 * The table is not packed: a run touches a few rows of it.
 */
#include <string.h>

#include "graph/op.h"
#include "kernels/quant.h"

enum { TILE = 16 };

typedef struct attr {
    const uint8_t *rows; /* n_rows rows of c values, row_bytes apart */
    bt_dtype dtype;
    size_t row_bytes;
    int64_t n_rows, first; /* id `first` has row 0 */
} attr;

static int64_t embed_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, TILE);
}

/* An id outside the table gives a row of zeros. */
static void embed_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)x, (void)phase;
    const attr *a = n->attr;
    const int32_t *ids = (const int32_t *)(const void *)n->src[0]->mem.data;
    int64_t end = bt_row_tile_end(n, TILE, tile);
    size_t c = (size_t)n->shape.c;

    for (int64_t i = tile * TILE; i < end; i++) {
        float *y = bt_row(n, i);
        const int64_t row = ids[i] - a->first;
        if (row < 0 || row >= a->n_rows)
            memset(y, 0, c * sizeof *y);
        else
            bt_dequantize_row(a->dtype, a->rows + (size_t)row * a->row_bytes, y, c);
    }
}

static const bt_op op_embed = {
    .name = "embed",
    .tiles = embed_tiles,
    .run = embed_run,
};

bt_node *bt_embed_from(bt_graph *g, bt_node *ids, const bt_weight *w, int64_t first)
{
    if (!ids || !w)
        return NULL;
    const bt_tensor *t = bt_weight_tensor(w);
    int64_t n_rows = bt_weight_dim(w, 0), c = bt_weight_dim(w, 1);
    float probe[256]; /* the largest block */

    if (!ids->is_ids)
        return bt_graph_fail(g, "embedding needs ids");
    if (n_rows < 1 || c < 1 || bt_tensor_count(t) != n_rows * c)
        return bt_graph_fail(g, "%s: not a table of embeddings", t->name);
    if (!t->data || bt_dequantize_row(t->dtype, t->data, probe, bt_dtypes[t->dtype].block))
        return bt_graph_fail(g, "%s: cannot read type %s", t->name, bt_dtypes[t->dtype].name);

    attr a = { t->data, t->dtype, bt_row_bytes(t->dtype, (size_t)c), n_rows, first };
    bt_shape s = ids->shape;
    int64_t n = s.n * s.h * s.w * s.c;
    return bt_node_new(g, &op_embed, (bt_shape){ 1, 1, n, c }, &ids, 1, &a, sizeof a);
}

bt_node *bt_embed(bt_graph *g, bt_node *ids, const bt_weight *w)
{
    return bt_embed_from(g, ids, w, 0);
}
