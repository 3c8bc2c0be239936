/* SPDX-License-Identifier: MIT
 * Packed matrix multiply with indirection (XNNPACK's idea: row pointers
 * instead of im2col). Phase 0 turns input rows into the compute type (int8 or
 * bf16) and clears the row of zeros that padding points to; phase 1 computes
 * tiles of rows by panels, each with its epilogue.
 *
 * A tile in three steps: row pointers, one per output row and tap (rows of zeros
 * for padding); sums over taps and channels into the thread's scratch; the
 * epilogue (bias, activation, gate, residual) into the output.
 *
 * How the work is cut follows from the node and the kernels alone. It would not
 * show if it did not: a row's sums are the same in any tile.
 */
#include "graph/ops/matmul.h"

#include <string.h>

enum {
    TILE_ROWS = 128,
    HEAVY_ROWS = 256, /* where the panels of a tile stream through L2 */
    TILE_PANELS = 4,
    BLOCK_ROWS = 32,        /* bf16 kernels like to take 32 rows together, int8 ones 16 */
    MIN_TILES = 24,         /* so that threads share a small multiply evenly */
    B_BYTES = 512 * 1024,   /* panels of a bf16 tile, which stay in L2 */
    GEMV_BYTES = 64 * 1024, /* panels of a tile of one row */
    MAX_PANELS = 64,
    CONVERT_VALUES = 8192,
};

/* ---- sizes ------------------------------------------------------------- */

static size_t pad64(size_t n) { return (n + 63) / 64 * 64; }
static int in_channels(const bt_node *n) { return (int)n->src[0]->shape.c; }

/* Bytes of an input row in the compute type; bf16 rows are padded with zeros. */
static size_t row_bytes(const bt_node *n)
{
    const bt_mm *mm = n->attr;
    int k = in_channels(n);
    if (mm->compute == BT_MM_F32)
        return k * sizeof(float);
    if (mm->compute == BT_MM_Q8)
        return k / BT_QA * sizeof(bt_qa);
    if (bt_mm_parts(mm->compute))
        return bt_row_q_bytes(k, bt_mm_parts(mm->compute));
    return pad64(k * sizeof(uint16_t)) * (mm->compute == BT_MM_SPLIT ? 3 : 1);
}

static bool converts(const bt_node *n)
{
    const bt_mm *mm = n->attr;
    return mm->compute != BT_MM_F32 && !(mm->compute == BT_MM_BF16 && n->src[0]->half);
}

static bool has_padding(const bt_node *n) { return ((const bt_mm *)n->attr)->kind != BT_MM_LINEAR; }

/* Shared memory: the row of zeros, then the converted rows. */
static size_t mm_shared(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    const size_t row = pad64(row_bytes(n));
    return (has_padding(n) ? row : 0) + (converts(n) ? row * (size_t)bt_rows(n->src[0]->shape) : 0);
}

/* How phase 1 is cut: rows in groups (the stride's phases of a transposed
 * convolution, else one), groups in row tiles, outputs in panel tiles. */
typedef struct grid {
    int groups;
    int64_t rows; /* of a group; the last groups may have one fewer per picture */
    int64_t tile_rows, row_tiles, panel_tiles;
    int panels; /* of a tile and part */
    int ldc;    /* floats in a row of sums */
    int block;  /* rows between two epilogues */
} grid;

static int part_panels(const bt_mm *mm, int part)
{
    return (int)((mm->part[part].n + BT_NR - 1) / BT_NR);
}

static int tiled_parts(const bt_mm *mm) { return mm->gated ? 1 : mm->n_parts; }

static int64_t panel_tiles(const bt_mm *mm, int panels)
{
    int64_t sum = 0;
    for (int i = 0; i < tiled_parts(mm); i++)
        sum += (part_panels(mm, i) + panels - 1) / panels;
    return sum;
}

/* bf16 panels of quantized weights are opened in scratch, a tap at a time; those of
 * float weights lie ready. A multiply of several weights may have both. */
static bool opens_bf16(const bt_mm *mm)
{
    for (int i = 0; i < mm->n_parts; i++)
        if (mm->compute == BT_MM_BF16 && mm->part[i].type != BT_BF16)
            return true;
    return false;
}

static bool direct_bf16(const bt_mm *mm)
{
    return mm->compute == BT_MM_SPLIT || (mm->compute == BT_MM_BF16 && !opens_bf16(mm));
}

