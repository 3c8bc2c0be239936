/* SPDX-License-Identifier: MIT
 * A real transform of n values as a complex one of m = n/2 (even values are the real
 * parts, odd ones the imaginary), then one step that takes the two apart:
 *   E = (Z[k] + conj Z[m-k]) / 2,  O = (Z[k] - conj Z[m-k]) / 2i,
 *   X[k] = E + w^k O,  w = e^(-2 pi i / n).
 * The complex one is Stockham's, a pass for each factor of m (kernels.h, fft_pass). With
 * real and imaginary parts exchanged before and after, it is its own inverse.
 */
#include "dsp/fft.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

enum { MAX_PASSES = 20 };
#define PI 3.14159265358979323846

struct bt_fft {
    int n, m;
    int n_passes, radix[MAX_PASSES];
    float *turns[MAX_PASSES]; /* of each pass: [points][radix - 1][2] */
    float *half;              /* w^k, k <= m: [m + 1][2] */
};

static float *turns_of(int r, int points)
{
    float *w = bt_alloc((size_t)(2 * (r - 1) * points) * sizeof *w);
    for (int p = 0; w && p < points; p++)
        for (int k = 1; k < r; k++) {
            const double a = -2 * PI * k * p / (r * points);
            w[2 * ((r - 1) * p + k - 1)] = (float)cos(a);
            w[2 * ((r - 1) * p + k - 1) + 1] = (float)sin(a);
        }
    return w;
}

bt_status bt_fft_create(int n, bt_fft **out, bt_error *err)
{
    static const int radices[] = { 4, 5, 3, 2 };
    int rest = n / 2;
    *out = NULL;
    if (n < 2 || n % 2 || n > BT_FFT_MOST)
        return bt_fail(err, BT_EINVAL, "no Fourier transform of %d values", n);
    bt_fft *f = bt_calloc(1, sizeof *f);
    if (!f)
        return bt_no_memory(err, "a Fourier transform");
    *f = (bt_fft){ .n = n, .m = n / 2, .half = turns_of(2, n / 2 + 1) };
    bool ok = f->half != NULL;
    for (int k = 0; ok && k <= f->m; k++) {
        f->half[2 * k] = (float)cos(2 * PI * k / n);
        f->half[2 * k + 1] = (float)-sin(2 * PI * k / n);
    }
    for (int i = 0; ok && i < 4; i++)
        while (ok && rest % radices[i] == 0) {
            rest /= radices[i];
            f->radix[f->n_passes] = radices[i];
            f->turns[f->n_passes] = turns_of(radices[i], rest);
            ok = f->turns[f->n_passes++] != NULL;
            if (rest == 1)
                break;
        }
    if (ok && rest == 1) {
        *out = f;
        return BT_OK;
    }
    bt_fft_free(f);
    return ok ? bt_fail(err, BT_EINVAL, "no Fourier transform of %d values", n)
              : bt_no_memory(err, "a Fourier transform");
}

void bt_fft_free(bt_fft *f)
{
    if (!f)
        return;
    for (int i = 0; i < f->n_passes; i++)
        bt_release(f->turns[i]);
    bt_release(f->half);
    bt_release(f);
}

/* The complex transform of z, to and fro between two areas of 2 m values; `to` is one of
 * them, or a third that the last pass writes to. Values lie at re[i * s], im[i * s]. */
typedef struct planes {
    float *re, *im;
} planes;

static void complex_fft(const bt_fft *f, const bt_kernels *k, int lanes, planes from, planes a,
                        planes b)
{
    int s = lanes, left = f->m;
    for (int i = 0; i < f->n_passes; i++) {
        const int r = f->radix[i];
        left /= r;
        k->fft_pass(r, left, s, f->turns[i], from.re, from.im, a.re, a.im);
        s *= r;
        from = a;
        a = b;
        b = from;
    }
}

