/* SPDX-License-Identifier: MIT
 * An op of these modules: one stage of a HiFi-GAN generator (Kong et al. 2020,
 * models.py), y = the mean over blocks of block_i(u), u = transposed convolution of
 * leaky(x). In a block x += conv(leaky(x)) for each dilation (ResBlock2), or
 * x += conv'(conv(leaky(x)), leaky in between) (ResBlock1).
 *
 * Why not from the graph's ops: at the rate of samples a tensor is as large as the
 * caches, and each op would read and write two or three of them. Here a tile of
 * rows goes through the whole stage in the thread's scratch, which stays in the
 * second-level cache. It begins with a halo on both sides that the filters eat up;
 * what both neighbours compute there is the same to the bit, since a row's sums do
 * not depend on the tile.
 *
 * Rows in a tile are numbered from its halo's first row on ("base"). `operand` rows
 * are leaky(x) in the compute type, zeros beyond the sequence: a filter's padding.
 * Sums: taps in order, channels in order, then bias and residual.
 *
 * Filters of 3, 5 and 7 taps may be minimal filtering (graph/minimal.h): `outs` rows at the
 * filter's dilation d are made together from the inputs that any of them needs, so their
 * bytes depend on all of these. Any cut must therefore have the same groups, and the true
 * values of all rows that they read. So groups lie in blocks of outs * d rows at multiples of that,
 * counted from the sequence's first row; whole blocks are made, from rows that the
 * filter before made in whole blocks ("after" and "halo" are rounded up so), and a tile
 * is a multiple of every block of the stage, as is what a chunk may begin with
 * (hifigan.h, align). Beyond both ends of the sequence all operands are zeros, whoever
 * reads them; beyond a chunk's end they are wrong, but not within its margin.
 */
#include <stdio.h>
#include <string.h>

#include "graph/minimal.h"
#include "graph/ops.h"
#include "graph/pack.h"
#include "audio/hifigan/hifigan.h"

enum {
    TILE_VALUES = 32768, /* of an output tile: about 0.6 MiB of scratch */
    STEP_VALUES = 4096,  /* of the rows that go from sums to operand at a time: in L1 */
    MAX_CONVS = 2 * BT_HIFIGAN_CONVS,
    B_BYTES = 24576,             /* of float panels used at a time: in L1 */
    FORMS = BT_MINIMAL_TAPS / 2, /* of minimal filtering: for 3, 5, 7 taps */
};

typedef struct filter {
    const float *bias; /* [c] or NULL */
    const bt_weight *w;
    const bt_packed *packed; /* from prepare */
    int taps, dilation, halo;
    int after; /* rows to each side that the filters after it need, in whole blocks */
    int block; /* rows of a block of groups of minimal filtering; 0: plain sums */
} filter;

typedef struct stage {
    filter up, conv[BT_HIFIGAN_KERNELS][MAX_CONVS];
    int stride, pad; /* of up */
    int n_blocks, n_convs;
    bool pairs, half; /* half: bf16 products, else f32 */
    bool minimal;     /* some filters are minimal filtering */
    int in, c;        /* channels */
    int halo;         /* of a whole residual block */
    int align;        /* tiles begin at multiples of so many rows */
    bt_points points[FORMS];
} stage;

/* ---- sizes ------------------------------------------------------------- */

static size_t value_bytes(const stage *s) { return s->half ? sizeof(uint16_t) : sizeof(float); }
static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static int64_t width(const stage *s) { return round_up(s->c, BT_NR); }

static int form_of(const filter *f) { return f->taps / 2 - 1; }

static int whole_blocks(const filter *f, int rows)
{
    return f->block ? (int)round_up(rows, f->block) : rows;
}

/* Values of an operand row of c channels. */
static int64_t operand_width(const stage *s, int64_t c)
{
    return round_up(c, s->half ? BT_KB : BT_NR);
}

/* Output rows of a tile: tiles of about the same size, whatever the length. */
static int64_t tile_rows(const bt_node *n)
{
    const int64_t most = TILE_VALUES / width(n->attr), rows = n->shape.w;
    if (most < 2)
        return ((const stage *)n->attr)->align;
    const int64_t tiles = (rows + most - 1) / most;
    return round_up((rows + tiles - 1) / tiles, ((const stage *)n->attr)->align);
}

static int64_t stage_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, tile_rows(n));
}

/* Rows for a filter, and where each of them begins. */
typedef struct operand {
    uint8_t *data;
    const void **row;
} operand;

