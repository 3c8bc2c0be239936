/* SPDX-License-Identifier: MIT
 * Phonemes of type "pinyin": Chinese syllables as initial, final and tone.
 */
#ifndef BT_AUDIO_PINYIN_H
#define BT_AUDIO_PINYIN_H

#include "audio/speak/utterance.h"
#include "audio/vits/voice.h"

/* What stands at s (n >= 1 bytes, decomposed), *len bytes of it: a syllable with its tone
 * ("hao3"; "v", "u:" or "u" with dots for the rounded i), its parts in order, the initial of
 * one that has none being O with a stroke; or one phoneme by its name. Returns how many
 * parts; those that the voice lacks are NULL. end[i]: bytes up to part i's end. */
int bt_pinyin_next(const bt_voice *v, const char *s, size_t n, const bt_phoneme *part[3],
                   size_t end[3], size_t *len);
/* Is a pad due behind it? Behind tones, punctuation and spaces. */
bool bt_pinyin_ends_group(const bt_phoneme *p);

#endif
