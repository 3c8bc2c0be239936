/* SPDX-License-Identifier: MIT
 * Fusing: the consumer takes the producer's place. y = act(linear(x)) becomes
 * one linear node with an activation in its epilogue, standing where act stood;
 * then y + r becomes the same node with a residual. A gate of two halves of one
 * linear layer becomes that layer's epilogue, and so do a factor and a row added to
 * all rows.
 *
 * Why the consumer's place: others point at the consumer, and by then all that
 * the producer reads is still there. The producer is left without a reader and
 * drops out with everything else that no output needs. Nodes are visited in
 * order of creation, so chains (conv, act, sum) fuse link by link.
 */
#include "graph/plan.h"

#include "graph/ops.h"

static void count_uses(const bt_graph *g, int *uses)
{
    for (int i = 0; i < g->n_nodes; i++)
        for (int j = 0; j < BT_MAX_SRC && g->nodes[i]->src[j]; j++)
            uses[g->nodes[i]->src[j]->index]++;
}

/* One row for all, or one for each picture, added to every row. */
static bool is_row_sum(const bt_node *n)
{
    const bt_shape s = n->src[1]->shape;
    return s.h == 1 && s.w == 1 && n->shape.h * n->shape.w > 1;
}

/* May `by` absorb `n`? Only if nobody else wants n's value as it is. */
static bool absorbable(const bt_node *n, const bt_node *by, unsigned flag, const int *uses)
{
    return n->op && n->op->flags & flag && uses[n->index] == 1 && !n->is_output && !n->residual &&
           bt_same_shape(n->shape, by->shape);
}

/* Some channels of another tensor, wanted by one reader. */
static bool is_slice(const bt_node *n, const int *uses)
{
    return n->op && n->op->flags & BT_OP_VIEW && bt_rows(n->shape) == bt_rows(n->src[0]->shape) &&
           uses[n->index] == 1 && !n->is_output;
}

/* n becomes what `made` was, under its own number and at its own place. */
static void absorb(bt_node *n, const bt_node *made)
{
    const bt_node was = *n;
    *n = *made;
    n->shape = was.shape;
    n->index = was.index;
    n->is_output = was.is_output;
    n->into = was.into;
    n->into_channel = was.into_channel;
}

/* Nothing comes after the sum in x's epilogue yet, as far as activations and factors go. */
static bool is_bare(const bt_node *x)
{
    return x->scale == 0 && !(x->op->flags & BT_OP_ROW && x->src[1]);
}

static void fuse_act(bt_node *n, const int *uses)
{
    bt_node *x = n->src[0];
    bt_act act;
    float alpha;
    if (!bt_node_is_act(n, &act, &alpha) || !absorbable(x, n, BT_OP_ACT, uses) || x->act ||
        !is_bare(x))
        return;
    absorb(n, x);
    n->act = act;
    n->alpha = alpha;
}

static void fuse_scale(bt_node *n, const int *uses)
{
    bt_node *x = n->src[0];
    float scale;
    if (!bt_node_is_scale(n, &scale) || scale == 0 || !absorbable(x, n, BT_OP_SCALE, uses) ||
        !is_bare(x))
        return;
    absorb(n, x);
    n->scale = scale;
}

static void fuse_residual(bt_node *n, const int *uses)
{
    if (!bt_node_is_add(n) || !bt_same_shape(n->src[0]->shape, n->src[1]->shape) ||
        n->src[0] == n->src[1])
        return;
    for (int i = 1; i >= 0; i--) { /* the later one is usually the branch */
        bt_node *x = n->src[i], *other = n->src[1 - i];
        if (!absorbable(x, n, BT_OP_RESIDUAL, uses))
            continue;
        absorb(n, x);
        n->residual = other;
        return;
    }
}

/* linear + row: the time embedding of a convolution. */
static void fuse_row(bt_node *n, const int *uses)
{
    bt_node *x = n->src[0], *row = n->src[1];
    if (!bt_node_is_add(n) || !is_row_sum(n) || !absorbable(x, n, BT_OP_ROW, uses) || x->src[1])
        return;
    absorb(n, x);
    n->src[1] = row;
}

/* gate(first half, second half) of one linear: GEGLU, SwiGLU. */
static void fuse_gate(bt_graph *g, bt_node *n, const int *uses)
{
    bt_node *a = n->src[0], *b = n->src[1], made;
    bt_act act_a, act_b;
    if (!bt_node_is_gate(n, &act_a, &act_b) || !is_slice(a, uses) || !is_slice(b, uses))
        return;
    bt_node *x = a->src[0];
    const int64_t half = n->shape.c;
    if (x != b->src[0] || a->view_offset != 0 || b->view_offset != half || x->shape.c != 2 * half ||
        uses[x->index] != 2 || x->is_output || !bt_matmul_gate(g, x, half, act_a, act_b, &made))
        return;
    absorb(n, &made);
}

static void mark(bt_node *n, bool *live)
{
    live[n->index] = true; /* sources come before: one backward sweep marks all */
}

static void mark_live(const bt_graph *g, bool *live)
{
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        bt_node *n = g->nodes[i];
        if (n->is_output)
            live[i] = true;
        if (!live[i])
            continue;
        for (int j = 0; j < BT_MAX_SRC && n->src[j]; j++)
            mark(n->src[j], live);
        if (n->residual)
            mark(n->residual, live);
    }
}

bt_status bt_plan_fuse(bt_plan *p, bt_error *err)
{
    bt_graph *g = p->g;
    int *uses = bt_calloc(g->n_nodes + 1, sizeof *uses);
    bool *live = bt_calloc(g->n_nodes + 1, sizeof *live);
    p->steps = bt_calloc(g->n_nodes + 1, sizeof *p->steps);
    if (!uses || !live || !p->steps) {
        bt_release(uses);
        bt_release(live);
        return bt_fail(err, BT_ENOMEM, "no memory for a plan of %d nodes", g->n_nodes);
    }
    count_uses(g, uses);
    for (int i = 0; i < g->n_nodes; i++) {
        fuse_gate(g, g->nodes[i], uses);
        fuse_act(g->nodes[i], uses);
        fuse_scale(g->nodes[i], uses);
        fuse_row(g->nodes[i], uses);
        fuse_residual(g->nodes[i], uses);
    }
    mark_live(g, live);
    for (int i = 0; i < g->n_nodes; i++) {
        bt_node *n = g->nodes[i];
        if (!live[i] || !n->op || n->op->flags & BT_OP_VIEW)
            continue;
        p->steps[p->n_steps++] = n;
        p->n_phases += bt_op_phases(n->op);
    }
    bt_release(uses);
    bt_release(live);
    /* fusing a gate takes memory */
    return g->error.status == BT_OK ? BT_OK : bt_fail(err, g->error.status, "%s", g->error.text);
}
