/* SPDX-License-Identifier: MIT
 * A 1-D convolution in f32 by minimal filtering (graph/minimal.h), rows at distance 1.
 * Phase 0 transforms the input, all groups of `outs` rows, into shared memory, once for
 * all outputs; phase 1 takes a few panels over many groups: a product for each point,
 * then the sums become rows, with their epilogue. Groups are counted from row 0.
 */
#include "graph/minimal.h"
#include "graph/ops.h"

#include <string.h>

enum {
    IN_GROUPS = 12, /* groups of a tile of phase 0 */
    GROUPS = 120,   /* and of phase 1, at most */
    PANELS = 4,
};

typedef struct attr {
    bt_points points;
    int taps, left, n; /* n: output channels */
    const float *bias; /* [n] or NULL */
} attr;

static size_t pad64(size_t n) { return (n + 63) / 64 * 64; }
static int points_of(const bt_node *n) { return 2 * ((const attr *)n->attr)->points.pairs + 2; }
static int64_t channels(const bt_node *n) { return n->src[0]->shape.c; }
static int panels_of(const bt_node *n) { return (int)((n->shape.c + BT_NR - 1) / BT_NR); }

static int64_t groups_of(const bt_node *n)
{
    const int outs = ((const attr *)n->attr)->points.outs;
    return (n->shape.w + outs - 1) / outs;
}

/* Tiles of about the same size. */
static int64_t tile_groups(const bt_node *n)
{
    const int64_t groups = groups_of(n), tiles = (groups + GROUPS - 1) / GROUPS;
    return (groups + tiles - 1) / tiles;
}

static int64_t panel_tiles(const bt_node *n) { return (panels_of(n) + PANELS - 1) / PANELS; }

static int64_t conv_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    const int64_t per = phase == 0 ? IN_GROUPS : tile_groups(n);
    (void)x;
    return (groups_of(n) + per - 1) / per * (phase == 0 ? 1 : panel_tiles(n));
}

/* A thread's memory: the rows of a tile of phase 0; pointers, sums, rows of one of phase 1. */
typedef struct scratch {
    float *in, *sums, *y;
    const float **rows;
} scratch;

static size_t layout(const bt_node *n, uint8_t *base, scratch *s)
{
    const attr *a = n->attr;
    const size_t groups = (size_t)tile_groups(n), wide = PANELS * BT_NR * sizeof(float);
    const size_t in_rows = (size_t)(IN_GROUPS * a->points.outs + a->taps - 1);
    const size_t in = pad64(in_rows * (size_t)channels(n) * sizeof(float));
    const size_t sums = groups * (size_t)points_of(n) * wide;
    const size_t y = groups * (size_t)a->points.outs * wide;
    const size_t rows = pad64(groups * sizeof(void *));
    if (base)
        *s = (scratch){ (float *)base, (float *)base, (float *)(base + sums),
                        (const float **)(base + sums + y) };
    return in > sums + y + rows ? in : sums + y + rows;
}

static size_t conv_scratch(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    return layout(n, NULL, NULL);
}

/* Transformed inputs, [point][group][channel]. */
static size_t conv_shared(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    return (size_t)points_of(n) * (size_t)(groups_of(n) * channels(n)) * sizeof(float);
}

static void transform(const bt_node *n, const bt_exec *x, int64_t tile)
{
    const attr *a = n->attr;
    const int64_t g0 = tile * IN_GROUPS, left = groups_of(n) - g0, c = channels(n);
    const int groups = (int)(left < IN_GROUPS ? left : IN_GROUPS);
    const int64_t first = g0 * a->points.outs - a->left, rows = n->src[0]->shape.w;
    const size_t bytes = (size_t)c * sizeof(float);
    scratch s;
    layout(n, x->scratch, &s);
    for (int64_t i = 0; i < groups * a->points.outs + a->taps - 1; i++) {
        const bool inside = first + i >= 0 && first + i < rows;
        if (inside)
            memcpy(s.in + i * c, bt_row(n->src[0], first + i), bytes);
        else
            memset(s.in + i * c, 0, bytes);
    }
    x->kernels->minimal_in(&a->points, groups, (int)c, s.in, (float *)x->shared + g0 * c,
                           (size_t)(groups_of(n) * c));
}

