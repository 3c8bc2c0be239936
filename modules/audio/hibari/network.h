/* SPDX-License-Identifier: MIT
 * The network of hibari in three parts, as plans (audio/speak/parts.h).
 */
#ifndef BT_AUDIO_HIBARI_NETWORK_H
#define BT_AUDIO_HIBARI_NETWORK_H

#include "audio/hibari/voice.h"
#include "audio/speak/parts.h"

enum {
    BT_HIBARI_TEXT_OUT = 128, /* what a phoneme is to the decoder */
    BT_HIBARI_TONES = 2,      /* and pitch and loudness of a frame */
};

typedef enum bt_hibari_part {
    /* ids [L] -> out[0] [L, taps * C]: what a phoneme adds to the decoder's first convolution by
     * each of its taps, out[1] [L, 192] for the prosody,
     * out[2] [L, 1]: log(1 + duration), durations in beats of two frames. */
    BT_HIBARI_TEXT,
    /* in[0] [B, 192], a row per beat -> out[0] [B, 4]: pitch of its two frames / 100 Hz,
     * loudness of both / 5 */
    BT_HIBARI_PROSODY,
    /* in[0] [F, C]: what phonemes add to the first convolution, in[1] [F, 2] pitch and loudness,
     * in[2] [F, 300] phase and in[3] [F, 300] order of the pulses' harmonics (vocoder.h)
     * -> out[0] [F, 300] samples */
    BT_HIBARI_SOUND,
} bt_hibari_part;

/* Of the filter of ConvNeXt block i of "m.dec" or another module; as the file's node has it. */
int bt_hibari_dilation(const bt_hibari *v, const char *module, int i);

/* For bt_parts.build. */
void bt_hibari_build(bt_graph *g, const void *voice, bt_part *p);

static inline bt_parts bt_hibari_parts(const bt_hibari *v)
{
    return (bt_parts){ .voice = v, .ws = v->ws, .build = bt_hibari_build };
}

#endif
