/* SPDX-License-Identifier: MIT
 * Between weights.c, which finds Kokoro's weights in a file, and values.c, which computes
 * those that are not there as floats.
 */
#ifndef BT_AUDIO_KOKORO_WEIGHTS_H
#define BT_AUDIO_KOKORO_WEIGHTS_H

#include "audio/kokoro/kokoro.h"

/* What a computed weight comes from; owned by the voice. */
typedef struct bt_kok_origin {
    const bt_weight *q, *scale, *zero;
    int64_t outer, inner;
    bool turned;
    int direction;
    struct bt_kok_origin *next;
} bt_kok_origin;

bool bt_kok_is_whole(const bt_weight *w); /* i8 or u8 */

/* Each makes the weight `name`; NULL: failed. zero, and scale of floats, may be NULL. */
const bt_weight *bt_kok_from_whole(bt_kokoro *k, const char *name, const bt_weight *q, bool turned,
                                   const bt_weight *scale, const bt_weight *zero, bt_error *err);
const bt_weight *bt_kok_from_norm(bt_kokoro *k, const char *name, const bt_weight *g,
                                  const bt_weight *v, bt_error *err);
const bt_weight *bt_kok_from_gates(bt_kokoro *k, const char *name, const bt_weight *q,
                                   const bt_weight *scale, int direction, bt_error *err);
const bt_weight *bt_kok_from_bias(bt_kokoro *k, const char *name, const bt_weight *b, int direction,
                                  int kind, bt_error *err);
const bt_weight *bt_kok_kept(bt_kokoro *k, const char *name, const bt_weight *w, bt_error *err);

#endif
