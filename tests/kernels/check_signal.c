/* SPDX-License-Identifier: MIT
 * Sine and cosine, and passes of a Fourier transform, against double. */
#include "kcheck.h"

#include <stdio.h>

enum { MAX_N = 70, MAX_S = 40 };

static void sweep(const bt_kernels *t, float lo, float hi, int n)
{
    float *x = kc_floats((size_t)n), *s = kc_floats((size_t)n), *c = kc_floats((size_t)n);
    for (int i = 0; i < n; i++)
        x[i] = lo + (hi - lo) * (float)i / (float)(n - 1);
    t->sincos(n, s, c, x);
    for (int i = 0; i < n; i++) {
        kc_close((double)s[i], sin((double)x[i]), 2e-7, "sin");
        kc_close((double)c[i], cos((double)x[i]), 2e-7, "cos");
    }
    kc_release();
}

void check_sincos(const bt_kernels *t)
{
    sweep(t, -7.0f, 7.0f, 20001);
    sweep(t, -2000.0f, 2000.0f, 40001);
    sweep(t, 9000.0f, 10000.0f, 20001);
    for (int n = 0; n <= MAX_N; n++) { /* tails give the bytes of whole vectors; in place */
        float *x = kc_floats((size_t)n), *c = kc_floats((size_t)n), whole[MAX_N], s2[MAX_N],
              c2[MAX_N];
        kc_noise(whole, MAX_N, 100.0f);
        memcpy(x, whole + MAX_N - n, (size_t)n * sizeof *x);
        t->sincos(MAX_N, s2, c2, whole);
        t->sincos(n, x, c, x);
        kc_same(x, s2 + MAX_N - n, (size_t)n * sizeof *x, "sin");
        kc_same(c, c2 + MAX_N - n, (size_t)n * sizeof *c, "cos");
        kc_release();
    }
}

/* One pass from its formula; with whole numbers in x the bound is that of the turns. */
static void check_pass(const bt_kernels *t, int r, int m, int s)
{
    const size_t n = (size_t)(r * m * s);
    float *x[2] = { kc_floats(n), kc_floats(n) }, *y[2] = { kc_floats(n), kc_floats(n) };
    float *w = kc_floats((size_t)(2 * (r - 1) * m));
    const double turn = -2 * 3.14159265358979323846 / (r * m);
    for (int p = 0; p < m; p++)
        for (int k = 1; k < r; k++) {
            w[2 * ((r - 1) * p + k - 1)] = (float)cos(turn * k * p);
            w[2 * ((r - 1) * p + k - 1) + 1] = (float)sin(turn * k * p);
        }
    kc_noise(x[0], n, 1.0f);
    kc_noise(x[1], n, 1.0f);
    t->fft_pass(r, m, s, w, x[0], x[1], y[0], y[1]);
    for (int p = 0; p < m; p++)
        for (int k = 0; k < r; k++)
            for (int q = 0; q < s; q++) {
                double re = 0, im = 0;
                for (int j = 0; j < r; j++) { /* e^(-2 pi i (j k / r + k p / (r m))) */
                    const double a = turn * k * (j * m + p);
                    const double u = (double)x[0][(p + m * j) * s + q];
                    const double v = (double)x[1][(p + m * j) * s + q];
                    re += u * cos(a) - v * sin(a);
                    im += u * sin(a) + v * cos(a);
                }
                const int at = (r * p + k) * s + q;
                kc_close((double)y[0][at], re, 2e-6, "fft_pass, real part");
                kc_close((double)y[1][at], im, 2e-6, "fft_pass, imaginary part");
            }
    kc_release();
}

void check_fft_pass(const bt_kernels *t)
{
    for (int r = 2; r <= 5; r++)
        for (int m = 1; m <= 7; m += 3)
            for (int s = 1; s <= MAX_S; s += s < 18 ? 1 : 7)
                check_pass(t, r, m, s);
}

/* ---- speed ---- */

enum { BENCH_N = 4096 };

typedef struct job {
    const bt_kernels *t;
    float *x, *y, *z, *w;
    int r;
} job;

static void run_sincos(void *arg)
{
    const job *j = arg;
    j->t->sincos(BENCH_N, j->y, j->z, j->x);
}

void bench_sincos(const bt_kernels *t)
{
    job j = { .t = t, .x = kc_floats(BENCH_N), .y = kc_floats(BENCH_N), .z = kc_floats(BENCH_N) };
    kc_noise(j.x, BENCH_N, 100.0f);
    kc_print("sincos", BENCH_N * 1e-9 / kc_time(run_sincos, &j), "Gvalues/s");
    kc_release();
}

/* 60 points of 16 values */
static void run_pass(void *arg)
{
    const job *j = arg;
    j->t->fft_pass(j->r, 60 / j->r, 16, j->w, j->x, j->x + 960, j->y, j->y + 960);
}

void bench_fft_pass(const bt_kernels *t)
{
    for (int r = 2; r <= 5; r++) {
        char name[32];
        job j = { .t = t, .x = kc_floats(1920), .y = kc_floats(1920), .w = kc_floats(128), .r = r };
        kc_noise(j.x, 1920, 1.0f);
        kc_noise(j.w, 128, 1.0f);
        snprintf(name, sizeof name, "fft_pass %d", r);
        kc_print(name, 960 * 1e-9 / kc_time(run_pass, &j), "Gpoints/s");
        kc_release();
    }
}
