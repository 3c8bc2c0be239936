/* SPDX-License-Identifier: MIT
 * LSTM over rows (Hochreiter and Schmidhuber 1997; torch.nn.LSTM's form):
 *     i, f, g, o = W_ih x_t + b_ih + W_hh h_(t-1) + b_hh
 *     c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g),  h_t = sigmoid(o) tanh(c_t)
 *
 * What depends on x alone is one multiply for all rows: linear layers, a source per
 * direction. The op is the recurrence: a tile per direction, a matrix-vector product per
 * row, always in floats, since errors would travel along the whole sequence.
 */
#include <string.h>

#include "graph/op.h"
#include "graph/pack.h"

enum { MAX_STATE = 4096 };

typedef struct attr {
    int h;
    const float *b_hh[2];
} attr;

static int64_t lstm_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return n->src[1] ? 2 : 1;
}

/* The product's sums, a multiple of BT_NR; gates; cell, state and a spare one; a panel. */
static size_t lstm_scratch(const bt_node *n, const bt_kernels *k)
{
    const size_t h = (size_t)((const attr *)n->attr)->h;
    (void)k;
    return (4 * h + BT_NR + 4 * h + 3 * h + BT_NR * h) * sizeof(float);
}

/* sums = W state; where there is no kernel for it, panel by panel: the same bytes. */
static void product(const bt_kernels *k, const bt_packed *w, const float *state, float *sums,
                    float *panel)
{
    if (k->gemv_f32[w->type]) {
        k->gemv_f32[w->type](w->panels, w->k, state, w->data, w->panel_bytes, sums);
        return;
    }
    for (int p = 0; p < w->panels; p++) {
        k->expand(w->type, panel, bt_panel(w, p, 0), 0, w->k);
        k->gemm_f32(1, 1, w->k, &state, panel, 0, sums + p * BT_NR, BT_NR, 1);
    }
}

/* One row: gates [4h] are the sums; state and cell [h] move on. */
static void step(const bt_kernels *k, int h, float *gates, float *cell, float *state, float *spare)
{
    float *f = gates + h, *g = f + h, *o = g + h;
    k->act(h, f, f, BT_ACT_SIGMOID, 0);
    k->mul(h, cell, cell, f);
    k->gate(h, spare, gates, BT_ACT_SIGMOID, g, BT_ACT_TANH);
    k->add(h, cell, cell, spare);
    k->gate(h, state, o, BT_ACT_SIGMOID, cell, BT_ACT_TANH);
}

static void lstm_run(const bt_node *n, const bt_exec *x, int phase, int64_t d)
{
    const bt_kernels *k = x->kernels;
    const bt_packed *w = n->packed[d];
    const attr *a = n->attr;
    const int h = a->h;
    const int64_t rows = bt_rows(n->shape);
    float *sums = x->scratch, *gates = sums + w->panels * BT_NR;
    float *cell = gates + 4 * h, *state = cell + h, *spare = state + h;
    (void)phase;
    memset(cell, 0, 2 * (size_t)h * sizeof *cell); /* and state */
    for (int64_t i = 0; i < rows; i++) {
        const int64_t r = d ? rows - 1 - i : i;
        product(k, w, state, sums, spare + h);
        k->add(4 * h, gates, sums, a->b_hh[d]);
        k->add(4 * h, gates, gates, bt_row(n->src[d], r));
        step(k, h, gates, cell, state, spare);
        memcpy(bt_row(n, r) + d * h, state, (size_t)h * sizeof *state);
    }
}

static void lstm_cost(const bt_node *n, double *flops, double *bytes)
{
    const double c = (double)n->shape.c, h = (double)((const attr *)n->attr)->h;
    *flops = 8 * (double)bt_rows(n->shape) * h * c;
    *bytes = 16 * h * c + 20 * (double)bt_rows(n->shape) * c;
}

static bt_status lstm_prepare(bt_node *n, const bt_kernels *k, bt_error *err)
{
    (void)k;
    for (int d = 0; d < 2 && n->w[d]; d++) {
        const bt_packed *p;
        bt_status st =
            bt_weight_pack(n->w[d], BT_FORM_CONV, bt_weight_tensor(n->w[d])->dtype, &p, err);
        if (st != BT_OK)
            return st;
        n->packed[d] = p;
    }
    return BT_OK;
}

static size_t lstm_packed_bytes(const bt_node *n)
{
    const int h = ((const attr *)n->attr)->h;
    size_t sum = 0;
    for (int d = 0; d < 2 && n->w[d]; d++)
        sum += (size_t)(4 * h + BT_NR - 1) / BT_NR *
               bt_panel_bytes(bt_weight_tensor(n->w[d])->dtype, h);
    return sum;
}

static const bt_op op_lstm = {
    .name = "lstm",
    .tiles = lstm_tiles,
    .run = lstm_run,
    .scratch = lstm_scratch,
    .cost = lstm_cost,
    .packed_bytes = lstm_packed_bytes,
    .prepare = lstm_prepare,
};

static bool fits(const bt_weight *w, int64_t h)
{
    const bt_tensor *t = bt_weight_tensor(w);
    return t->n_dims == 2 && t->dims[0] == 4 * h && t->dims[1] == h &&
           (t->dtype == BT_F32 || t->dtype == BT_F16 || t->dtype == BT_BF16);
}

bt_node *bt_lstm_rows(bt_graph *g, bt_node *x, int directions, const bt_lstm *w)
{
    const bt_weight *w_ih[2], *b_ih[2];
    bt_node *y[2];
    if (!x || directions < 1 || directions > 2)
        return NULL;
    attr a = { 0 };
    for (int d = 0; d < directions; d++) {
        if (!w[d].w_ih || !w[d].w_hh || !w[d].b_ih || !w[d].b_hh)
            return NULL;
        const int64_t h = d ? a.h : bt_weight_dim(w[0].w_hh, 1);
        if (h < 1 || h > MAX_STATE || x->shape.n * x->shape.h != 1 || !fits(w[d].w_hh, h) ||
            bt_weight_dim(w[d].w_ih, 0) != 4 * h)
            return bt_graph_fail(g, "%s: not the weight of an LSTM",
                                 bt_weight_tensor(w[d].w_hh)->name);
        a.h = (int)h;
        a.b_hh[d] = bt_weight_channels(g, w[d].b_hh, 4 * h);
        w_ih[d] = w[d].w_ih;
        b_ih[d] = w[d].b_ih;
        if (!a.b_hh[d])
            return NULL;
    }
    bt_linears(g, x, directions, w_ih, b_ih, y);
    bt_shape s = x->shape;
    s.c = (int64_t)directions * a.h;
    bt_node *n = bt_node_new(g, &op_lstm, s, y, directions, &a, sizeof a);
    for (int d = 0; n && d < directions; d++)
        n->w[d] = w[d].w_hh;
    return n;
}
