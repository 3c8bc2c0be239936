/* SPDX-License-Identifier: MIT
 * Inside of a plan; for fuse.c, layout.c, executor.c and trace.c.
 *
 * Making a plan: fuse (which nodes run), layout (where their values lie). The
 * first run packs weights and takes the memory; later runs only compute.
 */
#ifndef BT_GRAPH_PLAN_H
#define BT_GRAPH_PLAN_H

#include "base/threads.h"
#include "graph/builder.h"

/* How far the tiles of one phase of one step are. */
typedef struct bt_phase {
    atomic_llong claimed, done;
} bt_phase;

struct bt_plan {
    bt_graph *g; /* owns the nodes */
    const bt_compute *compute;
    bt_node **steps; /* nodes to run, in order */
    int n_steps;
    int n_phases;     /* over all steps */
    bool prepared;    /* weights packed, memory there */
    bt_arena *shared; /* where arena and scratch are, while this plan has it; NULL: its own */
    uint8_t *arena;
    size_t arena_bytes;
    uint8_t *scratch; /* scratch_bytes for every thread */
    size_t scratch_bytes;
    bt_phase *phases; /* n_phases */
    int64_t params[BT_PARAM_COUNT];
    bt_trace *trace;
    const char *trace_name;
};

/* Merges activations and residual sums into the op before them; finds the
 * nodes that outputs need and lists them in p->steps. */
bt_status bt_plan_fuse(bt_plan *p, bt_error *err);
/* Marks the tensors that can be stored as bf16 without changing a result. */
void bt_plan_half(bt_plan *p);
/* Gives every tensor its offset in the arena; bind then sets the addresses. */
bt_status bt_plan_layout(bt_plan *p, bt_error *err);
void bt_plan_bind(bt_plan *p);

/* A node whose memory others may share: itself, what a view looks at, or what it is
 * made into. */
static inline bt_node *bt_node_root(bt_node *n)
{
    while (n->into || (n->op && n->op->flags & BT_OP_VIEW))
        n = n->into ? n->into : n->src[0];
    return n;
}

static inline int bt_op_phases(const bt_op *op) { return op->phases ? op->phases : 1; }

/* Adds a step that `thread` has just gone through to the plan's trace: when it
 * began (seconds of bt_now), and for how long it did not wait for others. Every
 * thread of a run may call it at once. */
void bt_trace_step(const bt_plan *p, int step, int thread, double begin, double busy);
/* Of one run of the node: flops (0: not counted) and bytes read and written. */
void bt_node_cost(const bt_node *n, double *flops, double *bytes);

#endif
