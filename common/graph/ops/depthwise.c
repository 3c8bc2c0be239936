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
    int spread; /* of a transposed one: x has spread - 1 zeros after each row */
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
            bool zero = i < 0 || i >= len * a->spread || i % a->spread;
            in[t] = zero ? NULL : bt_row(src, batch * len + i / a->spread);
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

/* Flipped: the last tap first. */
static const float *taps_of(bt_graph *g, const bt_weight *w, int64_t c, int64_t taps, bool flip)
{
    char name[256];
    snprintf(name, sizeof name, "%s/%s", bt_weight_tensor(w)->name, flip ? "spat" : "taps");
    const bt_weight *made = bt_weight_find(bt_graph_weights(g), name);
    if (!made) {
        const float *v = bt_weight_f32(g, w);
        float *t = v ? bt_alloc((size_t)(c * taps) * sizeof *t) : NULL;
        for (int64_t i = 0; t && i < c * taps; i++)
            t[(flip ? taps - 1 - i % taps : i % taps) * c + i / taps] = v[i];
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

const float *bt_taps_first(bt_graph *g, const bt_weight *w, int64_t c, int64_t taps)
{
    return taps_of(g, w, c, taps, false);
}

/* Is w [c, 1, k], b [c] or NULL? false: a sticky error, or one that was there. */
static bool is_filter(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b)
{
    if (!x || !w)
        return false;
    const int64_t c = x->shape.c, taps = bt_weight_dim(w, 2);
    const bt_tensor *t = bt_weight_tensor(w);
    if (x->shape.h != 1 || bt_weight_dim(w, 0) != c || bt_weight_dim(w, 1) != 1 || taps < 1 ||
        taps > MAX_TAPS || bt_tensor_count(t) != c * taps)
        return bt_graph_fail(g, "%s: not a depthwise filter of %lld channels", t->name,
                             (long long)c) != NULL;
    if (b && bt_tensor_count(bt_weight_tensor(b)) != c)
        return bt_graph_fail(g, "%s: not %lld values", bt_weight_tensor(b)->name, (long long)c) !=
               NULL;
    return true;
}

bt_node *bt_depthwise1d(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b, bt_conv p)
{
    if (!is_filter(g, x, w, b))
        return NULL;
    bt_shape s = x->shape;
    const bt_tensor *t = bt_weight_tensor(w);
    int64_t taps = bt_weight_dim(w, 2);
    if (p.groups != s.c)
        return bt_graph_fail(g, "%s: not a depthwise filter of %lld channels", t->name,
                             (long long)s.c);
    attr a = { .taps = (int)taps, .left = p.left, .spread = 1 };
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

/* Each row of x goes `stride` apart among zeros; then a plain filter, flipped. */
bt_node *bt_depthwise_transpose1d(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b,
                                  int stride, int pad, int more)
{
    if (!is_filter(g, x, w, b))
        return NULL;
    bt_shape s = x->shape;
    const int64_t taps = bt_weight_dim(w, 2);
    if (stride < 1 || pad < 0 || pad >= taps || more < 0 || more >= stride)
        return bt_graph_fail(g, "%s: a transposed convolution that does not fit",
                             bt_weight_tensor(w)->name);
    attr a = { .taps = (int)taps, .stride = 1, .dilation = 1, .spread = stride };
    a.left = (int)taps - 1 - pad;
    a.w = taps_of(g, w, s.c, taps, true);
    a.bias = b ? bt_weight_f32(g, b) : NULL;
    if (!a.w || (b && !a.bias))
        return NULL;
    s.w = (s.w - 1) * stride - 2 * pad + taps + more;
    if (s.w < 1)
        return bt_graph_fail(g, "%s: longer than its input", bt_weight_tensor(w)->name);
    return bt_node_new(g, &op_depthwise, s, &x, 1, &a, sizeof a);
}