static size_t all_taps_bytes(const bt_node *n) /* of a panel */
{
    const bt_mm *mm = n->attr;
    if (bt_mm_parts(mm->compute))
        return bt_row_panel_bytes(in_channels(n));
    return bt_panel_bytes(mm->part[0].type, in_channels(n)) * mm->kh * mm->kw;
}

static size_t opened_bytes(const bt_node *n) { return pad64(in_channels(n) * 2) * BT_NR; }

/* Panels that do not stay in L2, or that are made: best once for many rows. */
static bool heavy(const bt_node *n)
{
    return opens_bf16(n->attr) ||
           (direct_bf16(n->attr) && all_taps_bytes(n) * TILE_PANELS > B_BYTES);
}

/* Panels of a tile: bf16 panels that fit in L2, few enough for all threads to
 * have work; a long stream where one row meets each weight once. */
static int tile_panels(const bt_node *n, int64_t rows, int64_t row_tiles)
{
    const bt_mm *mm = n->attr;
    const size_t bytes = all_taps_bytes(n);
    size_t most = TILE_PANELS;
    if (direct_bf16(mm) || bt_mm_parts(mm->compute))
        most = B_BYTES / bytes / 2 * 2;
    else if (opens_bf16(mm))
        most = B_BYTES / opened_bytes(n) / 2 * 2;
    else if (rows == 1)
        most = GEMV_BYTES / bytes / TILE_PANELS * TILE_PANELS;
    int panels = most < TILE_PANELS ? TILE_PANELS : most > MAX_PANELS ? MAX_PANELS : (int)most;
    while (panels > TILE_PANELS && row_tiles * panel_tiles(mm, panels) < MIN_TILES)
        panels = panels / 2 < TILE_PANELS ? TILE_PANELS : panels / 2;
    return panels;
}

static grid grid_of(const bt_node *n, const bt_kernels *k)
{
    const bt_mm *mm = n->attr;
    grid g = { .groups = 1, .rows = bt_rows(n->shape) };
    if (mm->kind == BT_MM_TRANSPOSED) {
        g.groups = mm->stride < n->shape.w ? mm->stride : (int)n->shape.w;
        g.rows = n->shape.n * bt_mm_group_rows(n, 0);
    }
    const int64_t mr = mm->compute == BT_MM_F32 ? k->gemm_mr : BLOCK_ROWS;
    const int64_t most = (heavy(n) ? HEAVY_ROWS : TILE_ROWS) / mr * mr;
    g.row_tiles = (g.rows + most - 1) / most;
    g.tile_rows = ((g.rows + g.row_tiles - 1) / g.row_tiles + mr - 1) / mr * mr;
    g.row_tiles = (g.rows + g.tile_rows - 1) / g.tile_rows;
    g.panels = tile_panels(n, g.rows, g.row_tiles);
    g.panel_tiles = panel_tiles(mm, g.panels);
    const bool small = direct_bf16(mm) || bt_mm_parts(mm->compute);
    g.block = small && !heavy(n) ? BLOCK_ROWS : (int)g.tile_rows;
    g.ldc = g.panels * BT_NR * (mm->gated ? 2 : 1);
    return g;
}

static int64_t convert_rows(const bt_node *n)
{
    int64_t rows = CONVERT_VALUES / in_channels(n);
    return rows < 16 ? 16 : rows;
}

static int64_t mm_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    if (phase == 0)
        return has_padding(n) +
               (converts(n) ? (bt_rows(n->src[0]->shape) + convert_rows(n) - 1) / convert_rows(n)
                            : 0);
    grid g = grid_of(n, x->kernels);
    return g.groups * g.row_tiles * g.panel_tiles;
}

/* A thread's scratch: row pointers, a block's sums, an output row, panels. */
typedef struct scratch {
    const uint8_t **rows; /* [taps][tile_rows]; of BT_MM_SPLIT twice: high, low */
    float *c;             /* [block][ldc] */
    float *y;             /* [ldc], for rows that are stored as bf16 */
    void *b;              /* bt_mm_block's */
} scratch;

static size_t scratch_layout(const bt_node *n, const bt_kernels *k, uint8_t *base, scratch *s)
{
    const bt_mm *mm = n->attr;
    const grid g = grid_of(n, k);
    const int tables = mm->compute == BT_MM_SPLIT ? 2 : 1;
    size_t rows = pad64((size_t)mm->kh * mm->kw * g.tile_rows * tables * sizeof(void *));
    size_t c = pad64((size_t)g.block * g.ldc * sizeof(float)), y = pad64(g.ldc * sizeof(float));
    if (s)
        *s = (scratch){ (const uint8_t **)base, (float *)(base + rows), (float *)(base + rows + c),
                        base + rows + c + y };
    size_t b = opens_bf16(mm) ? g.panels * opened_bytes(n) : BT_MM_EXPANDED;
    const bool direct = direct_bf16(mm) || mm->compute == BT_MM_Q8 || bt_mm_parts(mm->compute) > 0;
    return rows + c + y + (direct ? 0 : b);
}

