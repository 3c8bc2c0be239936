/* SPDX-License-Identifier: MIT
 * The layers of a model that a LoRA may change, by the names that LoRAs have for them.
 */
#ifndef BT_IMAGE_LAYERS_H
#define BT_IMAGE_LAYERS_H

#include "image/network/config.h"
#include "graph/graph.h"

typedef enum sd_role {
    SD_LORA_DOWN, /* [r][in][taps] */
    SD_LORA_UP,   /* [out][r] */
    SD_LORA_MID,  /* [r][r][taps], with down [r][in] */
    SD_HADA_W1A,
    SD_HADA_W1B,
    SD_HADA_W2A,
    SD_HADA_W2B,
    SD_HADA_T1,
    SD_HADA_T2,
    SD_KRON_W1,
    SD_KRON_W1A,
    SD_KRON_W1B,
    SD_KRON_W2,
    SD_KRON_W2A,
    SD_KRON_W2B,
    SD_KRON_T2,
    SD_DIFF,      /* [out][in][taps], added as it is */
    SD_ALPHA,     /* scale * rank */
    SD_DORA,      /* norms: of outputs [out][1], or of inputs [1][in] */
    SD_MAGNITUDE, /* PEFT's: norms of outputs */
    SD_ROLES
} sd_role;

typedef struct sd_layer {
    const bt_weight *w;    /* [out][in][taps] */
    int64_t out, in, taps; /* taps: of the kernel; 1 for linear layers */
    bool text;             /* of a text encoder */
} sd_layer;

typedef struct sd_layer_name {
    const char *key;
    size_t layer;
} sd_layer_name;

typedef struct sd_layers {
    sd_layer *at;
    size_t n;
    sd_layer_name *names; /* sorted; a layer may have several */
    size_t n_names;
    char *text; /* of the keys */
} sd_layers;

bt_status sd_layers_create(bt_weights *ws, const bt_store *s, const sd_unet_config *unet,
                           sd_layers *out, bt_error *err);
void sd_layers_release(sd_layers *l);

enum { SD_KEY = 256 };

/* A LoRA's tensor name as the key of a layer and a role: "lora_unet_down_blocks_0_...
 * .alpha", "unet.down_blocks.0....lora_A.weight". SD_ROLES: no such role. */
sd_role sd_layer_key(const char *tensor, char key[SD_KEY]);
/* NULL: the model has no such layer. */
const sd_layer *sd_layers_find(const sd_layers *l, const char *key);

#endif
