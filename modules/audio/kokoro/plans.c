/* SPDX-License-Identifier: MIT
 * Plans per part and size; the last one of each part is kept.
 */
#include <string.h>

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
    const bool bf16 = k->compute->kernels->cpu & (BT_CPU_AMX | BT_CPU_FASTBF16);
    return p != BT_PREC_AUTO ? p : bf16 ? BT_PREC_BF16 : BT_PREC_F32;
}

static void build_text(bt_graph *g, const bt_kokoro *k, bt_kok_plan *p)
{
    bt_node *d = NULL;
    bt_graph_precision(g, exact(k));
    p->ids = bt_input_ids(g, p->size);
    p->positions = bt_input_ids(g, p->size);
    p->zeros = bt_input_ids(g, p->size);
    p->style = bt_input(g, rows(1, k->style));
    bt_node *bert = bt_kok_bert(g, k, p->ids, p->positions, p->zeros);
    p->out[1] = bt_output(g, bt_kok_text(g, k, p->ids));
    p->out[2] = bt_output(g, bt_kok_durations(g, k, bert, p->style, p->zeros, &d));
    p->out[0] = bt_output(g, d);
}

static void build_wave(bt_graph *g, const bt_kokoro *k, bt_kok_plan *p)
{
    bt_node *pitch, *energy;
    const int64_t f = p->size, spectra = f * k->hop / (k->fft / 4) + 1;
    bt_graph_precision(g, exact(k));
    p->twice = bt_input_ids(g, 2 * f);
    p->shift = bt_input_ids(g, spectra);
    p->en = bt_input(g, rows(f, k->hidden + k->style));
    p->asr = bt_input(g, rows(f, k->hidden));
    p->noise = bt_input(g, rows(f * k->hop, 1));
    p->style = bt_input(g, rows(1, k->style));
    p->deco = bt_input(g, rows(1, k->style));
    bt_kok_curves(g, k, p->en, p->style, p->twice, &pitch, &energy);
    bt_node *har = bt_kok_source(g, k, pitch, p->noise);
    bt_graph_precision(g, loose(k));
    bt_node *x = bt_kok_decoder(g, k, p->asr, pitch, energy, p->deco, p->twice);
    p->out[0] = bt_output(g, bt_kok_generator(g, k, x, har, p->deco, p->shift));
    p->out[1] = bt_output(g, pitch);
    p->out[2] = bt_output(g, energy);
    if (p->out[0] && bt_shape_of(p->out[0]).w != f * k->hop)
        bt_graph_fail(g, "the vocoder does not make %d samples of a frame", k->hop);
}

bt_status bt_kok_plan_get(bt_kok_plans *ps, bt_kok_part part, int64_t size, bt_kok_plan **out,
                          bt_error *err)
{
    bt_kok_plan *p = &ps->list[part];
    bt_graph *g;
    *out = p;
    if (p->plan && p->size == size)
        return BT_OK;
    bt_plan_free(p->plan);
    memset(p, 0, sizeof *p);
    p->size = size;
    if (bt_graph_create(ps->voice->ws, &g) != BT_OK)
        return bt_no_memory(err, "a graph");
    if (part == BT_KOK_TEXT)
        build_text(g, ps->voice, p);
    else
        build_wave(g, ps->voice, p);
    const bt_status st = bt_plan_create(g, &p->plan, err);
    if (st != BT_OK)
        p->plan = NULL;
    return st;
}

void bt_kok_plans_clear(bt_kok_plans *ps)
{
    for (int i = 0; i < BT_KOK_PARTS; i++)
        bt_plan_free(ps->list[i].plan);
    memset(ps->list, 0, sizeof ps->list);
}
