/* SPDX-License-Identifier: MIT
 * What each op cost. Every thread notes the steps it went through; from that come
 * a Chrome/Perfetto trace (JSON array format, a row per thread) and a summary.
 *
 * A step's time is thread 0's, waiting included: it is what the step adds to the
 * run. `busy` is the part in which a thread had tiles to work on; what lacks to
 * the step's time on all threads is the wait. Flops and bytes are the op's own
 * count (op.h). The roofline is the least time that they allow on this machine,
 * max(flops / peak of the compute type, bytes / memory bandwidth): Williams,
 * Waterman and Patterson 2009. Bytes that are in cache can beat it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"

enum { MAX_THREADS = 64 }; /* further ones are not noted */

typedef struct event {
    const char *op, *plan; /* both outlive the trace: descriptors and literals */
    bt_shape shape;
    bt_detail d; /* thread 0 only */
    double begin, busy, end;
    bool first; /* step of its run */
} event;

typedef struct list {
    event *at;
    size_t n, cap;
    bool failed; /* out of memory: cut off */
} list;

struct bt_trace {
    list threads[MAX_THREADS];
};

bt_status bt_trace_create(bt_trace **out)
{
    *out = bt_calloc(1, sizeof **out);
    return *out ? BT_OK : BT_ENOMEM;
}

void bt_trace_free(bt_trace *t)
{
    for (int i = 0; t && i < MAX_THREADS; i++)
        bt_release(t->threads[i].at);
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
    *bytes = (double)bt_rows(n->shape) * n->shape.c * bt_value_bytes(n) + weight_bytes(n);
    for (int i = 0; i < BT_MAX_SRC && n->src[i]; i++)
        *bytes +=
            (double)bt_rows(n->src[i]->shape) * n->src[i]->shape.c * bt_value_bytes(n->src[i]);
}

static event *append(list *l)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 1024;
        event *e = bt_realloc_array(l->at, l->cap, cap, sizeof *e);
        l->failed = l->failed || !e;
        if (!e)
            return NULL;
        l->at = e;
        l->cap = cap;
    }
    return &l->at[l->n++];
}

void bt_trace_step(const bt_plan *p, int step, int thread, double begin, double busy)
{
    const bt_node *n = p->steps[step];
    const double end = bt_now();
    event *e = thread < MAX_THREADS ? append(&p->trace->threads[thread]) : NULL;
    if (!e)
        return;
    *e = (event){ .op = n->op->name,
                  .plan = p->trace_name,
                  .shape = n->shape,
                  .begin = begin,
                  .busy = busy,
                  .end = end,
                  .first = step == 0 };
    if (thread > 0)
        return;
    bt_node_cost(n, &e->d.flops, &e->d.bytes);
    if (n->op->detail)
        n->op->detail(n, p->params, &e->d);
}

static bool failed(const bt_trace *t)
{
    for (int i = 0; i < MAX_THREADS; i++)
        if (t->threads[i].failed)
            return true;
    return false;
}

static double seconds_of(const event *e) { return e->end > e->begin ? e->end - e->begin : 1e-9; }

/* The least time for an event's work; 0: the machine was not measured. */
static double roofline(const bt_detail *d, const bt_peaks *peaks)
{
    if (!peaks)
        return 0;
    const double rate = bt_peak_of(&peaks->all, d->compute ? d->compute : "f32");
    const double compute = rate > 0 ? d->flops / rate : 0;
    const double memory = peaks->all.read > 0 ? d->bytes / peaks->all.read : 0;
    return compute > memory ? compute : memory;
}

/* ---- Chrome/Perfetto ------------------------------------------------------ */

static void shape_text(bt_shape s, char out[96])
{
    snprintf(out, 96, "%lldx%lldx%lldx%lld", (long long)s.n, (long long)s.h, (long long)s.w,
             (long long)s.c);
}