static size_t mm_scratch(const bt_node *n, const bt_kernels *k)
{
    return scratch_layout(n, k, NULL, NULL);
}

static void mm_cost(const bt_node *n, double *flops, double *bytes)
{
    const bt_mm *mm = n->attr;
    double rows = (double)bt_rows(mm->kind == BT_MM_TRANSPOSED ? n->src[0]->shape : n->shape);
    double k = (double)in_channels(n) * mm->kh * mm->kw, weights = 0, packed = 0;
    for (int i = 0; i < mm->n_parts; i++) {
        const bt_dtype_info *d = &bt_dtypes[mm->part[i].type];
        weights += k * (double)mm->part[i].n;
        packed += k * (double)mm->part[i].n * d->bytes / d->block;
    }
    *flops = 2 * rows * weights;
    *bytes = packed + (double)bt_rows(n->shape) * n->shape.c * bt_value_bytes(n) +
             (double)bt_rows(n->src[0]->shape) * in_channels(n) * bt_value_bytes(n->src[0]);
}

/* ---- phase 0 ----------------------------------------------------------- */

/* high | low | high, high + low being x but for the last bits. */
static void split_row(const bt_kernels *k, int n, const float *x, uint8_t *dst, size_t third)
{
    float rest[256], high[256];
    uint16_t *first = (uint16_t *)dst, *low = (uint16_t *)(dst + third);
    memset(dst + n * sizeof *low, 0, third - n * sizeof *low);
    memset(dst + third + n * sizeof *low, 0, third - n * sizeof *low);
    for (int i = 0; i < n; i += 256) {
        const int m = n - i < 256 ? n - i : 256;
        k->to_bf16(m, x + i, first + i);
        k->from_bf16(m, first + i, high);
        k->scale(m, high, high, -1.0f);
        k->add(m, rest, x + i, high);
        k->to_bf16(m, rest, low + i);
    }
    memcpy(dst + 2 * third, dst, third);
}

/* A row that is stored as bf16. */
static void quantize_half(const bt_kernels *k, int n, const uint16_t *x, bt_qa *dst)
{
    enum { AT_ONCE = 8 * BT_QA };
    float values[AT_ONCE];
    for (int i = 0; i < n; i += AT_ONCE) {
        const int m = n - i < AT_ONCE ? n - i : AT_ONCE;
        k->from_bf16(m, x + i, values);
        k->quantize_a(m, values, dst + i / BT_QA);
    }
}

static void convert_row(const bt_node *n, const bt_exec *x, uint8_t *dst, int64_t r)
{
    const int k = in_channels(n);
    const float *src = bt_row(n->src[0], r);
    const bt_mm_compute compute = ((const bt_mm *)n->attr)->compute;
    if (n->src[0]->half) {
        quantize_half(x->kernels, k, bt_half_row(n->src[0], r), (bt_qa *)dst);
        return;
    }
    if (compute == BT_MM_Q8) {
        x->kernels->quantize_a(k, src, (bt_qa *)dst);
        return;
    }
    if (bt_mm_parts(compute)) {
        x->kernels->quantize_row(k, bt_mm_parts(compute), src, (bt_row_q *)dst);
        return;
    }
    if (compute == BT_MM_SPLIT) {
        split_row(x->kernels, k, src, dst, row_bytes(n) / 3);
        return;
    }
    x->kernels->to_bf16(k, src, (uint16_t *)dst);
    memset(dst + k * sizeof(uint16_t), 0, row_bytes(n) - k * sizeof(uint16_t));
}

static void convert_tile(const bt_node *n, const bt_exec *x, int64_t tile)
{
    const size_t step = pad64(row_bytes(n));
    const int zero = has_padding(n);
    if (tile < zero) {
        memset(x->shared, 0, step);
        return;
    }
    int64_t r0 = (tile - zero) * convert_rows(n), end = r0 + convert_rows(n);
    for (int64_t r = r0; r < end && r < bt_rows(n->src[0]->shape); r++)
        convert_row(n, x, (uint8_t *)x->shared + step * (zero + r), r);
}

