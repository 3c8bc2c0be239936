/* SPDX-License-Identifier: MIT
 * Where a voice's samples go: to the engine, by way of volume and normalizing.
 */
#ifndef BT_AUDIO_SINK_H
#define BT_AUDIO_SINK_H

#include "audio/speak/times.h"

typedef struct bt_sink {
    const bt_run *r;
    bt_times times; /* of the sentence that is being spoken */
    int rate;
    float volume;
    bool whole; /* keep a sentence until its peak is known */
    float *held;
    size_t n, cap;
    uint64_t total; /* samples given on */
} bt_sink;

/* A bt_speak_call's `samples`: some of a sentence, as the voice has them ready. */
bt_status bt_sink_take(void *sink, const float *x, size_t n);
/* With `whole` the sentence was held back: its peak becomes `volume`. */
bt_status bt_sink_end_sentence(bt_sink *k);
bt_status bt_sink_silence(bt_sink *k, double seconds);
void bt_sink_free(bt_sink *k);

#endif
