/* SPDX-License-Identifier: MIT
 * What lies beside a Kokoro model: its symbols and its voices' styles.
 */
#ifndef BT_AUDIO_KOKORO_STYLES_H
#define BT_AUDIO_KOKORO_STYLES_H

#include "audio/kokoro/kokoro.h"
#include "audio/speak/alphabet.h"
#include "audio/speak/speak.h"
#include "base/file.h"

/* Named styles: a row [2 * style] for every number of phonemes. */
typedef struct bt_kok_voice {
    char *name;
    const uint8_t *data; /* floats of any alignment */
    size_t rows;
} bt_kok_voice;

typedef struct bt_kok_beside {
    bt_alphabet alphabet;
    bt_kok_voice *styles; /* in order of files and their entries */
    size_t n_styles, cap;
    bt_map *maps;
    size_t n_maps;
    size_t width;     /* of a row */
    const char *file; /* being read, for messages */
} bt_kok_beside;

/* vocab.json, or hexgrad's config.json, and every *.npz of the model's folder. */
bt_status bt_kok_beside_open(const bt_kokoro *k, bt_kok_beside *b, bt_error *err);
void bt_kok_beside_close(bt_kok_beside *b);
/* The row for so many phonemes of "name" or of a mixture "a:0.7,b:0.3" (shares of their sum);
 * "" is the first voice. out [width] */
bt_status bt_kok_mix(const bt_kok_beside *b, const char *spec, size_t phonemes, float *out,
                     bt_error *err);

/* How a sentence is spoken. */
typedef struct bt_kok_manner {
    const bt_kok_beside *beside;
    const char *speaker; /* as bt_kok_mix has it */
    float *style;        /* [width], for our use */
    float length_scale, noise_scale;
} bt_kok_manner;

/* sentence.c: ids of bt_kok_utter, spoken; `first` makes no difference. */
bt_status bt_kok_say(bt_parts *p, const bt_kok_manner *m, const int32_t *ids, size_t n,
                     const bt_speak_call *c);

/* utter.c: a sentence in phonemes as ids: 0, phonemes, 0; if there are more than the voice takes
 * at once, such pieces one after the other. Unknown phonemes are left out and counted. */
bt_status bt_kok_utter(const bt_kokoro *k, const bt_alphabet *a, const char *s, size_t n,
                       bt_utterances *u, bt_error *err);

#endif
