/* SPDX-License-Identifier: MIT
 * Layer norm over channels: y = (x - mean) / sqrt(var + eps) * gamma + beta
 * (Ba et al. 2016; var without Bessel's correction, as torch.nn.LayerNorm).
 */
#include "graph/op.h"

enum { TILE = 16 };

typedef struct attr {
    const float *gamma, *beta; /* beta may be NULL */
    float eps;
} attr;

static int64_t norm_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, TILE);
}

static void norm_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    const attr *a = n->attr;
    int64_t end = bt_row_tile_end(n, TILE, tile);

    for (int64_t i = tile * TILE; i < end; i++)
        x->kernels->layer_norm((int)n->shape.c, bt_row(n, i), bt_row(n->src[0], i), a->gamma,
                               a->beta, a->eps);
}

static const bt_op op_layer_norm = {
    .name = "layer_norm",
    .tiles = norm_tiles,
    .run = norm_run,
};

bt_node *bt_layer_norm(bt_graph *g, bt_node *x, const bt_weight *gamma, const bt_weight *beta,
                       float eps)
{
    if (!x || !gamma)
        return NULL;
    const int64_t c = x->shape.c;
    attr a = { bt_weight_channels(g, gamma, c), beta ? bt_weight_channels(g, beta, c) : NULL, eps };
    if (!a.gamma || (beta && !a.beta))
        return NULL;
    return bt_node_new(g, &op_layer_norm, x->shape, &x, 1, &a, sizeof a);
}
