/* SPDX-License-Identifier: MIT
 * Samples that are kept until the rest of a sentence is known.
 */
#ifndef BT_AUDIO_HELD_H
#define BT_AUDIO_HELD_H

#include <stdbool.h>
#include <stddef.h>

/* All zero at first; bt_release x at the end. */
typedef struct bt_held {
    float *x;
    size_t n, cap;
} bt_held;

/* false: no memory, and h as it was. */
bool bt_held_add(bt_held *h, const float *x, size_t n);

#endif