/* X[k] and X[m - k] from Z[k] and Z[m - k], one row of lanes each. */
static void split(int lanes, const float *w, const float *zr, const float *zi, const float *yr,
                  const float *yi, float *ar, float *ai, float *br, float *bi)
{
    for (int l = 0; l < lanes; l++) {
        const float er = 0.5f * (zr[l] + yr[l]), ei = 0.5f * (zi[l] - yi[l]);
        const float or = 0.5f * (zi[l] + yi[l]), oi = 0.5f * (yr[l] - zr[l]);
        const float tr = or *w[0] - oi * w[1], ti = or *w[1] + oi * w[0];
        ar[l] = er + tr;
        ai[l] = ei + ti;
        br[l] = er - tr;
        bi[l] = ti - ei;
    }
}

void bt_fft_forward(const bt_fft *f, const bt_kernels *k, int lanes, const float *x,
                    float *spectrum, float *work)
{
    const size_t n = (size_t)f->m * (size_t)lanes;
    const planes in = { (float *)(uintptr_t)x, (float *)(uintptr_t)x + n };
    planes a = { work, work + n }, b = { work + 2 * n, work + 3 * n };
    complex_fft(f, k, lanes, in, a, b);
    if (f->n_passes % 2 == 0)
        a = b;
    if (f->n_passes == 0)
        a = in;
    float *re = spectrum, *im = spectrum + n + (size_t)lanes;
    for (int i = 0; i <= f->m / 2; i++) {
        const size_t lo = (size_t)i * (size_t)lanes, hi = (size_t)(f->m - i) * (size_t)lanes;
        const size_t z = i ? hi : 0; /* Z[m] is Z[0] */
        split(lanes, f->half + 2 * i, a.re + lo, a.im + lo, a.re + z, a.im + z, re + lo, im + lo,
              re + hi, im + hi);
    }
}

/* Z[k] and Z[m - k] from X[k] and X[m - k], with 1/m in it; E = (X[k] + conj X[m-k]) / 2,
 * O = (X[k] - conj X[m-k]) / 2 w^-k, Z = E + i O. */
static void join(int lanes, float scale, const float *w, const float *ar, const float *ai,
                 const float *br, const float *bi, float *zr, float *zi, float *yr, float *yi)
{
    for (int l = 0; l < lanes; l++) {
        const float er = scale * (ar[l] + br[l]), ei = scale * (ai[l] - bi[l]);
        const float dr = scale * (ar[l] - br[l]), di = scale * (ai[l] + bi[l]);
        const float or = dr * w[0] + di * w[1], oi = di * w[0] - dr * w[1];
        zr[l] = er - oi;
        zi[l] = ei + or ;
        yr[l] = er + oi;
        yi[l] = or -ei;
    }
}

void bt_fft_inverse(const bt_fft *f, const bt_kernels *k, int lanes, const float *spectrum,
                    float *x, float *work)
{
    const size_t n = (size_t)f->m * (size_t)lanes, row = (size_t)lanes;
    const float *re = spectrum, *im = spectrum + n + row;
    const float scale = 1.0f / (float)f->n;
    planes a = { work, work + n }, b = { work + 2 * n, work + 3 * n };
    for (size_t l = 0; l < row; l++) {
        a.re[l] = scale * (re[l] + re[n + l]);
        a.im[l] = scale * (re[l] - re[n + l]);
    }
    for (int i = 1; i <= f->m / 2; i++) {
        const size_t lo = (size_t)i * row, hi = (size_t)(f->m - i) * row;
        join(lanes, scale, f->half + 2 * i, re + lo, im + lo, re + hi, im + hi, a.re + lo,
             a.im + lo, a.re + hi, a.im + hi);
    }
    /* Exchanged parts turn the other way round. */
    complex_fft(f, k, lanes, (planes){ a.im, a.re }, (planes){ b.im, b.re },
                (planes){ a.im, a.re });
    memcpy(x, f->n_passes % 2 ? b.re : a.re, 2 * n * sizeof *x);
}
