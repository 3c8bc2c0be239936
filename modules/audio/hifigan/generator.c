/* SPDX-License-Identifier: MIT
 * HiFi-GAN's generator: transposed convolutions, after each the mean of a few residual
 * blocks. All of these are in op_stage.c, since what they pass on is too large to be written out.
 */
#include <stdio.h>

#include "audio/hifigan/hifigan.h"
#include "nn/layers.h"

bt_node *bt_hifigan_begin(bt_graph *g, const bt_hifigan *d, bt_node *x)
{
    const int pad = bt_weight_size(d->ws, 2, "%sconv_pre.weight", d->prefix) / 2;
    return bt_nn_conv1d(g, x, (bt_conv){ .left = pad, .right = pad }, "%sconv_pre", d->prefix);
}

/* Stage s makes stride[s] rows of one, as a rule with half the channels; the product of
 * the strides is a frame's samples. */
bt_node *bt_hifigan_end(bt_graph *g, const bt_hifigan *d, bt_node *x)
{
    char last[32];
    for (int s = 0; s < d->n_stages; s++)
        x = bt_hifigan_stage(g, d, x, s);
    snprintf(last, sizeof last, "%sconv_post", d->prefix);
    return bt_hifigan_wave(g, x, last);
}