/* A thread's memory. Row buffers are `width` or operand_width values wide. */
typedef struct scratch {
    operand first, inner[2]; /* leaky(u), which all blocks begin with; within a block, by turns */
    uint8_t *in;             /* up's operand */
    const void **in_rows;    /* [tap][row] */
    float *u, *x, *y, *sum;  /* up's output; a block's x and inner sum; the blocks' sum */
    float *bias, *part;      /* a bias over and over; a convolution's sums */
    bt_minimal_scratch minimal;
} scratch;

static int64_t most_rows(const bt_node *n)
{
    return tile_rows(n) + 2 * ((const stage *)n->attr)->halo;
}

static int64_t up_rows(const bt_node *n) /* input rows that a tile's up reads */
{
    const stage *s = n->attr;
    return (most_rows(n) + s->up.taps) / s->stride + 4;
}

/* Rows between a convolution and the next one's operand: as many as the kernels like
 * to take together. */
static int64_t step_rows(const stage *s)
{
    const int64_t rows = STEP_VALUES / width(s);
    return round_up(rows ? rows : 1, s->half ? 32 : 12);
}

static int64_t span(const stage *s) /* values of such rows, and of an input row */
{
    const int64_t in = round_up(s->in, BT_NR), step = step_rows(s) * width(s);
    return in > step ? in : step;
}

/* Blocks of minimal filtering made together. */
static int block_count(const filter *f) { return BT_HIFIGAN_GROUPS / f->dilation; }

static void *part_of(uint8_t *base, size_t *at, int64_t bytes)
{
    void *p = base ? base + *at : NULL;
    *at += (size_t)round_up(bytes, 64);
    return p;
}

static size_t layout(const bt_node *n, uint8_t *base, scratch *out)
{
    const stage *s = n->attr;
    const int64_t rows = most_rows(n), floats = rows * width(s) * (int64_t)sizeof(float);
    const int64_t value = (int64_t)value_bytes(s);
    operand *rows_of[] = { &out->first, &out->inner[0], &out->inner[1] };
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        rows_of[i]->data = part_of(base, &at, rows * operand_width(s, s->c) * value);
        rows_of[i]->row = part_of(base, &at, rows * (int64_t)sizeof(void *));
    }
    out->in = part_of(base, &at, up_rows(n) * operand_width(s, s->in) * value);
    out->in_rows =
        part_of(base, &at, (rows / s->stride + 2) * s->up.taps * (int64_t)sizeof(void *));
    out->u = part_of(base, &at, floats);
    out->x = part_of(base, &at, floats);
    out->y = part_of(base, &at, floats);
    out->sum = part_of(base, &at, tile_rows(n) * width(s) * (int64_t)sizeof(float));
    out->bias = part_of(base, &at, span(s) * (int64_t)sizeof(float));
    out->part = part_of(base, &at, span(s) * (int64_t)sizeof(float));
    if (s->minimal)
        at += bt_minimal_layout(base ? base + at : NULL, BT_MAX_POINTS, BT_HIFIGAN_GROUPS, width(s),
                                width(s), &out->minimal);
    return at;
}

static size_t stage_scratch(const bt_node *n, const bt_kernels *k)
{
    scratch s;
    (void)k;
    return layout(n, NULL, &s);
}

static void stage_cost(const bt_node *n, double *flops, double *bytes)
{
    const stage *s = n->attr;
    const double rows = (double)n->shape.w, in_rows = (double)n->src[0]->shape.w;
    double taps = 0;
    for (int b = 0; b < s->n_blocks; b++)
        for (int i = 0; i < s->n_convs; i++)
            taps += s->conv[b][i].taps;
    *flops = 2 * rows * s->c * s->c * taps + 2 * in_rows * s->in * s->c * s->up.taps;
    *bytes = 4 * (rows * s->c + in_rows * s->in) +
             (s->half ? 2 : 4) * (s->c * s->c * taps + (double)s->in * s->c * s->up.taps);
}

static void stage_detail(const bt_node *n, const int64_t *params, bt_detail *d)
{
    const stage *s = n->attr;
    (void)params;
    d->compute = s->half ? "bf16" : "f32";
    d->in = s->in;
}

/* ---- a tile ------------------------------------------------------------ */

typedef struct work {
    const bt_node *n;
    const stage *s;
    const bt_kernels *k;
    scratch m;
    int64_t t0, t1; /* output rows */
    int64_t end;    /* t1, rounded up to whole blocks */
    int64_t base;   /* the row that buffers begin with: t0 - halo */
} work;