/* "3x3/2 320 q8_0": filter, stride, input channels, weight type. */
static void detail_text(const bt_detail *d, char out[96])
{
    size_t n = 0;
    out[0] = 0;
    if (d->kh)
        n += (size_t)snprintf(out, 96, "%dx%d", d->kh, d->kw);
    if (d->kh && d->stride > 1)
        n += (size_t)snprintf(out + n, 96 - n, "/%d", d->stride);
    if (d->kh && d->up > 1)
        n += (size_t)snprintf(out + n, 96 - n, "*%d", d->up);
    if (d->in)
        n += (size_t)snprintf(out + n, 96 - n, "%s%lld", n ? " " : "", (long long)d->in);
    if (d->type)
        snprintf(out + n, 96 - n, "%s%s", n ? " " : "", d->type);
}

static void event_args(const event *e, const bt_peaks *peaks, bt_buf *out)
{
    char shape[96], detail[96];
    const double s = seconds_of(e);
    shape_text(e->shape, shape);
    detail_text(&e->d, detail);
    bt_buf_printf(out,
                  ",\"args\":{\"shape\":\"%s\",\"detail\":\"%s\",\"compute\":\"%s\","
                  "\"gflops\":%.2f,\"gbps\":%.2f",
                  shape, detail, e->d.compute ? e->d.compute : "f32", e->d.flops / s * 1e-9,
                  e->d.bytes / s * 1e-9);
    if (peaks)
        bt_buf_printf(out, ",\"roofline\":%.3f", roofline(&e->d, peaks) / s);
    bt_buf_puts(out, "}");
}

