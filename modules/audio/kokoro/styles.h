/* SPDX-License-Identifier: MIT
 * What lies beside a Kokoro model: its symbols and its voices' styles.
 */
#ifndef BT_AUDIO_KOKORO_STYLES_H
#define BT_AUDIO_KOKORO_STYLES_H

#include "audio/kokoro/kokoro.h"
#include "audio/speak/utterance.h"
#include "base/file.h"

/* Named styles: a row [2 * style] for every number of phonemes. */
typedef struct bt_kok_voice {
    char *name;
    const uint8_t *data; /* floats of any alignment */
    size_t rows;
} bt_kok_voice;

typedef struct bt_kok_symbol {
    uint32_t code;
    int32_t id;
} bt_kok_symbol;

typedef struct bt_kok_beside {
    bt_kok_symbol *symbols; /* sorted by code */
    int n_symbols;
    bt_kok_voice *styles; /* in order of files and their entries */
    size_t n_styles, cap;
    bt_map *maps;
    size_t n_maps;
    size_t width;     /* of a row */
    const char *file; /* being read, for messages */
} bt_kok_beside;

/* vocab.json and every *.npz of the model's folder. */
bt_status bt_kok_beside_open(const bt_kokoro *k, bt_kok_beside *b, bt_error *err);
void bt_kok_beside_close(bt_kok_beside *b);
int32_t bt_kok_symbol_id(const bt_kok_beside *b, uint32_t code); /* -1: none */
/* The row for so many phonemes of "name" or of a mixture "a:0.7,b:0.3" (shares of their sum);
 * "" is the first voice. out [width] */
bt_status bt_kok_mix(const bt_kok_beside *b, const char *spec, size_t phonemes, float *out,
                     bt_error *err);

/* utter.c: are these all phonemes of the voice? If not, an error names the first other. */
bt_status bt_kok_check(const bt_kok_beside *b, const char *s, size_t n, bt_error *err);
/* A sentence in phonemes as ids: 0, phonemes, 0; if there are more than the voice takes at once,
 * such pieces one after the other. Unknown phonemes are left out and counted. */
bt_status bt_kok_utter(const bt_kokoro *k, const bt_kok_beside *b, const char *s, size_t n,
                       bt_utterances *u, bt_error *err);

#endif
