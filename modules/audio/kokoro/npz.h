/* SPDX-License-Identifier: MIT
 * numpy's npz, as far as voices need it: stored arrays of floats.
 */
#ifndef BT_AUDIO_KOKORO_NPZ_H
#define BT_AUDIO_KOKORO_NPZ_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Not terminated, and of any alignment. */
typedef struct bt_npz_array {
    const char *name;
    size_t name_len;
    size_t rows, cols; /* cols: the product of all further dimensions */
    const uint8_t *data;
} bt_npz_array;

/* Not BT_OK ends the reading with that. */
typedef bt_status (*bt_npz_take)(void *user, const bt_npz_array *a, bt_error *err);

/* All arrays of p[0..n), in the archive's order; `file` is for messages. */
bt_status bt_npz_read(const uint8_t *p, size_t n, const char *file, bt_npz_take take, void *user,
                      bt_error *err);

#endif
