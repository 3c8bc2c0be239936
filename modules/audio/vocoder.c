/* SPDX-License-Identifier: MIT
 * HiFi-GAN generator (Kong et al. 2020, models.py Generator) of any size:
 * transposed convolutions, after each the mean of a few residual blocks.
 */
#include <stdio.h>

#include "nn/layers.h"
#include "vits.h"

#define SLOPE      0.1f  /* of the leaky ReLUs inside */
#define LAST_SLOPE 0.01f /* of the one before the last convolution */

static bt_node *leaky(bt_graph *g, bt_node *x, float slope)
{
    return bt_act_of(g, x, BT_ACT_LEAKY_RELU, slope);
}

/* A convolution that keeps the length. */
static bt_node *conv(bt_graph *g, bt_node *x, int k, int dilation, const char *prefix, int i)
{
    int pad = k / 2 * dilation;
    return bt_nn_conv1d(g, x, (bt_conv){ .dilation = dilation, .left = pad, .right = pad }, "%s.%d",
                        prefix, i);
}

/* ResBlock1 (pairs: convs1 dilated, convs2 not) or ResBlock2 (convs). */
static bt_node *block(bt_graph *g, const bt_voice *v, bt_node *x, int stage, int kernel)
{
    int n = stage * v->n_kernels + kernel, k = v->block_k[kernel];
    char first[64], second[64];
    snprintf(first, sizeof first, "dec.resblocks.%d.%s", n, v->block_pairs ? "convs1" : "convs");
    snprintf(second, sizeof second, "dec.resblocks.%d.convs2", n);
    for (int i = 0; i < v->block_convs; i++) {
        bt_node *y = conv(g, leaky(g, x, SLOPE), k, v->dilation[kernel][i], first, i);
        if (v->block_pairs)
            y = conv(g, leaky(g, y, SLOPE), k, 1, second, i);
        x = bt_add(g, y, x);
    }
    return x;
}

static int filter(bt_graph *g, const char *name)
{
    const bt_weight *w = bt_w(g, "%s", name);
    return w ? (int)bt_weight_dim(w, 2) : 1;
}

/* [F, inter] -> [F * hop, 1]: stage s makes stride[s] rows of one, as a
 * rule with half the channels; the product of the strides is a frame's samples. */
bt_node *bt_vits_vocoder(bt_graph *g, const bt_voice *v, bt_node *z, bt_node *speaker)
{
    int pad = filter(g, "dec.conv_pre.weight") / 2;
    bt_node *x = bt_nn_conv1d(g, z, (bt_conv){ .left = pad, .right = pad }, "dec.conv_pre");
    x = bt_vits_condition(g, v, x, speaker, "dec.cond");
    for (int s = 0; s < v->n_stages; s++) {
        x = bt_conv_transpose1d(g, leaky(g, x, SLOPE), bt_w(g, "dec.ups.%d.weight", s),
                                bt_w_opt(g, "dec.ups.%d.bias", s), v->stride[s], v->pad[s]);
        bt_node *sum = block(g, v, x, s, 0);
        for (int k = 1; k < v->n_kernels; k++)
            sum = bt_add(g, sum, block(g, v, x, s, k));
        x = bt_scale(g, sum, 1.0f / (float)v->n_kernels);
    }
    pad = filter(g, "dec.conv_post.weight") / 2;
    x = bt_nn_conv1d(g, leaky(g, x, LAST_SLOPE), (bt_conv){ .left = pad, .right = pad },
                     "dec.conv_post");
    if (x && bt_shape_of(x).c != 1)
        return bt_graph_fail(g, "dec.conv_post has more than one channel");
    return bt_act_of(g, x, BT_ACT_TANH, 0);
}
