/* SPDX-License-Identifier: MIT
 * The tiny autoencoder's decoder (TAESD; diffusers, models/autoencoders/vae.py,
 * DecoderTiny): 3x3 convolutions and ReLU, no norms, a hundredth of the work.
 */
#include <stdio.h>

#include "image/network/networks.h"
#include "nn/layers.h"

static const bt_conv same = { .top = 1, .left = 1, .bottom = 1, .right = 1 };

/* AutoencoderTinyBlock: relu(conv relu conv relu conv + x) */
static bt_node *block(bt_graph *g, bt_node *x, int i)
{
    bt_node *h = x;
    for (int k = 0; k < 5; k += 2) {
        h = bt_nn_conv2d(g, h, same, "vae/decoder.layers.%d.conv.%d", i, k);
        if (k < 4)
            h = bt_act_of(g, h, BT_ACT_RELU, 0);
    }
    return bt_act_of(g, bt_add(g, h, x), BT_ACT_RELU, 0);
}

/* scale * w + shift of a small weight, kept under its name and "'". */
static const bt_weight *changed(bt_weights *ws, const bt_weight *w, float scale, float shift,
                                bt_error *err)
{
    int64_t dims[BT_MAX_DIMS];
    char name[128];
    const bt_tensor *t = bt_weight_tensor(w);
    float *v = bt_weight_values(w, err);
    if (!v)
        return NULL;
    for (int i = 0; i < BT_MAX_DIMS; i++)
        dims[i] = bt_weight_dim(w, i);
    for (int64_t i = 0; i < bt_tensor_count(t); i++)
        v[i] = scale * v[i] + shift;
    snprintf(name, sizeof name, "%s'", t->name);
    w = bt_weight_make(ws, name, v, t->n_dims, dims);
    bt_release(v);
    return w;
}

/* The last convolution makes 0..1 of colours; with 2 w and 2 b - 1 it makes -1..1. */
static bt_node *colours(bt_graph *g, bt_weights *ws, bt_node *x, int i)
{
    const bt_weight *w = bt_w(g, "vae/decoder.layers.%d.weight", i);
    const bt_weight *b = bt_w(g, "vae/decoder.layers.%d.bias", i);
    bt_error err = { 0 };
    if (!w || !b)
        return NULL;
    w = changed(ws, w, 2, 0, &err);
    b = w ? changed(ws, b, 2, -1, &err) : NULL;
    return b ? bt_conv2d(g, x, w, b, same) : bt_graph_fail(g, "vae: no memory");
}

/* Layer by layer, by their numbers in the file. A number without weights doubles, and a
 * convolution follows; one that follows a block is the last. */
static bt_node *layers(bt_graph *g, bt_weights *ws, bt_node *x)
{
    static const bt_conv twice = { .top = 1, .left = 1, .bottom = 1, .right = 1, .upsample = 2 };
    for (int i = 2; i < SD_MAX_TINY; i++) {
        if (bt_w_opt(g, "vae/decoder.layers.%d.conv.0.weight", i))
            x = block(g, x, i);
        else if (bt_w_opt(g, "vae/decoder.layers.%d.weight", i))
            return colours(g, ws, x, i);
        else
            x = bt_nn_conv2d(g, x, twice, "vae/decoder.layers.%d", ++i);
    }
    return bt_graph_fail(g, "vae/decoder.layers.*: more than %d layers", SD_MAX_TINY);
}

bt_status sd_tiny_decoder_plan(bt_weights *ws, const sd_vae_config *c, int h, int w, sd_plan *p,
                               bt_error *err)
{
    bt_graph *g;
    bt_status st = bt_graph_create(ws, &g);
    *p = (sd_plan){ 0 };
    if (st != BT_OK)
        return bt_fail(err, st, "out of memory");
    p->in = bt_input(g, (bt_shape){ 1, h, w, c->latent });
    /* latents beyond 3 are bent back softly */
    bt_node *x = bt_act_of(g, bt_scale(g, p->in, 1.0f / 3), BT_ACT_TANH, 0);
    x = bt_nn_conv2d(g, bt_scale(g, x, 3), same, "vae/decoder.layers.0");
    x = layers(g, ws, bt_act_of(g, x, BT_ACT_RELU, 0));
    if (x && (bt_shape_of(x).c != c->out || bt_shape_of(x).h != (int64_t)h * c->factor))
        bt_graph_fail(g, "vae/decoder.layers.*: not %d channels of %d pixels for a latent", c->out,
                      c->factor);
    return sd_plan_make(g, x, p, err);
}
