/* SPDX-License-Identifier: MIT
 * Mel spectrograms as vocoders are trained on: HiFi-GAN's (meldataset.py: librosa's filters)
 * and Vocos's (feature_extractors.py: those of torchaudio).
 */
#ifndef BT_DSP_MEL_H
#define BT_DSP_MEL_H

#include <stdbool.h>

#include "base/status.h"
#include "kernels/kernels.h"

/* Both: frames of n_fft samples under a Hann window of win, every hop; their magnitudes through
 * triangles that are evenly spaced in mel; log of no less than a floor.
 *   HiFi-GAN: Slaney's mel (linear below 1 kHz), triangles of equal area, sqrt(|X|^2 + 1e-9),
 *             floor 1e-5.
 *   Vocos:    HTK's mel, triangles of equal height, |X|, floor 1e-7. */
typedef struct bt_mel_form {
    bool vocos;
    int sample_rate, n_fft, hop, win, n_mels;
    int pad;           /* samples mirrored at both ends before the first frame */
    double fmin, fmax; /* Hz */
} bt_mel_form;

/* The published ones: 22.05 kHz, 80 bands up to 8 kHz; 24 kHz, 100 bands up to 12 kHz. */
bt_mel_form bt_mel_hifigan(void);
bt_mel_form bt_mel_vocos(void);

/* BT_EINVAL: no such spectrogram can be made; the line begins with `name`. */
bt_status bt_mel_check(const bt_mel_form *f, const char *name, bt_error *err);
/* Frames of n samples; 0: there are too few. */
int64_t bt_mel_frames(const bt_mel_form *f, size_t n);
/* x[0..n) to mel [n_mels][bt_mel_frames], of a form that was checked. */
bt_status bt_mel_make(const bt_mel_form *f, const bt_kernels *k, const float *x, size_t n,
                      float *mel, bt_error *err);

#endif
