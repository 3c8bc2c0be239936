/* SPDX-License-Identifier: MIT
 * torch.nn.PReLU: what is negative is multiplied by its channel's slope.
 */
#include "graph/op.h"
#include "image/upscale/upscale.h"

enum { TILE = 128 };

static int64_t prelu_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, TILE);
}

/* max(x, 0) + slope * min(x, 0), in which compilers find vector instructions. */
static void prelu_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const float *slope = *(const float *const *)n->attr;
    const int64_t end = bt_row_tile_end(n, TILE, tile);
    (void)phase;
    for (int64_t r = tile * TILE; r < end; r++) {
        const float *a = bt_row(n->src[0], r);
        float *y = n->half ? x->scratch : bt_row(n, r);
        for (int64_t i = 0; i < n->shape.c; i++)
            y[i] = (a[i] > 0 ? a[i] : 0) + slope[i] * (a[i] < 0 ? a[i] : 0);
        if (n->half)
            x->kernels->to_bf16((int)n->shape.c, y, bt_half_row(n, r));
    }
}

static size_t prelu_scratch(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    return (size_t)n->shape.c * sizeof(float);
}

static const bt_op op_prelu = {
    .name = "prelu",
    .flags = BT_OP_INPLACE | BT_OP_HALF,
    .tiles = prelu_tiles,
    .run = prelu_run,
    .scratch = prelu_scratch,
};

bt_node *bt_upscaler_prelu(bt_graph *g, bt_node *x, const bt_weight *slope)
{
    if (!x || !slope)
        return NULL;
    if (bt_tensor_count(bt_weight_tensor(slope)) == 1) {
        const float *one = bt_weight_channels(g, slope, 1);
        return one ? bt_act_of(g, x, BT_ACT_LEAKY_RELU, *one) : NULL;
    }
    const float *values = bt_weight_channels(g, slope, bt_shape_of(x).c);
    if (!values)
        return NULL;
    return bt_node_new(g, &op_prelu, bt_shape_of(x), &x, 1, &values, sizeof values);
}