static bt_mm_input input_of(const bt_node *n, const bt_exec *x)
{
    const bt_mem *in = &n->src[0]->mem;
    const size_t step = pad64(row_bytes(n));
    if (!converts(n))
        return (bt_mm_input){ (const uint8_t *)in->data, x->shared,
                              in->ld * (int64_t)bt_value_bytes(n->src[0]) };
    return (bt_mm_input){ (const uint8_t *)x->shared + step * has_padding(n), x->shared,
                          (int64_t)step };
}

/* ---- phase 1: one tile ------------------------------------------------- */

typedef struct work {
    const bt_node *n;
    const bt_kernels *k;
    const grid *g;
    scratch s;
    bt_mm_tile t;
    int part, p0, np; /* panels p0.. of a part */
} work;

/* Sums of rows i0..i0+m: those of a gate's second part stand beside the first's. */
static void block_sums(const work *w, int i0, int m)
{
    const bt_mm *mm = w->n->attr;
    for (int i = 0; i < (mm->gated ? 2 : 1); i++) {
        const bt_mm_part *part = &mm->part[w->part + i];
        bt_mm_sums(&(bt_mm_block){ .k = w->k,
                                   .packed = w->n->packed[part->weight],
                                   .compute = mm->compute,
                                   .t = &w->t,
                                   .i0 = i0,
                                   .m = m,
                                   .p0 = part->panel + w->p0,
                                   .np = w->np,
                                   .c = w->s.c + i * w->g->panels * BT_NR,
                                   .ldc = w->g->ldc,
                                   .b = w->s.b });
    }
}

/* Channels from.. of the residual's row: floats, or made so in the scratch that a
 * row of y may use as well, since each value is read before it is written. */
static const float *residual_row(const work *w, int64_t r, int64_t from, int cols)
{
    const bt_node *n = w->n->residual;
    if (!n->half)
        return bt_row(n, r) + from;
    w->k->from_bf16(cols, bt_half_row(n, r) + from, w->s.y);
    return w->s.y;
}

/* Where inputs are rounded to bf16 or bytes a few digits of GELU are enough. */
static bt_act act_of(const bt_node *n)
{
    const bt_mm_compute c = ((const bt_mm *)n->attr)->compute;
    const bool rough = c == BT_MM_BF16 || c == BT_MM_ROWS;
    return rough && n->act == BT_ACT_GELU ? BT_ACT_GELU_SHORT : n->act;
}

/* y[0..cols) of output row r from its sums; from: y's first channel. */
static void finish_row(const work *w, float *y, float *c, int64_t r, int64_t from, int cols)
{
    const bt_node *n = w->n, *row = n->src[1];
    const bt_mm *mm = n->attr;
    const int64_t c0 = (int64_t)w->p0 * BT_NR;
    const float *bias = mm->part[w->part].bias ? mm->part[w->part].bias + c0 : NULL;
    const float *residual = n->residual ? residual_row(w, r, from, cols) : NULL;
    if (mm->gated) {
        float *c2 = c + w->g->panels * BT_NR;
        const float *bias2 = mm->part[1].bias;
        if (bias)
            w->k->add(cols, c, c, bias);
        if (bias2)
            w->k->add(cols, c2, c2, bias2 + c0);
        w->k->gate(cols, c, c, mm->act[0], c2, mm->act[1]);
        bias = NULL;
    }
    w->k->epilogue(cols, y, c, bias, residual, act_of(n), n->alpha,
                   n->scale != 0 ? n->scale : 1.0f);
    if (row) {
        const int64_t picture = row->shape.n > 1 ? r / (n->shape.h * n->shape.w) : 0;
        w->k->add(cols, y, y, bt_row(row, picture) + from);
    }
}

/* From the block's sums to the output's rows. */
static void write_rows(const work *w, int i0, int m)
{
    const bt_node *n = w->n;
    const bt_mm_part *part = &((const bt_mm *)n->attr)->part[w->part];
    int64_t c0 = (int64_t)w->p0 * BT_NR, cols = w->np * BT_NR, from = part->to + c0;
    if (cols > part->n - c0)
        cols = part->n - c0;
    for (int i = 0; i < m; i++) {
        int64_t r = bt_mm_out_row(n, w->t.group, w->t.m0 + i0 + i);
        if (r < 0)
            continue;
        float *y = n->half ? w->s.y : bt_row(n, r) + from;
        finish_row(w, y, w->s.c + (size_t)i * w->g->ldc, r, from, (int)cols);
        if (n->half)
            w->k->to_bf16((int)cols, y, bt_half_row(n, r) + from);
    }
}

