/* SPDX-License-Identifier: MIT
 * Runs a plan: one parallel region per run. Every step's work is cut into
 * tiles that threads claim; a phase begins when the one before is done.
 *
 * All threads walk through all steps. A phase has two counters: tiles claimed
 * and tiles done. A thread goes on when `done` reaches the number of tiles, and
 * the release and acquire on that counter make the phase's writes visible. Which
 * thread runs which tile is chance; what a tile computes is not.
 */
#include "graph/plan.h"

#include "graph/pack.h"

#include <omp.h>
#include <string.h>

bt_status bt_plan_create(bt_graph *g, bt_plan **out, bt_error *err)
{
    *out = NULL;
    if (g->error.status != BT_OK) {
        bt_status st = bt_fail(err, g->error.status, "%s", g->error.text);
        bt_graph_free(g);
        return st;
    }
    bt_plan *p = bt_calloc(1, sizeof *p);
    if (!p) {
        bt_graph_free(g);
        return bt_fail(err, BT_ENOMEM, "no memory for a plan");
    }
    p->g = g;
    p->compute = bt_weights_compute(g->ws);
    bt_status st = bt_plan_fuse(p, err);
    if (st == BT_OK) {
        bt_plan_half(p);
        st = bt_plan_layout(p, err);
    }
    for (int i = 0; st == BT_OK && i < p->n_steps; i++) {
        const bt_node *n = p->steps[i];
        size_t s = n->op->scratch ? n->op->scratch(n, p->compute->kernels) : 0;
        if (s > p->scratch_bytes)
            p->scratch_bytes = s;
    }
    p->scratch_bytes = (p->scratch_bytes + 63) / 64 * 64;
    if (st != BT_OK) {
        bt_plan_free(p);
        return st;
    }
    *out = p;
    return BT_OK;
}

void bt_plan_free(bt_plan *p)
{
    if (!p)
        return;
    bt_graph_free(p->g);
    bt_release(p->steps);
    bt_plan_rest(p);
    bt_release(p);
}

void bt_plan_rest(bt_plan *p)
{
    if (!p->shared) {
        bt_release(p->arena);
        bt_release(p->scratch);
    } else if (p->shared->owner == p) {
        p->shared->owner = NULL;
    }
    bt_release(p->phases);
    p->arena = p->scratch = NULL;
    p->phases = NULL;
}

static uint64_t weights_of(const bt_node *n)
{
    return n->op->packed_bytes ? n->op->packed_bytes(n) : 0;
}

uint64_t bt_plan_weights(const bt_plan *p)
{
    uint64_t sum = 0;
    for (int i = 0; i < p->n_steps; i++)
        sum += weights_of(p->steps[i]);
    return sum;
}

uint64_t bt_plan_widest(const bt_plan *p)
{
    uint64_t most = 0;
    for (int i = 0; i < p->n_steps; i++)
        most = weights_of(p->steps[i]) > most ? weights_of(p->steps[i]) : most;
    return most;
}

uint64_t bt_plan_arena(const bt_plan *p)
{
    return p->arena_bytes + (uint64_t)p->scratch_bytes * p->compute->threads;
}

double bt_plan_flops(const bt_plan *p)
{
    double sum = 0;
    for (int i = 0; i < p->n_steps; i++) {
        double flops, bytes;
        bt_node_cost(p->steps[i], &flops, &bytes);
        sum += flops;
    }
    return sum;
}

void bt_plan_param(bt_plan *p, int which, int64_t value) { p->params[which] = value; }

void bt_plan_share(bt_plan *p, bt_arena *a)
{
    bt_plan_rest(p);
    p->shared = a;
}

void bt_arena_free(bt_arena *a)
{
    bt_release(a->data);
    *a = (bt_arena){ 0 };
}

/* Arena and scratch in memory that other plans may have had until now. */
static void take_shared(bt_plan *p)
{
    bt_arena *a = p->shared;
    const size_t arena = (p->arena_bytes + 63) / 64 * 64;
    const size_t need = arena + p->scratch_bytes * p->compute->threads;
    if (a->bytes < need) {
        bt_arena_free(a);
        a->data = bt_alloc(need);
        a->bytes = a->data ? need : 0;
    }
    a->owner = a->data ? p : NULL;
    p->arena = a->data;
    p->scratch = a->data ? a->data + arena : NULL;
}

/* Arena, scratch of every thread, counters: once, when first needed, or whenever
 * another plan has had the memory. */
static bt_status plan_memory(bt_plan *p)
{
    if (p->arena && (!p->shared || p->shared->owner == p))
        return BT_OK;
    if (p->shared) {
        take_shared(p);
    } else {
        p->arena = bt_alloc(p->arena_bytes);
        p->scratch = bt_alloc(p->scratch_bytes * p->compute->threads);
    }
    if (!p->phases)
        p->phases = bt_calloc(p->n_phases + 1, sizeof *p->phases);
    if (!p->arena || !p->scratch || !p->phases) {
        bt_plan_rest(p);
        return BT_ENOMEM;
    }
    bt_plan_bind(p);
    return BT_OK;
}

