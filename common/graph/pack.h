/* SPDX-License-Identifier: MIT
 * Packed weights: the one copy that kernels read.
 *
 * A weight keeps the file's own bits; packing only orders them so that a kernel
 * reads one stream: 16 outputs side by side (kernels.h, "Packed weights"). For a
 * convolution each filter tap is a matrix of its own.
 *
 * The layout must follow from the weight, form and type alone, never from the
 * processor: the pack cache keeps panels for whoever reads the file next.
 */
#ifndef BT_GRAPH_PACK_H
#define BT_GRAPH_PACK_H

#include "graph/graph.h"

/* How a weight's values map to (output n, tap, input channel). */
typedef enum bt_form {
    BT_FORM_CONV,        /* [out][in][taps], or [out][taps][in] channels last; linear: taps = 1 */
    BT_FORM_TRANSPOSED,  /* [in][out][taps] */
    BT_FORM_SPLIT,       /* added to one of these, type BT_BF16: each panel is followed by that of
                           what bf16 leaves over; panel_bytes are those of both */
    BT_FORM_MINIMAL = 4, /* [out][in][taps], type BT_F32: a tap for each point of minimal filtering
                           (graph/minimal.h) */
    BT_FORM_ROWS = 8,    /* [out][in], type BT_I8: bt_pack_row_panel's */
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
    bool mapped;  /* data lies in a file: of the pack cache, or scratch */
    bool scratch; /* in one of its own */
    bool kept;    /* the cache has it, or nobody shall try again */
    struct bt_packed *next;
} bt_packed;

/* The weight packed as `type` (its own type, or Q8_0 or BF16 made from a float
 * type). Made on first use, then shared; thread-safe. */
bt_status bt_weight_pack(const bt_weight *w, bt_form form, bt_dtype type, const bt_packed **out,
                         bt_error *err);
/* Puts what was packed since the last call into the pack cache, if there is one;
 * for the end of a plan's preparation. Thread-safe. */
void bt_weights_keep(bt_weights *ws);
bool bt_weights_are_spare(const bt_weights *ws); /* bt_weights_spare was called */

/* Lets go of the panels' memory if a file has them. They may be in use. */
void bt_packed_rest(const bt_packed *p);

static inline const uint8_t *bt_panel(const bt_packed *b, int panel, int tap)
{
    return b->data + ((size_t)panel * b->taps + tap) * b->panel_bytes;
}

#endif