/* Which part and panels the tile's number `p` means. */
static void find_panels(work *w, int64_t p)
{
    const bt_mm *mm = w->n->attr;
    for (w->part = 0; w->part < tiled_parts(mm); w->part++) {
        const int all = part_panels(mm, w->part), per = w->g->panels;
        const int64_t tiles = (all + per - 1) / per;
        if (p < tiles) {
            w->p0 = (int)p * per;
            w->np = all - w->p0 < per ? all - w->p0 : per;
            return;
        }
        p -= tiles;
    }
}

/* A second table of rows: where their low | high parts begin. */
static void low_rows(const bt_mm_tile *t, size_t third)
{
    const uint8_t **low = t->rows + t->taps * t->stride;
    for (int64_t k = 0; k < t->taps; k++)
        for (int i = 0; i < t->m; i++)
            low[k * t->stride + i] = t->rows[k * t->stride + i] + third;
}

static void mm_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    if (phase == 0) {
        convert_tile(n, x, tile);
        return;
    }
    const grid g = grid_of(n, x->kernels);
    const bt_mm_input in = input_of(n, x);
    int64_t row_tile = tile % g.row_tiles, rest = tile / g.row_tiles;
    int tap[BT_MM_MAX_TAPS];
    work w = { .n = n, .k = x->kernels, .g = &g };
    scratch_layout(n, x->kernels, x->scratch, &w.s);
    find_panels(&w, rest % g.panel_tiles);
    w.t = (bt_mm_tile){ .group = (int)(rest / g.panel_tiles),
                        .m0 = row_tile * g.tile_rows,
                        .stride = g.tile_rows,
                        .tap = tap,
                        .rows = w.s.rows };
    w.t.m = (int)(g.rows - w.t.m0 < g.tile_rows ? g.rows - w.t.m0 : g.tile_rows);
    w.t.taps = bt_mm_taps(n->attr, w.t.group, tap);
    bt_mm_rows(n, &in, &w.t);
    if (((const bt_mm *)n->attr)->compute == BT_MM_SPLIT)
        low_rows(&w.t, row_bytes(n) / 3);
    for (int i = 0; i < w.t.m; i += g.block) {
        const int m = w.t.m - i < g.block ? w.t.m - i : g.block;
        block_sums(&w, i, m);
        write_rows(&w, i, m);
    }
}

static bool mm_reads_half(const bt_node *n, int i)
{
    const bt_mm *mm = n->attr;
    const bool same = mm->compute == BT_MM_BF16 && in_channels(n) % BT_KB == 0;
    return i == 0 && (same || (mm->compute == BT_MM_Q8 && n->round));
}

static bt_status mm_prepare(bt_node *n, const bt_kernels *k, bt_error *err)
{
    (void)k;
    const bt_mm *mm = n->attr;
    bt_form form = mm->kind == BT_MM_TRANSPOSED ? BT_FORM_TRANSPOSED : BT_FORM_CONV;
    if (mm->compute == BT_MM_SPLIT)
        form += BT_FORM_SPLIT;
    if (bt_mm_parts(mm->compute))
        form = BT_FORM_ROWS;
    for (int i = 0; i < mm->n_parts; i++) {
        const bt_mm_part *part = &mm->part[i];
        const bt_packed *p;
        bt_status st = bt_weight_pack(n->w[part->weight], form, part->type, &p, err);
        if (st != BT_OK)
            return st;
        n->packed[part->weight] = p;
    }
    return BT_OK;
}

static size_t mm_packed_bytes(const bt_node *n)
{
    const bt_mm *mm = n->attr;
    size_t sum = 0;
    for (int i = 0; i < mm->n_parts && bt_mm_parts(mm->compute); i++)
        sum += part_panels(mm, i) * bt_row_panel_bytes(in_channels(n));
    for (int i = 0; i < mm->n_parts && !bt_mm_parts(mm->compute); i++)
        sum +=
            part_panels(mm, i) * bt_panel_bytes(mm->part[i].type, in_channels(n)) * mm->kh * mm->kw;
    return sum;
}

const bt_op bt_op_matmul = {
    .name = "matmul",
    .flags = BT_OP_ACT | BT_OP_SCALE | BT_OP_RESIDUAL | BT_OP_ROW | BT_OP_HALF,
    .phases = 2,
    .tiles = mm_tiles,
    .run = mm_run,
    .scratch = mm_scratch,
    .shared = mm_shared,
    .cost = mm_cost,
    .detail = bt_mm_detail,
    .reads_half = mm_reads_half,
    .packed_bytes = mm_packed_bytes,
    .prepare = mm_prepare,
};