void *bt_plan_data(bt_plan *p, const bt_node *n)
{
    if (!n || (n->op && !n->is_output) || plan_memory(p) != BT_OK)
        return NULL;
    return n->mem.data;
}

static void rest_weights(const bt_node *n)
{
    for (int i = 0; i < BT_MAX_WEIGHTS; i++)
        if (n->packed[i])
            bt_packed_rest(n->packed[i]);
}

/* Before the first run: memory and packed weights. Packing reads every
 * weight, so the nodes are shared out among the threads. */
static bt_status prepare(bt_plan *p, bt_error *err)
{
    if (plan_memory(p) != BT_OK)
        return bt_fail(err, BT_ENOMEM, "no memory for activations (%llu MiB)",
                       (unsigned long long)(bt_plan_arena(p) >> 20));
    if (p->prepared)
        return BT_OK;
    bt_status st = BT_OK;
    const bool spare = bt_weights_are_spare(p->g->ws);
#pragma omp parallel for num_threads(p->compute->threads) schedule(dynamic, 1)
    for (int i = 0; i < p->n_steps; i++) {
        bt_node *n = p->steps[i];
        bt_error mine = { 0 };
        const bool ok = !n->op->prepare || n->op->prepare(n, p->compute->kernels, &mine) == BT_OK;
        if (spare)
            rest_weights(n);
        if (ok)
            continue;
#pragma omp critical(bt_prepare)
        st = bt_fail(err, mine.status, "%s", mine.text);
    }
    p->prepared = st == BT_OK;
    if (st == BT_OK)
        bt_weights_keep(p->g->ws);
    return st;
}

/* What all threads of one run share. */
typedef struct team {
    bt_plan *p;
    bool spare; /* let go of a step's weights behind it */
    const atomic_bool *cancel;
} team;

static bool cancelled(const team *t)
{
    return t->cancel && atomic_load_explicit(t->cancel, memory_order_relaxed);
}

/* Claims tiles of one phase until none are left, then waits for those that
 * others still work on. Nobody waits for a thread as such: one that the system
 * has put aside finds the phases done when it comes back. After a cancel the
 * rest of the plan is walked through without work. */
static void run_phase(const team *t, const bt_node *n, const bt_exec *x, int phase, bt_phase *ph,
                      double *busy)
{
    const double begin = t->p->trace ? bt_now() : 0;
    const int64_t tiles = n->op->tiles(n, x, phase);
    int64_t mine = 0;
    while (!cancelled(t)) {
        int64_t i = atomic_fetch_add_explicit(&ph->claimed, 1, memory_order_relaxed);
        if (i >= tiles)
            break;
        n->op->run(n, x, phase, i);
        mine++;
    }
    if (mine)
        atomic_fetch_add_explicit(&ph->done, mine, memory_order_acq_rel);
    if (t->p->trace)
        *busy += bt_now() - begin;
    for (int i = 0; atomic_load_explicit(&ph->done, memory_order_acquire) < tiles; i++) {
        if (cancelled(t))
            return;
        bt_spin(i);
    }
}

/* One thread's walk through the plan. */
static void run_thread(const team *t, int thread)
{
    bt_plan *p = t->p;
    bt_exec x = {
        .kernels = p->compute->kernels,
        .params = p->params,
        .scratch = p->scratch + p->scratch_bytes * thread,
    };
    bt_phase *ph = p->phases;
    for (int i = 0; i < p->n_steps; i++) {
        const bt_node *n = p->steps[i];
        double begin = p->trace ? bt_now() : 0, busy = 0;
        x.shared = p->arena + n->shared_offset;
        for (int phase = 0; phase < bt_op_phases(n->op); phase++) {
            run_phase(t, n, &x, phase, ph++, &busy);
        }
        if (t->spare && thread == 0)
            rest_weights(n);
        if (p->trace)
            bt_trace_step(p, i, thread, begin, busy);
    }
}

bt_status bt_plan_run(bt_plan *p, const atomic_bool *cancel, bt_error *err)
{
    bt_status st = prepare(p, err);
    if (st != BT_OK)
        return st;
    for (int i = 0; i < p->n_phases; i++) {
        atomic_store_explicit(&p->phases[i].claimed, 0, memory_order_relaxed);
        atomic_store_explicit(&p->phases[i].done, 0, memory_order_relaxed);
    }
    const team t = { .p = p, .spare = bt_weights_are_spare(p->g->ws), .cancel = cancel };
    if (p->compute->threads == 1) {
        run_thread(&t, 0);
    } else {
#pragma omp parallel num_threads(p->compute->threads)
        run_thread(&t, omp_get_thread_num());
    }
    if (cancel && atomic_load(cancel))
        return bt_fail(err, BT_ECANCELLED, "cancelled");
    return BT_OK;
}

void bt_trace_attach(bt_plan *p, bt_trace *t, const char *name)
{
    p->trace = t;
    p->trace_name = name;
}
