/* SPDX-License-Identifier: MIT
 * Memory: every tensor gets an offset in one arena. A tensor's bytes are taken
 * when its step runs and given back after the last step that reads it; holes
 * are filled best fit. Inputs and outputs keep their place for good.
 *
 * Steps run one after the other, so memory that a step gives back may be taken
 * by the next one; "shared" memory of a step lives for that step only. A view
 * has no memory: its root (bt_node_root) is what is held and given back. That of a
 * widened tensor is taken when the first of what is made into it is.
 */
#include "graph/plan.h"

typedef struct hole {
    size_t at, size;
} hole;

/* Free ranges in rising order; the arena's end is open. */
typedef struct space {
    hole *holes;
    int n, cap;
    size_t end;
    bool failed;
} space;

enum { ALIGN = 64 };

static size_t round_up(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

static void remove_hole(space *s, int i)
{
    for (s->n--; i < s->n; i++)
        s->holes[i] = s->holes[i + 1];
}

/* Best fit: the smallest hole that is large enough, else the open end. */
static size_t take(space *s, size_t size)
{
    int best = -1;
    for (int i = 0; i < s->n; i++)
        if (s->holes[i].size >= size && (best < 0 || s->holes[i].size < s->holes[best].size))
            best = i;
    if (best < 0) {
        size_t at = s->end;
        if (s->n &&
            s->holes[s->n - 1].at + s->holes[s->n - 1].size == s->end) { /* grow the last hole */
            at = s->holes[s->n - 1].at;
            s->n--;
        }
        s->end = at + size;
        return at;
    }
    size_t at = s->holes[best].at;
    s->holes[best].at += size;
    s->holes[best].size -= size;
    if (s->holes[best].size == 0)
        remove_hole(s, best);
    return at;
}

/* Returns a range, merged with the holes beside it. */
static void give(space *s, size_t at, size_t size)
{
    if (size == 0)
        return;
    int i = 0;
    while (i < s->n && s->holes[i].at < at)
        i++;
    bool left = i > 0 && s->holes[i - 1].at + s->holes[i - 1].size == at;
    bool right = i < s->n && at + size == s->holes[i].at;
    if (left) {
        s->holes[i - 1].size += size + (right ? s->holes[i].size : 0);
        if (right)
            remove_hole(s, i);
        return;
    }
    if (right) {
        s->holes[i].at = at;
        s->holes[i].size += size;
        return;
    }
    if (s->n == s->cap) { /* cannot happen: cap counts every tensor */
        s->failed = true;
        return;
    }
    for (int j = s->n++; j > i; j--)
        s->holes[j] = s->holes[j - 1];
    s->holes[i] = (hole){ at, size };
}

static size_t node_bytes(const bt_node *n)
{
    return round_up((size_t)bt_rows(n->shape) * n->shape.c * bt_value_bytes(n));
}

/* last[i]: the step after which node i's own memory is free; n_steps = never. */
static void find_last_uses(const bt_plan *p, int *last)
{
    for (int s = 0; s < p->n_steps; s++) {
        bt_node *n = p->steps[s];
        last[bt_node_root(n)->index] = s; /* until something reads it */
        for (int j = 0; j < BT_MAX_SRC && n->src[j]; j++)
            last[bt_node_root(n->src[j])->index] = s;
        if (n->residual)
            last[bt_node_root(n->residual)->index] = s;
    }
    for (int i = 0; i < p->g->n_nodes; i++) {
        bt_node *n = p->g->nodes[i];
        if (n->is_output || !n->op)
            last[bt_node_root(n)->index] = p->n_steps;
    }
}

/* Is the tensor `root` among n's sources from number `from` on? */
static bool reads(const bt_node *n, const bt_node *root, int from)
{
    for (int j = from; j < BT_MAX_SRC && n->src[j]; j++)
        if (bt_node_root(n->src[j]) == root)
            return true;
    return false;
}

/* The tensor whose memory n may write over, or NULL. It must be of n's size, be
 * read here for the last time, and by n alone through the one operand that is
 * read at the place that is written. */
static bt_node *in_place(const bt_node *n, const int *last, int step)
{
    bt_node *old = NULL;
    if (n->residual) {
        old = n->residual;
        if (reads(n, bt_node_root(old), 0))
            return NULL;
    } else if (n->op->flags & BT_OP_INPLACE) {
        old = n->src[0];
        if (reads(n, bt_node_root(old), 1))
            return NULL;
    }
    if (!old || old != bt_node_root(old) || !old->op || old->is_output ||
        last[old->index] != step || node_bytes(old) != node_bytes(n) || old->shape.c != n->shape.c)
        return NULL;
    return old;
}

static void place(bt_node *n, size_t at)
{
    n->arena_offset = at;
    n->mem.ld = n->shape.c;
}

/* Memory for n: that of `old`, or (NULL) new. */
static void hold(space *s, bt_node *n, bt_node *old, bool *held)
{
    place(n, old ? old->arena_offset : take(s, node_bytes(n)));
    if (old)
        held[old->index] = false;
    held[n->index] = true;
}

/* Walks through the steps as a run will. held[i]: node i has memory now. */
static void run_steps(bt_plan *p, space *s, int *last, bool *held)
{
    for (int i = 0; i < p->n_steps; i++) {
        bt_node *n = p->steps[i], *root = bt_node_root(n);
        if (!held[root->index])
            hold(s, root, n == root ? in_place(n, last, i) : NULL, held);
        size_t shared = n->op->shared ? round_up(n->op->shared(n, p->compute->kernels)) : 0;
        n->shared_offset = shared ? take(s, shared) : 0;
        give(s, n->shared_offset, shared);
        for (int j = -2; j < BT_MAX_SRC; j++) { /* itself, the residual, the sources */
            bt_node *x = j == -2 ? n : j == -1 ? n->residual : n->src[j];
            x = x ? bt_node_root(x) : NULL;
            if (!x || !held[x->index] || last[x->index] != i)
                continue;
            held[x->index] = false;
            give(s, x->arena_offset, node_bytes(x));
        }
    }
}

/* Row strides of what lies in another's memory; that only once the arena is there
 * (bt_plan_bind). */
static bt_status check_views(bt_graph *g, bt_error *err)
{
    for (int i = 0; i < g->n_nodes; i++) {
        bt_node *n = g->nodes[i], *x = n->src[0];
        if (n->into) {
            n->mem.ld = bt_node_root(n)->mem.ld;
        } else if (n->op && n->op->flags & BT_OP_VIEW) {
            n->mem.ld = bt_rows(n->shape) == bt_rows(x->shape) ? x->mem.ld : n->shape.c;
            if (n->shape.c != x->shape.c && n->mem.ld != x->mem.ld && x->mem.ld != x->shape.c)
                return bt_fail(err, BT_EINVAL, "a widened tensor's channels cannot be reshaped");
        }
        if (n->is_output && n->mem.ld != n->shape.c)
            return bt_fail(err, BT_EINVAL, "a slice of channels cannot be an output");
    }
    return BT_OK;
}

bt_status bt_plan_layout(bt_plan *p, bt_error *err)
{
    bt_graph *g = p->g;
    space s = { .cap = 2 * g->n_nodes + 2 };
    int *last = bt_calloc(g->n_nodes + 1, sizeof *last);
    bool *held = bt_calloc(g->n_nodes + 1, sizeof *held);
    s.holes = bt_calloc(s.cap, sizeof *s.holes);
    bt_status st = BT_OK;
    if (!last || !held || !s.holes) {
        st = bt_fail(err, BT_ENOMEM, "no memory to lay out %d nodes", g->n_nodes);
    } else {
        find_last_uses(p, last);
        for (int i = 0; i < g->n_nodes; i++)
            if (!g->nodes[i]->op)
                place(g->nodes[i], take(&s, node_bytes(g->nodes[i])));
        run_steps(p, &s, last, held);
        st = check_views(g, err);
        p->arena_bytes = s.end;
    }
    bt_release(last);
    bt_release(held);
    bt_release(s.holes);
    return st;
}

/* A source comes before its view, but a widened tensor after what is made into it. */
void bt_plan_bind(bt_plan *p)
{
    for (int i = 0; i < p->g->n_nodes; i++) {
        bt_node *n = p->g->nodes[i];
        uint8_t *base = p->arena + bt_node_root(n)->arena_offset;
        int64_t values = 0;
        for (const bt_node *x = n; x->into; x = x->into)
            values += x->into_channel;
        if (n->op && n->op->flags & BT_OP_VIEW) {
            base = (uint8_t *)n->src[0]->mem.data;
            values = n->view_offset;
        }
        n->mem.data = (float *)(base + values * (int64_t)bt_value_bytes(n));
    }
}
