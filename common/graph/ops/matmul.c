/* SPDX-License-Identifier: MIT
 * Packed matrix multiply with indirection (XNNPACK's idea: row pointers
 * instead of im2col). Phase 0 turns input rows into the compute type (int8 or
 * bf16) and clears the row of zeros that padding points to; phase 1 computes
 * tiles of about 128 rows by 4 panels, each with its epilogue.
 *
 * A tile in three steps: row pointers, one per output row and tap (rows of zeros
 * for padding); sums over taps and channels into the thread's scratch; the
 * epilogue (bias, activation, residual) into the output. In float
 * compute types the sums expand CHUNK channels of a panel and use them for all
 * rows of the tile while they are in cache; int8 kernels read the packed bits.
 *
 * How the work is cut follows from the node and the kernels alone, and so does
 * the order of every sum: taps in order, channels in order.
 */
#include "graph/ops/matmul.h"

#include <string.h>

enum {
    CHUNK = 256, /* input channels at a time: one expanded panel stays in L1 */
    TILE_ROWS = 128,
    TILE_PANELS = 4,
    Q8_ROWS = 16, /* rows that the int8 kernels like to take together */
    CONVERT_ROWS = 16,
};

/* ---- sizes ------------------------------------------------------------- */

static size_t pad64(size_t n) { return (n + 63) / 64 * 64; }
static int in_channels(const bt_node *n) { return (int)n->src[0]->shape.c; }

/* Bytes of an input row in the compute type. */
static size_t row_bytes(const bt_node *n)
{
    const bt_mm *mm = n->attr;
    int k = in_channels(n);
    if (mm->compute == BT_MM_F32)
        return k * sizeof(float);
    return mm->compute == BT_MM_BF16 ? k * sizeof(uint16_t) : k / BT_QA * sizeof(bt_qa);
}

static bool converts(const bt_node *n) { return ((const bt_mm *)n->attr)->compute != BT_MM_F32; }
static bool has_padding(const bt_node *n) { return ((const bt_mm *)n->attr)->kind != BT_MM_LINEAR; }

/* Shared memory: the row of zeros, then the converted rows. */
static size_t mm_shared(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    if (!converts(n))
        return has_padding(n) ? pad64(row_bytes(n)) : 0;
    return pad64(row_bytes(n)) * (1 + (size_t)bt_rows(n->src[0]->shape));
}

/* How phase 1 is cut: rows in groups (the stride's phases of a transposed
 * convolution, else one), groups in row tiles, outputs in panel tiles. */
typedef struct grid {
    int groups;
    int64_t rows; /* of a group; the last groups may have one fewer per picture */
    int64_t tile_rows, row_tiles, panel_tiles;
} grid;

static grid grid_of(const bt_node *n, const bt_kernels *k)
{
    const bt_mm *mm = n->attr;
    grid g = { .groups = 1, .rows = bt_rows(n->shape) };
    if (mm->kind == BT_MM_TRANSPOSED) {
        g.groups = mm->stride < n->shape.w ? mm->stride : (int)n->shape.w;
        g.rows = n->shape.n * bt_mm_group_rows(n, 0);
    }
    int64_t mr = mm->compute == BT_MM_Q8 ? Q8_ROWS : k->gemm_mr, most = TILE_ROWS / mr * mr;
    g.row_tiles = (g.rows + most - 1) / most;
    g.tile_rows = ((g.rows + g.row_tiles - 1) / g.row_tiles + mr - 1) / mr * mr;
    g.row_tiles = (g.rows + g.tile_rows - 1) / g.tile_rows;
    int64_t panels = (n->shape.c + BT_NR - 1) / BT_NR;
    g.panel_tiles = (panels + TILE_PANELS - 1) / TILE_PANELS;
    return g;
}

static int64_t mm_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    if (phase == 0)
        return converts(n) ? 1 + (bt_rows(n->src[0]->shape) + CONVERT_ROWS - 1) / CONVERT_ROWS
                           : has_padding(n);
    grid g = grid_of(n, x->kernels);
    return g.groups * g.row_tiles * g.panel_tiles;
}

/* A thread's scratch: row pointers, the tile's sums, expanded panels. */
typedef struct scratch {
    const uint8_t **rows; /* [taps][tile_rows] */
    float *c;             /* [tile_rows][TILE_PANELS * BT_NR] */
    void *b;              /* gemm_np panels of CHUNK */
} scratch;

static size_t scratch_layout(const bt_node *n, const bt_kernels *k, uint8_t *base, scratch *s)
{
    const bt_mm *mm = n->attr;
    int64_t tile_rows = grid_of(n, k).tile_rows;
    size_t rows = pad64((size_t)mm->kh * mm->kw * tile_rows * sizeof(void *));
    size_t c = pad64(tile_rows * TILE_PANELS * BT_NR * sizeof(float));
    if (s)
        *s = (scratch){ (const uint8_t **)base, (float *)(base + rows), base + rows + c };
    return rows + c + (size_t)k->gemm_np * CHUNK * BT_NR * sizeof(float);
}

