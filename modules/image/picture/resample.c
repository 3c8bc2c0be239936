/* SPDX-License-Identifier: MIT
 * One axis after the other: each output sample is a weighted sum of the inputs under the
 * filter, sin(pi x) / (pi x) * sin(pi x / 3) / (pi x / 3) for |x| < 3, which is as much wider
 * as the output is coarser; weights sum to 1, also where the border cuts the filter off.
 */
#include "image/picture/resample.h"

#include <math.h>

#include "base/alloc.h"

enum { LOBES = 3 };

static const double pi = 3.14159265358979323846;

static double sinc(double x) { return x == 0 ? 1 : sin(pi * x) / (pi * x); }

/* The inputs that output i is made of, and their weights. */
typedef struct taps {
    int first, n;
    double *w; /* [2 * LOBES * max(ratio, 1) + 2] */
} taps;

static void taps_at(taps *t, int i, int n_in, int n_out)
{
    const double ratio = (double)n_in / n_out, wider = ratio > 1 ? ratio : 1;
    const double centre = (i + 0.5) * ratio, radius = LOBES * wider;
    int last = (int)ceil(centre + radius);
    double total = 0;
    t->first = (int)floor(centre - radius);
    t->first = t->first < 0 ? 0 : t->first;
    last = last > n_in ? n_in : last;
    t->n = last - t->first;
    for (int k = 0; k < t->n; k++) {
        const double x = (t->first + k + 0.5 - centre) / wider;
        t->w[k] = fabs(x) < LOBES ? sinc(x) * sinc(x / LOBES) : 0;
        total += t->w[k];
    }
    for (int k = 0; k < t->n; k++)
        t->w[k] /= total;
}

static double *weights(int n_in, int n_out)
{
    const double ratio = (double)n_in / n_out;
    return bt_calloc((size_t)(2 * LOBES * (ratio > 1 ? ratio : 1)) + 3, sizeof(double));
}

/* [h][n_in][c] bytes to [h][n_out][c] floats. */
static bool across(const bt_image *img, int n_out, float *out)
{
    const int c = img->channels, n_in = img->width;
    taps t = { .w = weights(n_in, n_out) };
    for (int i = 0; t.w && i < n_out; i++) {
        taps_at(&t, i, n_in, n_out);
        for (int y = 0; y < img->height; y++)
            for (int j = 0; j < c; j++) {
                const uint8_t *p =
                    img->pixels + ((size_t)y * (size_t)n_in + (size_t)t.first) * (size_t)c + j;
                double sum = 0;
                for (int k = 0; k < t.n; k++)
                    sum += t.w[k] * p[k * c];
                out[((size_t)y * (size_t)n_out + (size_t)i) * (size_t)c + (size_t)j] = (float)sum;
            }
    }
    const bool ok = t.w != NULL;
    bt_release(t.w);
    return ok;
}

/* [n_in][row] floats to [n_out][row] bytes. */
static bool down(const float *in, int n_in, size_t row, int n_out, uint8_t *out)
{
    taps t = { .w = weights(n_in, n_out) };
    for (int i = 0; t.w && i < n_out; i++) {
        taps_at(&t, i, n_in, n_out);
        for (size_t x = 0; x < row; x++) {
            const float *p = in + (size_t)t.first * row + x;
            double sum = 0;
            for (int k = 0; k < t.n; k++)
                sum += t.w[k] * (double)p[(size_t)k * row];
            out[(size_t)i * row + x] = (uint8_t)rint(sum < 0 ? 0 : sum > 255 ? 255 : sum);
        }
    }
    const bool ok = t.w != NULL;
    bt_release(t.w);
    return ok;
}

uint8_t *sd_picture_resample(const bt_image *img, int w, int h)
{
    const size_t row = (size_t)w * (size_t)img->channels;
    float *wide = bt_calloc((size_t)img->height, row * sizeof *wide);
    uint8_t *out = bt_calloc((size_t)h, row);
    const bool ok = wide && out && across(img, w, wide) && down(wide, img->height, row, h, out);
    bt_release(wide);
    if (ok)
        return out;
    bt_release(out);
    return NULL;
}
