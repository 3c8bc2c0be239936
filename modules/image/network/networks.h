/* SPDX-License-Identifier: MIT
 * The three networks as graphs. Each function builds one plan for one shape.
 */
#ifndef BT_IMAGE_NETWORKS_H
#define BT_IMAGE_NETWORKS_H

#include "image/network/config.h"
#include "graph/graph.h"

enum { SD_MAX_SKIPS = 1 + SD_MAX_BLOCKS * (SD_MAX_LAYERS + 1) };

/* A plan and what goes in and out of it; all f32, channels last. */
typedef struct sd_plan {
    bt_plan *plan;
    bt_node *in, *out;
    bt_node *time, *context; /* UNet: [1,1,1,channels[0]], [n,1,tokens,context] */
    bt_node *added, *guide;  /* SDXL: [n,1,1,added]; LCM: [1,1,1,guide_dim]; else NULL */
    bt_node *hint;           /* ControlNet: [n,h,w,channels[0]] */
    /* For each of the UNet's skips, the first layer's first, and for the middle: what a
     * ControlNet makes, and a UNet that is steered takes. */
    bt_node *residuals[SD_MAX_SKIPS + 1];
    int n_residuals;
    bt_node *ids, *positions; /* CLIP: [tokens] each */
    bt_node *end, *pooled;    /* CLIP with a projection: number of the row to take; [1,1,1,proj] */
    struct {
        bt_node *ids;
        int n, from_h, from_w, to_h, to_w;
    } gathers[SD_MAX_BLOCKS]; /* upsampling to odd sizes: row numbers, filled before each run */
    int n_gathers;
} sd_plan;

/* ids -> [1,1,tokens,hidden], after the final norm; the last `skip` layers
 * are left out. c->inner: at least one is, and no norm follows. */
bt_status sd_clip_plan(bt_weights *ws, const sd_clip_config *c, int tokens, int skip, sd_plan *out,
                       bt_error *err);
/* in [n,h,w,in], time, context -> [n,h,w,out]; steered: and residuals */
bt_status sd_unet_plan(bt_weights *ws, const sd_unet_config *c, int n, int h, int w, int tokens,
                       bool steered, sd_plan *out, bt_error *err);
/* The network's input for a timestep: sines and cosines, channels[0] values. */
void sd_unet_time(const sd_unet_config *c, float t, float *out);
/* c->added values: the pooled text (NULL: zeros), then each of the sizes as sines and cosines. */
void sd_unet_added(const sd_unet_config *c, const float *pooled, int n_sizes, const float *sizes,
                   float *out);
/* c->guide_dim values for a guidance scale. */
void sd_unet_guide(const sd_unet_config *c, float cfg, float *out);
/* latent [1,h,w,latent] (already divided by the scale) -> pixels [1,fh,fw,3] */
bt_status sd_vae_decoder_plan(bt_weights *ws, const sd_vae_config *c, int h, int w, sd_plan *out,
                              bt_error *err);
/* pixels [1,fh,fw,3] -> [1,h,w,2*latent]: means, then log variances */
bt_status sd_vae_encoder_plan(bt_weights *ws, const sd_vae_config *c, int h, int w, sd_plan *out,
                              bt_error *err);

/* The same by the tiny autoencoder; `sd_vae_decoder_plan` comes here for c->tiny. */
bt_status sd_tiny_decoder_plan(bt_weights *ws, const sd_vae_config *c, int h, int w, sd_plan *out,
                               bt_error *err);

/* Fills the row numbers, then runs. */
bt_status sd_plan_run(sd_plan *p, const atomic_bool *cancel, bt_error *err);
void sd_plan_free(sd_plan *p);
/* An input's or output's values; NULL: no memory (never after sd_cache_ready_plan). */
float *sd_plan_data(const sd_plan *p, const bt_node *n);

/* ---- shared by UNet and VAE (blocks.c) ----------------------------------- */

typedef struct sd_block {
    bt_graph *g;
    int groups;
    float eps;
    bt_act act;
    bt_node *time; /* activated embedding, or NULL */
    float scale;   /* divides the sum; 1 = none */
    bool round;    /* the sums themselves may be kept as bf16 */
} sd_block;

/* What UNet and VAE compute in. AUTO is bf16 with AMX, for quantized weights too: twice as fast as
 * int8 where rows are many, and in less memory. */
bt_precision sd_precision(const bt_compute *c);
/* For the layers that read the norm of this name: where a few of its channels stand
 * out, blocks of int8 would leave too little of their neighbours, so that AUTO
 * becomes BF16 (f32 without it). Returns the precision to go back to. */
bt_precision sd_hold(bt_graph *g, const char *fmt, ...) BT_PRINTF(2, 3);
/* diffusers' ResnetBlock2D */
bt_node *sd_resnet(const sd_block *b, bt_node *x, const char *prefix);
/* norm, activation, 3x3 (or k x k) convolution: the end of both networks */
bt_node *sd_head(const sd_block *b, bt_node *x, const char *norm, const char *conv, int kernel);
/* k x k convolution that keeps the size */
bt_node *sd_conv(bt_graph *g, bt_node *x, int kernel, const char *name);
/* Turns a finished graph into a plan; takes g over. */
bt_status sd_plan_make(bt_graph *g, bt_node *out, sd_plan *p, bt_error *err);

#endif