static size_t mm_scratch(const bt_node *n, const bt_kernels *k)
{
    return scratch_layout(n, k, NULL, NULL);
}

static void mm_cost(const bt_node *n, double *flops, double *bytes)
{
    const bt_mm *mm = n->attr;
    double rows = (double)bt_rows(mm->kind == BT_MM_TRANSPOSED ? n->src[0]->shape : n->shape);
    double weights = (double)n->shape.c * in_channels(n) * mm->kh * mm->kw;
    *flops = 2 * rows * weights;
    *bytes = weights * bt_dtypes[mm->type].bytes / bt_dtypes[mm->type].block +
             4.0 * ((double)bt_rows(n->shape) * n->shape.c +
                    (double)bt_rows(n->src[0]->shape) * in_channels(n));
}

/* ---- phase 0 ----------------------------------------------------------- */

static void convert_row(const bt_node *n, const bt_exec *x, int64_t r)
{
    const bt_mm *mm = n->attr;
    uint8_t *dst = (uint8_t *)x->shared + pad64(row_bytes(n)) * (1 + r);
    const float *src = bt_row(n->src[0], r);
    if (mm->compute == BT_MM_BF16) {
        x->kernels->to_bf16(in_channels(n), src, (uint16_t *)dst);
        memset(dst + row_bytes(n), 0, pad64(row_bytes(n)) - row_bytes(n)); /* to BT_KB */
    } else
        x->kernels->quantize_a(in_channels(n), src, (bt_qa *)dst);
}

static void convert_tile(const bt_node *n, const bt_exec *x, int64_t tile)
{
    if (tile == 0) {
        memset(x->shared, 0, pad64(row_bytes(n)));
        return;
    }
    int64_t r0 = (tile - 1) * CONVERT_ROWS, rows = bt_rows(n->src[0]->shape);
    for (int64_t r = r0; r < r0 + CONVERT_ROWS && r < rows; r++)
        convert_row(n, x, r);
}

/* ---- phase 1: one tile ------------------------------------------------- */

typedef struct work {
    const bt_node *n;
    const bt_kernels *k;
    const bt_packed *packed;
    scratch s;
    bt_mm_tile t; /* rows and taps */
    int p0, np;   /* panels */
} work;

/* Sums of panels p..p+np (of the tile) over one tap and channels k0..k0+kc. */
static void chunk_float(const work *w, int p, int np, int t, int k0, int kc, int first)
{
    const bt_packed *pk = w->packed;
    const bt_mm *mm = w->n->attr;
    const uint8_t *panel = bt_panel(pk, w->p0 + p, w->t.tap[t]);
    size_t step = pk->taps * pk->panel_bytes, ldp = CHUNK * BT_NR;
    const void *b = w->s.b;
    bool bf16 = mm->compute == BT_MM_BF16;
    if (!bf16 && pk->type == BT_F32) {
        b = (const float *)panel + (size_t)k0 * BT_NR;
        ldp = step / sizeof(float);
    } else if (bf16 && pk->type == BT_BF16) {
        b = (const uint16_t *)panel + (size_t)k0 * BT_NR;
        ldp = step / sizeof(uint16_t);
    } else {
        for (int i = 0; i < np; i++)
            if (bf16)
                w->k->expand_bf16(pk->type, (uint16_t *)w->s.b + i * ldp, panel + i * step, k0, kc);
            else
                w->k->expand(pk->type, (float *)w->s.b + i * ldp, panel + i * step, k0, kc);
    }
    const int ldc = TILE_PANELS * BT_NR, mr = w->k->gemm_mr;
    size_t offset = (size_t)k0 * (bf16 ? sizeof(uint16_t) : sizeof(float));
    for (int i = 0; i < w->t.m; i += mr) {
        const uint8_t *a[BT_MAX_MR];
        int m = w->t.m - i < mr ? w->t.m - i : mr;
        for (int j = 0; j < m; j++)
            a[j] = w->t.rows[t * w->t.stride + i + j] + offset;
        float *c = w->s.c + (size_t)i * ldc + p * BT_NR;
        if (bf16)
            w->k->gemm_bf16(m, np, 1, (kc + BT_KB - 1) / BT_KB * BT_KB, (const uint16_t *const *)a,
                            0, b, 0, ldp, c, ldc, first);
        else
            w->k->gemm_f32(m, np, kc, (const float *const *)a, b, ldp, c, ldc, first);
    }
}

