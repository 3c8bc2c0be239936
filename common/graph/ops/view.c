/* SPDX-License-Identifier: MIT
 * Views: the same memory under another shape. Nothing runs. The planner keeps
 * the memory of what a view looks at until the view was read for the last time.
 */
#include "graph/ops.h"

static const bt_op op_slice = { .name = "slice", .flags = BT_OP_VIEW };
static const bt_op op_reshape = { .name = "reshape", .flags = BT_OP_VIEW };

bt_node *bt_slice(bt_graph *g, bt_node *x, int64_t c0, int64_t c1)
{
    bt_shape s = bt_shape_of(x);
    if (x && (c0 < 0 || c1 <= c0 || c1 > s.c))
        return bt_graph_fail(g, "slice: channels %lld..%lld of %lld", (long long)c0, (long long)c1,
                             (long long)s.c);
    s.c = c1 - c0;
    bt_node *n = bt_node_new(g, &op_slice, s, &x, 1, NULL, 0);
    if (n)
        n->view_offset = c0;
    return n;
}

/* Rows of a sliced tensor are not contiguous, so c cannot change there. */
static bool sliced(const bt_node *x)
{
    for (; x->op && x->op->flags & BT_OP_VIEW; x = x->src[0])
        if (x->op == &op_slice)
            return true;
    return false;
}

bt_node *bt_reshape(bt_graph *g, bt_node *x, bt_shape s)
{
    if (x &&
        (bt_rows(s) * s.c != bt_rows(x->shape) * x->shape.c || (s.c != x->shape.c && sliced(x))))
        return bt_graph_fail(g, "reshape: shapes do not fit");
    return bt_node_new(g, &op_reshape, s, &x, 1, NULL, 0);
}