/* dst[rows][to] = leaky(src[rows][from]) in the compute type, to >= from; `from` is a
 * multiple of BT_NR and the rows' padding is finite. */
static void make_operand(const work *w, int64_t rows, const float *src, int64_t from, void *dst,
                         int64_t to)
{
    const size_t value = value_bytes(w->s);
    const int64_t per = to == from ? span(w->s) / from : 1;
    if (to != from)
        memset(dst, 0, (size_t)(rows * to) * value);
    for (int64_t r = 0; r < rows; r += per) {
        const int n = (int)((rows - r < per ? rows - r : per) * from);
        uint8_t *out = (uint8_t *)dst + (size_t)(r * to) * value;
        float *leaky = w->s->half ? w->m.part : (float *)(void *)out;
        w->k->act(n, leaky, src + r * from, BT_ACT_LEAKY_RELU, BT_HIFIGAN_SLOPE);
        if (w->s->half)
            w->k->to_bf16(n, leaky, (uint16_t *)(void *)out);
    }
}

/* Bias for as many rows as go from sums to operand at a time. */
static void repeat_bias(const work *w, const float *bias)
{
    const int64_t wide = width(w->s), n = step_rows(w->s) * wide;
    float *dst = w->m.bias;
    memset(dst, 0, (size_t)wide * sizeof *dst);
    if (bias)
        memcpy(dst, bias, (size_t)w->s->c * sizeof *dst);
    for (int64_t i = wide; i < n; i *= 2)
        memcpy(dst + i, dst, (size_t)(n - i < i ? n - i : i) * sizeof *dst);
}

/* c[m][ldc] = sum over q of rows[q * sa + i] times tap first + q * step of f. */
static void multiply(const work *w, const filter *f, int m, const void *const *rows, size_t sa,
                     int first, int step, float *c, size_t ldc)
{
    const bt_packed *p = f->packed;
    const int taps = (f->taps - first + step - 1) / step;
    const size_t value = value_bytes(w->s);
    const size_t ldt = step * p->panel_bytes / value, ldp = p->taps * p->panel_bytes / value;
    const void *b = bt_panel(p, 0, first);
    if (w->s->half) {
        w->k->gemm_bf16(m, p->panels, taps, (int)round_up(p->k, BT_KB),
                        (const uint16_t *const *)rows, sa, b, ldt, ldp, c, ldc, 1);
        return;
    }
    const int np = w->k->gemm_np < 2 ? 1 : 2; /* tall tiles: more taps' panels fit in L1 */
    const int fit = (int)(B_BYTES / (np * p->panel_bytes));
    const int most = fit > 1 ? fit : 1;
    for (int i = 0; i < p->panels; i += np)
        for (int q = 0; q < taps; q += most)
            w->k->conv_f32(m, p->panels - i < np ? p->panels - i : np,
                           taps - q < most ? taps - q : most, p->k,
                           (const float *const *)rows + (size_t)q * sa, sa,
                           (const float *)b + (size_t)i * ldp + (size_t)q * ldt, ldt, ldp,
                           c + i * BT_NR, ldc, q == 0);
}

/* leaky(x) for the input rows lo..hi-1; zeros where there are none. */
static void fill_in(const work *w, int64_t lo, int64_t hi)
{
    const bt_node *in = w->n->src[0];
    const int64_t c = round_up(w->s->in, BT_NR), wide = operand_width(w->s, c);
    const size_t row = (size_t)wide * value_bytes(w->s);
    float *padded = w->m.bias; /* a row; not in use yet */
    memset(padded, 0, (size_t)c * sizeof *padded);
    for (int64_t r = lo; r < hi; r++) {
        uint8_t *dst = w->m.in + (size_t)(r - lo) * row;
        if (r < 0 || r >= in->shape.w) {
            memset(dst, 0, row);
            continue;
        }
        const float *x = bt_row(in, r);
        if (c != w->s->in)
            x = memcpy(padded, x, (size_t)w->s->in * sizeof *x);
        make_operand(w, 1, x, c, dst, wide);
    }
}

/* Rows lo..hi-1 of up's output into u. Output row r takes tap t of input row
 * (r + pad - t) / stride where that is whole: the rows of one remainder by the
 * stride share their taps. */
