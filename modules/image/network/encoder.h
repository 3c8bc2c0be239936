/* SPDX-License-Identifier: MIT
 * The half of a UNet that a ControlNet copies: first layer, levels down, middle.
 */
#ifndef BT_IMAGE_ENCODER_H
#define BT_IMAGE_ENCODER_H

#include "image/network/networks.h"

/* A network being built. Pictures are [n, h, w, channels]. */
typedef struct sd_encoder {
    const sd_unet_config *c;
    const char *root; /* what names of weights begin with: "unet/" */
    bt_graph *g;
    sd_block block;
    bt_node *context;
    sd_plan *plan;
    bt_node *skips[SD_MAX_SKIPS]; /* what the first layer, resnets and halvings made */
    int n_skips;
} sd_encoder;

/* A graph with its inputs `in` [n,h,w,in], `time` and `context`. */
bt_status sd_encoder_open(sd_encoder *u, bt_weights *ws, const sd_unet_config *c, const char *root,
                          int n, int h, int w, int in, int tokens, sd_plan *p, bt_error *err);
/* From the inputs through the middle, all of it in `precision` but the first layer and the
 * timestep; hint (NULL: none) is added to what the first layer makes. */
bt_node *sd_encode(sd_encoder *u, bt_node *hint, bt_precision precision);
/* Transformer2DModel */
bt_node *sd_transformer(sd_encoder *u, bt_node *x, int heads, int depth, const char *prefix);
/* A linear layer, or 1x1 convolution, that is cheap beside what int8 would cost the picture. */
bt_node *sd_held_linear(bt_graph *g, bt_node *x, const char *fmt, ...) BT_PRINTF(3, 4);

#endif