/* All taps of panels p..p+np in few calls, for rows of at most CHUNK channels:
 * the sums stay in registers from tap to tap. */
static void taps_f32(const work *w, int p, int np)
{
    const bt_packed *pk = w->packed;
    const int ldc = TILE_PANELS * BT_NR, mr = w->k->gemm_mr, k = pk->k;
    const bool direct = pk->type == BT_F32;
    const int step = w->t.taps > 1 ? w->t.tap[1] - w->t.tap[0] : 0; /* the same between all */
    const int most = direct ? w->t.taps : CHUNK / k;
    size_t ldt = direct ? step * pk->panel_bytes / sizeof(float) : (size_t)k * BT_NR;
    size_t ldp = direct ? pk->taps * pk->panel_bytes / sizeof(float) : most * ldt;
    for (int t = 0; t < w->t.taps; t += most) {
        const int n = w->t.taps - t < most ? w->t.taps - t : most;
        const void *b = direct ? (const void *)bt_panel(pk, w->p0 + p, w->t.tap[t]) : w->s.b;
        for (int i = 0; !direct && i < n * np; i++)
            w->k->expand(pk->type, (float *)w->s.b + i / n * ldp + i % n * ldt,
                         bt_panel(pk, w->p0 + p + i / n, w->t.tap[t + i % n]), 0, k);
        for (int i = 0; i < w->t.m; i += mr)
            w->k->conv_f32(w->t.m - i < mr ? w->t.m - i : mr, np, n, k,
                           (const float *const *)&w->t.rows[t * w->t.stride + i], w->t.stride, b,
                           ldt, ldp, w->s.c + (size_t)i * ldc + p * BT_NR, ldc, t == 0);
    }
}

static void sums_float(const work *w)
{
    const bt_packed *pk = w->packed;
    const bool whole = ((const bt_mm *)w->n->attr)->compute == BT_MM_F32 && pk->k <= CHUNK;
    for (int p = 0; p < w->np; p += w->k->gemm_np) {
        int np = w->np - p < w->k->gemm_np ? w->np - p : w->k->gemm_np;
        if (whole)
            taps_f32(w, p, np);
        for (int t = 0; !whole && t < w->t.taps; t++)
            for (int k0 = 0; k0 < pk->k; k0 += CHUNK)
                chunk_float(w, p, np, t, k0, pk->k - k0 < CHUNK ? pk->k - k0 : CHUNK,
                            t == 0 && k0 == 0);
    }
}

static void sums_q8(const work *w)
{
    const bt_packed *pk = w->packed;
    for (int t = 0; t < w->t.taps; t++)
        w->k->gemm_q8[pk->type](w->t.m, w->np, pk->k / BT_QA,
                                (const bt_qa *const *)&w->t.rows[t * w->t.stride],
                                bt_panel(pk, w->p0, w->t.tap[t]), pk->taps * pk->panel_bytes,
                                w->s.c, TILE_PANELS * BT_NR, t == 0);
}

/* The products of a tile into w->s.c, by the kernel for the compute type. */
static void sums(const work *w)
{
    const bt_mm *mm = w->n->attr;
    const bt_packed *pk = w->packed;
    if (w->t.taps == 0)
        memset(w->s.c, 0, (size_t)w->t.m * TILE_PANELS * BT_NR * sizeof(float));
    else if (mm->compute == BT_MM_Q8)
        sums_q8(w);
    else if (w->t.m == 1 && pk->taps == 1 && mm->compute == BT_MM_F32 && w->k->gemv_f32[pk->type])
        w->k->gemv_f32[pk->type](w->np, pk->k, (const float *)w->t.rows[0], bt_panel(pk, w->p0, 0),
                                 pk->panel_bytes, w->s.c);
    else
        sums_float(w);
}

/* Epilogue: from the tile's sums to the output's rows. */
static void write_rows(const work *w)
{
    const bt_node *n = w->n;
    const bt_mm *mm = n->attr;
    int64_t c0 = (int64_t)w->p0 * BT_NR, cols = w->np * BT_NR;
    if (cols > n->shape.c - c0)
        cols = n->shape.c - c0;
    for (int i = 0; i < w->t.m; i++) {
        int64_t r = bt_mm_out_row(n, w->t.group, w->t.m0 + i);
        if (r < 0)
            continue;
        w->k->epilogue((int)cols, bt_row(n, r) + c0, w->s.c + (size_t)i * TILE_PANELS * BT_NR,
                       mm->bias ? mm->bias + c0 : NULL,
                       n->residual ? bt_row(n->residual, r) + c0 : NULL, n->act, n->alpha, 1.0f);
    }
}

