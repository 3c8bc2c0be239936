/* SPDX-License-Identifier: MIT
 * Sentences as the ids that a voice's network reads.
 */
#ifndef BT_AUDIO_UTTERANCE_H
#define BT_AUDIO_UTTERANCE_H

#include <stdbool.h>

#include "base/alloc.h"

/* One sentence: what one pass of the model speaks. */
typedef struct bt_utterance {
    int32_t *ids;
    int n, cap;
} bt_utterance;

typedef struct bt_utterances {
    bt_utterance *v;
    size_t n, cap;
    size_t missing;  /* code points that the voice has no phoneme for, left out */
    bt_buf phonemes; /* what was spoken, a line per sentence */
} bt_utterances;

void bt_utterances_free(bt_utterances *u);
void bt_utterances_drop(bt_utterances *u); /* the sentences; the rest stays */
/* Room for one sentence more, without ids; NULL: no memory. */
bt_utterance *bt_utterance_begin(bt_utterances *u);
bool bt_utterance_add(bt_utterance *u, const int32_t *ids, int n); /* false: no memory */

#endif
