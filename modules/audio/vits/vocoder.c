/* SPDX-License-Identifier: MIT
 * HiFi-GAN generator (Kong et al. 2020, models.py Generator) of any size:
 * transposed convolutions, after each the mean of a few residual blocks. All of
 * these are in op_stage.c, since what they pass on is too large to be written out.
 */
#include "nn/layers.h"
#include "audio/vits/vits.h"

/* [F, inter] -> [F * hop, 1]: stage s makes stride[s] rows of one, as a
 * rule with half the channels; the product of the strides is a frame's samples. */
bt_node *bt_vits_vocoder(bt_graph *g, const bt_voice *v, bt_node *z, bt_node *speaker)
{
    const bt_weight *w = bt_w(g, "dec.conv_pre.weight");
    int pad = w ? (int)bt_weight_dim(w, 2) / 2 : 0;
    bt_node *x = bt_nn_conv1d(g, z, (bt_conv){ .left = pad, .right = pad }, "dec.conv_pre");
    x = bt_vits_condition(g, v, x, speaker, "dec.cond");
    for (int s = 0; s < v->n_stages; s++)
        x = bt_vits_stage(g, v, x, s);
    return bt_vits_wave(g, x, "dec.conv_post");
}
