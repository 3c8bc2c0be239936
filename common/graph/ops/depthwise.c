/* SPDX-License-Identifier: MIT
 * Depthwise 1-D convolution: every channel has its own filter, so a row of
 * output is a few rows of input, each multiplied by a row of taps.
 */
#include <stdio.h>

#include "graph/builder.h"
#include "graph/ops.h"

enum {
    TILE = 32, /* rows */
    MAX_TAPS = 64,
};

typedef struct attr {
    const float *w;    /* [taps][c] */
    const float *bias; /* [c] or NULL */
    int taps, stride, dilation, left;
} attr;

static int64_t depthwise_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, TILE);
}

static void depthwise_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    const attr *a = n->attr;
    const bt_node *src = n->src[0];
    int64_t len = src->shape.w;
    int64_t end = bt_row_tile_end(n, TILE, tile);
    const float *in[MAX_TAPS];

    for (int64_t r = tile * TILE; r < end; r++) {
        int64_t batch = r / n->shape.w;
        int64_t first = r % n->shape.w * a->stride - a->left;
        for (int t = 0; t < a->taps; t++) {
            int64_t i = first + (int64_t)t * a->dilation;
            in[t] = i < 0 || i >= len ? NULL : bt_row(src, batch * len + i);
        }
        x->kernels->depthwise((int)n->shape.c, a->taps, bt_row(n, r), in, a->w, a->bias);
    }
}

static void depthwise_cost(const bt_node *n, double *flops, double *bytes)
{
    double values = (double)bt_rows(n->shape) * (double)n->shape.c;
    *flops = 2 * values * ((const attr *)n->attr)->taps;
    *bytes = 8 * values;
}

static const bt_op op_depthwise = {
    .name = "depthwise",
    .tiles = depthwise_tiles,
    .run = depthwise_run,
    .cost = depthwise_cost,
};

const float *bt_taps_first(bt_graph *g, const bt_weight *w, int64_t c, int64_t taps)
{
    char name[256];
    snprintf(name, sizeof name, "%s/taps", bt_weight_tensor(w)->name);
    const bt_weight *made = bt_weight_find(bt_graph_weights(g), name);
    if (!made) {
        const float *v = bt_weight_f32(g, w);
        float *t = v ? bt_alloc((size_t)(c * taps) * sizeof *t) : NULL;
        for (int64_t i = 0; t && i < c * taps; i++)
            t[i % taps * c + i / taps] = v[i];
        if (t)
            made = bt_weight_make(bt_graph_weights(g), name, t, 2, (int64_t[]){ taps, c });
        bt_release(t);
    }
    if (!made) {
        if (g->error.status == BT_OK)
            bt_fail(&g->error, BT_ENOMEM, "no memory for %s", name);
        return NULL;
    }
    return bt_weight_f32(g, made);
}

bt_node *bt_depthwise1d(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b, bt_conv p)
{
    if (!x || !w)
        return NULL;
    bt_shape s = x->shape;
    const bt_tensor *t = bt_weight_tensor(w);
    int64_t taps = bt_weight_dim(w, 2);
    if (s.h != 1 || p.groups != s.c || bt_weight_dim(w, 0) != s.c || bt_weight_dim(w, 1) != 1 ||
        taps < 1 || taps > MAX_TAPS || bt_tensor_count(t) != s.c * taps)
        return bt_graph_fail(g, "%s: not a depthwise filter of %lld channels", t->name,
                             (long long)s.c);
    if (b && bt_tensor_count(bt_weight_tensor(b)) != s.c)
        return bt_graph_fail(g, "%s: not %lld values", bt_weight_tensor(b)->name, (long long)s.c);

    attr a = { .taps = (int)taps, .left = p.left };
    a.stride = p.stride ? p.stride : 1;
    a.dilation = p.dilation ? p.dilation : 1;
    a.w = bt_taps_first(g, w, s.c, taps);
    a.bias = b ? bt_weight_f32(g, b) : NULL;
    if (!a.w || (b && !a.bias))
        return NULL;
    int64_t reach = (taps - 1) * a.dilation + 1, padded = s.w + p.left + p.right;
    if (padded < reach)
        return bt_graph_fail(g, "%s: longer than its input", t->name);
    s.w = (padded - reach) / a.stride + 1;
    return bt_node_new(g, &op_depthwise, s, &x, 1, &a, sizeof a);
}
