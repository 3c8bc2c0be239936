/* SPDX-License-Identifier: MIT
 * LoRAs: any file is refused in one line, or changes the layers of a small model.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/store_build.h"
#include "fuzz.h"
#include "image/adapters/lora.h"

enum { OUT = 4, IN = 6, TAPS = 9 };

/* A linear layer, a convolution and a layer of a text encoder. */
static void model(bt_weights *ws, sd_layer *at)
{
    static const float zeros[OUT * IN * TAPS];
    const bt_weight *w = bt_weight_make(ws, "linear", zeros, 2, (int64_t[]){ OUT, IN });
    const bt_weight *c = bt_weight_make(ws, "conv", zeros, 4, (int64_t[]){ OUT, IN, 3, 3 });
    at[0] = (sd_layer){ c, OUT, IN, TAPS, false };
    at[1] = (sd_layer){ w, OUT, IN, 1, false };
    at[2] = (sd_layer){ w, OUT, IN, 1, true };
}

/* Whole layers, and two rows of them. */
static void use(sd_lora *l, const bt_kernels *k)
{
    bt_error err;
    for (size_t i = 0; i < l->n; i++) {
        const sd_delta *d = &l->deltas[i];
        float own[OUT * IN * TAPS] = { 0 }, w[OUT * IN * TAPS] = { 0 };
        sd_delta_add(d, k, 0, OUT, own, w, &err);
        if (!sd_delta_is_dora(d))
            sd_delta_add(d, k, 1, 2, NULL, w, &err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static sd_layer_name names[] = { { "te1_a", 2 }, { "unet_c", 0 }, { "unet_l", 1 } };
    sd_layer at[3];
    const sd_layers layers = { at, 3, names, 3, NULL };
    const sd_lora_ask ask = { (char *)"file", 1, 1 };
    bt_kernels kernels;
    const bt_compute compute = { .kernels = &kernels, .threads = 1 };
    bt_weights *ws;
    bt_store *s;
    sd_lora l;
    bt_error err = { 0 };
    bt_kernels_init(&kernels, bt_cpu_flags());
    if (bt_weights_create(NULL, &compute, &ws, &err) != BT_OK)
        return 0;
    model(ws, at);
    bt_status st = bt_store_new("file", "safetensors", &s, &err);
    if (st == BT_OK)
        st = bt_safetensors_parse(s, "file", "", data, size, &err);
    if (st != BT_OK)
        bt_store_close(s);
    else if ((st = sd_lora_read(&ask, s, &compute, &layers, 768, &l, &err)) == BT_OK) {
        use(&l, &kernels);
        sd_lora_close(&l);
    }
    if (st != BT_OK && (!err.text[0] || strchr(err.text, '\n')))
        abort();
    bt_weights_free(ws);
    return 0;
}
