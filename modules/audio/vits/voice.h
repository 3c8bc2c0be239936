/* SPDX-License-Identifier: MIT
 * A Piper voice: what its JSON says and what its tensors' shapes tell.
 */
#ifndef BT_AUDIO_VOICE_H
#define BT_AUDIO_VOICE_H

#include "audio/hifigan/hifigan.h"

/* A phoneme: one code point, or a cluster that the voice takes as one. */
typedef struct bt_phoneme {
    char *text; /* UTF-8, decomposed (NFD) */
    int32_t *ids;
    int n_ids;
    bool is_cluster;
} bt_phoneme;

typedef struct bt_speaker {
    char *name;
    int id;
} bt_speaker;

typedef struct bt_voice {
    bt_store *store;
    const bt_compute *compute;
    bt_weights *ws;

    /* voice.json */
    int sample_rate;
    char espeak_voice[64];
    bool is_text; /* phonemes are the text's own characters */
    double noise_scale, length_scale, noise_w;
    bt_phoneme *phonemes; /* sorted by text */
    int n_phonemes;
    int longest_cluster; /* bytes; 0: none */
    bt_speaker *speakers;
    int n_named;
    int default_speaker;

    /* shapes */
    int n_symbols, n_speakers, gin; /* gin 0: one speaker, no embedding */
    int hidden, inter, n_layers, n_heads, window;
    int dp_last, dp_bins, dp_layers; /* last spline flow, its bins, its DDSConv layers */
    int flow_last, flow_hidden, flow_layers;
    bt_hifigan dec;
} bt_voice;

/* Takes `s` over if it succeeds. */
bt_status bt_voice_open(bt_store *s, const bt_compute *c, bt_voice **out, bt_error *err);
void bt_voice_close(bt_voice *v);
/* Voice of these tensors? */
bool bt_voice_is(const bt_store *s);
/* NULL: the voice has no such phoneme. text need not be terminated. */
const bt_phoneme *bt_voice_phoneme(const bt_voice *v, const char *text, size_t n);
/* The number of a speaker by name or number; -1: there is none. */
int bt_voice_speaker(const bt_voice *v, const char *name);

/* shapes.c */
bt_status bt_voice_shapes(bt_voice *v, bt_error *err);

#endif
