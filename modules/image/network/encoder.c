/* SPDX-License-Identifier: MIT
 * The way down, the middle and the timestep: what a UNet and a ControlNet have in common.
 */
#include "image/network/encoder.h"

#include <stdarg.h>
#include <stdio.h>

#include "graph/op.h"
#include "nn/layers.h"

/* Layers that are cheap beside what int8 would cost the picture: those through which a
 * whole branch passes, and products of a gate, whose tails are heavy. */
bt_node *sd_held_linear(bt_graph *g, bt_node *x, const char *fmt, ...)
{
    const bt_precision was = bt_graph_precision_of(g);
    char name[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    if (was == BT_PREC_AUTO)
        bt_graph_precision(g, BT_PREC_BF16);
    x = bt_nn_linear(g, x, "%s", name);
    bt_graph_precision(g, was);
    return x;
}

/* Self-attention (context = h) or cross-attention; adds to x. */
static bt_node *attend(sd_encoder *u, bt_node *x, bt_node *h, bt_node *context, int heads,
                       const char *prefix, const char *name)
{
    static const char *const names[] = { "to_q", "to_k", "to_v" };
    char layer[128];
    bt_node *y[3];                         /* q, k, v */
    const int read = context == h ? 3 : 1; /* of h */
    snprintf(layer, sizeof layer, "%s.%s", prefix, name);
    bt_precision was = sd_hold(u->g, "%s.norm%s", prefix, read == 3 ? "1" : "2");
    bt_nn_linears(u->g, h, layer, read, names, y);
    bt_graph_precision(u->g, was);
    if (read == 1)
        bt_nn_linears(u->g, context, layer, 2, names + 1, y + 1);
    h = bt_attention(u->g, y[0], y[1], y[2], heads, heads, 0, 0);
    return bt_add(u->g, x, sd_held_linear(u->g, h, "%s.to_out.0", layer));
}

/* BasicTransformerBlock with GEGLU: value * gelu(gate) */
static bt_node *transformer_block(sd_encoder *u, bt_node *x, int heads, const char *prefix)
{
    bt_node *h = bt_nn_layer_norm(u->g, x, 1e-5f, "%s.norm1", prefix);
    x = attend(u, x, h, h, heads, prefix, "attn1");
    h = bt_nn_layer_norm(u->g, x, 1e-5f, "%s.norm2", prefix);
    x = attend(u, x, h, u->context, heads, prefix, "attn2");
    h = bt_nn_layer_norm(u->g, x, 1e-5f, "%s.norm3", prefix);
    bt_precision was = sd_hold(u->g, "%s.norm3", prefix);
    h = bt_nn_linear(u->g, h, "%s.ff.net.0.proj", prefix);
    bt_graph_precision(u->g, was);
    int64_t half = bt_shape_of(h).c / 2;
    h = bt_gate(u->g, bt_slice(u->g, h, 0, half), BT_ACT_NONE, bt_slice(u->g, h, half, 2 * half),
                BT_ACT_GELU);
    return bt_add(u->g, x, sd_held_linear(u->g, h, "%s.ff.net.2", prefix));
}

/* Transformer2DModel. Projections are linear layers or 1x1 convolutions: the
 * same thing, channels last. */
bt_node *sd_transformer(sd_encoder *u, bt_node *x, int heads, int depth, const char *prefix)
{
    char block[96];
    bt_node *h = bt_nn_group_norm(u->g, x, u->c->groups, 1e-6f, "%s.norm", prefix);
    h = sd_held_linear(u->g, h, "%s.proj_in", prefix);
    for (int i = 0; i < depth; i++) {
        snprintf(block, sizeof block, "%s.transformer_blocks.%d", prefix, i);
        h = transformer_block(u, h, heads, block);
    }
    if (bt_w_opt(u->g, "%s.transformer_blocks.%d.norm1.weight", prefix, depth))
        return bt_graph_fail(u->g, "%s has more than the %d blocks that the settings say", prefix,
                             depth);
    return bt_add(u->g, x, sd_held_linear(u->g, h, "%s.proj_out", prefix));
}

static void push(sd_encoder *u, bt_node *x) { u->skips[u->n_skips++] = x; }

/* A level's resnets, each with cross-attention if the level has it; then half
 * the size, but for the coarsest. */
static bt_node *down(sd_encoder *u, bt_node *x, int level)
{
    const sd_unet_config *c = u->c;
    char name[64];
    for (int i = 0; i < c->layers[level]; i++) {
        snprintf(name, sizeof name, "%sdown_blocks.%d.resnets.%d", u->root, level, i);
        x = sd_resnet(&u->block, x, name);
        snprintf(name, sizeof name, "%sdown_blocks.%d.attentions.%d", u->root, level, i);
        if (c->down_cross[level])
            x = sd_transformer(u, x, c->heads[level], c->depth[level][i], name);
        push(u, x);
    }
    if (level == c->levels - 1)
        return x;
    bt_conv half = {
        .stride = 2, .top = c->pad, .left = c->pad, .bottom = c->pad, .right = c->pad
    };
    x = bt_nn_conv2d(u->g, x, half, "%sdown_blocks.%d.downsamplers.0.conv", u->root, level);
    push(u, x);
    return x;
}

/* resnet, attention, resnet at the coarsest level; some models leave parts out. */
static bt_node *middle(sd_encoder *u, bt_node *x)
{
    const sd_unet_config *c = u->c;
    const int last = c->levels - 1;
    char name[64];
    if (c->mid == SD_MID_NONE)
        return x;
    sd_block b = u->block;
    b.scale = c->mid_scale;
    snprintf(name, sizeof name, "%smid_block.resnets.0", u->root);
    x = sd_resnet(&b, x, name);
    if (c->mid == SD_MID_RESNET)
        return x;
    snprintf(name, sizeof name, "%smid_block.attentions.0", u->root);
    x = sd_transformer(u, x, c->heads[last], c->depth[last][0], name);
    snprintf(name, sizeof name, "%smid_block.resnets.1", u->root);
    return sd_resnet(&b, x, name);
}

/* The timestep's embedding; with it those of the guidance that an LCM is told, and of
 * the text as a whole and the picture's size. */
static bt_node *embed_time(sd_encoder *u)
{
    const sd_unet_config *c = u->c;
    bt_node *t = u->plan->time;
    if (c->guide_dim) {
        u->plan->guide = bt_input(u->g, (bt_shape){ 1, 1, 1, c->guide_dim });
        t = bt_add(u->g, t,
                   bt_nn_linear(u->g, u->plan->guide, "%stime_embedding.cond_proj", u->root));
    }
    t = bt_nn_linear(u->g, t, "%stime_embedding.linear_1", u->root);
    t = bt_nn_linear(u->g, bt_act_of(u->g, t, c->act, 0), "%stime_embedding.linear_2", u->root);
    if (c->added) {
        u->plan->added = bt_input(u->g, (bt_shape){ bt_shape_of(u->context).n, 1, 1, c->added });
        bt_node *a = bt_nn_linear(u->g, u->plan->added, "%sadd_embedding.linear_1", u->root);
        a = bt_nn_linear(u->g, bt_act_of(u->g, a, c->act, 0), "%sadd_embedding.linear_2", u->root);
        t = bt_add(u->g, a, t);
    }
    return bt_act_of(u->g, t, c->act, 0);
}

/* The ends of the network and the timestep, small parts on which every value
 * of the picture hangs, stay f32 whatever the precision. */
bt_node *sd_encode(sd_encoder *u, bt_node *hint, bt_precision precision)
{
    char name[64];
    bt_graph_precision(u->g, BT_PREC_F32);
    u->block.time = embed_time(u);
    snprintf(name, sizeof name, "%sconv_in", u->root);
    bt_node *x = sd_conv(u->g, u->plan->in, u->c->kernel_in, name);
    if (hint)
        x = bt_add(u->g, x, hint);
    bt_graph_precision(u->g, precision);

    push(u, x);
    for (int i = 0; i < u->c->levels; i++)
        x = down(u, x, i);
    return middle(u, x);
}

bt_status sd_encoder_open(sd_encoder *u, bt_weights *ws, const sd_unet_config *c, const char *root,
                          int n, int h, int w, int in, int tokens, sd_plan *p, bt_error *err)
{
    *u = (sd_encoder){ .c = c, .root = root, .plan = p };
    *p = (sd_plan){ 0 };
    const bt_status st = bt_graph_create(ws, &u->g);
    if (st != BT_OK)
        return bt_fail(err, st, "out of memory");
    u->block = (sd_block){ u->g, c->groups, c->eps, c->act, NULL, 1, false };
    p->in = bt_input(u->g, (bt_shape){ n, h, w, in });
    p->time = bt_input(u->g, (bt_shape){ 1, 1, 1, c->channels[0] });
    u->context = p->context = bt_input(u->g, (bt_shape){ n, 1, tokens, c->context });
    return BT_OK;
}
