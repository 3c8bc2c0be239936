/* SPDX-License-Identifier: MIT
 * Which tensors are stored as bf16. A matrix multiply in bf16 rounds its input
 * rows anyway, so a norm in front of it may as well write them rounded: half of
 * the memory traffic, and the same bytes. A tensor qualifies if its op can write
 * bf16 and everything that reads it, through views as well, can read it so. Sums
 * and norms can too, if the model allows one more rounding (bt_graph_round).
 */
#include "graph/plan.h"

static bool reads_half(const bt_node *n, int i)
{
    return n->op->flags & BT_OP_VIEW || (n->op->reads_half && n->op->reads_half(n, i));
}

/* What is read as a float makes its root a tensor of floats. */
static void keep_floats(const bt_node *n)
{
    for (int j = 0; j < BT_MAX_SRC && n->src[j]; j++)
        if (!reads_half(n, j))
            bt_node_root(n->src[j])->half = false;
    if (n->residual && !n->round)
        bt_node_root(n->residual)->half = false;
}

void bt_plan_half(bt_plan *p)
{
    for (int i = 0; i < p->n_steps; i++)
        p->steps[i]->half = (p->steps[i]->op->flags & BT_OP_HALF) != 0;
    for (int i = 0; i < p->n_steps; i++) {
        if (!(p->steps[i]->op->flags & BT_OP_HALF)) /* all that is made into one tensor */
            bt_node_root(p->steps[i])->half = false;
        keep_floats(p->steps[i]);
    }
    for (int i = 0; i < p->g->n_nodes; i++)
        if (p->g->nodes[i]->is_output)
            bt_node_root(p->g->nodes[i])->half = false;
    for (int i = 0; i < p->g->n_nodes; i++) /* all that lies in a root has its form */
        p->g->nodes[i]->half = bt_node_root(p->g->nodes[i])->half;
}
