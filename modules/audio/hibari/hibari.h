/* SPDX-License-Identifier: MIT
 * Phonemes to ids, ids to samples.
 */
#ifndef BT_AUDIO_HIBARI_HIBARI_H
#define BT_AUDIO_HIBARI_HIBARI_H

#include "audio/hibari/network.h"
#include "audio/speak/speak.h"

/* utter.c: a sentence of phonemes, appended to u; one of more than 400 is cut between clauses. What
 * the voice has no sound for is left out and counted. */
bt_status bt_hibari_utter(const bt_hibari *v, const char *s, size_t n, bt_utterances *u,
                          bt_error *err);

enum { BT_HIBARI_CHUNK = 1024 }; /* frames of new samples per run of the decoder */

/* synth.c: one sentence, ids as the encoder reads them. speed: 1 as trained. beats (NULL or n
 * numbers) gets the durations, in units of 25 ms. */
bt_status bt_hibari_speak(bt_parts *p, const int32_t *ids, size_t n, float speed,
                          const bt_speak_call *c, int32_t *beats);

#endif
