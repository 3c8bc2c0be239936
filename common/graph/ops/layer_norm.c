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

    for (int64_t i = tile * TILE; i < end; i++) {
        float *y = n->half ? x->scratch : bt_row(n, i);
        x->kernels->layer_norm((int)n->shape.c, y, bt_row(n->src[0], i), a->gamma, a->beta, a->eps);
        if (n->half)
            x->kernels->to_bf16((int)n->shape.c, y, bt_half_row(n, i));
    }
}

/* A row of floats on its way to bf16. */
static size_t norm_scratch(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    return n->half ? (size_t)n->shape.c * sizeof(float) : 0;
}

static const bt_op op_layer_norm = {
    .name = "layer_norm",
    .flags = BT_OP_HALF,
    .tiles = norm_tiles,
    .run = norm_run,
    .scratch = norm_scratch,
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
