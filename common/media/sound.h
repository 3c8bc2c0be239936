/* SPDX-License-Identifier: MIT
 * Sound files: WAV, FLAC, Ogg Vorbis, Opus and MP3, as libsndfile has them; whole or
 * not at all, the same bytes every time.
 */
#ifndef BT_MEDIA_SOUND_H
#define BT_MEDIA_SOUND_H

#include <stdbool.h>

#include "base/status.h"

typedef struct bt_sound_out bt_sound_out; /* a file being written */

/* Could a file of that name, format and bits be written? BT_EINVAL: no such format
 * or bits, or a suffix that tells none; BT_EUNSUPPORTED: this libsndfile was built
 * without it. */
bt_status bt_sound_check(const char *path, const bt_audio *form, bt_error *err);
/* Starts a file of form's rate, channels, format, bits, title, album and track. A rate
 * that Opus or MP3 does not have becomes the next higher one that it has. */
bt_status bt_sound_open(const char *path, const bt_audio *form, bt_sound_out **out, bt_error *err);
/* x: [n, channels], limited at full scale but for bits "float"; how a sound is cut into
 * calls changes no byte of the file. After a failure nothing is left but to close. */
bt_status bt_sound_add(bt_sound_out *o, const float *x, size_t n, bt_error *err);
/* Frees o (NULL: nothing). With `keep` the file then is there, whole, or the call failed;
 * without it nothing is left. */
bt_status bt_sound_close(bt_sound_out *o, bool keep, bt_error *err);

/* All of that at once; an `audio` without samples, rate and channels only checks. */
bt_status bt_sound_write(const char *path, const bt_audio *audio, bt_error *err);

/* Any file that libsndfile reads, as the mean of its channels at this rate. *samples:
 * bt_release; NULL if there are none. */
bt_status bt_sound_read(const char *path, int rate, float **samples, size_t *n, bt_error *err);

/* A sample as 16 bits: rounded to nearest even, limited at full scale. */
int16_t bt_sound_s16(float x);

#endif
