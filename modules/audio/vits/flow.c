/* SPDX-License-Identifier: MIT
 * Normalizing flow, run backwards (VITS models.py ResidualCouplingBlock,
 * mean-only): four couplings, before each the channels are reversed. The two
 * halves of the channels stay apart, so reversing swaps them.
 *
 * Its filters reach flow_taps / 2 frames to each side, so it goes through a sentence in
 * pieces (op_carry.c): every layer is some frames late, and what takes part in a sum with
 * its output is made late as well. Minimal filtering makes groups of frames together, so
 * that a layer is late by whole groups.
 */
#include "nn/layers.h"
#include "audio/vits/vits.h"

/* WaveNet of one coupling (modules.py WN, dilation rate 1): x [F, c] -> [F, c].
 * Each layer makes 2c channels, tanh of one half gated by sigmoid of the other;
 * of its 2c results c go on as a residual and c add up to the output. The last
 * layer has only the latter. The speaker's c_i are 2c channels per layer. */
static bt_node *wavenet(bt_graph *g, const bt_voice *v, bt_node *x, bt_node *speaker, int flow,
                        bt_vits_piece *p)
{
    const int64_t c = v->flow_hidden, reach = v->flow_taps / 2;
    const bt_conv pad = { .left = p->first ? (int)reach : 0, .right = p->last ? (int)reach : 0 };
    bt_node *cond = NULL, *out = NULL;
    if (v->gin)
        cond = bt_nn_linear(g, speaker, "flow.flows.%d.enc.cond_layer", flow);
    for (int i = 0; i < v->flow_layers; i++) {
        bt_node *in = bt_vits_late(g, x, p, p->lag, reach);
        bt_node *a = bt_nn_conv1d(g, in, pad, "flow.flows.%d.enc.in_layers.%d", flow, i);
        if (v->gin)
            a = bt_add(g, a, bt_slice(g, cond, 2 * c * i, 2 * c * (i + 1)));
        a = bt_gate(g, bt_slice(g, a, 0, c), BT_ACT_TANH, bt_slice(g, a, c, 2 * c), BT_ACT_SIGMOID);
        bt_node *r = bt_nn_linear(g, a, "flow.flows.%d.enc.res_skip_layers.%d", flow, i);
        bt_node *skip = r;
        if (i + 1 < v->flow_layers) {
            x = bt_vits_rows(g, in, p->first ? 0 : reach, bt_shape_of(r).w);
            x = bt_add(g, x, bt_slice(g, r, 0, c));
            skip = bt_slice(g, r, c, 2 * c);
        }
        out = out ? bt_add(g, bt_vits_late(g, out, p, p->lag, 0), skip) : skip;
    }
    return out;
}

/* A coupling backwards: the half that went through unchanged tells the mean that
 * was added to the other, which is taken off again. */
void bt_vits_flow(bt_graph *g, const bt_voice *v, bt_node *speaker, bt_node *z[2], bt_vits_piece *p)
{
    const int64_t late = (int64_t)v->flow_layers * p->lag;
    for (int flow = v->flow_last; flow >= 0; flow -= 2) {
        bt_node *x0 = bt_flip(g, z[1]), *x1 = bt_flip(g, z[0]);
        bt_node *h = bt_nn_linear(g, x0, "flow.flows.%d.pre", flow);
        h = wavenet(g, v, h, speaker, flow, p);
        bt_node *mean = bt_nn_linear(g, h, "flow.flows.%d.post", flow);
        z[0] = bt_vits_late(g, x0, p, late, 0);
        z[1] = bt_add(g, bt_vits_late(g, x1, p, late, 0), bt_scale(g, mean, -1));
    }
}

static int64_t couplings(const bt_voice *v) { return v->flow_last / 2 + 1; }

int64_t bt_vits_flow_lag(const bt_voice *v, int lag) { return couplings(v) * v->flow_layers * lag; }

int64_t bt_vits_flow_room(const bt_voice *v, int lag)
{
    const int64_t n = v->flow_layers, inputs = n * (lag + v->flow_taps / 2), sums = (n - 1) * lag;
    return couplings(v) * ((inputs + sums) * v->flow_hidden + n * lag * v->inter);
}
