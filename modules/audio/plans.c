/* SPDX-License-Identifier: MIT
 * Plans per part and size. Sentences differ in length, so a plan is made in
 * well under the time it takes to run; a few are kept for what repeats (the
 * chunks of long sentences, the same sentence again).
 */
#include <string.h>

#include "vits.h"

static bt_shape rows(int64_t n, int64_t c) { return (bt_shape){ 1, 1, n, c }; }

/* The three parts, each [rows, channels] in and out. */

/* f32 or as good, whatever was asked for: lengths must not depend on that. */
static void build_encoder(bt_graph *g, const bt_voice *v, bt_vits_plan *p)
{
    if (v->compute->precision != BT_PREC_AUTO)
        bt_graph_precision(g, BT_PREC_F32);
    p->ids = bt_input_ids(g, p->size);
    bt_node *speaker = bt_vits_speaker(g, v, &p->speaker), *x;
    for (int i = 0; i < 2; i++)
        p->in[i] = bt_input(g, rows(p->size, 1));
    bt_vits_encoder(g, v, p->ids, &x, &p->out[0]);
    bt_output(g, p->out[0]);
    bt_graph_precision(g, BT_PREC_F32);
    p->out[1] = bt_output(g, bt_vits_duration(g, v, x, speaker, p->in));
    if (p->out[0] && bt_shape_of(p->out[0]).c != 2 * v->inter)
        bt_graph_fail(g, "enc_p.proj has the wrong size");
}

static void build_flow(bt_graph *g, const bt_voice *v, bt_vits_plan *p)
{
    bt_node *speaker = bt_vits_speaker(g, v, &p->speaker);
    for (int i = 0; i < 2; i++)
        p->out[i] = p->in[i] = bt_input(g, rows(p->size, v->inter / 2));
    bt_vits_flow(g, v, speaker, p->out);
    for (int i = 0; i < 2; i++)
        bt_output(g, p->out[i]);
}

static void build_vocoder(bt_graph *g, const bt_voice *v, bt_vits_plan *p)
{
    bt_node *speaker = bt_vits_speaker(g, v, &p->speaker);
    p->in[0] = bt_input(g, rows(p->size, v->inter));
    p->out[0] = bt_output(g, bt_vits_vocoder(g, v, p->in[0], speaker));
    if (p->out[0] && bt_shape_of(p->out[0]).w != p->size * v->hop)
        bt_graph_fail(g, "the decoder does not make %d samples of a frame", v->hop);
}

/* What `auto` means here, measured on joe-medium against f32 (worst of ten
 * sentences): flow in bf16 25 dB, in int8 7 dB; decoder in bf16 38 dB, in int8
 * 25 dB. So: f32, but bf16 for the decoder where that is fast, and with AMX two
 * bf16 numbers for each of the encoder's and the flow's. Minimal filtering in f32
 * costs nothing that can be seen: 90 to 100 dB against onnxruntime, as plain sums.
 * (Of the decoder that is op_stage.c's own affair, as groups of frames would be cut
 * by chunks.) */
static bt_precision choose(const bt_voice *v, bt_vits_part part)
{
    const uint32_t cpu = v->compute->kernels->cpu;
    if (part == BT_VITS_VOCODER)
        return cpu & (BT_CPU_AMX | BT_CPU_FASTBF16) ? BT_PREC_BF16 : BT_PREC_F32;
    return cpu & BT_CPU_AMX ? BT_PREC_SPLIT : BT_PREC_MINIMAL;
}

static bt_status build(const bt_voice *v, bt_vits_plan *p, bt_error *err)
{
    bt_graph *g;
    if (bt_graph_create(v->ws, &g) != BT_OK)
        return bt_no_memory(err, "a graph");
    if (v->compute->precision == BT_PREC_AUTO)
        bt_graph_precision(g, choose(v, p->part));
    if (p->part == BT_VITS_ENCODER)
        build_encoder(g, v, p);
    else if (p->part == BT_VITS_FLOW)
        build_flow(g, v, p);
    else
        build_vocoder(g, v, p);
    return bt_plan_create(g, &p->plan, err);
}

bt_status bt_vits_plan_get(bt_vits_plans *ps, bt_vits_part part, int64_t size, bt_vits_plan **out,
                           bt_error *err)
{
    bt_vits_plan *old = &ps->list[0];
    *out = NULL;
    for (int i = 0; i < BT_VITS_PLANS; i++) {
        bt_vits_plan *p = &ps->list[i];
        if (p->plan && p->part == part && p->size == size) {
            p->used = ++ps->clock;
            *out = p;
            return BT_OK;
        }
        if (p->used < old->used)
            old = p;
    }
    bt_plan_free(old->plan);
    memset(old, 0, sizeof *old);
    old->part = part;
    old->size = size;
    bt_status st = build(ps->voice, old, err);
    if (st != BT_OK) {
        memset(old, 0, sizeof *old);
        return st;
    }
    bt_plan_share(old->plan, &ps->arena);
    old->used = ++ps->clock;
    *out = old;
    return BT_OK;
}

void bt_vits_plans_clear(bt_vits_plans *ps)
{
    for (int i = 0; i < BT_VITS_PLANS; i++)
        bt_plan_free(ps->list[i].plan);
    memset(ps->list, 0, sizeof ps->list);
    bt_arena_free(&ps->arena);
}
