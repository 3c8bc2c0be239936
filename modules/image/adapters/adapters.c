/* SPDX-License-Identifier: MIT
 * LoRAs and embeddings of one job as a set of weights over the model's.
 */
#include "image/adapters/adapters.h"

#include <math.h>
#include <string.h>

#include "image/adapters/lora.h"

/* A layer that LoRAs change. */
typedef struct merged {
    const sd_layer *layer;
    const sd_delta **deltas; /* in the order of the LoRAs; part of sd_adapters.found */
    size_t n;
} merged;

struct sd_adapters {
    bt_weights *ws; /* over the model's */
    sd_layers layers;
    sd_lora_list asked;
    sd_lora *loras; /* one for each of asked */
    merged *merged; /* one for each layer */
    const sd_delta **found;
};

bt_weights *sd_adapters_weights(const sd_adapters *a) { return a->ws; }

/* bt_weight_fill. DoRA is taken from the model's own values, whatever other LoRAs do:
 * so that the order of LoRAs does not matter (PEFT). */
static bt_status fill(const void *from, float *out, bt_error *err)
{
    const merged *m = from;
    const bt_tensor *t = bt_weight_tensor(m->layer->w);
    const size_t n = (size_t)bt_tensor_count(t);
    float *own = bt_weight_values(m->layer->w, err);
    if (!own)
        return err->status;
    bt_status st = BT_OK;
    memcpy(out, own, n * sizeof *out);
    for (size_t i = 0; i < m->n && st == BT_OK; i++)
        st = sd_delta_add(m->deltas[i], own, out, err);
    bt_release(own);
    bt_tensor_drop(t);
    for (size_t i = 0; i < n && st == BT_OK; i++)
        if (!isfinite(out[i]))
            st = bt_fail(err, BT_EFORMAT,
                         "with this LoRA, tensor %s has values that are no numbers", t->name);
    return st;
}

/* Every layer's changes side by side; those of strength 0 are none. */
static bt_status collect(sd_adapters *a, bt_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < a->asked.n; i++)
        total += a->loras[i].n;
    a->merged = bt_calloc(a->layers.n + 1, sizeof *a->merged);
    a->found = bt_calloc(total + 1, sizeof *a->found);
    if (!a->merged || !a->found)
        return bt_no_memory(err, "LoRAs");
    const sd_delta **next = a->found;
    for (size_t k = 0; k < a->layers.n; k++) {
        merged *m = &a->merged[k];
        *m = (merged){ &a->layers.at[k], next, 0 };
        for (size_t i = 0; i < a->asked.n; i++)
            for (size_t j = 0; j < a->loras[i].n; j++)
                if (a->loras[i].deltas[j].layer == m->layer && a->loras[i].deltas[j].strength != 0)
                    *next++ = &a->loras[i].deltas[j];
        m->n = (size_t)(next - m->deltas);
    }
    return BT_OK;
}

static bt_status replace(sd_adapters *a, bt_error *err)
{
    for (size_t k = 0; k < a->layers.n; k++)
        if (a->merged[k].n && !bt_weight_replace(a->ws, a->layers.at[k].w, fill, &a->merged[k]))
            return bt_no_memory(err, "LoRAs");
    return BT_OK;
}

static bt_status open_loras(sd_adapters *a, const bt_store *store, const bt_weights *base,
                            const sd_unet_config *unet, const sd_lora_list *loras, bt_error *err)
{
    bt_status st;
    BT_TRY(sd_layers_create((bt_weights *)base, store, unet, &a->layers, err));
    a->loras = bt_calloc(loras->n + 1, sizeof *a->loras);
    a->asked.at = bt_calloc(loras->n + 1, sizeof *a->asked.at);
    if (!a->loras || !a->asked.at)
        return bt_no_memory(err, "LoRAs");
    for (size_t i = 0; i < loras->n; i++) {
        sd_lora_ask *ask = &a->asked.at[i];
        *ask = loras->at[i];
        ask->path = bt_strdup(ask->path);
        a->asked.n++;
        if (!ask->path)
            return bt_no_memory(err, "LoRAs");
        BT_TRY(sd_lora_open(ask, bt_weights_compute(base), &a->layers, unet->context, &a->loras[i],
                            err));
    }
    BT_TRY(collect(a, err));
    return replace(a, err);
fail:
    return st;
}

bt_status sd_adapters_open(bt_weights *base, const bt_store *store, const sd_unet_config *unet,
                           const sd_lora_list *loras, const sd_learned *words, sd_adapters **out,
                           bt_error *err)
{
    sd_adapters *a = bt_calloc(1, sizeof *a);
    bt_error why = { 0 };
    *out = NULL;
    bt_status st = a ? bt_weights_create_over(base, &a->ws, &why) : bt_no_memory(&why, "LoRAs");
    if (st == BT_OK && loras->n)
        st = open_loras(a, store, base, unet, loras, &why);
    if (st == BT_OK)
        st = sd_learned_add(words, a->ws, &why);
    if (st == BT_OK) {
        *out = a;
        return BT_OK;
    }
    sd_adapters_close(a);
    return bt_fail(err, st, "%s", why.text);
}

void sd_adapters_close(sd_adapters *a)
{
    if (!a)
        return;
    bt_weights_free(a->ws);
    for (size_t i = 0; i < a->asked.n; i++)
        sd_lora_close(&a->loras[i]);
    sd_lora_list_release(&a->asked);
    sd_layers_release(&a->layers);
    bt_release(a->loras);
    bt_release(a->merged);
    bt_release(a->found);
    bt_release(a);
}

bool sd_adapters_same(const sd_adapters *a, const sd_lora_list *loras)
{
    for (size_t i = 0; i < a->asked.n; i++)
        if (!bt_store_unchanged(a->loras[i].store))
            return false;
    return sd_lora_list_same(&a->asked, loras);
}
