/* SPDX-License-Identifier: MIT
 * The two parts as plans: their inputs and outputs, and what they compute in.
 */
#include "audio/kokoro/kokoro.h"

static bt_shape rows(int64_t n, int64_t c) { return (bt_shape){ 1, 1, n, c }; }

/* f32 or as good, whatever was asked for: durations and pitch must not depend on that. */
static bt_precision exact(const bt_kokoro *k)
{
    return k->compute->precision == BT_PREC_AUTO && k->compute->kernels->cpu & BT_CPU_AMX
               ? BT_PREC_SPLIT
               : BT_PREC_F32;
}

static bt_precision loose(const bt_kokoro *k)
{
    const bt_precision p = k->compute->precision;
    return p == BT_PREC_AUTO ? bt_sound_auto(k->compute) : p;
}

static void build_text(bt_graph *g, const bt_kokoro *k, bt_part *p)
{
    bt_node *d = NULL;
    p->ids = bt_input_ids(g, p->size);
    bt_node *positions = p->in[BT_KOK_IN_POSITIONS] = bt_input_ids(g, p->size);
    bt_node *zeros = p->in[BT_KOK_IN_ZEROS] = bt_input_ids(g, p->size);
    p->in[BT_KOK_IN_STYLE] = bt_input(g, rows(1, 2 * k->style));
    bt_node *style = bt_slice(g, p->in[BT_KOK_IN_STYLE], k->style, 2 * k->style);
    bt_node *bert = bt_kok_bert(g, k, p->ids, positions, zeros);
    p->out[1] = bt_output(g, bt_kok_text(g, k, p->ids));
    p->out[2] = bt_output(g, bt_kok_durations(g, k, bert, style, zeros, &d));
    p->out[0] = bt_output(g, d);
}

static void build_wave(bt_graph *g, const bt_kokoro *k, bt_part *p)
{
    bt_node *pitch, *energy;
    const int64_t f = p->size;
    bt_node *twice = p->in[BT_KOK_IN_TWICE] = bt_input_ids(g, 2 * f);
    bt_node *en = p->in[BT_KOK_IN_EN] = bt_input(g, rows(f, k->hidden + k->style));
    bt_node *asr = p->in[BT_KOK_IN_ASR] = bt_input(g, rows(f, k->hidden));
    bt_node *noise = p->in[BT_KOK_IN_NOISE] = bt_input(g, rows(f * k->hop, 1));
    p->in[BT_KOK_IN_STYLE] = bt_input(g, rows(1, 2 * k->style));
    bt_node *deco = bt_slice(g, p->in[BT_KOK_IN_STYLE], 0, k->style);
    bt_node *style = bt_slice(g, p->in[BT_KOK_IN_STYLE], k->style, 2 * k->style);
    bt_kok_curves(g, k, en, style, twice, &pitch, &energy);
    bt_node *har = bt_kok_source(g, k, pitch, noise);
    bt_graph_precision(g, loose(k));
    bt_node *x = bt_kok_decoder(g, k, asr, pitch, energy, deco, twice);
    bt_graph_round(g, f >= BT_KOK_LONG); /* half of the memory, most of which is here */
    p->out[0] = bt_output(g, bt_kok_generator(g, k, x, har, deco));
    p->out[1] = bt_output(g, pitch);
    p->out[2] = bt_output(g, energy);
    if (p->out[0] && bt_shape_of(p->out[0]).w != f * k->hop)
        bt_graph_fail(g, "the vocoder does not make %d samples of a frame", k->hop);
}

void bt_kok_build(bt_graph *g, const void *voice, bt_part *p)
{
    const bt_kokoro *k = voice;
    bt_graph_precision(g, exact(k));
    if (p->kind == BT_KOK_TEXT)
        build_text(g, k, p);
    else
        build_wave(g, k, p);
}
