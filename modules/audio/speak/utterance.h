/* SPDX-License-Identifier: MIT
 * Sentences as the ids that a voice's network reads.
 */
#ifndef BT_AUDIO_UTTERANCE_H
#define BT_AUDIO_UTTERANCE_H

#include <stdbool.h>

#include "base/alloc.h"

/* A range of bytes; empty: of nothing. */
typedef struct bt_span {
    size_t from, to;
} bt_span;

/* One sentence: what one pass of the model speaks. */
typedef struct bt_utterance {
    int32_t *ids;
    bt_span *at; /* of bt_utterances.phonemes: what the id stands for; empty: a mark of the voice */
    int n, cap;
} bt_utterance;

/* A word: where it stands, how it is read out, what is said. */
typedef struct bt_spoken {
    bt_span source;   /* of the piece of text that the sentences were made of */
    bt_span spelling; /* of bt_utterances.spelling */
    bt_span phonemes; /* of bt_utterances.phonemes */
} bt_spoken;

typedef struct bt_utterances {
    bt_utterance *v;
    size_t n, cap;
    size_t missing;  /* code points that the voice has no phoneme for, left out */
    uint32_t lacks;  /* the first of them */
    bt_buf phonemes; /* what was spoken, a line per sentence */
    size_t line;     /* where the last line begins */
    bt_buf spelling; /* of words */
    bt_spoken *words;
    size_t n_words, cap_words;
} bt_utterances;

void bt_utterances_free(bt_utterances *u);
void bt_utterances_drop(bt_utterances *u); /* sentences and words; the rest stays */
/* Are these phonemes more than spaces and punctuation? */
bool bt_utterances_sounds(const char *s, size_t n);
/* A line more of u->phonemes; an empty one is none. False: no memory. */
bool bt_utterances_line(bt_utterances *u, const char *s, size_t n);
/* A word of the text; one without a sound is none, one whose source overlaps that of the word
 * before is part of it (the words of a number). False: no memory. */
bool bt_utterances_word(bt_utterances *u, bt_spoken w);
/* Every run between spaces of the last line is a word of the same place in the source, which
 * begins there. False: no memory. */
bool bt_utterances_runs(bt_utterances *u);
/* Counts a code point that the voice has no phoneme for. */
void bt_utterances_lack(bt_utterances *u, uint32_t code);
/* Room for one sentence more, without ids; NULL: no memory. */
bt_utterance *bt_utterance_begin(bt_utterances *u);
void bt_utterance_withdraw(bt_utterances *u);                      /* the last one */
bool bt_utterance_add(bt_utterance *u, const int32_t *ids, int n); /* false: no memory */
/* The ids of one phoneme, which is phonemes[from..to). */
bool bt_utterance_add_at(bt_utterance *u, const int32_t *ids, int n, size_t from, size_t to);

#endif
