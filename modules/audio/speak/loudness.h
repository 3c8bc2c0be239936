/* SPDX-License-Identifier: MIT
 * Sentences of one loudness (EBU R 128, by libebur128) and bounded true peaks.
 */
#ifndef BT_AUDIO_LOUDNESS_H
#define BT_AUDIO_LOUDNESS_H

#include "base/status.h"

#include <stddef.h>

#define BT_TRUE_PEAK (-1.0) /* dBTP, at most */

/* Brings x[0..n) to `target` LUFS in place. *gain: the factor that the sentence before took,
 * which what is too quiet to be speech takes as well; becomes this one's. */
bt_status bt_loudness_set(float *x, size_t n, int rate, double target, double *gain, bt_error *err);

#endif
