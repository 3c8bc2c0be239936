/* SPDX-License-Identifier: MIT
 * A ControlNet as a graph (diffusers, models/controlnets/controlnet.py). Names are below
 * "controlnet/".
 */
#include "image/control/control.h"

#include <stdio.h>

#include "image/network/encoder.h"
#include "nn/layers.h"

static const char root[] = "controlnet/";

/* ControlNetConditioningEmbedding: pairs of convolutions, the second of which halves. It runs
 * once for a picture, in f32. */
bt_status sd_control_hint_plan(const sd_control *c, int h, int w, sd_plan *p, bt_error *err)
{
    bt_graph *g;
    char name[80];
    const bt_status st = bt_graph_create(c->ws, &g);
    *p = (sd_plan){ 0 };
    if (st != BT_OK)
        return bt_fail(err, st, "out of memory");
    bt_graph_precision(g, BT_PREC_F32);
    p->in = bt_input(g, (bt_shape){ 1, (int64_t)h << c->halvings, (int64_t)w << c->halvings, 3 });
    snprintf(name, sizeof name, "%scontrolnet_cond_embedding.conv_in", root);
    bt_node *x = bt_act_of(g, sd_conv(g, p->in, 3, name), BT_ACT_SILU, 0);
    for (int i = 0; i < 2 * c->halvings; i++) {
        bt_conv conv = { .stride = 1 + i % 2, .top = 1, .left = 1, .bottom = 1, .right = 1 };
        x = bt_nn_conv2d(g, x, conv, "%scontrolnet_cond_embedding.blocks.%d", root, i);
        x = bt_act_of(g, x, BT_ACT_SILU, 0);
    }
    snprintf(name, sizeof name, "%scontrolnet_cond_embedding.conv_out", root);
    x = sd_conv(g, x, 3, name);
    if (x && bt_shape_of(x).c != c->c.channels[0])
        bt_graph_fail(g, "%s does not have the first layer's channels", name);
    return sd_plan_make(g, x, p, err);
}

/* The 1x1 convolution of what a layer, or the middle, made: "zero" before its training. */
static void add_residual(sd_encoder *u, bt_node *x)
{
    char name[64];
    sd_plan *p = u->plan;
    if (p->n_residuals < u->n_skips)
        snprintf(name, sizeof name, "%scontrolnet_down_blocks.%d", root, p->n_residuals);
    else
        snprintf(name, sizeof name, "%scontrolnet_mid_block", root);
    bt_node *y = sd_held_linear(u->g, x, "%s", name);
    if (y && bt_shape_of(y).c != bt_shape_of(x).c)
        bt_graph_fail(u->g, "%s does not have its layer's channels", name);
    p->residuals[p->n_residuals++] = bt_output(u->g, y);
}

bt_status sd_control_plan(const sd_control *c, int n, int h, int w, int tokens, sd_plan *p,
                          bt_error *err)
{
    sd_encoder u;
    const bt_status st = sd_encoder_open(&u, c->ws, &c->c, root, n, h, w, c->c.in, tokens, p, err);
    if (st != BT_OK)
        return st;
    p->hint = bt_input(u.g, (bt_shape){ n, h, w, c->c.channels[0] });
    bt_node *x = sd_encode(&u, p->hint, sd_precision(bt_weights_compute(c->ws)));
    for (int i = 0; i < u.n_skips; i++)
        add_residual(&u, u.skips[i]);
    add_residual(&u, x);
    p->out = p->residuals[u.n_skips];
    return bt_plan_create(u.g, &p->plan, err);
}
