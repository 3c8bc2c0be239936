/* SPDX-License-Identifier: MIT
 * Layer norm over channels: y = (x - mean) / sqrt(var + eps) * gamma + beta.
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
    return (bt_rows(n->shape) + TILE - 1) / TILE;
}

static void norm_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    const attr *a = n->attr;
    int64_t end = (tile + 1) * TILE < bt_rows(n->shape) ? (tile + 1) * TILE : bt_rows(n->shape);

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
    const bt_weight *w[2] = { gamma, beta };
    for (int i = 0; i < 2 && w[i]; i++) {
        const bt_tensor *t = bt_weight_tensor(w[i]);
        if (bt_tensor_count(t) != x->shape.c)
            return bt_graph_fail(g, "%s: %lld values for %lld channels", t->name,
                                 (long long)bt_tensor_count(t), (long long)x->shape.c);
    }
    attr a = { bt_weight_f32(g, gamma), beta ? bt_weight_f32(g, beta) : NULL, eps };
    if (!a.gamma || (beta && !a.beta))
        return NULL;
    return bt_node_new(g, &op_layer_norm, x->shape, &x, 1, &a, sizeof a);
}
