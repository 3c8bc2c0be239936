/* SPDX-License-Identifier: MIT
 * What each op cost, as a Chrome/Perfetto trace (JSON array format): times in
 * microseconds from the first event on, GFLOP/s and GB/s from the op's own cost
 * (op.h) and the time that thread 0 spent in it.
 */
#include "graph/plan.h"

typedef struct event {
    const char *op, *plan; /* both outlive the trace: descriptors and literals */
    bt_shape shape;
    double begin, end, flops, bytes;
} event;

struct bt_trace {
    event *events;
    size_t n, cap;
    bool failed; /* out of memory: the trace is cut off */
};

bt_status bt_trace_create(bt_trace **out)
{
    *out = bt_calloc(1, sizeof **out);
    return *out ? BT_OK : BT_ENOMEM;
}

void bt_trace_free(bt_trace *t)
{
    if (t)
        bt_release(t->events);
    bt_release(t);
}

static double weight_bytes(const bt_node *n)
{
    double sum = 0;
    for (int i = 0; i < BT_MAX_WEIGHTS; i++)
        sum += n->w[i] ? (double)bt_weight_tensor(n->w[i])->bytes : 0;
    return sum;
}

/* Ops without a cost of their own: all that is read and written, once. */
void bt_node_cost(const bt_node *n, double *flops, double *bytes)
{
    *flops = 0;
    if (n->op->cost) {
        n->op->cost(n, flops, bytes);
        return;
    }
    *bytes = (double)bt_rows(n->shape) * n->shape.c * sizeof(float) + weight_bytes(n);
    for (int i = 0; i < BT_MAX_SRC && n->src[i]; i++)
        *bytes += (double)bt_rows(n->src[i]->shape) * n->src[i]->shape.c * sizeof(float);
}

void bt_trace_step(bt_trace *t, const char *plan, const bt_node *n, double begin, double end)
{
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 1024;
        event *e = bt_realloc_array(t->events, t->cap, cap, sizeof *e);
        t->failed = t->failed || !e;
        if (!e)
            return;
        t->events = e;
        t->cap = cap;
    }
    event *e = &t->events[t->n++];
    *e = (event){ .op = n->op->name, .plan = plan, .shape = n->shape, .begin = begin, .end = end };
    bt_node_cost(n, &e->flops, &e->bytes);
}

bt_status bt_trace_json(const bt_trace *t, bt_buf *out)
{
    bt_buf_puts(out, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
    double start = t->n ? t->events[0].begin : 0;
    for (size_t i = 0; i < t->n; i++) {
        const event *e = &t->events[i];
        double s = e->end > e->begin ? e->end - e->begin : 1e-9;
        bt_buf_printf(
            out,
            "%s\n{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"name\":\"%s\",\"cat\":\"%s\",\"ts\":%.3f,"
            "\"dur\":%.3f,\"args\":{\"shape\":\"%lldx%lldx%lldx%lld\",\"gflops\":%.2f,\"gbps\":%."
            "2f}}",
            i ? "," : "", e->op, e->plan, (e->begin - start) * 1e6, s * 1e6, (long long)e->shape.n,
            (long long)e->shape.h, (long long)e->shape.w, (long long)e->shape.c,
            e->flops / s * 1e-9, e->bytes / s * 1e-9);
    }
    bt_buf_puts(out, "\n]}\n");
    return t->failed || out->failed ? BT_ENOMEM : BT_OK;
}
