/* SPDX-License-Identifier: MIT
 * Noise: torch's or CUDA's normals, and the blend of two of them.
 */
#include "image/sampling/noise.h"

#include <math.h>

static void to_channels_last(sd_shape s, const float *planes, float *out)
{
    size_t rows = (size_t)s.h * (size_t)s.w, c = (size_t)s.c;
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < c; k++)
            out[i * c + k] = planes[k * rows + i];
}

void sd_noise_seed(sd_noise *r, bool philox, uint64_t seed)
{
    *r = (sd_noise){ .philox = philox, .seed = seed };
    bt_torch_seed(&r->torch, seed);
}

void sd_noise_draw(sd_noise *r, sd_shape s, float *out, float *tmp)
{
    size_t n = (size_t)s.c * (size_t)s.h * (size_t)s.w;
    if (r->philox)
        bt_philox_randn(r->seed, r->calls++, tmp, n);
    else
        bt_torch_randn(&r->torch, tmp, n);
    to_channels_last(s, tmp, out);
}

/* ---- spherical interpolation ---------------------------------------------- */

/* Cosine of the angle between two columns of h values, `stride` apart. */
static double cosine(const float *x, const float *y, int h, size_t stride)
{
    double xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < (size_t)h * stride; i += stride) {
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
        xy += (double)x[i] * (double)y[i];
    }
    return xy / sqrt(xx * yy);
}

/* As A1111 does, also where it is odd: nearly equal noises are mixed with the
 * shares the other way round. */
void sd_noise_blend(sd_shape s, double share, float *x, const float *y)
{
    size_t columns = (size_t)s.w * (size_t)s.c, n = columns * (size_t)s.h;
    double mean = 0;
    for (size_t j = 0; j < columns; j++)
        mean += cosine(x + j, y + j, s.h, columns) / (double)columns;
    for (size_t j = 0; j < columns; j++) {
        double omega = acos(fmin(fmax(cosine(x + j, y + j, s.h, columns), -1), 1));
        double a = sin((1 - share) * omega) / sin(omega), b = sin(share * omega) / sin(omega);
        if (mean > 0.9995)
            a = share, b = 1 - share;
        else if (!(sin(omega) > 1e-9)) /* no way along the sphere: a column of one value has none */
            a = 1 - share, b = share;
        for (size_t i = j; i < n; i += columns)
            x[i] = (float)(a * (double)x[i] + b * (double)y[i]);
    }
}
