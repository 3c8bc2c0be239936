/* SPDX-License-Identifier: MIT
 * LoRAs and embeddings of one job as a set of weights over the model's.
 */
#include "image/adapters/adapters.h"

#include <string.h>

#include "image/adapters/lora.h"

/* A layer that LoRAs change. */
typedef struct merged {
    const sd_layer *layer;
    const bt_kernels *kernels;
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

/* 0 times a number is 0; several sums, as one would wait for itself. */
static bool are_finite(const float *x, size_t n)
{
    enum { SUMS = 16 };
    float sum[SUMS] = { 0 };
    size_t i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (size_t k = 0; k < SUMS; k++)
            sum[k] += 0 * x[i + k];
    for (; i < n; i++)
        sum[0] += 0 * x[i];
    for (size_t k = 1; k < SUMS; k++)
        sum[0] += sum[k];
    return sum[0] == 0;
}

static bool has_dora(const merged *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (sd_delta_is_dora(m->deltas[i]))
            return true;
    return false;
}

/* bt_weight_rows. DoRA is taken from the model's own values, whatever other LoRAs do:
 * so that the order of LoRAs does not matter (PEFT). */
static bt_status merge(const void *from, int64_t first, int64_t n, float *out, bt_error *err)
{
    const merged *m = from;
    const sd_layer *l = m->layer;
    const size_t count = (size_t)(n * l->in * l->taps);
    float *own = NULL;
    bt_status st = bt_weight_read(l->w, first, n, out, err);
    if (st == BT_OK && has_dora(m)) {
        own = bt_alloc(count * sizeof *own);
        st = own ? BT_OK : bt_no_memory(err, "a LoRA's values");
        if (own)
            memcpy(own, out, count * sizeof *own);
    }
    for (size_t i = 0; i < m->n && st == BT_OK; i++)
        st = sd_delta_add(m->deltas[i], m->kernels, first, n, own, out, err);
    bt_release(own);
    if (first + n == l->out)
        bt_tensor_drop(bt_weight_tensor(l->w));
    if (st == BT_OK && !are_finite(out, count))
        st = bt_fail(err, BT_EFORMAT, "with this LoRA, tensor %s has values that are no numbers",
                     bt_weight_tensor(l->w)->name);
    return st;
}

/* What LoRA i does, its j-th change: the layer's list, or NULL for one of strength 0. */
static merged *list_of(const sd_adapters *a, size_t i, size_t j)
{
    const sd_delta *d = &a->loras[i].deltas[j];
    return d->strength != 0 ? &a->merged[d->layer - a->layers.at] : NULL;
}

/* Every layer's changes side by side: counted, then put there. */
static bt_status collect(sd_adapters *a, const bt_kernels *kernels, bt_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < a->asked.n; i++)
        total += a->loras[i].n;
    a->merged = bt_calloc(a->layers.n + 1, sizeof *a->merged);
    a->found = bt_calloc(total + 1, sizeof *a->found);
    if (!a->merged || !a->found)
        return bt_no_memory(err, "LoRAs");
    for (size_t i = 0; i < a->asked.n; i++)
        for (size_t j = 0; j < a->loras[i].n; j++)
            if (list_of(a, i, j))
                list_of(a, i, j)->n++;
    const sd_delta **next = a->found;
    for (size_t k = 0; k < a->layers.n; k++) {
        const size_t n = a->merged[k].n;
        a->merged[k] = (merged){ .layer = &a->layers.at[k], .kernels = kernels, .deltas = next };
        next += n;
    }
    for (size_t i = 0; i < a->asked.n; i++)
        for (size_t j = 0; j < a->loras[i].n; j++) {
            merged *m = list_of(a, i, j);
            if (m)
                m->deltas[m->n++] = &a->loras[i].deltas[j];
        }
    return BT_OK;
}

static bt_status replace(sd_adapters *a, bt_error *err)
{
    for (size_t k = 0; k < a->layers.n; k++) {
        const merged *m = &a->merged[k];
        if (m->n && !bt_weight_replace(a->ws, m->layer->w, merge, has_dora(m), m))
            return bt_no_memory(err, "LoRAs");
    }
    return BT_OK;
}

static bt_status open_loras(sd_adapters *a, const bt_store *store, bt_weights *base,
                            const sd_unet_config *unet, const sd_lora_list *loras, bt_error *err)
{
    const bt_compute *compute = bt_weights_compute(base);
    bt_status st;
    BT_TRY(sd_layers_create(base, store, unet, &a->layers, err));
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
        BT_TRY(sd_lora_open(ask, compute, &a->layers, unet->context, &a->loras[i], err));
    }
    BT_TRY(collect(a, compute->kernels, err));
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
