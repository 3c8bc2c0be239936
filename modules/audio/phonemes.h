/* SPDX-License-Identifier: MIT
 * Text or phonemes to the ids that a voice's encoder reads.
 */
#ifndef BT_AUDIO_PHONEMES_H
#define BT_AUDIO_PHONEMES_H

#include <stdatomic.h>

#include "espeak.h"
#include "voice.h"

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

/* Both append to `out`. Phonemes (or the text of voices whose phonemes are its
 * characters): one sentence per line. */
bt_status bt_utter_phonemes(const bt_voice *v, const char *phonemes, size_t n, bt_utterances *out,
                            bt_error *err);
/* Text through espeak-ng; parts in [[ ]] are phonemes, as in piper. */
bt_status bt_utter_text(const bt_voice *v, bt_espeak *e, const char *text, size_t n,
                        const atomic_bool *cancel, bt_utterances *out, bt_error *err);

#endif
