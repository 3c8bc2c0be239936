/* SPDX-License-Identifier: MIT
 * Phonemes of one character each, as misaki's are: what a voice's vocab.json holds.
 */
#ifndef BT_AUDIO_ALPHABET_H
#define BT_AUDIO_ALPHABET_H

#include "audio/speak/utterance.h"
#include "base/status.h"

typedef struct bt_letter {
    uint32_t code;
    int32_t id;
} bt_letter;

/* Sorted by code. All zero at first. */
typedef struct bt_alphabet {
    bt_letter *v;
    int n;
} bt_alphabet;

/* {"a": 43, ...}, the whole text or its `member` (NULL: the whole); ids lie in [first, ids).
 * `name` is for messages. */
bt_status bt_alphabet_read(bt_alphabet *a, const char *text, size_t n, const char *member,
                           int first, int ids, const char *name, bt_error *err);
void bt_alphabet_free(bt_alphabet *a);
/* -1: none. */
int32_t bt_alphabet_id(const bt_alphabet *a, uint32_t code);
/* BT_EINVAL, naming the first, if not all of s[0..n) are phonemes. */
bt_status bt_alphabet_check(const bt_alphabet *a, const char *s, size_t n, bt_error *err);
/* How many of s[0..n) are. */
int bt_alphabet_count(const bt_alphabet *a, const char *s, size_t n);
/* The ids of s[0..n), which is out->phonemes from `base` on, into u; what is no phoneme is
 * left out and counted. False: no memory. */
bool bt_alphabet_add(const bt_alphabet *a, const char *s, size_t n, size_t base, bt_utterances *out,
                     bt_utterance *u);

#endif
