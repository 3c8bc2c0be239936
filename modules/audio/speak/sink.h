/* SPDX-License-Identifier: MIT
 * Where a voice's samples go: to the engine, by way of volume, normalizing or loudness. A
 * sentence's first and last few milliseconds are faded, so that no voice clicks where sound
 * meets silence or another sentence. Where a sentence goes on in another manner, the silence
 * that the voice put there is cut.
 */
#ifndef BT_AUDIO_SINK_H
#define BT_AUDIO_SINK_H

#include "audio/speak/held.h"
#include "audio/speak/times.h"

enum { BT_FADE = 512 /* samples of a fade at most */ };

typedef struct bt_sink {
    const bt_run *r;
    bt_times times; /* of the sentence that is being spoken */
    int rate;
    float volume;
    double loudness; /* LUFS; NAN: as the voice has it */
    double gain;     /* that the last sentence took for it */
    bool whole;      /* keep a sentence until its peak or loudness is known */
    bt_held held;
    bool cut_head, cut_tail; /* of this sentence: what is silent there */
    bt_held uncut;
    int32_t *ids_at; /* frames of a sentence that is cut, told when its samples are known */
    size_t n_frames;
    int hop;
    uint64_t total;      /* samples given on */
    size_t taken;        /* samples of this sentence */
    float tail[BT_FADE]; /* the last of them, which wait for a fade */
    size_t n_tail;
} bt_sink;

bt_sink bt_sink_begin(const bt_run *r, int rate, bool normalize, double loudness);

/* A bt_speak_call's `frames`. */
bt_status bt_sink_frames(void *sink, const int32_t *ids_at, size_t n, int hop);
/* A bt_speak_call's `samples`: some of a sentence, as the voice has them ready. */
bt_status bt_sink_take(void *sink, const float *x, size_t n);
/* With `whole` the sentence was held back: its peak becomes `volume`, or its loudness the one
 * asked for times `volume`. */
bt_status bt_sink_end_sentence(bt_sink *k);
bt_status bt_sink_silence(bt_sink *k, double seconds);
void bt_sink_free(bt_sink *k);

#endif