static void upsample(const work *w, int64_t lo, int64_t hi)
{
    const stage *s = w->s;
    const int64_t wide = width(s), in_lo = (lo + s->pad - s->up.taps) / s->stride - 1;
    const size_t row = (size_t)operand_width(s, s->in) * value_bytes(s);
    float *u = w->m.u + (lo - w->base) * wide;
    fill_in(w, in_lo, (hi - 1 + s->pad) / s->stride + 1);
    if (s->up.taps < s->stride) /* rows that take nothing */
        memset(u, 0, (size_t)((hi - lo) * wide) * sizeof *u);
    for (int64_t r = lo; r < lo + s->stride && r < hi; r++) {
        const int first = (int)((r + s->pad) % s->stride), m = (int)((hi - r - 1) / s->stride + 1);
        const int64_t x = (r + s->pad - first) / s->stride - in_lo;
        for (int q = 0; first + q * s->stride < s->up.taps; q++)
            for (int i = 0; i < m; i++)
                w->m.in_rows[q * m + i] = w->m.in + (size_t)(x + i - q) * row;
        if (first < s->up.taps)
            multiply(w, &s->up, m, w->m.in_rows, (size_t)m, first, s->stride, u + (r - lo) * wide,
                     (size_t)(s->stride * wide));
    }
}

/* Zeros for the operand's rows from..lo-1 and hi..to-1. */
static void pad_operand(const work *w, operand *o, int64_t from, int64_t lo, int64_t hi, int64_t to)
{
    const size_t row = (size_t)operand_width(w->s, w->s->c) * value_bytes(w->s);
    memset(o->data + (size_t)(from - w->base) * row, 0, (size_t)(lo - from) * row);
    memset(o->data + (size_t)(hi - w->base) * row, 0, (size_t)(to - hi) * row);
}

static int64_t clamp(int64_t r, int64_t n) { return r < 0 ? 0 : r < n ? r : n; }

/* What becomes of a convolution's sums: y = sums + bias (+ x) (+ residual); then, if
 * asked for, leaky(y) as an operand. x begins with row base, y and residual with row
 * `origin`. */
typedef struct result {
    float *y;
    const float *x, *residual;
    int64_t origin;
    operand *next;
} result;

static void finish(const work *w, const result *d, int64_t r, int64_t m, const float *sums)
{
    const int64_t wide = width(w->s), to = operand_width(w->s, wide), at = r - w->base;
    const float *x = d->x ? d->x + at * wide : NULL;
    float *y = d->y + (r - d->origin) * wide;
    const float *residual = d->residual ? d->residual + (r - d->origin) * wide : NULL;
    uint8_t *z = d->next ? d->next->data + (size_t)(at * to) * value_bytes(w->s) : NULL;
    uint8_t *direct = to == wide ? z : NULL;
    const int n = (int)(m * wide);
    if (w->s->half)
        w->k->join_bf16(n, y, (uint16_t *)(void *)direct, sums, w->m.bias, x, residual,
                        BT_HIFIGAN_SLOPE);
    else
        w->k->join_f32(n, y, (float *)(void *)direct, sums, w->m.bias, x, residual,
                       BT_HIFIGAN_SLOPE);
    if (z && !direct)
        make_operand(w, m, y, wide, z, to);
}

/* The rows lo..hi-1 of a filter's output by minimal filtering. */
static void filter_blocks(const work *w, const filter *f, const operand *a, const result *d,
                          int64_t lo, int64_t hi)
{
    const int64_t wide = width(w->s), step = (int64_t)block_count(f) * f->block;
    for (int64_t r = lo; r < hi; r += step) {
        const int64_t m = hi - r < step ? hi - r : step, at = (r - w->base) * wide;
        const int64_t to = (r - d->origin) * wide;
        const bt_minimal_rows rows = {
            .y = d->y + to,
            .z = d->next ? (float *)(void *)d->next->data + at : NULL,
            .bias = w->m.bias,
            .a = d->x ? d->x + at : NULL,
            .b = d->residual ? d->residual + to : NULL,
            .alpha = BT_HIFIGAN_SLOPE,
        };
        bt_minimal_filter(w->k, &w->s->points[form_of(f)], f->packed, f->dilation, (int)m,
                          (const float *)(void *)a->data + at - f->halo * wide, &w->m.minimal,
                          &rows);
    }
}

