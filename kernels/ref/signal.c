/* SPDX-License-Identifier: MIT
 * Sine and cosine, passes of a Fourier transform: the formulas as they stand. */
#include "ref.h"

#include <math.h>

static void sincos_row(int n, float *s, float *c, const float *x)
{
    for (int i = 0; i < n; i++) {
        const float v = x[i];
        s[i] = sinf(v);
        c[i] = cosf(v);
    }
}

/* Output k of point p: the turn of input j is that of j k / r, less that of k p / (r m). */
static void point(int r, int m, int s, int p, int k, const float *w, const float *xr,
                  const float *xi, float *yr, float *yi)
{
    const float wr = k ? w[2 * ((r - 1) * p + k - 1)] : 1.0f;
    const float wi = k ? w[2 * ((r - 1) * p + k - 1) + 1] : 0.0f;
    for (int q = 0; q < s; q++) {
        float re = 0.0f, im = 0.0f;
        for (int j = 0; j < r; j++) {
            const double turn = -6.283185307179586 * (j * k % r) / r;
            const float c = (float)cos(turn), d = (float)sin(turn);
            const float a = xr[(p + m * j) * s + q], b = xi[(p + m * j) * s + q];
            re += a * c - b * d;
            im += a * d + b * c;
        }
        yr[(r * p + k) * s + q] = re * wr - im * wi;
        yi[(r * p + k) * s + q] = re * wi + im * wr;
    }
}

static void fft_pass(int r, int m, int s, const float *w, const float *xr, const float *xi,
                     float *yr, float *yi)
{
    for (int p = 0; p < m; p++)
        for (int k = 0; k < r; k++)
            point(r, m, s, p, k, w, xr, xi, yr, yi);
}

void bt_kernels_init_signal__scalar(bt_kernels *t)
{
    t->sincos = sincos_row;
    t->fft_pass = fft_pass;
}
