/* SPDX-License-Identifier: MIT
 * Which words of a text espeak-ng's groups of phonemes are: it says neither that it read
 * "1984" as four words nor "of the" as one.
 */
#ifndef BT_AUDIO_ALIGN_H
#define BT_AUDIO_ALIGN_H

#include "audio/speak/utterance.h"

typedef struct bt_pair {
    bt_span source, phonemes;
} bt_pair;

typedef struct bt_pairs {
    bt_pair *v; /* bt_release */
    size_t n, cap;
} bt_pairs;

/* All false: no memory. */
bool bt_pairs_add(bt_pairs *p, bt_span source, bt_span phonemes);
/* Every run between spaces of s[0..n) is its own source. */
bool bt_pairs_runs(bt_pairs *p, const char *s, size_t n);
/* text[0..n), which begins at `from` in the source, was read as phonemes[begin..end). */
bool bt_pairs_align(bt_pairs *p, const char *text, size_t n, size_t from, const char *phonemes,
                    size_t begin, size_t end);

#endif
