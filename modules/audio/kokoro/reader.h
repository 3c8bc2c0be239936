/* SPDX-License-Identifier: MIT
 * English text for Kokoro voices: audio/english with the data that lies beside the voice or, where
 * there is none, in the folder "hibari" next to the voice's.
 */
#ifndef BT_AUDIO_KOKORO_READER_H
#define BT_AUDIO_KOKORO_READER_H

#include <pthread.h>

#include "audio/english/english.h"
#include "audio/kokoro/kokoro.h"

/* Both kinds of English, opened when a text is first to be spoken. */
typedef struct bt_kok_reader {
    pthread_mutex_t lock;
    bt_english *english[2]; /* American, British */
} bt_kok_reader;

void bt_kok_reader_open(bt_kok_reader *r);
void bt_kok_reader_close(bt_kok_reader *r);
bt_status bt_kok_reader_get(bt_kok_reader *r, const bt_kokoro *k, bool british,
                            const bt_english **out, bt_error *err);
/* Kokoro's voices of British English are called bf_..., bm_...; of a mixture the first counts. */
bool bt_kok_is_british(const char *speaker);

#endif
