/* SPDX-License-Identifier: MIT
 * See parts.h.
 */
#include "audio/speak/parts.h"

#include <string.h>

static bt_status plan_of(const bt_parts *ps, bt_part *p, bt_error *err)
{
    bt_graph *g;
    if (bt_graph_create(ps->ws, &g) != BT_OK)
        return bt_no_memory(err, "a graph");
    ps->build(g, ps->voice, p);
    return bt_plan_create(g, &p->plan, err);
}

bt_precision bt_sound_auto(const bt_compute *c)
{
    return c->kernels->cpu & (BT_CPU_AMX | BT_CPU_FASTBF16) ? BT_PREC_BF16 : BT_PREC_F32;
}

bt_status bt_part_get(bt_parts *ps, int kind, int64_t size, bt_part **out, bt_error *err)
{
    bt_part *old = &ps->list[0];
    *out = NULL;
    for (int i = 0; i < BT_PARTS; i++) {
        bt_part *p = &ps->list[i];
        if (p->plan && p->kind == kind && p->size == size) {
            p->used = ++ps->clock;
            *out = p;
            return BT_OK;
        }
        if (p->used < old->used)
            old = p;
    }
    bt_plan_free(old->plan);
    *old = (bt_part){ .kind = kind, .size = size, .state = ps->state };
    bt_status st = plan_of(ps, old, err);
    if (st != BT_OK) {
        memset(old, 0, sizeof *old);
        return st;
    }
    bt_plan_share(old->plan, &ps->arena);
    old->used = ++ps->clock;
    *out = old;
    return BT_OK;
}

void bt_parts_clear(bt_parts *ps)
{
    for (int i = 0; i < BT_PARTS; i++)
        bt_plan_free(ps->list[i].plan);
    memset(ps->list, 0, sizeof ps->list);
    bt_release(ps->state);
    ps->state = NULL;
    bt_arena_free(&ps->arena);
}
