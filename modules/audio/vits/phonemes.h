/* SPDX-License-Identifier: MIT
 * Text or phonemes to the ids that a voice's encoder reads.
 */
#ifndef BT_AUDIO_PHONEMES_H
#define BT_AUDIO_PHONEMES_H

#include <stdatomic.h>

#include "audio/speak/utterance.h"
#include "audio/vits/espeak.h"
#include "audio/vits/voice.h"

/* Both append to `out`. Phonemes (or the text of voices whose phonemes are its
 * characters): one sentence per line. */
bt_status bt_utter_phonemes(const bt_voice *v, const char *phonemes, size_t n, bt_utterances *out,
                            bt_error *err);
/* Text through espeak-ng; parts in [[ ]] are phonemes, as in piper. */
bt_status bt_utter_text(const bt_voice *v, bt_espeak *e, const char *text, size_t n,
                        const atomic_bool *cancel, bt_utterances *out, bt_error *err);

#endif
