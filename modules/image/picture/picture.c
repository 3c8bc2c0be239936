/* SPDX-License-Identifier: MIT
 * Pictures in and out: resizing, 8-bit pixels.
 */
#include <math.h>
#include <string.h>

#include "image/diffusion.h"

/* One axis, from n_in to n_out samples `step` floats apart, `c` values each: a
 * triangle as wide as the coarser grid's samples, cut off at the borders. */
static void resize_line(const float *in, int n_in, size_t step_in, float *out, int n_out,
                        size_t step_out, int c)
{
    double ratio = (double)n_in / n_out, radius = ratio > 1 ? ratio : 1;
    for (int i = 0; i < n_out; i++) {
        double center = (i + 0.5) * ratio, total = 0, sum[3] = { 0 };
        int first = (int)floor(center - radius), last = (int)ceil(center + radius);
        first = first < 0 ? 0 : first;
        last = last > n_in ? n_in : last;
        for (int k = first; k < last; k++) {
            double w = 1 - fabs((k + 0.5 - center) / radius);
            if (w <= 0)
                continue;
            total += w;
            for (int j = 0; j < c; j++)
                sum[j] += w * (double)in[(size_t)k * step_in + (size_t)j];
        }
        for (int j = 0; j < c; j++)
            out[(size_t)i * step_out + (size_t)j] = (float)(sum[j] / total);
    }
}

static float *to_floats(const bt_image *img, int channels)
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

float *sd_picture_resize(const bt_image *img, int w, int h, int channels)
{
    size_t c = (size_t)channels, width = (size_t)img->width, height = (size_t)img->height;
    float *x = to_floats(img, channels);
    if (!x || (img->width == w && img->height == h))
        return x;
    float *across = bt_calloc((size_t)w * height, c * sizeof *across);
    float *out = bt_calloc((size_t)w * (size_t)h, c * sizeof *out);
    if (across && out) {
        for (size_t y = 0; y < height; y++)
            resize_line(x + y * width * c, img->width, c, across + y * (size_t)w * c, w, c,
                        channels);
        for (size_t i = 0; i < (size_t)w; i++)
            resize_line(across + i * c, img->height, (size_t)w * c, out + i * c, h, (size_t)w * c,
                        channels);
    } else {
        bt_release(out);
        out = NULL;
    }
    bt_release(across);
    bt_release(x);
    return out;
}

void sd_picture_bytes(const float *x, size_t n, uint8_t *rgb)
{
    for (size_t i = 0; i < 3 * n; i++) {
        float v = x[i] / 2 + 0.5f;
        rgb[i] = (uint8_t)rintf((v > 0 ? v < 1 ? v : 1 : 0) * 255); /* not a number: 0 */
    }
}
