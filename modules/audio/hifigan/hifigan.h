/* SPDX-License-Identifier: MIT
 * The generator of HiFi-GAN (Kong et al. 2020, models.py Generator), of any size: Piper's
 * voices end in one, and it is a vocoder by itself. Rows are frames, then samples.
 */
#ifndef BT_AUDIO_HIFIGAN_H
#define BT_AUDIO_HIFIGAN_H

#include "graph/graph.h"

enum {
    BT_HIFIGAN_STAGES = 8,  /* upsampling stages, at most */
    BT_HIFIGAN_KERNELS = 8, /* residual blocks of a stage */
    BT_HIFIGAN_CONVS = 8,   /* convolutions of a block */
    BT_HIFIGAN_GROUPS = 12, /* of minimal filtering, made together: the kernels' tallest tile; a
                               filter of more dilation is not filtered so */
};
#define BT_HIFIGAN_SLOPE      0.1f  /* of the leaky ReLUs */
#define BT_HIFIGAN_LAST_SLOPE 0.01f /* of the one before the last convolution */

/* No tensor tells strides and dilations: whoever has them puts them here before
 * bt_hifigan_shapes, else they are 0 and follow from the filters and from the published
 * configurations. pad -1: what makes stride times the rows. */
typedef struct bt_hifigan {
    const char *prefix; /* of the tensors' names: "dec." in VITS, else "" */
    bt_weights *ws;
    int stride[BT_HIFIGAN_STAGES], pad[BT_HIFIGAN_STAGES];
    int dilation[BT_HIFIGAN_KERNELS][BT_HIFIGAN_CONVS];

    /* from the shapes */
    int n_stages, n_kernels, block_convs; /* block_convs per residual block */
    bool block_pairs;                     /* ResBlock1, else ResBlock2 */
    int up_k[BT_HIFIGAN_STAGES], block_k[BT_HIFIGAN_KERNELS];
    int channels; /* of its input */
    int hop;      /* samples per frame */
    int margin;   /* frames on either side that a frame's samples depend on */
    bool minimal; /* the f32 filters may be minimal filtering (graph/minimal.h) */
    int align;    /* if so, a chunk begins at a multiple of so many frames, else 1 */
} bt_hifigan;

/* ---- shapes.c: weights are "<prefix>conv_pre.weight" and so on ---- */

/* How many stages, residual blocks in each, convolutions in these there are: before the
 * strides and dilations are filled in. `file` is for messages. */
bt_status bt_hifigan_count(bt_hifigan *d, const char *file, bt_error *err);
/* The rest; checks that all fits. */
bt_status bt_hifigan_shapes(bt_hifigan *d, const char *file, bt_error *err);
/* Outputs that a filter over c channels makes together by minimal filtering; 0: it does not. */
int bt_hifigan_outs(const bt_hifigan *d, int c, int taps, int dilation);
int64_t bt_common_multiple(int64_t a, int64_t b); /* the least, of positive numbers */
/* Dimension i, in torch's order, of the weight of this name; 0: there is none, or it is absurd. */
int bt_weight_size(bt_weights *ws, int i, const char *fmt, ...) BT_PRINTF(3, 4);

/* ---- generator.c ---- */

/* [F, channels] -> [F, c]: the first convolution; and from there to [F * hop, 1]. What is
 * added in between is a voice's speaker. */
bt_node *bt_hifigan_begin(bt_graph *g, const bt_hifigan *d, bt_node *x);
bt_node *bt_hifigan_end(bt_graph *g, const bt_hifigan *d, bt_node *x);

/* op_stage.c: stage `number`: leaky ReLU, upsampling, the mean of the residual blocks. */
bt_node *bt_hifigan_stage(bt_graph *g, const bt_hifigan *d, bt_node *x, int number);
/* op_wave.c: x [L, c] -> [L, 1]: leaky ReLU, one filter that keeps the length, tanh. */
bt_node *bt_hifigan_wave(bt_graph *g, bt_node *x, const char *prefix);

#endif
