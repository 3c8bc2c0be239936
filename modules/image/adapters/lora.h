/* SPDX-License-Identifier: MIT
 * A LoRA's file, read against the layers of a model.
 */
#ifndef BT_IMAGE_LORA_H
#define BT_IMAGE_LORA_H

#include "image/adapters/adapters.h"
#include "image/adapters/delta.h"

typedef struct sd_lora {
    bt_store *store;
    bt_compute compute; /* of ws: its weights are read, never packed */
    bt_weights *ws;
    sd_delta *deltas; /* one per layer of the model that it changes */
    size_t n;
} sd_lora;

/* compute, layers: the model's; layers must outlive it. context: channels that the UNet
 * listens to, which tell families apart. */
bt_status sd_lora_open(const sd_lora_ask *ask, const bt_compute *compute, const sd_layers *layers,
                       int context, sd_lora *out, bt_error *err);
/* The same for an opened file, which it takes over, also if it fails. */
bt_status sd_lora_read(const sd_lora_ask *ask, bt_store *s, const bt_compute *compute,
                       const sd_layers *layers, int context, sd_lora *out, bt_error *err);
void sd_lora_close(sd_lora *l);

#endif