/* Rows of the output from those of y, with bias, activation and residual. */
static void finish(const bt_node *n, const bt_exec *x, int64_t r0, int64_t from, int np,
                   const float *y, int64_t rows)
{
    const attr *a = n->attr;
    const int64_t left = n->shape.c - from;
    const int cols = (int)(left < np * BT_NR ? left : np * BT_NR);
    for (int64_t r = r0; r < r0 + rows && r < n->shape.w; r++, y += np * BT_NR)
        x->kernels->epilogue(cols, bt_row(n, r) + from, y, a->bias ? a->bias + from : NULL,
                             n->residual ? bt_row(n->residual, r) + from : NULL, n->act, n->alpha,
                             1.0f);
}

static void conv_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    if (phase == 0) {
        transform(n, x, tile);
        return;
    }
    const attr *a = n->attr;
    const bt_kernels *k = x->kernels;
    const bt_packed *w = n->packed[0];
    const int64_t c = channels(n), per = tile_groups(n), g0 = tile / panel_tiles(n) * per;
    const int p0 = (int)(tile % panel_tiles(n)) * PANELS;
    const int np = w->panels - p0 < PANELS ? w->panels - p0 : PANELS;
    const int step = k->gemm_np < 2 ? 1 : 2; /* as tall as tiles can be */
    const int m = (int)(groups_of(n) - g0 < per ? groups_of(n) - g0 : per);
    const size_t ldc = (size_t)np * BT_NR, ldp = w->taps * w->panel_bytes / sizeof(float);
    scratch s;
    layout(n, x->scratch, &s);
    for (int point = 0; point < w->taps; point++) {
        const float *v = (const float *)x->shared + (point * groups_of(n) + g0) * c;
        for (int i = 0; i < m; i++)
            s.rows[i] = v + i * c;
        for (int p = 0; p < np; p += step)
            k->conv_f32(m, np - p < step ? np - p : step, 1, w->k, s.rows, 0,
                        (const float *)(const void *)bt_panel(w, p0 + p, point), 0, ldp,
                        s.sums + (size_t)(point * m) * ldc + p * BT_NR, ldc, 1);
    }
    k->minimal_out(&a->points, 1, (int)ldc, m * a->points.outs, s.sums, (size_t)m * ldc,
                   &(bt_minimal_rows){ .y = s.y });
    finish(n, x, g0 * a->points.outs, (int64_t)p0 * BT_NR, np, s.y, (int64_t)m * a->points.outs);
}

static void conv_cost(const bt_node *n, double *flops, double *bytes)
{
    const attr *a = n->attr;
    const double rows = (double)n->shape.w, in = (double)channels(n), out = a->n;
    *flops = 2 * rows * in * out * a->taps;
    *bytes = 4 * (rows * (in + out) + in * out * points_of(n));
}

static void conv_detail(const bt_node *n, const int64_t *params, bt_detail *d)
{
    const attr *a = n->attr;
    (void)params;
    d->kind = "conv";
    d->compute = "minimal";
    d->in = channels(n);
    d->kh = 1;
    d->kw = a->taps;
    d->stride = d->up = 1;
}

static size_t conv_packed_bytes(const bt_node *n)
{
    return (size_t)panels_of(n) * (size_t)points_of(n) * bt_panel_bytes(BT_F32, (int)channels(n));
}

static bt_status conv_prepare(bt_node *n, const bt_kernels *k, bt_error *err)
{
    const bt_packed *p;
    bt_status st = bt_weight_pack(n->w[0], BT_FORM_MINIMAL, BT_F32, &p, err);
    (void)k;
    n->packed[0] = p;
    return st;
}

static const bt_op op_conv_minimal = {
    .name = "conv_minimal",
    .flags = BT_OP_ACT | BT_OP_RESIDUAL,
    .phases = 2,
    .tiles = conv_tiles,
    .run = conv_run,
    .scratch = conv_scratch,
    .shared = conv_shared,
    .cost = conv_cost,
    .detail = conv_detail,
    .packed_bytes = conv_packed_bytes,
    .prepare = conv_prepare,
};

bt_node *bt_conv_minimal(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b, bt_conv p)
{
    attr a = { .taps = (int)bt_weight_dim(w, 2), .left = p.left, .n = (int)bt_weight_dim(w, 0) };
    bt_shape s = x->shape;
    s.w += p.left + p.right - a.taps + 1;
    s.c = a.n;
    bt_minimal_points(a.taps, bt_minimal_outs(a.taps, x->shape.c, a.n), &a.points);
    if (b && !(a.bias = bt_weight_channels(g, b, s.c)))
        return NULL;
    bt_node *n = bt_node_new(g, &op_conv_minimal, s, &x, 1, &a, sizeof a);
    if (n)
        n->w[0] = w;
    return n;
}
