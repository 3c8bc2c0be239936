/* SPDX-License-Identifier: MIT
 * English text for voices that speak misaki's alphabet (hibari, Kokoro): the sentences of
 * audio/english as utterances, with the places of their words.
 */
#ifndef BT_AUDIO_READING_H
#define BT_AUDIO_READING_H

#include "audio/english/english.h"
#include "audio/speak/alphabet.h"

/* A job's. All zero at first. */
typedef struct bt_reading {
    const bt_english *english; /* these three from the first text on */
    bt_english_job *job;
    char *lexicon; /* that `job` has; NULL: none */
    bt_english_out out;
} bt_reading;

/* What a voice does with phonemes (UTF-8). */
typedef struct bt_reading_voice {
    const void *voice;
    const bt_alphabet *alphabet;
    /* One sentence, appended to u as a line and its ids. */
    bt_status (*utter)(const void *voice, const char *s, size_t n, bt_utterances *u, bt_error *err);
} bt_reading_voice;

/* From now on texts are read so; lexicon: a file, or "". */
bt_status bt_reading_need(bt_reading *r, const bt_english *e, const char *lexicon, bt_error *err);
void bt_reading_clear(bt_reading *r);

/* For bt_speak_family: where the sentence at `at` ends; the sentences of a piece of text, of a
 * line of phonemes. Phonemes that the user gave must be the voice's; what the rules make may go
 * without. */
size_t bt_reading_end(const bt_reading *r, const char *text, size_t n, size_t at);
bt_status bt_reading_utter(bt_reading *r, const bt_reading_voice *v, const char *text, size_t n,
                           bt_utterances *u, bt_error *err);
bt_status bt_reading_phonemes(const bt_reading_voice *v, const char *line, size_t n,
                              bt_utterances *u, bt_error *err);

#endif
