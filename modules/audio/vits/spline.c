/* SPDX-License-Identifier: MIT
 * An op of this module: inverse rational-quadratic spline with linear tails
 * (Durkan et al. 2019; VITS transforms.py, inverse=True). u holds per row the
 * unnormalized widths and heights of the bins and the slopes between them.
 */
#include <math.h>

#include "graph/op.h"
#include "audio/vits/vits.h"

#define TAIL     5.0f  /* beyond +-TAIL the spline is the identity */
#define MIN_SIZE 1e-3f /* of a bin's width and height, and of a slope */

enum { MAX_BINS = 64, TILE = 64 };

typedef struct attr {
    int bins;
    float scale;
} attr;

/* Edges of the bins in -TAIL..TAIL: widths are a softmax with a lower bound. */
static void edges(const float *u, int bins, float scale, float *edge)
{
    float p[MAX_BINS], peak = u[0], total = 0, sum = 0;
    for (int i = 1; i < bins; i++)
        peak = u[i] > peak ? u[i] : peak;
    for (int i = 0; i < bins; i++)
        total += p[i] = expf((u[i] - peak) * scale);
    edge[0] = -TAIL;
    for (int i = 0; i < bins; i++) {
        sum += MIN_SIZE + (1 - MIN_SIZE * (float)bins) * (p[i] / total);
        edge[i + 1] = 2 * TAIL * sum - TAIL;
    }
    edge[bins] = TAIL;
}

/* The slope at edge i of bins + 1. */
static float slope(const float *u, int bins, int i)
{
    if (i == 0 || i == bins)
        return 1; /* meets the identity outside */
    float x = u[i - 1];
    return MIN_SIZE + (x > 20 ? x : log1pf(expf(x))); /* softplus as torch's */
}

/* The x whose spline value is y: the bin that holds y by its heights, then the
 * root of the quadratic qa t^2 + qb t + qc in that bin (Durkan et al., eq. 6-8;
 * this form of the root does not cancel). Bins are few, so the search is linear. */
static float inverse(const attr *a, float y, const float *u)
{
    float x[MAX_BINS + 1], h[MAX_BINS + 1];
    int b = 0;
    if (!(y >= -TAIL && y <= TAIL))
        return y;
    edges(u, a->bins, a->scale, x);
    edges(u + a->bins, a->bins, a->scale, h);
    while (b + 1 < a->bins && y >= h[b + 1])
        b++;
    float width = x[b + 1] - x[b], height = h[b + 1] - h[b], delta = height / width;
    float d0 = slope(u + 2 * a->bins, a->bins, b), d1 = slope(u + 2 * a->bins, a->bins, b + 1);
    float t = (y - h[b]) * (d0 + d1 - 2 * delta);
    float qa = t + height * (delta - d0), qb = height * d0 - t, qc = -delta * (y - h[b]);
    float root = qb * qb - 4 * qa * qc;
    return 2 * qc / (-qb - sqrtf(root > 0 ? root : 0)) * width + x[b];
}

static int64_t spline_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return (bt_rows(n->shape) + TILE - 1) / TILE;
}

static void spline_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)x, (void)phase;
    int64_t rows = bt_rows(n->shape);
    int64_t end = (tile + 1) * TILE < rows ? (tile + 1) * TILE : rows;
    for (int64_t r = tile * TILE; r < end; r++)
        *bt_row(n, r) = inverse(n->attr, *bt_row(n->src[0], r), bt_row(n->src[1], r));
}

static const bt_op op_spline = { .name = "spline", .tiles = spline_tiles, .run = spline_run };

bt_node *bt_vits_spline(bt_graph *g, bt_node *y, bt_node *u, int bins, float scale)
{
    attr a = { bins, scale };
    if (y && u &&
        (y->shape.c != 1 || bins < 1 || bins > MAX_BINS || u->shape.c != 3 * bins - 1 ||
         bt_rows(u->shape) != bt_rows(y->shape)))
        return bt_graph_fail(g, "spline: shapes do not fit");
    return bt_node_new(g, &op_spline, bt_shape_of(y), (bt_node *[]){ y, u }, 2, &a, sizeof a);
}
