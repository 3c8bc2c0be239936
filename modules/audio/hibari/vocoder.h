/* SPDX-License-Identifier: MIT
 * The vocoder of hibari (its dsp.py): a spectrum for every frame of 12.5 ms, of three parts,
 * and one inverse short-time Fourier transform (1200 points, hop 300, Hann):
 *
 *     S = exp(lh) e^(i pi tanh(th)) STFT(pulses) + exp(ln) noise + exp(lr) e^(i phi)
 *
 * lh, th, ln, lr, phi [F, 601] come from the network, the pulses from the pitch.
 */
#ifndef BT_AUDIO_HIBARI_VOCODER_H
#define BT_AUDIO_HIBARI_VOCODER_H

#include "audio/hibari/voice.h"

/* Parameters of a run of the vocoder's plan. */
enum {
    BT_HIBARI_PARAM_SEED = 1, /* of the noise */
    BT_HIBARI_PARAM_FRAME,    /* number of the first row's frame in its sentence */
};

bt_status bt_hibari_tables_make(bt_hibari_tables *t, bt_error *err);

/* op_vocoder.c: spectrum [F, 5 * 601], phase and order [F, 300] -> samples [F, 300]. The
 * ends of the sentence are taken to be where the rows end, so rows near other ends are wrong:
 * one at the beginning, two at the end, and two more for what the pulses are mirrored. */
bt_node *bt_hibari_vocoder(bt_graph *g, const bt_hibari *v, bt_node *spectrum, bt_node *phase,
                           bt_node *order);

/* pitch.c: the phase (0..2 pi) of the first harmonic at every sample of `frames` frames, from the
 * pitch (Hz) at their middles; and how many harmonics sound, plus 1/2; 0: unvoiced. */
void bt_hibari_pitch(const float *f0, int64_t frames, float *phase, float *order);

#endif