bt_status bt_trace_json(const bt_trace *t, const bt_peaks *peaks, bt_buf *out)
{
    const list *first = &t->threads[0];
    const double start = first->n ? first->at[0].begin : 0;
    const char *comma = "";
    bt_buf_puts(out, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
    for (int i = 0; i < MAX_THREADS; i++)
        for (size_t k = 0; k < t->threads[i].n; k++) {
            const event *e = &t->threads[i].at[k];
            bt_buf_printf(out,
                          "%s\n{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"name\":\"%s\",\"cat\":\"%s\","
                          "\"ts\":%.3f,\"dur\":%.3f",
                          comma, i + 1, e->d.kind ? e->d.kind : e->op, e->plan,
                          (e->begin - start) * 1e6, (i ? e->busy : seconds_of(e)) * 1e6);
            if (i == 0)
                event_args(e, peaks, out);
            bt_buf_puts(out, "}");
            comma = ",";
        }
    bt_buf_puts(out, "\n]}\n");
    return failed(t) || out->failed ? BT_ENOMEM : BT_OK;
}

/* ---- summary --------------------------------------------------------------- */

/* Steps that are alike, or all steps of the plans of one name. */
typedef struct sum {
    const event *like;
    size_t count, runs;
    double seconds, busy, flops, bytes, roofline;
} sum;

typedef struct sums {
    sum *at;
    size_t n, cap;
} sums;

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool alike(const event *a, const event *b)
{
    const bt_detail *x = &a->d, *y = &b->d;
    return same_text(a->op, b->op) && same_text(a->plan, b->plan) &&
           bt_same_shape(a->shape, b->shape) && same_text(x->kind, y->kind) &&
           same_text(x->compute, y->compute) && same_text(x->type, y->type) && x->in == y->in &&
           x->kh == y->kh && x->kw == y->kw && x->stride == y->stride && x->up == y->up;
}

static bool same_plan(const event *a, const event *b) { return same_text(a->plan, b->plan); }

/* The sum that an event belongs to; NULL: no memory. Where the one after the
 * last hit is right, as it is in the second and later runs, nothing is searched. */
static sum *sum_of(sums *s, const event *e, bool (*same)(const event *, const event *),
                   size_t *hint)
{
    if (*hint < s->n && same(s->at[*hint].like, e))
        return &s->at[(*hint)++];
    for (size_t i = 0; i < s->n; i++)
        if (same(s->at[i].like, e)) {
            *hint = i + 1;
            return &s->at[i];
        }
    if (s->n == s->cap) {
        const size_t cap = s->cap ? 2 * s->cap : 64;
        sum *at = bt_realloc_array(s->at, s->cap, cap, sizeof *at);
        if (!at)
            return NULL;
        s->at = at;
        s->cap = cap;
    }
    s->at[s->n] = (sum){ .like = e };
    *hint = s->n + 1;
    return &s->at[s->n++];
}

/* How much of event k's time the threads were busy, in the mean. One that came
 * to the step before thread 0 did can have been busy for longer than it took. */
static double busy_of(const bt_trace *t, size_t k)
{
    const double most = seconds_of(&t->threads[0].at[k]);
    double busy = 0, threads = 0;
    for (int i = 0; i < MAX_THREADS && t->threads[i].n; i++, threads++)
        if (k < t->threads[i].n)
            busy += fmin(t->threads[i].at[k].busy, most);
    return busy / threads;
}

static bool collect(const bt_trace *t, const bt_peaks *peaks,
                    bool (*same)(const event *, const event *), sums *out)
{
    size_t hint = 0;
    for (size_t k = 0; k < t->threads[0].n; k++) {
        const event *e = &t->threads[0].at[k];
        sum *s = sum_of(out, e, same, &hint);
        if (!s)
            return false;
        s->count++;
        s->runs += e->first;
        s->seconds += seconds_of(e);
        s->busy += busy_of(t, k);
        s->flops += e->d.flops;
        s->bytes += e->d.bytes;
        s->roofline += roofline(&e->d, peaks);
    }
    return true;
}

static int by_time(const void *a, const void *b)
{
    const double x = ((const sum *)a)->seconds, y = ((const sum *)b)->seconds;
    return (x < y) - (x > y);
}

static void sum_rates(const sum *s, bool peaks, bt_buf *out)
{
    bt_buf_printf(out, ",\"gflops\":%.2f,\"gbps\":%.2f", s->flops / s->seconds * 1e-9,
                  s->bytes / s->seconds * 1e-9);
    if (peaks)
        bt_buf_printf(out, ",\"roofline\":%.3f", s->roofline / s->seconds);
    bt_buf_printf(out, ",\"busy\":%.3f}", s->busy / s->seconds);
}

static void write_parts(const sums *s, bool peaks, bt_buf *out)
{
    bt_buf_puts(out, "{\"parts\":[");
    for (size_t i = 0; i < s->n; i++) {
        const sum *p = &s->at[i];
        bt_buf_printf(out,
                      "%s{\"part\":\"%s\",\"runs\":%zu,\"seconds\":%.6f,\"flops\":%.6g,"
                      "\"bytes\":%.6g",
                      i ? "," : "", p->like->plan, p->runs, p->seconds, p->flops, p->bytes);
        if (peaks)
            bt_buf_printf(out, ",\"roofline_seconds\":%.6g", p->roofline);
        sum_rates(p, peaks, out);
    }
}

static void write_ops(const sums *s, bool peaks, bt_buf *out)
{
    double all = 0;
    for (size_t i = 0; i < s->n; i++)
        all += s->at[i].seconds;
    bt_buf_puts(out, "],\"ops\":[");
    for (size_t i = 0; i < s->n; i++) {
        const sum *p = &s->at[i];
        const event *e = p->like;
        char shape[96], detail[96];
        shape_text(e->shape, shape);
        detail_text(&e->d, detail);
        bt_buf_printf(out,
                      "%s{\"part\":\"%s\",\"op\":\"%s\",\"shape\":\"%s\",\"detail\":\"%s\","
                      "\"compute\":\"%s\",\"count\":%zu,\"ms\":%.3f,\"percent\":%.1f",
                      i ? "," : "", e->plan, e->d.kind ? e->d.kind : e->op, shape, detail,
                      e->d.compute ? e->d.compute : "f32", p->count, p->seconds * 1e3,
                      100 * p->seconds / all);
        sum_rates(p, peaks, out);
    }
    bt_buf_puts(out, "]}");
}

bt_status bt_trace_summary(const bt_trace *t, const bt_peaks *peaks, bt_buf *out)
{
    sums parts = { 0 }, ops = { 0 };
    const bool ok = collect(t, peaks, same_plan, &parts) && collect(t, peaks, alike, &ops);
    if (ok) {
        if (ops.n)
            qsort(ops.at, ops.n, sizeof *ops.at, by_time);
        write_parts(&parts, peaks, out);
        write_ops(&ops, peaks, out);
    }
    bt_release(parts.at);
    bt_release(ops.at);
    return !ok || failed(t) || out->failed ? BT_ENOMEM : BT_OK;
}
