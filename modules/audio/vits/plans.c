/* SPDX-License-Identifier: MIT
 * The parts of VITS as plans: their inputs and outputs, and what they compute in.
 */
#include "graph/minimal.h"
#include "audio/vits/vits.h"

static bt_shape rows(int64_t n, int64_t c) { return (bt_shape){ 1, 1, n, c }; }

/* The three parts, each [rows, channels] in and out. */

static void build_encoder(bt_graph *g, const bt_voice *v, bt_part *p)
{
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

static void build_flow(bt_graph *g, const bt_voice *v, bt_part *p)
{
    bt_node *speaker = bt_vits_speaker(g, v, &p->speaker);
    bt_vits_piece piece = {
        .first = p->kind == BT_VITS_FLOW || p->kind == BT_VITS_FLOW_FIRST,
        .last = p->kind == BT_VITS_FLOW || p->kind == BT_VITS_FLOW_LAST,
        .lag = bt_vits_layer_lag(v),
        .kept = p->state,
    };
    piece.room = p->state ? bt_vits_flow_room(v, piece.lag) : 0;
    for (int i = 0; i < 2; i++)
        p->out[i] = p->in[i] = bt_input(g, rows(p->size, v->inter / 2));
    bt_vits_flow(g, v, speaker, p->out, &piece);
    for (int i = 0; i < 2; i++)
        bt_output(g, p->out[i]);
}

static void build_vocoder(bt_graph *g, const bt_voice *v, bt_part *p)
{
    bt_node *speaker = bt_vits_speaker(g, v, &p->speaker);
    p->in[0] = bt_input(g, rows(p->size, v->inter));
    p->out[0] = bt_output(g, bt_vits_vocoder(g, v, p->in[0], speaker));
    if (p->out[0] && bt_shape_of(p->out[0]).w != p->size * v->dec.hop)
        bt_graph_fail(g, "the decoder does not make %d samples of a frame", v->dec.hop);
}

/* What `auto` means here, measured on joe-medium against f32 (worst of ten
 * sentences): flow in bf16 25 dB, in int8 7 dB; decoder in bf16 38 dB, in int8
 * 25 dB. So: f32, but bf16 for the decoder where that is fast, and with AMX two
 * bf16 numbers for each of the encoder's and the flow's. Minimal filtering in f32
 * costs nothing that can be seen: 90 to 100 dB against onnxruntime, as plain sums.
 * (Of the decoder that is op_stage.c's own affair, as groups of frames would be cut
 * by chunks.) `int8` means the flow alone, the rest as `auto`. The encoder is f32 or as good
 * whatever was asked for: lengths must not depend on that. */
static bt_precision choose(const bt_voice *v, bt_vits_part part)
{
    const bt_precision asked = v->compute->precision;
    const bool flow = part != BT_VITS_ENCODER && part != BT_VITS_VOCODER;
    if (asked != BT_PREC_AUTO && (asked != BT_PREC_INT8 || flow))
        return part == BT_VITS_ENCODER ? BT_PREC_F32 : asked;
    if (part == BT_VITS_VOCODER)
        return bt_sound_auto(v->compute);
    return v->compute->kernels->cpu & BT_CPU_AMX ? BT_PREC_SPLIT : BT_PREC_MINIMAL;
}

int bt_vits_flow_group(const bt_voice *v)
{
    const int64_t c = v->flow_hidden;
    const int outs = bt_minimal_outs(v->flow_taps, c, 2 * c);
    return choose(v, BT_VITS_FLOW) == BT_PREC_MINIMAL && outs ? outs : 1;
}

int bt_vits_layer_lag(const bt_voice *v)
{
    const int group = bt_vits_flow_group(v);
    return (v->flow_taps / 2 + group - 1) / group * group;
}

void bt_vits_build(bt_graph *g, const void *voice, bt_part *p)
{
    const bt_voice *v = voice;
    bt_graph_precision(g, choose(v, (bt_vits_part)p->kind));
    if (p->kind == BT_VITS_ENCODER)
        build_encoder(g, v, p);
    else if (p->kind == BT_VITS_VOCODER)
        build_vocoder(g, v, p);
    else
        build_flow(g, v, p);
}