static bt_mm_input input_of(const bt_node *n, const bt_exec *x)
{
    const bt_mem *in = &n->src[0]->mem;
    const size_t step = pad64(row_bytes(n));
    if (!converts(n))
        return (bt_mm_input){ (const uint8_t *)in->data, x->shared, in->ld * sizeof(float) };
    return (bt_mm_input){ (const uint8_t *)x->shared + step, x->shared, step };
}

static void mm_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    if (phase == 0) {
        convert_tile(n, x, tile);
        return;
    }
    grid g = grid_of(n, x->kernels);
    int64_t row_tile = tile % g.row_tiles, rest = tile / g.row_tiles;
    int tap[BT_MM_MAX_TAPS];
    const bt_mm_input in = input_of(n, x);
    work w = { .n = n, .k = x->kernels, .packed = n->packed };
    scratch_layout(n, x->kernels, x->scratch, &w.s);
    w.p0 = (int)(rest % g.panel_tiles) * TILE_PANELS;
    w.np = w.packed->panels - w.p0 < TILE_PANELS ? w.packed->panels - w.p0 : TILE_PANELS;
    w.t = (bt_mm_tile){ .group = (int)(rest / g.panel_tiles),
                        .m0 = row_tile * g.tile_rows,
                        .stride = g.tile_rows,
                        .tap = tap,
                        .rows = w.s.rows };
    w.t.m = (int)(g.rows - w.t.m0 < g.tile_rows ? g.rows - w.t.m0 : g.tile_rows);
    w.t.taps = bt_mm_taps(n->attr, w.t.group, tap);
    bt_mm_rows(n, &in, &w.t);
    sums(&w);
    write_rows(&w);
}

/* ---- making the node --------------------------------------------------- */

static bt_status mm_prepare(bt_node *n, const bt_kernels *k, bt_error *err)
{
    (void)k;
    const bt_mm *mm = n->attr;
    bt_form form = mm->kind == BT_MM_TRANSPOSED ? BT_FORM_TRANSPOSED : BT_FORM_CONV;
    const bt_packed *p;
    bt_status st = bt_weight_pack(n->w[0], form, mm->type, &p, err);
    n->packed = p;
    return st;
}

const bt_op bt_op_matmul = {
    .name = "matmul",
    .flags = BT_OP_ACT | BT_OP_RESIDUAL,
    .phases = 2,
    .tiles = mm_tiles,
    .run = mm_run,
    .scratch = mm_scratch,
    .shared = mm_shared,
    .cost = mm_cost,
    .detail = bt_mm_detail,
    .prepare = mm_prepare,
};

/* int8 wherever the weight is quantized, or when asked for; else f32. `auto`
 * leaves bf16 alone: VDPBF16PS has been no faster than f32 on the processors
 * measured so far (docs/performance.md), and half as exact. */
static void choose(bt_mm *mm, const bt_kernels *k, const bt_weight *w, int64_t channels,
                   bt_precision p)
{
    bt_dtype t = bt_weight_tensor(w)->dtype;
    bool is_float = bt_dtypes[t].block == 1;
    mm->compute = BT_MM_F32;
    mm->type = t;
    if (p == BT_PREC_F32)
        return;
    bt_dtype q = is_float && p == BT_PREC_INT8 ? BT_Q8_0 : t;
    if (p != BT_PREC_BF16 && channels % BT_QA == 0 && k->gemm_q8[q]) {
        mm->compute = BT_MM_Q8;
        mm->type = q;
    } else if (p == BT_PREC_BF16 && k->gemm_bf16) {
        mm->compute = BT_MM_BF16;
        mm->type = t == BT_F32 ? BT_BF16 : t;
    }
}

bt_node *bt_matmul_node(bt_graph *g, bt_node *x, bt_shape out, bt_mm mm, const bt_weight *w,
                        const bt_weight *b)
{
    if (!x || !w)
        return NULL;
    if (mm.kh * mm.kw > BT_MM_MAX_TAPS)
        return bt_graph_fail(g, "tensor %s: kernels of %d x %d are not supported",
                             bt_weight_tensor(w)->name, mm.kh, mm.kw);
    if (b && bt_tensor_count(bt_weight_tensor(b)) != out.c)
        return bt_graph_fail(g, "tensor %s has %lld values, not %lld", bt_weight_tensor(b)->name,
                             (long long)bt_tensor_count(bt_weight_tensor(b)), (long long)out.c);
    if (b && !(mm.bias = bt_weight_f32(g, b)))
        return NULL;
    bt_node *n = bt_node_new(g, &bt_op_matmul, out, &x, 1, NULL, 0);
    if (!n)
        return NULL;
    choose(&mm, bt_weights_compute(bt_graph_weights(g))->kernels, w, x->shape.c, n->precision);
    n->w[0] = w;
    return bt_node_set_attr(g, n, &mm, sizeof mm) ? n : NULL;
}
