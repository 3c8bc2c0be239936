/* SPDX-License-Identifier: MIT
 * Group norm: every picture of the batch, every group of channels, is brought
 * to mean 0 and variance 1 over its rows, then scaled and shifted per channel.
 *
 * Three phases: sums per channel over chunks of rows; the chunks' sums, in
 * order, to y = x * mul[c] + add[c]; the rows. Sums are double, and a chunk is a
 * fixed number of rows of one picture, so neither threads nor the batch show.
 */
#include <math.h>
#include <string.h>

#include "graph/op.h"

enum {
    CHUNK = 128, /* rows of a partial sum */
    TILE = 32,   /* rows of the last phase */
};

typedef struct attr {
    const float *gamma, *beta;
    int groups;
    float eps;
} attr;

static int64_t picture_rows(const bt_node *n) { return n->shape.h * n->shape.w; }

static int64_t chunks(const bt_node *n) { return (picture_rows(n) + CHUNK - 1) / CHUNK; }

/* Shared memory: [pictures][chunks][2][c] double, then [pictures][2][c] float. */
static double *sums(const bt_node *n, const bt_exec *x, int64_t picture, int64_t chunk)
{
    return (double *)x->shared + (picture * chunks(n) + chunk) * 2 * n->shape.c;
}

static float *factors(const bt_node *n, const bt_exec *x, int64_t picture)
{
    double *end = sums(n, x, n->shape.n, 0);
    return (float *)(void *)end + picture * 2 * n->shape.c;
}

static size_t norm_shared(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    size_t c2 = 2 * (size_t)n->shape.c;
    return (size_t)n->shape.n * c2 * ((size_t)chunks(n) * sizeof(double) + sizeof(float));
}

static int64_t norm_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x;
    switch (phase) {
    case 0: return n->shape.n * chunks(n);
    case 1: return n->shape.n;
    default: return bt_row_tiles(n, TILE);
    }
}

/* Phase 0: sums and squares of each channel over one chunk of rows. */
static void sum_chunk(const bt_node *n, const bt_exec *x, int64_t tile)
{
    int64_t picture = tile / chunks(n), chunk = tile % chunks(n), rows = picture_rows(n);
    int64_t first = chunk * CHUNK, left = rows - first;
    double *sum = sums(n, x, picture, chunk);
    const bt_node *src = n->src[0];

    memset(sum, 0, 2 * (size_t)n->shape.c * sizeof *sum);
    x->kernels->channel_sums((int)(left < CHUNK ? left : CHUNK), (int)n->shape.c,
                             bt_row(src, picture * rows + first), (size_t)src->mem.ld, sum,
                             sum + n->shape.c);
}

/* Phase 1: mean and variance of each group, from E[x^2] - E[x]^2 in double, which
 * leaves some 10 digits even where the mean is a hundred times the spread. */
static void reduce(const bt_node *n, const bt_exec *x, int64_t picture)
{
    const attr *a = n->attr;
    int64_t c = n->shape.c, per = c / a->groups;
    double count = (double)(per * picture_rows(n));
    float *mul = factors(n, x, picture), *add = mul + c;

    for (int64_t first = 0; first < c; first += per) {
        double s = 0, q = 0;
        for (int64_t k = 0; k < chunks(n); k++) {
            const double *sum = sums(n, x, picture, k);
            for (int64_t i = first; i < first + per; i++)
                s += sum[i], q += sum[c + i];
        }
        double mean = s / count, var = q / count - mean * mean;
        double inv = 1 / sqrt((var > 0 ? var : 0) + (double)a->eps);
        for (int64_t i = first; i < first + per; i++) {
            double m = inv * (double)a->gamma[i];
            mul[i] = (float)m;
            add[i] = (float)((a->beta ? (double)a->beta[i] : 0) - mean * m);
        }
    }
}

/* Phase 2: rows, with the activation that was fused. */
static void apply(const bt_node *n, const bt_exec *x, int64_t tile)
{
    int64_t end = bt_row_tile_end(n, TILE, tile);
    int c = (int)n->shape.c;

    for (int64_t i = tile * TILE; i < end; i++) {
        const float *mul = factors(n, x, i / picture_rows(n));
        bt_act act = n->act == BT_ACT_LEAKY_RELU ? BT_ACT_NONE : n->act; /* affine has no alpha */
        x->kernels->affine(c, bt_row(n, i), bt_row(n->src[0], i), mul, mul + c, act);
        if (act != n->act)
            x->kernels->act(c, bt_row(n, i), bt_row(n, i), n->act, n->alpha);
    }
}

static void norm_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    switch (phase) {
    case 0: sum_chunk(n, x, tile); break;
    case 1: reduce(n, x, tile); break;
    default: apply(n, x, tile); break;
    }
}

static const bt_op op_group_norm = {
    .name = "group_norm",
    .flags = BT_OP_INPLACE | BT_OP_ACT,
    .phases = 3,
    .tiles = norm_tiles,
    .run = norm_run,
    .shared = norm_shared,
};

bt_node *bt_group_norm(bt_graph *g, bt_node *x, const bt_weight *gamma, const bt_weight *beta,
                       int groups, float eps)
{
    if (!x || !gamma)
        return NULL;
    if (groups < 1 || x->shape.c % groups)
        return bt_graph_fail(g, "group norm: %lld channels in %d groups", (long long)x->shape.c,
                             groups);
    const int64_t c = x->shape.c;
    attr a = { bt_weight_channels(g, gamma, c), beta ? bt_weight_channels(g, beta, c) : NULL,
               groups, eps };
    if (!a.gamma || (beta && !a.beta))
        return NULL;
    return bt_node_new(g, &op_group_norm, x->shape, &x, 1, &a, sizeof a);
}
