/* SPDX-License-Identifier: MIT
 * Packed weights: the one copy that kernels read.
 *
 * A weight keeps the file's own bits; packing only orders them so that a kernel
 * reads one stream: 16 outputs side by side (kernels.h, "Packed weights"). For a
 * convolution each filter tap is a matrix of its own.
 */
#ifndef BT_GRAPH_PACK_H
#define BT_GRAPH_PACK_H

#include "graph/graph.h"

/* How a weight's values map to (output n, tap, input channel). */
typedef enum bt_form {
    BT_FORM_CONV,       /* [out][in][taps], or [out][taps][in] channels last; linear: taps = 1 */
    BT_FORM_TRANSPOSED, /* [in][out][taps] */
} bt_form;

/* Panels of BT_NR outputs: panel p of tap t starts at data + (p * taps + t) *
 * panel_bytes and holds k input channels. */
typedef struct bt_packed {
    bt_dtype type;
    bt_form form;
    int n, k, taps;
    int panels;
    size_t panel_bytes;
    uint8_t *data;
    struct bt_packed *next;
} bt_packed;

/* The weight packed as `type` (its own type, or Q8_0 or BF16 made from a float
 * type). Made on first use, then shared; thread-safe. */
bt_status bt_weight_pack(const bt_weight *w, bt_form form, bt_dtype type, const bt_packed **out,
                         bt_error *err);

static inline const uint8_t *bt_panel(const bt_packed *b, int panel, int tap)
{
    return b->data + ((size_t)panel * b->taps + tap) * b->panel_bytes;
}

#endif
