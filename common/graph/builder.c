/* SPDX-License-Identifier: MIT
 * Nodes, inputs, weights by name, sticky errors. The ops' own builders are in
 * ops/. A graph's memory is a list of blocks that lives until the graph does:
 * plans keep it for their nodes.
 */
#include "graph/builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/ops.h"
#include "graph/weights.h"

struct bt_block {
    bt_block *next;
    _Alignas(16) char data[];
};

bt_status bt_graph_create(bt_weights *ws, bt_graph **out)
{
    bt_graph *g = bt_calloc(1, sizeof *g);
    *out = g;
    if (!g)
        return BT_ENOMEM;
    g->ws = ws;
    g->precision = bt_weights_compute(ws)->precision;
    return BT_OK;
}

void bt_graph_free(bt_graph *g)
{
    if (!g)
        return;
    for (bt_block *b = g->blocks, *next; b; b = next) {
        next = b->next;
        bt_release(b);
    }
    bt_release(g->nodes);
    bt_release(g);
}

bt_weights *bt_graph_weights(bt_graph *g) { return g->ws; }
bt_precision bt_graph_precision_of(const bt_graph *g) { return g->precision; }
void bt_graph_precision(bt_graph *g, bt_precision p) { g->precision = p; }
void bt_graph_round(bt_graph *g, bool on) { g->round = on; }

static bt_node *no_memory(bt_graph *g)
{
    if (g->error.status == BT_OK)
        bt_fail(&g->error, BT_ENOMEM, "no memory for the graph");
    return NULL;
}

bt_node *bt_graph_fail(bt_graph *g, const char *fmt, ...)
{
    char text[sizeof g->error.text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (g->error.status == BT_OK)
        bt_fail(&g->error, BT_EFORMAT, "%s", text);
    return NULL;
}

static const bt_weight *find_weight(bt_graph *g, bool required, const char *fmt, va_list ap)
{
    char name[256];
    vsnprintf(name, sizeof name, fmt, ap);
    const bt_weight *w = bt_weight_find(g->ws, name);
    if (!w && required)
        bt_graph_fail(g, "tensor %s is missing", name);
    return w;
}

const bt_weight *bt_w(bt_graph *g, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const bt_weight *w = find_weight(g, true, fmt, ap);
    va_end(ap);
    return w;
}

const bt_weight *bt_w_opt(bt_graph *g, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const bt_weight *w = find_weight(g, false, fmt, ap);
    va_end(ap);
    return w;
}

const float *bt_weight_f32(bt_graph *g, const bt_weight *w)
{
    bt_error err = { 0 };
    const float *values = bt_weight_cached(w, &err);
    if (!values && g->error.status == BT_OK)
        g->error = err;
    return values;
}

const float *bt_weight_channels(bt_graph *g, const bt_weight *w, int64_t c)
{
    const bt_tensor *t = bt_weight_tensor(w);
    if (bt_tensor_count(t) == c)
        return bt_weight_f32(g, w);
    bt_graph_fail(g, "%s: %lld values for %lld channels", t->name, (long long)bt_tensor_count(t),
                  (long long)c);
    return NULL;
}

bt_shape bt_shape_of(const bt_node *n) { return n ? n->shape : (bt_shape){ 0 }; }

static void *graph_alloc(bt_graph *g, size_t n)
{
    bt_block *b = bt_calloc(1, sizeof *b + n);
    if (!b)
        return no_memory(g);
    b->next = g->blocks;
    g->blocks = b;
    return b->data;
}

/* Numbers the node: creation is an order of evaluation, since sources come first. */
static bool append(bt_graph *g, bt_node *n)
{
    if (g->n_nodes == g->cap) {
        int cap = g->cap ? 2 * g->cap : 256;
        bt_node **nodes = bt_realloc_array(g->nodes, g->cap, cap, sizeof *nodes);
        if (!nodes)
            return no_memory(g) != NULL;
        g->nodes = nodes;
        g->cap = cap;
    }
    n->index = g->n_nodes;
    g->nodes[g->n_nodes++] = n;
    return true;
}

static bool shape_ok(bt_shape s)
{
    const int64_t limit = (int64_t)1 << 40; /* values; keeps every product in 64 bits */
    if (s.n < 1 || s.h < 1 || s.w < 1 || s.c < 1 || s.c > INT32_MAX)
        return false;
    return s.n <= limit && s.h <= limit / s.n && s.w <= limit / (s.n * s.h) &&
           s.c <= limit / (s.n * s.h * s.w);
}

bool bt_node_set_attr(bt_graph *g, bt_node *n, const void *attr, size_t size)
{
    void *copy = graph_alloc(g, size);
    if (copy)
        memcpy(copy, attr, size);
    n->attr = copy;
    return copy != NULL;
}

bt_node *bt_node_new(bt_graph *g, const bt_op *op, bt_shape s, bt_node *const *src, int n_src,
                     const void *attr, size_t attr_size)
{
    for (int i = 0; i < n_src; i++)
        if (!src[i])
            return NULL;
    if (!shape_ok(s))
        return bt_graph_fail(g, "%s: impossible shape %lldx%lldx%lldx%lld", op ? op->name : "input",
                             (long long)s.n, (long long)s.h, (long long)s.w, (long long)s.c);
    bt_node *n = graph_alloc(g, sizeof *n);
    if (!n || (attr_size && !bt_node_set_attr(g, n, attr, attr_size)))
        return NULL;
    n->op = op;
    n->shape = s;
    n->precision = g->precision;
    n->round = g->round && bt_matmul_rounds(bt_weights_compute(g->ws)->kernels, g->precision);
    for (int i = 0; i < n_src; i++)
        n->src[i] = src[i];
    return append(g, n) ? n : NULL;
}

bt_node *bt_input(bt_graph *g, bt_shape s) { return bt_node_new(g, NULL, s, NULL, 0, NULL, 0); }

bt_node *bt_input_ids(bt_graph *g, int64_t n)
{
    bt_node *x = bt_input(g, (bt_shape){ 1, 1, n, 1 });
    if (x)
        x->is_ids = 1;
    return x;
}

bt_node *bt_output(bt_graph *g, bt_node *x)
{
    (void)g;
    if (x)
        x->is_output = 1;
    return x;
}
