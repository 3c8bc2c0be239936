/* SPDX-License-Identifier: MIT
 * A hibari voice (PyPI hibari-tts 0.2.1): its weights, its alphabet and its folder.
 */
#ifndef BT_AUDIO_HIBARI_VOICE_H
#define BT_AUDIO_HIBARI_VOICE_H

#include <pthread.h>

#include "audio/english/english.h"
#include "audio/speak/alphabet.h"
#include "dsp/fft.h"
#include "graph/graph.h"

enum {
    BT_HIBARI_RATE = 24000,
    BT_HIBARI_FFT = 1200, /* samples of a window */
    BT_HIBARI_BINS = BT_HIBARI_FFT / 2 + 1,
    BT_HIBARI_HOP = 300, /* samples of a frame: 12.5 ms */
    BT_HIBARI_LINEARS = 128,
};

/* A linear layer of the file: int8 [in][out], one scale; and a factor per output, or NULL. */
typedef struct bt_hibari_linear {
    const int8_t *q;
    int64_t in, out;
    float scale;
    float *gain; /* owned */
} bt_hibari_linear;

/* Of the vocoder; the same for every voice. */
typedef struct bt_hibari_tables {
    bt_fft *fft;
    float window[BT_HIBARI_FFT]; /* Hann, periodic */
    float source[BT_HIBARI_FFT]; /* the same, so that a cosine of amplitude 1 has height 1/2 */
    float norm[BT_HIBARI_HOP];   /* 1 / the squared windows over a sample */
} bt_hibari_tables;

typedef struct bt_hibari {
    bt_store *store;
    const bt_compute *compute;
    bt_weights *ws;
    bt_hibari_linear linear[BT_HIBARI_LINEARS];
    int n_linears;
    bt_alphabet alphabet;
    int reach; /* frames on either side that a frame's samples depend on */
    bt_hibari_tables tables;
    char name[32], language[16]; /* voices.json: "heart", "en-US" */
    bool british;
    pthread_mutex_t lock; /* of english */
    bt_english *english;  /* opened when a text is first to be spoken */
} bt_hibari;

/* Voice of these tensors? */
bool bt_hibari_is(const bt_store *s);
/* Takes `s` over if it succeeds. err is not NULL. */
bt_status bt_hibari_open(bt_store *s, const bt_compute *c, bt_hibari **out, bt_error *err);
void bt_hibari_close(bt_hibari *v); /* NULL is fine */
/* Text to phonemes, from the files in the voice's folder; the voice's. Any thread. */
bt_status bt_hibari_english(bt_hibari *v, const bt_english **out, bt_error *err);
/* voices.json: what it tells of the voice of this file; the rest stays. `name` is for messages. */
bt_status bt_hibari_read_voices(bt_hibari *v, const char *file, const char *text, size_t n,
                                const char *name, bt_error *err);

/* weights.c: makes the quantized layers known to v->ws under the names of their modules; and
 * "m.dec_in.weight" [C, 130, taps] in two: "m.dec_in.text.weight" [taps * C, 128] and
 * "m.dec_in.tone.weight" [C, 2, taps]. */
bt_status bt_hibari_weights(bt_hibari *v, bt_error *err);

#endif
