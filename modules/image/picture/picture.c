/* SPDX-License-Identifier: MIT
 * Pictures in and out: numbers, sizes, margins.
 */
#include "image/picture/picture.h"

#include <math.h>
#include <string.h>

enum { LOBES = 3 };

/* ---- scaling --------------------------------------------------------------- */

static double triangle(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }

static double lanczos(double x)
{
    const double a = M_PI * x;
    if (fabs(x) < 1e-9)
        return 1;
    return fabs(x) < LOBES ? LOBES * sin(a) * sin(a / LOBES) / (a * a) : 0;
}

/* What one sample is made of: inputs from the first on, and their weights. */
typedef struct taps {
    int first, n;
    double total, *w;
} taps;

static double radius_of(sd_filter f, double scale)
{
    return f == SD_LANCZOS ? LOBES * scale : scale;
}

/* Sample i of n_out: a filter as wide as the coarser grid's samples, cut off at the borders. */
static void taps_at(taps *t, int i, int n_in, int n_out, sd_filter f)
{
    const double ratio = (double)n_in / n_out, scale = ratio > 1 ? ratio : 1;
    const double center = (i + 0.5) * ratio, radius = radius_of(f, scale);
    int first = (int)floor(center - radius), last = (int)ceil(center + radius);
    if (f == SD_NEAREST)
        first = (int)center, last = first + 1;
    t->first = first < 0 ? 0 : first;
    t->n = (last > n_in ? n_in : last) - t->first;
    t->total = 0;
    for (int k = 0; k < t->n; k++) {
        const double x = (t->first + k + 0.5 - center) / scale;
        t->w[k] = f == SD_NEAREST ? 1 : f == SD_LANCZOS ? lanczos(x) : triangle(x);
        t->total += t->w[k];
    }
}

/* [lines][n_in][c] to [lines][n_out][c]. */
static bool scale_axis(const float *in, int n_in, float *out, int n_out, size_t lines, size_t c,
                       sd_filter f)
{
    const double ratio = (double)n_in / n_out;
    const double most = 2 * radius_of(f, ratio > 1 ? ratio : 1) + 3;
    taps t = { .w = bt_calloc(most < n_in ? (size_t)most : (size_t)n_in, sizeof *t.w) };
    for (int i = 0; t.w && i < n_out; i++) {
        taps_at(&t, i, n_in, n_out, f);
        for (size_t line = 0; line < lines; line++) {
            const float *from = in + (line * (size_t)n_in + (size_t)t.first) * c;
            float *to = out + (line * (size_t)n_out + (size_t)i) * c;
            for (size_t j = 0; j < c; j++) {
                double sum = 0;
                for (int k = 0; k < t.n; k++)
                    sum += t.w[k] * (double)from[(size_t)k * c + j];
                to[j] = (float)(sum / t.total);
            }
        }
    }
    const bool ok = t.w;
    bt_release(t.w);
    return ok;
}

float *sd_picture_scale(const float *x, int w_in, int h_in, int w, int h, int channels, sd_filter f)
{
    const size_t c = (size_t)channels, row = (size_t)w * c;
    float *across = bt_calloc((size_t)h_in, row * sizeof *across);
    float *out = bt_calloc((size_t)h, row * sizeof *out);
    const bool ok = across && out && scale_axis(x, w_in, across, w, (size_t)h_in, c, f) &&
                    scale_axis(across, h_in, out, h, 1, row, f);
    bt_release(across);
    if (ok)
        return out;
    bt_release(out);
    return NULL;
}

float *sd_picture_resize(const bt_image *img, int w, int h, int channels)
{
    float *x = sd_picture_floats(img, channels);
    if (!x || (img->width == w && img->height == h))
        return x;
    float *out = sd_picture_scale(x, img->width, img->height, w, h, channels, SD_TRIANGLE);
    bt_release(x);
    return out;
}

/* ---- parts and margins ----------------------------------------------------- */

float *sd_picture_crop(const float *x, int w, sd_box b, int c)
{
    const size_t row = (size_t)b.w * (size_t)c;
    float *out = bt_calloc((size_t)b.h, row * sizeof *out);
    for (int y = 0; out && y < b.h; y++)
        memcpy(out + (size_t)y * row, x + ((size_t)(b.y + y) * (size_t)w + (size_t)b.x) * (size_t)c,
               row * sizeof *out);
    return out;
}

static int limit(int v, int n) { return v < 0 ? 0 : v >= n ? n - 1 : v; }

float *sd_picture_extend(const float *x, int w, int h, sd_margins m, int c, bool edges, float value)
{
    const int to_w = w + m.left + m.right, to_h = h + m.top + m.bottom;
    float *out = bt_calloc((size_t)to_w * (size_t)to_h, (size_t)c * sizeof *out);
    for (int y = 0; out && y < to_h; y++)
        for (int i = 0; i < to_w; i++) {
            const int u = i - m.left, v = y - m.top;
            const bool inside = u >= 0 && u < w && v >= 0 && v < h;
            const float *from =
                x + ((size_t)limit(v, h) * (size_t)w + (size_t)limit(u, w)) * (size_t)c;
            float *to = out + ((size_t)y * (size_t)to_w + (size_t)i) * (size_t)c;
            for (int k = 0; k < c; k++)
                to[k] = inside || edges ? from[k] : value;
        }
    return out;
}

/* ---- 8 bits ---------------------------------------------------------------- */

float *sd_picture_floats(const bt_image *img, int channels)
{
    size_t pixels = (size_t)img->width * (size_t)img->height;
    float *x = bt_calloc(pixels, (size_t)channels * sizeof *x);
    for (size_t i = 0; x && i < pixels; i++) {
        const uint8_t *p = img->pixels + i * (size_t)img->channels;
        if (img->channels == 3 && channels == 1)
            x[i] = (0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2]) / 255;
        else
            for (int k = 0; k < channels; k++)
                x[i * (size_t)channels + (size_t)k] = p[img->channels == 3 ? k : 0] / 255.0f;
    }
    return x;
}

void sd_picture_bytes(const float *x, size_t n, uint8_t *rgb)
{
    for (size_t i = 0; i < 3 * n; i++) {
        float v = x[i] / 2 + 0.5f;
        rgb[i] = (uint8_t)rintf((v > 0 ? v < 1 ? v : 1 : 0) * 255); /* not a number: 0 */
    }
}
