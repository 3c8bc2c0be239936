/* SPDX-License-Identifier: MIT
 * The autoencoder (diffusers, models/autoencoders/autoencoder_kl.py, vae.py):
 * `factor` x `factor` pixels are one row of latents. Decoding is where the
 * largest activations of a picture are, so it takes one picture at a time.
 */
#include "image/network/networks.h"

#include <stdio.h>

#include "nn/layers.h"

static const bt_conv same = { .top = 1, .left = 1, .bottom = 1, .right = 1 };

/* A layer under its name, or the one it had before diffusers 0.18. */
static bt_node *either(bt_graph *g, bt_node *x, const char *prefix, const char *name,
                       const char *old)
{
    bool now = bt_w_opt(g, "%s.%s.weight", prefix, name) != NULL;
    return bt_nn_linear(g, x, "%s.%s", prefix, now ? name : old);
}

/* One head over all channels. */
static bt_node *attention(const sd_block *b, bt_node *x, const char *prefix)
{
    bt_node *h = bt_nn_group_norm(b->g, x, b->groups, b->eps, "%s.group_norm", prefix);
    bt_precision was = sd_hold(b->g, "%s.group_norm", prefix);
    bt_node *q = either(b->g, h, prefix, "to_q", "query");
    bt_node *k = either(b->g, h, prefix, "to_k", "key");
    bt_node *v = either(b->g, h, prefix, "to_v", "value");
    bt_graph_precision(b->g, was);
    h = bt_attention(b->g, q, k, v, 1, 1, 0, 0);
    return bt_add(b->g, x, either(b->g, h, prefix, "to_out.0", "proj_attn"));
}

/* The only place with attention: at the coarsest size, where it is affordable. */
static bt_node *middle(const sd_block *b, const sd_vae_config *c, bt_node *x, const char *side)
{
    char name[64];
    snprintf(name, sizeof name, "vae/%s.mid_block.resnets.0", side);
    x = sd_resnet(b, x, name);
    snprintf(name, sizeof name, "vae/%s.mid_block.attentions.0", side);
    if (c->mid_attention)
        x = attention(b, x, name);
    snprintf(name, sizeof name, "vae/%s.mid_block.resnets.1", side);
    return sd_resnet(b, x, name);
}

/* Latents to pixels in -1..1; one resnet per level more than the encoder has. */
static bt_node *decoder(const sd_block *b, const sd_vae_config *c, bt_node *x)
{
    char name[64];
    if (c->post_quant)
        x = bt_nn_linear(b->g, x, "vae/post_quant_conv");
    x = sd_conv(b->g, x, 3, "vae/decoder.conv_in");
    x = middle(b, c, x, "decoder");
    for (int i = 0; i < c->levels; i++) {
        for (int k = 0; k <= c->layers; k++) {
            snprintf(name, sizeof name, "vae/decoder.up_blocks.%d.resnets.%d", i, k);
            x = sd_resnet(b, x, name);
        }
        bt_conv twice = same;
        twice.upsample = 2;
        if (i < c->levels - 1)
            x = bt_nn_conv2d(b->g, x, twice, "vae/decoder.up_blocks.%d.upsamplers.0.conv", i);
    }
    return sd_head(b, x, "vae/decoder.conv_norm_out", "vae/decoder.conv_out", 3);
}

/* Pixels in -1..1 to the mean and log variance of each latent. */
static bt_node *encoder(const sd_block *b, const sd_vae_config *c, bt_node *x)
{
    /* halving pads one row below and one column to the right only */
    static const bt_conv half = { .stride = 2, .bottom = 1, .right = 1 };
    char name[64];
    x = sd_conv(b->g, x, 3, "vae/encoder.conv_in");
    for (int i = 0; i < c->levels; i++) {
        for (int k = 0; k < c->layers; k++) {
            snprintf(name, sizeof name, "vae/encoder.down_blocks.%d.resnets.%d", i, k);
            x = sd_resnet(b, x, name);
        }
        if (i < c->levels - 1)
            x = bt_nn_conv2d(b->g, x, half, "vae/encoder.down_blocks.%d.downsamplers.0.conv", i);
    }
    x = middle(b, c, x, "encoder");
    x = sd_head(b, x, "vae/encoder.conv_norm_out", "vae/encoder.conv_out", 3);
    return c->quant ? bt_nn_linear(b->g, x, "vae/quant_conv") : x;
}

typedef bt_node *(*side_fn)(const sd_block *b, const sd_vae_config *c, bt_node *x);

static bt_status make(bt_weights *ws, const sd_vae_config *c, bt_shape in, side_fn side, int out,
                      sd_plan *p, bt_error *err)
{
    bt_graph *g;
    bt_status st = bt_graph_create(ws, &g);
    *p = (sd_plan){ 0 };
    if (st != BT_OK)
        return bt_fail(err, st, "out of memory");
    sd_block b = { g, c->groups, 1e-6f, c->act, NULL, 1, true };
    bt_graph_precision(g, sd_precision(bt_weights_compute(ws)));
    bt_graph_round(g, true);
    p->in = bt_input(g, in);
    bt_node *y = side(&b, c, p->in);
    if (y && bt_shape_of(y).c != out)
        bt_graph_fail(g, "vae: the last convolution does not make %d channels", out);
    return sd_plan_make(g, y, p, err);
}

bt_status sd_vae_decoder_plan(bt_weights *ws, const sd_vae_config *c, int h, int w, sd_plan *p,
                              bt_error *err)
{
    if (c->tiny)
        return sd_tiny_decoder_plan(ws, c, h, w, p, err);
    return make(ws, c, (bt_shape){ 1, h, w, c->latent }, decoder, c->out, p, err);
}

bt_status sd_vae_encoder_plan(bt_weights *ws, const sd_vae_config *c, int h, int w, sd_plan *p,
                              bt_error *err)
{
    bt_shape in = { 1, (int64_t)h * c->factor, (int64_t)w * c->factor, c->in };
    return make(ws, c, in, encoder, 2 * c->latent, p, err);
}
