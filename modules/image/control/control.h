/* SPDX-License-Identifier: MIT
 * ControlNets (Zhang, Rao and Agrawala 2023, arXiv 2302.05543): the half of a UNet that goes
 * down, trained anew to read a picture (edges, depth, a pose) beside what the UNet reads.
 *
 *     picture -> hint --+                 what each layer made -> 1x1 convolutions = residuals
 *     latent -> conv_in + -> levels down ... -> middle                                   |
 *     latent -> conv_in   -> levels down ... -> middle -> levels up (UNet) <- + weight * -+
 *
 * Several may steer at once: their residuals add up. Each reads the row's own text, with the
 * prompt and with the negative prompt.
 */
#ifndef BT_IMAGE_CONTROL_H
#define BT_IMAGE_CONTROL_H

#include "image/network/networks.h"

enum { SD_MAX_CONTROLS = 8, SD_CANNY_LOW = 100, SD_CANNY_HIGH = 200 };

/* One ControlNet, and how its picture is made ready. Texts are the options'. */
typedef struct sd_control_ask {
    const char *path; /* of `length` bytes */
    int length;
    double weight;
    double start, end; /* shares of the steps between which it steers */
    bool canny;
    double low, high; /* its thresholds */
} sd_control_ask;

typedef struct sd_control_list {
    sd_control_ask at[SD_MAX_CONTROLS];
    int n;
} sd_control_list;

/* "FILE[:WEIGHT[:START[:END]]],..." and, in the same order, "none" or "canny[:LOW[:HIGH]]". */
bt_status sd_control_list_read(const char *controls, const char *preprocess, sd_control_list *out,
                               bt_error *err);
/* Whether it steers step i of n (diffusers, control_guidance_start and _end). */
bool sd_control_steers(const sd_control_ask *a, int i, int n);
/* Adds what A1111's extension writes into a picture's text. */
void sd_control_text(const sd_control_list *l, bt_buf *out);

/* An opened file. */
typedef struct sd_control {
    char *path;
    bt_store *store;
    bt_weights *ws;
    sd_unet_config c;
    int halvings; /* of the picture, until it is as large as the latent */
} sd_control;

/* Those of a job. Start with {0}. */
typedef struct sd_controls {
    sd_control *at[SD_MAX_CONTROLS]; /* of each that was asked for; of one file it is the same */
    int n;
} sd_controls;

/* Opens what is asked for, as far as it is not open, and closes all else. What does not fit the
 * UNet and the autoencoder's `factor` is an error that says what it is. */
bt_status sd_controls_use(sd_controls *c, const sd_control_list *asked, const bt_compute *compute,
                          const sd_unet_config *unet, int latent, int factor, bt_error *err);
void sd_controls_spare(sd_controls *c); /* bt_weights_spare */
void sd_controls_close(sd_controls *c);

/* network.c. The picture as the network sees it: in [1, h << halvings, w << halvings, 3], 0..1,
 * -> [1,h,w,channels[0]]. */
bt_status sd_control_hint_plan(const sd_control *c, int h, int w, sd_plan *out, bt_error *err);
/* in [n,h,w,in], hint, time, context -> residuals */
bt_status sd_control_plan(const sd_control *c, int n, int h, int w, int tokens, sd_plan *out,
                          bt_error *err);

#endif
