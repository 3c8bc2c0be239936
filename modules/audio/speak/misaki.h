/* SPDX-License-Identifier: MIT
 * English text for voices that speak misaki's alphabet (hibari, Kokoro): the sentences of
 * audio/english as utterances, with the places of their words.
 */
#ifndef BT_AUDIO_MISAKI_H
#define BT_AUDIO_MISAKI_H

#include "audio/english/english.h"
#include "audio/speak/alphabet.h"
#include "audio/speak/speak.h"

/* A family's `own` begins with one; the first three are the family's to set. */
typedef struct bt_misaki {
    const void *voice;
    const bt_alphabet *alphabet;
    /* One sentence of phonemes (UTF-8), appended to u as a line and its ids. */
    bt_status (*utter)(const void *voice, const char *s, size_t n, bt_utterances *u, bt_error *err);
    const bt_english *english; /* these three from the first text on */
    bt_english_job *job;
    char *lexicon; /* that `job` has; NULL: none */
    bt_english_out out;
} bt_misaki;

/* From now on texts are read so; lexicon: a file, or "". */
bt_status bt_misaki_need(bt_misaki *m, const bt_english *e, const char *lexicon, bt_error *err);
void bt_misaki_clear(bt_misaki *m);

/* For bt_speak_family. Phonemes that the user gave must be the voice's; what the rules make may
 * go without. */
size_t bt_misaki_piece_end(void *own, const char *text, size_t n, size_t at);
bt_status bt_misaki_utter(void *own, const bt_run *r, const char *text, size_t n, bt_utterances *u);
bt_status bt_misaki_utter_phonemes(void *own, const bt_run *r, const char *line, size_t n,
                                   bt_utterances *u);
bt_tongue bt_misaki_tongue(void *own);

#endif
