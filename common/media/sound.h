/* SPDX-License-Identifier: MIT
 * Sound files: WAV, FLAC, Ogg Vorbis, Opus and MP3, as libsndfile has them.
 */
#ifndef BT_MEDIA_SOUND_H
#define BT_MEDIA_SOUND_H

#include "base/status.h"

/* Whole or not at all, the same bytes every time; samples beyond full scale are
 * limited, but for bits "float". A rate that Opus or MP3 does not have becomes
 * the next higher one that it has. An `audio` without samples and rate only asks.
 * BT_EINVAL: no such format or bits, or a suffix that tells none; BT_EUNSUPPORTED:
 * this libsndfile was built without it. */
bt_status bt_sound_write(const char *path, const bt_audio *audio, bt_error *err);

/* Any file that libsndfile reads, as the mean of its channels at this rate. *samples:
 * bt_release; NULL if there are none. */
bt_status bt_sound_read(const char *path, int rate, float **samples, size_t *n, bt_error *err);

/* A sample as 16 bits: rounded to nearest even, limited at full scale. */
int16_t bt_sound_s16(float x);

#endif
