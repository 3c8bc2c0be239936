/* SPDX-License-Identifier: MIT
 * Sound files: WAV and FLAC of 16 bits, chosen by the file's suffix.
 */
#ifndef BT_MEDIA_SOUND_H
#define BT_MEDIA_SOUND_H

#include "base/status.h"

/* Interleaved samples in [-1, 1] become 16 bits. Whole or not at all. BT_EINVAL:
 * a suffix other than .wav and .flac. */
bt_status bt_sound_write(const char *path, const bt_audio *audio, bt_error *err);

/* A sample as 16 bits: rounded to nearest even, limited at full scale. */
int16_t bt_sound_s16(float x);

#endif
