/* SPDX-License-Identifier: MIT
 * An op of this module: rows that a piece of a sequence leaves for the next one. A filter
 * needs rows on both sides; those behind a piece's end are not there yet, so a layer's
 * output ends `lag` rows before its input, and the next piece begins there. What it needs
 * of the past is kept here, not computed again.
 *
 * Rows s..e of x come in; y is s - lag - reach .. e - lag + reach, as far as the sequence
 * goes (it begins with its first piece and ends with its last one).
 */
#include <string.h>

#include "graph/op.h"
#include "audio/vits/vits.h"

enum { TILE = 64 }; /* rows */

typedef struct attr {
    float *kept;   /* [keep][c], from run to run */
    int64_t held;  /* rows that the piece before left: 0 or keep */
    int64_t leave; /* rows for the next piece: 0 or keep */
} attr;

static int64_t carry_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x;
    return phase ? 1 : bt_row_tiles(n, TILE);
}

/* The last `leave` of the rows that were held and those that came in. */
static void keep(const attr *a, const bt_node *in)
{
    const int64_t c = in->shape.c, rows = in->shape.w;
    const int64_t old = a->leave > rows ? a->leave - rows : 0;
    memmove(a->kept, a->kept + (a->held - old) * c, (size_t)(old * c) * sizeof *a->kept);
    for (int64_t i = old; i < a->leave; i++)
        memcpy(a->kept + i * c, bt_row(in, rows - a->leave + i), (size_t)c * sizeof *a->kept);
}

static void carry_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const attr *a = n->attr;
    const int64_t c = n->shape.c, end = bt_row_tile_end(n, TILE, tile);
    (void)x;
    if (phase) {
        keep(a, n->src[0]);
        return;
    }
    for (int64_t r = tile * TILE; r < end; r++)
        memcpy(bt_row(n, r), r < a->held ? a->kept + r * c : bt_row(n->src[0], r - a->held),
               (size_t)c * sizeof(float));
}

static const bt_op op_carry = {
    .name = "carry",
    .phases = 2,
    .tiles = carry_tiles,
    .run = carry_run,
};

bt_node *bt_vits_late(bt_graph *g, bt_node *x, bt_vits_piece *p, int64_t lag, int64_t reach)
{
    bt_shape s = bt_shape_of(x);
    const int64_t rows = lag + reach;
    if (!x || (p->first && p->last))
        return x;
    attr a = { .kept = p->kept, .held = p->first ? 0 : rows, .leave = p->last ? 0 : rows };
    if (rows * s.c > p->room || s.n != 1 || s.h != 1 || s.w + a.held < a.leave)
        return bt_graph_fail(g, "a piece of %lld frames is too short", (long long)s.w);
    p->kept += rows * s.c;
    p->room -= rows * s.c;
    s.w += a.held - (p->last ? 0 : lag - reach);
    return bt_node_new(g, &op_carry, s, &x, 1, &a, sizeof a);
}

static const bt_op op_rows = { .name = "rows", .flags = BT_OP_VIEW };

bt_node *bt_vits_rows(bt_graph *g, bt_node *x, int64_t from, int64_t rows)
{
    bt_shape s = bt_shape_of(x);
    if (!x || rows == s.w)
        return x;
    if (from < 0 || rows < 1 || from + rows > s.w)
        return bt_graph_fail(g, "the flow's filters do not keep its length");
    s.w = rows;
    bt_node *n = bt_node_new(g, &op_rows, s, &x, 1, NULL, 0);
    if (n)
        n->view_offset = from * s.c;
    return n;
}
