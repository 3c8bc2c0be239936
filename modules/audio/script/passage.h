/* SPDX-License-Identifier: MIT
 * A passage: what is said in one manner, and where each of its bytes stands in the source.
 */
#ifndef BT_AUDIO_PASSAGE_H
#define BT_AUDIO_PASSAGE_H

#include "audio/speak/utterance.h"

/* A run of a passage's bytes, up to the next place's. */
typedef struct bt_place {
    size_t text;     /* its first byte */
    size_t from, to; /* bytes of the source */
    bool exact;      /* byte for byte; else each byte stands for all of from..to */
} bt_place;

typedef struct bt_passage {
    const char *text; /* UTF-8; n = 0: the end of the source */
    size_t n;
    bool phonemes;       /* a sentence of phonemes a line */
    double pause;        /* seconds of silence before it... */
    bool asked;          /* ...which the source names: also before the first and after the last */
    double pace, volume; /* factors: 2 is twice as fast, twice as high */
    const char *speaker; /* "": the run's own */
    const bt_place *places;
    size_t n_places;
} bt_passage;

/* How the reader of a source is to read it. */
typedef enum bt_notation {
    BT_NOTATION_NONE,  /* texts cannot hold phonemes */
    BT_NOTATION_IPA,   /* [[...]] in a text are espeak-ng's phonemes */
    BT_NOTATION_MISAKI /* ... misaki's */
} bt_notation;

/* What a voice reads. */
typedef struct bt_tongue {
    bool english;
    bt_notation notation;
} bt_tongue;

typedef struct bt_script_rules {
    bt_tongue tongue;
    double sentence_silence, paragraph_silence; /* s; the second on top of the first */
} bt_script_rules;

/* The range of the source that bytes s of the passage stand for; empty: none. */
bt_span bt_passage_source(const bt_passage *p, bt_span s);

#endif
