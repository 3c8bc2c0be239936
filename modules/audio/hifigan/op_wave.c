/* SPDX-License-Identifier: MIT
 * An op of these modules: the vocoder's last convolution, from rows of channels to
 * samples. With one output channel a matrix multiply would use one column of 16;
 * instead a filter over neighbouring rows is one long product of consecutive values.
 */
#include <string.h>

#include "graph/ops.h"
#include "audio/hifigan/hifigan.h"

enum { TILE = 128 }; /* samples: what they are made of stays in L1 */

typedef struct attr {
    const float *w, *bias; /* [taps][c]; [1] or NULL */
    int taps;
} attr;

static int64_t wave_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, TILE);
}

static size_t wave_scratch(const bt_node *n, const bt_kernels *k)
{
    const attr *a = n->attr;
    (void)k;
    return ((size_t)(TILE + a->taps - 1) * (size_t)n->src[0]->shape.c + TILE) * sizeof(float);
}

/* The rows that a tile's filters cover, leaky, zeros beyond the ends. */
static void fill(const bt_node *n, const bt_kernels *k, int64_t lo, int64_t rows, float *dst)
{
    const bt_node *in = n->src[0];
    const int64_t c = in->shape.c, begin = lo < 0 ? 0 : lo;
    const int64_t end = lo + rows < in->shape.w ? lo + rows : in->shape.w;
    const int64_t per = in->mem.ld == c ? end - begin : 1;
    memset(dst, 0, (size_t)((begin - lo) * c) * sizeof *dst);
    for (int64_t r = begin; r < end; r += per)
        k->act((int)(per * c), dst + (r - lo) * c, bt_row(in, r), BT_ACT_LEAKY_RELU,
               BT_HIFIGAN_LAST_SLOPE);
    memset(dst + (end - lo) * c, 0, (size_t)((lo + rows - end) * c) * sizeof *dst);
}

static void wave_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const attr *a = n->attr;
    const int64_t c = n->src[0]->shape.c, first = tile * TILE;
    const int rows = (int)(bt_row_tile_end(n, TILE, tile) - first);
    float *y = x->scratch, *in = y + TILE;
    (void)phase;
    fill(n, x->kernels, first - a->taps / 2, rows + a->taps - 1, in);
    x->kernels->dots_f32(rows, a->taps * (int)c, in, (size_t)c, a->w, y);
    for (int i = 0; a->bias && i < rows; i++)
        y[i] += *a->bias;
    if (n->mem.ld == 1)
        x->kernels->act(rows, bt_row(n, first), y, BT_ACT_TANH, 0);
    for (int i = 0; n->mem.ld != 1 && i < rows; i++)
        x->kernels->act(1, bt_row(n, first + i), y + i, BT_ACT_TANH, 0);
}

static void wave_cost(const bt_node *n, double *flops, double *bytes)
{
    const double values = (double)n->shape.w * (double)n->src[0]->shape.c;
    *flops = 2 * values * ((const attr *)n->attr)->taps;
    *bytes = 4 * (values + (double)n->shape.w);
}

static const bt_op op_wave = {
    .name = "vocoder_wave",
    .tiles = wave_tiles,
    .run = wave_run,
    .scratch = wave_scratch,
    .cost = wave_cost,
};

bt_node *bt_hifigan_wave(bt_graph *g, bt_node *x, const char *prefix)
{
    const bt_weight *w = bt_w(g, "%s.weight", prefix), *b = bt_w_opt(g, "%s.bias", prefix);
    bt_shape s = bt_shape_of(x);
    if (!x || !w)
        return NULL;
    const int64_t taps = bt_weight_dim(w, 2);
    if (bt_weight_dim(w, 0) != 1 || bt_weight_dim(w, 1) != s.c || taps % 2 == 0 || taps > 4096 ||
        bt_tensor_count(bt_weight_tensor(w)) != s.c * taps || s.n != 1 || s.h != 1)
        return bt_graph_fail(g, "%s does not make samples of %lld channels", prefix,
                             (long long)s.c);
    attr a = { .taps = (int)taps };
    a.w = bt_taps_first(g, w, s.c, taps);
    a.bias = b ? bt_weight_channels(g, b, 1) : NULL;
    if (!a.w || (b && !a.bias))
        return NULL;
    s.c = 1;
    return bt_node_new(g, &op_wave, s, &x, 1, &a, sizeof a);
}
