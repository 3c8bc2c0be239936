/* SPDX-License-Identifier: MIT
 * Norms over the channels of each row.
 * Layer norm: y = (x - mean) / sqrt(var + eps) * gamma + beta (Ba et al. 2016; var
 * without Bessel's correction, as torch.nn.LayerNorm).
 * RMSNorm: y = x / sqrt(mean(x^2) + eps) * gamma (Zhang and Sennrich 2019).
 */
#include "graph/op.h"

enum { TILE = 16 };

typedef struct attr {
    const float *gamma, *beta; /* beta may be NULL */
    float eps;
    bool rms;
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
    const int64_t end = bt_row_tile_end(n, TILE, tile);
    const int c = (int)n->shape.c;

    for (int64_t i = tile * TILE; i < end; i++) {
        float *y = n->half ? x->scratch : bt_row(n, i);
        if (a->rms)
            x->kernels->rms_norm(c, y, bt_row(n->src[0], i), a->gamma, a->eps);
        else
            x->kernels->layer_norm(c, y, bt_row(n->src[0], i), a->gamma, a->beta, a->eps);
        if (n->half)
            x->kernels->to_bf16(c, y, bt_half_row(n, i));
    }
}

/* A row of floats on its way to bf16. */
static size_t norm_scratch(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    return n->half ? (size_t)n->shape.c * sizeof(float) : 0;
}

/* Two ops, so that a profile names them. */
static const bt_op op_layer_norm = {
    .name = "layer_norm",
    .flags = BT_OP_HALF,
    .tiles = norm_tiles,
    .run = norm_run,
    .scratch = norm_scratch,
};

static const bt_op op_rms_norm = {
    .name = "rms_norm",
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
    attr a = { .gamma = bt_weight_channels(g, gamma, c), .eps = eps };
    a.beta = beta ? bt_weight_channels(g, beta, c) : NULL;
    if (!a.gamma || (beta && !a.beta))
        return NULL;
    return bt_node_new(g, &op_layer_norm, x->shape, &x, 1, &a, sizeof a);
}

bt_node *bt_rms_norm(bt_graph *g, bt_node *x, const bt_weight *gamma, float eps)
{
    if (!x || !gamma)
        return NULL;
    attr a = { .gamma = bt_weight_channels(g, gamma, x->shape.c), .eps = eps, .rms = true };
    if (!a.gamma)
        return NULL;
    return bt_node_new(g, &op_rms_norm, x->shape, &x, 1, &a, sizeof a);
}
