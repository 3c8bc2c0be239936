/* SPDX-License-Identifier: MIT
 * When a sentence, its words and its phonemes are said, and where they stand in the text.
 */
#ifndef BT_AUDIO_TIMES_H
#define BT_AUDIO_TIMES_H

#include "audio/script/passage.h"
#include "module.h"

/* A sentence about to be spoken. */
typedef struct bt_times {
    const bt_utterances *all;
    const bt_utterance *sentence;
    const bt_passage *passage;
    bt_span piece;  /* of the passage: what `all` was made of */
    size_t done;    /* bytes of the passage that belong to sentences told before */
    size_t word;    /* of `all`, before which all are told */
    uint64_t begin; /* sample */
    int rate;
} bt_times;

/* Tells r->timing. ids_at[f]: the id that frame f belongs to; a frame has `hop` samples. */
bt_status bt_times_tell(bt_times *t, const bt_run *r, const int32_t *ids_at, size_t n, int hop);

#endif
