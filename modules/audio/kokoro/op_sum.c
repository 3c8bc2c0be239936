/* SPDX-License-Identifier: MIT
 * An op of this module: y = leaky ReLU(scale (a + b)), in one pass over what are the vocoder's
 * longest tensors, floats or bf16. Late: b is one row later, a reflected row in front of it
 * (torch.nn.ReflectionPad1d((1, 0)) in hexgrad's istftnet.py), and has a row less than a.
 */
#include "graph/op.h"
#include "audio/kokoro/kokoro.h"

enum { TILE = 64 }; /* rows */

typedef struct attr {
    bool late;
    float scale, slope; /* slope 1: no activation */
} attr;

static int64_t sum_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, TILE);
}

/* Three rows of floats: a, b and y. */
static size_t sum_scratch(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    return 3 * (size_t)n->shape.c * sizeof(float);
}

static const float *row_of(const bt_node *src, const bt_exec *x, int64_t r, float *made)
{
    if (!src->half)
        return bt_row(src, r);
    x->kernels->from_bf16((int)src->shape.c, bt_half_row(src, r), made);
    return made;
}

static void sum_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const attr *a = n->attr;
    const bt_kernels *k = x->kernels;
    const int c = (int)n->shape.c;
    float *made = x->scratch;
    (void)phase;
    for (int64_t r = tile * TILE; r < bt_row_tile_end(n, TILE, tile); r++) {
        const float *left = row_of(n->src[0], x, r, made);
        const float *right = row_of(n->src[1], x, !a->late ? r : r ? r - 1 : 1, made + c);
        float *y = n->half ? made + 2 * c : bt_row(n, r);
        k->add(c, y, left, right);
        if (a->scale != 1)
            k->scale(c, y, y, a->scale);
        if (a->slope != 1)
            k->act(c, y, y, BT_ACT_LEAKY_RELU, a->slope);
        if (n->half)
            k->to_bf16(c, y, bt_half_row(n, r));
    }
}

static bool sum_reads_half(const bt_node *n, int i)
{
    (void)i;
    return n->round;
}

static const bt_op op_sum = {
    .name = "voice_sum",
    .flags = BT_OP_INPLACE | BT_OP_HALF,
    .tiles = sum_tiles,
    .run = sum_run,
    .scratch = sum_scratch,
    .reads_half = sum_reads_half,
};

bt_node *bt_kok_sum(bt_graph *g, bt_node *a, bt_node *b, bool late, float scale, float slope)
{
    const attr how = { late, scale, slope };
    if (!a || !b)
        return NULL;
    if (a->shape.c != b->shape.c || a->shape.w != b->shape.w + late || b->shape.w < 2)
        return bt_graph_fail(g, "the vocoder and its source do not fit");
    return bt_node_new(g, &op_sum, a->shape, (bt_node *[]){ a, b }, 2, &how, sizeof how);
}