/* One convolution, on the rows that the filters after it need. */
static void convolve(const work *w, const filter *f, const operand *a, result d)
{
    const int64_t len = w->n->shape.w, step = step_rows(w->s);
    const int64_t lo = clamp(w->t0 - f->after, len), hi = clamp(w->end + f->after, len);
    repeat_bias(w, f->bias);
    if (f->block)
        filter_blocks(w, f, a, &d, lo, hi);
    for (int64_t r = lo; !f->block && r < hi; r += step) {
        const int64_t m = hi - r < step ? hi - r : step;
        multiply(w, f, (int)m, a->row + (r - w->base - f->halo), (size_t)f->dilation, 0, 1,
                 w->m.part, (size_t)width(w->s));
        finish(w, &d, r, m, w->m.part);
    }
    if (d.next)
        pad_operand(w, d.next, w->t0 - f->after, lo, hi, w->end + f->after);
}

/* Adds block b of u to the sum (the first one begins it). */
static void run_block(work *w, int b)
{
    const stage *s = w->s;
    scratch *m = &w->m;
    const operand *a = &m->first;
    const float *x = m->u;
    for (int i = 0, turn = 0; i < s->n_convs; i++) {
        operand *next = &m->inner[turn];
        result d = { .y = m->x, .x = x, .origin = w->base, .next = next };
        if (i == s->n_convs - 1)
            d = (result){ .y = m->sum, .x = x, .residual = b ? m->sum : NULL, .origin = w->t0 };
        if (s->pairs && i % 2 == 0)
            d = (result){ .y = m->y, .origin = w->base, .next = next };
        else
            x = m->x;
        convolve(w, &s->conv[b][i], a, d);
        a = next;
        turn = !turn;
    }
}

/* The mean to the output's rows. */
static void write_mean(const work *w)
{
    const float factor = 1.0f / (float)w->s->n_blocks;
    const int64_t wide = width(w->s), rows = w->t1 - w->t0;
    if (w->n->mem.ld == wide) {
        w->k->scale((int)(rows * wide), bt_row(w->n, w->t0), w->m.sum, factor);
        return;
    }
    for (int64_t r = 0; r < rows; r++)
        w->k->scale(w->s->c, bt_row(w->n, w->t0 + r), w->m.sum + r * wide, factor);
}

static void stage_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const stage *s = n->attr;
    const int64_t per = tile_rows(n), wide = width(s), to = operand_width(s, s->c);
    work w = { .n = n, .s = s, .k = x->kernels, .t0 = tile * per };
    (void)phase;
    w.t1 = bt_row_tile_end(n, per, tile);
    w.end = w.t0 + round_up(w.t1 - w.t0, s->align);
    w.base = w.t0 - s->halo;
    layout(n, x->scratch, &w.m);
    const int64_t end = w.end + s->halo, lo = clamp(w.base, n->shape.w);
    const int64_t hi = clamp(end, n->shape.w), row = to * (int64_t)value_bytes(s);
    operand *const all[] = { &w.m.first, &w.m.inner[0], &w.m.inner[1] };
    for (int o = 0; o < 3; o++)
        for (int64_t i = 0; i < end - w.base; i++)
            all[o]->row[i] = all[o]->data + i * row;
    upsample(&w, lo, hi);
    repeat_bias(&w, s->up.bias);
    const result u = { .y = w.m.u, .origin = w.base, .next = &w.m.first };
    for (int64_t r = lo; r < hi; r += step_rows(s))
        finish(&w, &u, r, hi - r < step_rows(s) ? hi - r : step_rows(s),
               w.m.u + (r - w.base) * wide);
    pad_operand(&w, &w.m.first, w.base, lo, hi, end);
    for (int b = 0; b < s->n_blocks; b++)
        run_block(&w, b);
    write_mean(&w);
}

/* ---- making the node --------------------------------------------------- */

static bt_status pack(filter *f, bt_form form, bool half, bt_error *err)
{
    return bt_weight_pack(f->w, form, half ? BT_BF16 : BT_F32, &f->packed, err);
}

static bt_status stage_prepare(bt_node *n, const bt_kernels *k, bt_error *err)
{
    stage *s = (stage *)n->attr; /* the graph's own copy, not shared before the first run */
    bt_status st;
    (void)k;
    BT_TRY(pack(&s->up, BT_FORM_TRANSPOSED, s->half, err));
    for (int b = 0; b < s->n_blocks; b++)
        for (int i = 0; i < s->n_convs; i++)
            BT_TRY(pack(&s->conv[b][i], s->conv[b][i].block ? BT_FORM_MINIMAL : BT_FORM_CONV,
                        s->half, err));
fail:
    return st;
}

