/* SPDX-License-Identifier: MIT
 * Checkpoints of Stable Diffusion in one file: tensors in the names of the original
 * code (latent diffusion, LDM; open_clip; and stable-diffusion.cpp's of them), no
 * settings. The store shows them as the diffusers folder of the same model.
 *
 *     checkpoint.c         the walk over the file
 *     checkpoint_names.c   a tensor's name in diffusers
 *     checkpoint_config.c  the settings, from shapes
 *     checkpoint_control.c the same for a ControlNet alone, as the folder "controlnet"
 */
#ifndef BT_FORMATS_CHECKPOINT_H
#define BT_FORMATS_CHECKPOINT_H

#include "store_build.h"

enum { BT_LDM_LEVELS = 8, BT_LDM_BLOCKS = 96 };

/* Where block i of a list stands in diffusers. */
typedef struct bt_ldm_place {
    int block;
    int at; /* resnet of the block; -1: the halving after it */
} bt_ldm_place;

/* How the UNet, or a ControlNet's half of one, is built: levels, finest first, each with
 * `layers` resnets down. */
typedef struct bt_ldm {
    const bt_store *s;
    const char *unet, *folder; /* what its names begin with, and where they go: "unet/" */
    int levels, layers[BT_LDM_LEVELS];
    int n_in, n_out; /* blocks of the way down (without the first convolution) and up */
    bt_ldm_place in[BT_LDM_BLOCKS], out[BT_LDM_BLOCKS];
    const char *vae; /* what names of the autoencoder begin with */
    int vae_levels;
} bt_ldm;

#define BT_LDM_UNET "model.diffusion_model."

/* Where a text encoder's tensors are, and where they go. */
typedef struct bt_ldm_encoder {
    const char *prefix, *folder;
    bool open; /* in open_clip's names, else in transformers' */
} bt_ldm_encoder;
extern const bt_ldm_encoder bt_ldm_encoders[]; /* ends with prefix NULL */

/* A tensor by its name in the file, or NULL. */
const bt_tensor *bt_ldm_find(const bt_ldm *l, const char *fmt, ...) BT_PRINTF(2, 3);

/* The name in diffusers, or false: nobody's. "<prefix>.in_proj_weight" (and _bias)
 * of open_clip becomes "<layer>.self_attn.in_proj.weight", for the caller to cut in three. */
bool bt_ldm_name(const bt_ldm *l, const char *name, bt_buf *out);

/* The same for a ControlNet's tensor; `hints`: number of the last layer that reads its picture. */
bool bt_ldm_control_name(const bt_ldm *l, int hints, const char *name, bt_buf *out);

/* Fills levels, layers and the places of blocks. */
void bt_ldm_measure(bt_ldm *l);

/* Shows tensor i under this name. */
bt_status bt_ldm_rename(bt_store *s, size_t i, const char *name, bt_error *err);

/* Shows a ControlNet, in original names or in diffusers', as the folder "controlnet"; leaves all
 * else alone, also what is more than a ControlNet. */
bt_status bt_ldm_adopt_control(bt_store *s, bt_error *err);

/* Adds vae/config.json of an autoencoder alone. */
bt_status bt_ldm_add_vae_config(const bt_ldm *l, bt_store *s, bt_error *err);

/* Adds model_index.json and the settings of all parts, by the names in diffusers. */
bt_status bt_ldm_add_config(const bt_ldm *l, bt_store *s, bt_error *err);

#endif
