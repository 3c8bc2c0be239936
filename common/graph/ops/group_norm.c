/* SPDX-License-Identifier: MIT
 * Group norm: every picture of the batch, every group of channels, is brought
 * to mean 0 and variance 1 over its rows, then scaled and shifted per channel.
 *
 * Three phases: sums per channel over chunks of rows; the chunks' sums, in
 * order, to y = x * mul[c] + add[c]; the rows. Sums are double, and a chunk is a
 * fixed number of rows of one picture, so neither threads nor the batch show.
 *
 * The norm of a concatenation reads the two tensors where they lie: sums are per
 * channel, so a group may begin in one and end in the other. Rows of bf16 pass
 * through a row of floats in scratch, on either side.
 */
#include <math.h>
#include <string.h>

#include "graph/ops.h"

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

static size_t norm_scratch(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    return BT_SUM_BAND * (size_t)n->shape.c * sizeof(float);
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

void bt_sum_rows(const bt_node *src, const bt_exec *x, int64_t r0, int rows, double *sum,
                 double *sq)
{
    const int c = (int)src->shape.c;
    float *band = x->scratch;
    if (!src->half) {
        x->kernels->channel_sums(rows, c, bt_row(src, r0), (size_t)src->mem.ld, sum, sq);
        return;
    }
    for (int i = 0; i < rows; i += BT_SUM_BAND) {
        const int m = rows - i < BT_SUM_BAND ? rows - i : BT_SUM_BAND;
        for (int k = 0; k < m; k++)
            x->kernels->from_bf16(c, bt_half_row(src, r0 + i + k), band + (size_t)k * (size_t)c);
        x->kernels->channel_sums(m, c, band, (size_t)c, sum, sq);
    }
}

/* Phase 0: sums and squares of each channel over one chunk of rows. */
static void sum_chunk(const bt_node *n, const bt_exec *x, int64_t tile)
{
    int64_t picture = tile / chunks(n), chunk = tile % chunks(n), rows = picture_rows(n);
    int64_t first = chunk * CHUNK, left = rows - first;
    double *sum = sums(n, x, picture, chunk);

    memset(sum, 0, 2 * (size_t)n->shape.c * sizeof *sum);
    for (int i = 0; i < BT_MAX_SRC && n->src[i]; sum += n->src[i++]->shape.c)
        bt_sum_rows(n->src[i], x, picture * rows + first, (int)(left < CHUNK ? left : CHUNK), sum,
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

/* One source's part of row r, with the activation that was fused, to y. */
static void apply_part(const bt_node *n, const bt_exec *x, const bt_node *src, int64_t r,
                       const float *mul, float *y)
{
    const int c = (int)src->shape.c;
    const bt_act act = n->act == BT_ACT_LEAKY_RELU ? BT_ACT_NONE : n->act; /* affine has no alpha */
    const float *v = src->half ? x->scratch : bt_row(src, r);
    if (src->half)
        x->kernels->from_bf16(c, bt_half_row(src, r), x->scratch);
    x->kernels->affine(c, y, v, mul, mul + n->shape.c, act);
    if (act != n->act)
        x->kernels->act(c, y, y, n->act, n->alpha);
}

/* Phase 2: rows. A row of floats made of bf16 is the first in scratch, a row of
 * floats that becomes bf16 the second. */
static void apply(const bt_node *n, const bt_exec *x, int64_t tile)
{
    int64_t end = bt_row_tile_end(n, TILE, tile);
    float *made = (float *)x->scratch + n->shape.c;

    for (int64_t r = tile * TILE; r < end; r++) {
        const float *mul = factors(n, x, r / picture_rows(n));
        float *y = n->half ? made : bt_row(n, r);
        for (int i = 0; i < BT_MAX_SRC && n->src[i]; i++) {
            apply_part(n, x, n->src[i], r, mul, y);
            mul += n->src[i]->shape.c;
            y += n->src[i]->shape.c;
        }
        if (n->half)
            x->kernels->to_bf16((int)n->shape.c, made, bt_half_row(n, r));
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

static bool norm_reads_half(const bt_node *n, int i)
{
    (void)i;
    return n->round;
}

static const bt_op op_group_norm = {
    .name = "group_norm",
    .flags = BT_OP_INPLACE | BT_OP_ACT | BT_OP_HALF,
    .phases = 3,
    .tiles = norm_tiles,
    .run = norm_run,
    .scratch = norm_scratch,
    .shared = norm_shared,
    .reads_half = norm_reads_half,
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
    if (bt_node_is_concat(x))
        return bt_node_new(g, &op_group_norm, x->shape, x->src, 2, &a, sizeof a);
    return bt_node_new(g, &op_group_norm, x->shape, &x, 1, &a, sizeof a);
}
