/* SPDX-License-Identifier: MIT
 * Adaptive instance norm (Huang and Belongie 2017; StyleTTS2's AdaIN1d): every channel
 * is brought to mean 0 and variance 1 over all rows, then scaled by 1 + gamma and shifted
 * by beta, which come from a style. Then Snake, or the leaky ReLU that was fused.
 *
 * Three phases: sums per channel over chunks of rows; the chunks' sums, in order, to
 * y = x * mul[c] + add[c]; the rows. Sums are double and a chunk is a fixed number of
 * rows, so threads do not show.
 */
#include <math.h>
#include <string.h>

#include "graph/builder.h"
#include "graph/ops.h"

enum {
    CHUNK = 128, /* rows of a partial sum */
    PART = 64,   /* channels of a tile of the second phase */
    TILE = 32,   /* rows of the last phase */
};

typedef struct attr {
    const float *alpha; /* Snake's [c]; NULL: none */
    float eps;
    float inv[]; /* 1 / alpha */
} attr;

static int64_t chunks(const bt_node *n) { return (bt_rows(n->shape) + CHUNK - 1) / CHUNK; }

/* Shared memory: [chunks][2][c] double, then [2][c] float. */
static double *sums(const bt_node *n, const bt_exec *x, int64_t chunk)
{
    return (double *)x->shared + chunk * 2 * n->shape.c;
}

static float *factors(const bt_node *n, const bt_exec *x)
{
    return (float *)(void *)sums(n, x, chunks(n));
}

static size_t ada_shared(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    return 2 * (size_t)n->shape.c * ((size_t)chunks(n) * sizeof(double) + sizeof(float));
}

/* Rows of floats made of bf16, or on their way to it. */
static size_t ada_scratch(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    return n->half || n->src[0]->half ? BT_SUM_BAND * (size_t)n->shape.c * sizeof(float) : 0;
}

static int64_t ada_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x;
    switch (phase) {
    case 0: return chunks(n);
    case 1: return (n->shape.c + PART - 1) / PART;
    default: return bt_row_tiles(n, TILE);
    }
}

static void sum_chunk(const bt_node *n, const bt_exec *x, int64_t chunk)
{
    const int64_t first = chunk * CHUNK, c = n->shape.c;
    const int rows = (int)(bt_row_tile_end(n, CHUNK, chunk) - first);
    double *sum = sums(n, x, chunk);
    memset(sum, 0, 2 * (size_t)c * sizeof *sum);
    bt_sum_rows(n->src[0], x, first, rows, sum, sum + c);
}

/* Mean and variance of PART channels, from E[x^2] - E[x]^2 in double, and what they make of
 * the style's gamma [c] and beta [c]. */
static void reduce(const bt_node *n, const bt_exec *x, int64_t tile)
{
    const int64_t c = n->shape.c, first = tile * PART;
    const int64_t end = first + PART < c ? first + PART : c;
    const float *gamma = bt_row(n->src[1], 0), *beta = gamma + c;
    const double count = (double)bt_rows(n->shape), eps = (double)((const attr *)n->attr)->eps;
    float *mul = factors(n, x), *add = mul + c;
    double s[PART] = { 0 }, q[PART] = { 0 };

    for (int64_t k = 0; k < chunks(n); k++) {
        const double *sum = sums(n, x, k);
        for (int64_t i = first; i < end; i++) {
            s[i - first] += sum[i];
            q[i - first] += sum[c + i];
        }
    }
    for (int64_t i = first; i < end; i++) {
        const double mean = s[i - first] / count, var = q[i - first] / count - mean * mean;
        const double m = (1 + (double)gamma[i]) / sqrt((var > 0 ? var : 0) + eps);
        mul[i] = (float)m;
        add[i] = (float)((double)beta[i] - mean * m);
    }
}

static void apply(const bt_node *n, const bt_exec *x, int64_t tile)
{
    const attr *a = n->attr;
    const bt_kernels *k = x->kernels;
    const int c = (int)n->shape.c;
    const int64_t end = bt_row_tile_end(n, TILE, tile);
    const bt_act act = n->act == BT_ACT_LEAKY_RELU ? BT_ACT_NONE : n->act; /* affine has no alpha */
    const float *mul = factors(n, x), *add = mul + c;
    const bt_node *src = n->src[0];
    float *made = x->scratch;

    for (int64_t r = tile * TILE; r < end; r++) {
        const float *v = src->half ? made : bt_row(src, r);
        float *y = n->half ? made + c : bt_row(n, r);
        if (src->half)
            k->from_bf16(c, bt_half_row(src, r), made);
        if (a->alpha) {
            k->snake(c, y, v, mul, add, a->alpha, a->inv);
        } else {
            k->affine(c, y, v, mul, add, act);
            if (act != n->act)
                k->act(c, y, y, n->act, n->alpha);
        }
        if (n->half)
            k->to_bf16(c, y, bt_half_row(n, r));
    }
}

static void ada_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    switch (phase) {
    case 0: sum_chunk(n, x, tile); break;
    case 1: reduce(n, x, tile); break;
    default: apply(n, x, tile); break;
    }
}

static bool ada_reads_half(const bt_node *n, int i) { return i == 0 && n->round; }

#define ADA_NORM(NAME, FLAGS)                                                                      \
    {                                                                                              \
        .name = NAME, .flags = BT_OP_INPLACE | BT_OP_HALF | (FLAGS), .phases = 3,                  \
        .tiles = ada_tiles, .run = ada_run, .scratch = ada_scratch, .shared = ada_shared,          \
        .reads_half = ada_reads_half                                                               \
    }
/* Only the plain one has room for an activation. */
static const bt_op op_ada_norm = ADA_NORM("ada_norm", BT_OP_ACT);
static const bt_op op_ada_snake = ADA_NORM("ada_snake", 0);

static bool fits(const bt_node *x, const bt_node *style)
{
    return x->shape.n == 1 && bt_rows(style->shape) == 1 && style->shape.c == 2 * x->shape.c;
}

bt_node *bt_ada_norm(bt_graph *g, bt_node *x, bt_node *style, const bt_weight *alpha, float eps)
{
    if (!x || !style)
        return NULL;
    const int64_t c = x->shape.c;
    if (!fits(x, style))
        return bt_graph_fail(g, "adaptive norm: a style of %lld values for %lld channels",
                             (long long)style->shape.c, (long long)c);
    const size_t size = sizeof(attr) + (alpha ? (size_t)c : 0) * sizeof(float);
    attr *a = bt_calloc(1, size);
    if (!a && g->error.status == BT_OK)
        bt_no_memory(&g->error, "an adaptive norm");
    if (!a)
        return NULL;
    a->eps = eps;
    a->alpha = alpha ? bt_weight_channels(g, alpha, c) : NULL;
    for (int64_t i = 0; a->alpha && i < c; i++)
        a->inv[i] = 1 / a->alpha[i];
    bt_node *n = NULL;
    if (!alpha || a->alpha)
        n = bt_node_new(g, alpha ? &op_ada_snake : &op_ada_norm, x->shape,
                        (bt_node *[]){ x, style }, 2, a, size);
    bt_release(a);
    return n;
}
