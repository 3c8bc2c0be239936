/* SPDX-License-Identifier: MIT
 * Another sample rate for a sound that comes in pieces. How it is cut changes no
 * sample of what comes out.
 */
#ifndef BT_MEDIA_RESAMPLE_H
#define BT_MEDIA_RESAMPLE_H

#include <stdbool.h>

#include "base/status.h"

typedef struct bt_resampler bt_resampler;

/* From and to Hz, at most a factor of 256 apart. BT_EINVAL, BT_ENOMEM. */
bt_status bt_resampler_create(int from, int to, int channels, bt_resampler **out, bt_error *err);
void bt_resampler_free(bt_resampler *r);
/* Takes n frames x; *y (the resampler's, until its next call) gets the *m frames
 * that are settled by now; with `last` all that remain, and nothing may follow.
 * In all they are as long as what went in, to a frame. */
bt_status bt_resampler_push(bt_resampler *r, const float *x, size_t n, bool last, const float **y,
                            size_t *m, bt_error *err);

#endif
