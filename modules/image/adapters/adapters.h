/* SPDX-License-Identifier: MIT
 * What changes a model for one job: LoRAs, and words learned by textual inversion.
 *
 * A model is shared by jobs and never changes. Adapters are a second set of weights
 * over the model's (bt_weights_create_over): a layer that a LoRA touches is replaced
 * there by one whose values, the model's plus the LoRA's, are computed while they are
 * packed. Layers that no LoRA touches are the model's own, packed once for all jobs;
 * those that one touches are packed for the model only if another job needs them. So
 * there is no second copy, steps cost what they cost without, and all forms of LoRA
 * are one thing to the networks.
 *
 *     FILE:0.8,... --+-> list -> adapters (file -> layers -> weights) -> plans
 *     <lora:name:1> -+
 */
#ifndef BT_IMAGE_ADAPTERS_H
#define BT_IMAGE_ADAPTERS_H

#include "image/adapters/learned.h"
#include "image/network/config.h"

/* LoRA files with their strengths. Start with {0}. */
typedef struct sd_lora_ask {
    char *path;
    double unet, text; /* 1: as trained; 0: without; below 0: the opposite */
} sd_lora_ask;

typedef struct sd_lora_list {
    sd_lora_ask *at;
    size_t n;
} sd_lora_list;

/* Adds "FILE[:STRENGTH[:TEXT STRENGTH]],..." */
bt_status sd_lora_list_read(sd_lora_list *l, const char *text, bt_error *err);
/* Adds what <lora:name:...> in a prompt asks for: dir/name.safetensors. */
bt_status sd_lora_list_name(sd_lora_list *l, const char *dir, const char *name, double unet,
                            double text, bt_error *err);
void sd_lora_list_release(sd_lora_list *l);
bool sd_lora_list_same(const sd_lora_list *a, const sd_lora_list *b);

/* Takes ":NUMBER" off the end of text[0..*n); false: there is none. */
bool sd_list_number(const char *text, size_t *n, double *v);

typedef struct sd_adapters sd_adapters;

/* Opens LoRAs, and takes learned words along (copied). base and store, the model's, must
 * outlive it. What does not fit the model is an error that names the tensors. */
bt_status sd_adapters_open(bt_weights *base, const bt_store *store, const sd_unet_config *unet,
                           const sd_lora_list *loras, const sd_learned *words, sd_adapters **out,
                           bt_error *err);
void sd_adapters_close(sd_adapters *a); /* after the plans; NULL is fine */
/* Whether a was opened for just these LoRAs, and their files are as they were. */
bool sd_adapters_same(const sd_adapters *a, const sd_lora_list *loras);
/* For plans. */
bt_weights *sd_adapters_weights(const sd_adapters *a);

#endif
