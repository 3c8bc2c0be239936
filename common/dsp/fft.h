/* SPDX-License-Identifier: MIT
 * Fourier transforms of real signals, several at a time.
 *
 * `lanes` signals lie side by side: value i of signal l is at [i][l], so that a
 * processor's vectors hold the same value of many signals and nothing is shuffled. What
 * comes out of one lane depends on that lane alone. Lengths are even, and products of 2, 3 and 5.
 * The transform itself allocates nothing and may be run by several threads at once;
 * it is for ops (graph/op.h), which have the kernels and the scratch.
 */
#ifndef BT_DSP_FFT_H
#define BT_DSP_FFT_H

#include "base/status.h"
#include "kernels/kernels.h"

enum { BT_FFT_MOST = 1 << 16 };

typedef struct bt_fft bt_fft;

/* n even, a product of 2, 3 and 5, at most BT_FFT_MOST; else BT_EINVAL. */
bt_status bt_fft_create(int n, bt_fft **out, bt_error *err);
void bt_fft_free(bt_fft *f); /* NULL is fine */

/* Floats of `work`. */
static inline size_t bt_fft_work(int n, int lanes) { return 2 * (size_t)n * (size_t)lanes; }

/* X[k] = sum_i x[i] e^(-2 pi i i k / n), k <= n/2. x: [2][n/2][lanes], the values of even
 * number, then those of odd number. spectrum: [2][n/2 + 1][lanes], real, then imaginary
 * parts. They may be the same memory; neither may be `work`. */
void bt_fft_forward(const bt_fft *f, const bt_kernels *k, int lanes, const float *x,
                    float *spectrum, float *work);
/* Its inverse, 1/n included; imaginary parts at 0 and n/2 do not count. */
void bt_fft_inverse(const bt_fft *f, const bt_kernels *k, int lanes, const float *spectrum,
                    float *x, float *work);

#endif