static const bt_op op_stage = {
    .name = "vocoder_stage",
    .tiles = stage_tiles,
    .run = stage_run,
    .scratch = stage_scratch,
    .cost = stage_cost,
    .detail = stage_detail,
    .prepare = stage_prepare,
};

/* Weights "<prefix>.weight" [d0, d1, taps] and "<prefix>.bias" [c]; false: a sticky error. */
static bool filter_of(bt_graph *g, filter *f, int64_t d0, int64_t d1, int64_t c, const char *prefix)
{
    const bt_weight *w = bt_w(g, "%s.weight", prefix), *b = bt_w_opt(g, "%s.bias", prefix);
    if (!w)
        return false;
    const int64_t taps = bt_weight_dim(w, 2);
    if (bt_weight_dim(w, 0) != d0 || bt_weight_dim(w, 1) != d1 || taps < 1 || taps > 4096 ||
        bt_tensor_count(bt_weight_tensor(w)) != d0 * d1 * taps)
        return bt_graph_fail(g, "%s does not fit the decoder", prefix) != NULL;
    *f = (filter){ .w = w, .taps = (int)taps, .dilation = f->dilation };
    return !b || (f->bias = bt_weight_channels(g, b, c)) != NULL;
}

/* The convolutions of block b: their names are those of models.py. */
static bool block_of(bt_graph *g, const bt_hifigan *d, stage *s, int number, int b)
{
    char name[64];
    const int step = s->pairs ? 2 : 1;
    int after = 0;
    for (int i = 0; i < s->n_convs; i++) {
        filter *f = &s->conv[b][i];
        const char *list = !s->pairs ? "convs" : i % 2 ? "convs2" : "convs1";
        f->dilation = i % step ? 1 : d->dilation[b][i / step];
        snprintf(name, sizeof name, "%sresblocks.%d.%s.%d", d->prefix, number, list, i / step);
        if (!filter_of(g, f, s->c, s->c, s->c, name))
            return false;
        if (f->taps % 2 == 0)
            return bt_graph_fail(g, "%s has an even length", name) != NULL;
        f->halo = f->taps / 2 * f->dilation;
        const int outs = bt_hifigan_outs(d, s->c, f->taps, f->dilation);
        f->block = outs * f->dilation;
        if (outs) {
            s->minimal = true;
            s->align = (int)bt_common_multiple(s->align, f->block);
            bt_minimal_points(f->taps, outs, &s->points[form_of(f)]);
        }
    }
    for (int i = s->n_convs - 1; i >= 0; after += s->conv[b][i--].halo)
        s->conv[b][i].after = after = whole_blocks(&s->conv[b][i], after);
    s->halo = after > s->halo ? after : s->halo;
    return true;
}

bt_node *bt_hifigan_stage(bt_graph *g, const bt_hifigan *d, bt_node *x, int number)
{
    char name[64];
    const bt_kernels *k = bt_weights_compute(bt_graph_weights(g))->kernels;
    bt_shape shape = bt_shape_of(x);
    snprintf(name, sizeof name, "%sups.%d", d->prefix, number);
    const bt_weight *w = bt_w(g, "%s.weight", name);
    if (!x || !w)
        return NULL;
    stage s = {
        .stride = d->stride[number],
        .pad = d->pad[number],
        .n_blocks = d->n_kernels,
        .n_convs = d->block_convs * (d->block_pairs ? 2 : 1),
        .pairs = d->block_pairs,
        .align = 1,
        .in = (int)shape.c,
        .c = (int)bt_weight_dim(w, 1),
    };
    s.up.dilation = 1;
    if (!filter_of(g, &s.up, s.in, s.c, s.c, name))
        return NULL;
    for (int b = 0; b < s.n_blocks; b++)
        if (!block_of(g, d, &s, number * d->n_kernels + b, b))
            return NULL;
    if (shape.n != 1 || shape.h != 1 || s.halo > 1 << 16)
        return bt_graph_fail(g, "%s: shapes do not fit", name);
    shape.w = (shape.w - 1) * s.stride - 2 * (int64_t)s.pad + s.up.taps;
    shape.c = s.c;
    bt_node *n = bt_node_new(g, &op_stage, shape, &x, 1, NULL, 0);
    if (!n)
        return NULL;
    s.half = n->precision == BT_PREC_BF16 && k->gemm_bf16;
    return bt_node_set_attr(g, n, &s, sizeof s) ? n : NULL;
}
