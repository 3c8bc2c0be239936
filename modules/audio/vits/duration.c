/* SPDX-License-Identifier: MIT
 * Stochastic duration predictor, run backwards (VITS models.py
 * StochasticDurationPredictor, reverse=True): noise of two channels goes
 * through flows to log durations. Each flow transforms one channel by splines
 * whose shape depends on the text and on the other channel; the Flip between
 * flows is only a change of names here. The first spline flow is not used
 * backwards, as in VITS.
 */
#include <math.h>
#include <stdio.h>

#include "nn/layers.h"
#include "audio/vits/vits.h"

#define EPS 1e-5f

/* layer norm, then gelu: how DDSConv ends both of its convolutions */
static bt_node *gelu_norm(bt_graph *g, bt_node *x, const char *prefix, int n, int i)
{
    const bt_weight *gamma = bt_w(g, "%s.norms_%d.%d.gamma", prefix, n, i);
    x = bt_layer_norm(g, x, gamma, bt_w(g, "%s.norms_%d.%d.beta", prefix, n, i), EPS);
    return bt_act_of(g, x, BT_ACT_GELU, 0);
}

/* Dilated depth-separable convolutions (modules.py DDSConv): dilation k^i. */
static bt_node *dds(bt_graph *g, const bt_voice *v, bt_node *x, const char *prefix)
{
    int dilation = 1;
    for (int i = 0; i < v->dp_layers; i++) {
        const bt_weight *w = bt_w(g, "%s.convs_sep.%d.weight", prefix, i);
        int k = w ? (int)bt_weight_dim(w, 2) : 1;
        int pad = (k - 1) / 2 * dilation;
        bt_conv p = { .dilation = dilation, .left = pad, .right = pad };
        p.groups = (int)bt_shape_of(x).c;
        bt_node *y = bt_nn_conv1d(g, x, p, "%s.convs_sep.%d", prefix, i);
        y = gelu_norm(g, y, prefix, 1, i);
        y = bt_nn_linear(g, y, "%s.convs_1x1.%d", prefix, i);
        x = bt_add(g, x, gelu_norm(g, y, prefix, 2, i));
        if (dilation > 4096 / (k > 0 ? k : 1))
            return bt_graph_fail(g, "%s: too many layers", prefix);
        dilation *= k;
    }
    return x;
}

/* modules.py ConvFlow, reverse: z[1] by the spline that z[0] and the text give. */
static void conv_flow(bt_graph *g, const bt_voice *v, bt_node *text, bt_node *z[2], int flow)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "dp.flows.%d.convs", flow);
    bt_node *h = bt_nn_linear(g, z[0], "dp.flows.%d.pre", flow);
    h = dds(g, v, bt_add(g, h, text), prefix);
    float channels = (float)bt_shape_of(h).c;
    h = bt_nn_linear(g, h, "dp.flows.%d.proj", flow);
    z[1] = bt_vits_spline(g, z[1], h, v->dp_bins, h ? 1 / sqrtf(channels) : 1);
}

bt_node *bt_vits_duration(bt_graph *g, const bt_voice *v, bt_node *x, bt_node *speaker,
                          bt_node *const noise[2])
{
    bt_node *z[2] = { noise[0], noise[1] };
    x = bt_nn_linear(g, x, "dp.pre");
    x = bt_vits_condition(g, v, x, speaker, "dp.cond");
    x = dds(g, v, x, "dp.convs");
    x = bt_nn_linear(g, x, "dp.proj");
    /* Flows in a file: 0 affine, then spline and Flip by turns: 1, 2, 3, 4, ... */
    for (int flow = v->dp_last; flow >= 3; flow -= 2) {
        bt_node *flipped[2] = { z[1], z[0] };
        conv_flow(g, v, x, flipped, flow);
        z[0] = flipped[0];
        z[1] = flipped[1];
    }
    return z[1]; /* channel 0 after the last flip */
}

/* The last step backwards: log duration = (z - m) * exp(-logs). */
bt_status bt_vits_affine(const bt_voice *v, float *m, float *logs, bt_error *err)
{
    static const char *const names[] = { "dp.flows.0.m", "dp.flows.0.logs" };
    float *out[] = { m, logs };
    for (int i = 0; i < 2; i++) {
        const bt_weight *w = bt_weight_find(v->ws, names[i]);
        float *values = w ? bt_weight_values(w, err) : NULL;
        if (!values)
            return w ? err->status : bt_fail(err, BT_EFORMAT, "tensor %s is missing", names[i]);
        *out[i] = values[0];
        bt_release(values);
    }
    return BT_OK;
}
