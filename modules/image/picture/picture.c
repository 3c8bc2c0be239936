/* SPDX-License-Identifier: MIT
 * Pictures in and out: numbers, sizes, margins.
 */
#include "image/picture/picture.h"

#include <math.h>
#include <string.h>

enum { MAX_CHANNELS = 16, LOBES = 3 };

/* ---- scaling --------------------------------------------------------------- */

static double triangle(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }

static double lanczos(double x)
{
    const double a = M_PI * x;
    if (fabs(x) < 1e-9)
        return 1;
    return fabs(x) < LOBES ? LOBES * sin(a) * sin(a / LOBES) / (a * a) : 0;
}

/* One axis, from n_in to n_out samples `step` floats apart, `c` values each: a
 * filter as wide as the coarser grid's samples, cut off at the borders. */
static void scale_line(const float *in, int n_in, size_t step_in, float *out, int n_out,
                       size_t step_out, int c, sd_filter f)
{
    double ratio = (double)n_in / n_out, scale = ratio > 1 ? ratio : 1;
    double radius = f == SD_LANCZOS ? LOBES * scale : scale;
    for (int i = 0; i < n_out; i++) {
        double center = (i + 0.5) * ratio, total = 0, sum[MAX_CHANNELS] = { 0 };
        int first = (int)floor(center - radius), last = (int)ceil(center + radius);
        if (f == SD_NEAREST)
            first = (int)center, last = first + 1;
        first = first < 0 ? 0 : first;
        last = last > n_in ? n_in : last;
        for (int k = first; k < last; k++) {
            const double x = (k + 0.5 - center) / scale;
            const double w = f == SD_NEAREST ? 1 : f == SD_LANCZOS ? lanczos(x) : triangle(x);
            total += w;
            for (int j = 0; j < c; j++)
                sum[j] += w * (double)in[(size_t)k * step_in + (size_t)j];
        }
        for (int j = 0; j < c; j++)
            out[(size_t)i * step_out + (size_t)j] = (float)(sum[j] / total);
    }
}

float *sd_picture_scale(const float *x, int w_in, int h_in, int w, int h, int channels, sd_filter f)
{
    const size_t c = (size_t)channels, width = (size_t)w_in, height = (size_t)h_in;
    float *across = bt_calloc((size_t)w * height, c * sizeof *across);
    float *out = bt_calloc((size_t)w * (size_t)h, c * sizeof *out);
    if (across && out) {
        for (size_t y = 0; y < height; y++)
            scale_line(x + y * width * c, w_in, c, across + y * (size_t)w * c, w, c, channels, f);
        for (size_t i = 0; i < (size_t)w; i++)
            scale_line(across + i * c, h_in, (size_t)w * c, out + i * c, h, (size_t)w * c, channels,
                       f);
    } else {
        bt_release(out);
        out = NULL;
    }
    bt_release(across);
    return out;
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
