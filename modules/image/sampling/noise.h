/* SPDX-License-Identifier: MIT
 * Where a picture's noise comes from: one generator per picture, so that a
 * picture does not know its batch; and Brownian trees.
 */
#ifndef BT_IMAGE_NOISE_H
#define BT_IMAGE_NOISE_H

#include <stdbool.h>

#include "base/rng.h"

/* A latent's size; its values stand channels last. */
typedef struct sd_shape {
    int c, h, w;
} sd_shape;

typedef struct sd_noise {
    bool philox;
    uint64_t seed;
    uint32_t calls;
    bt_torch_rng torch;
} sd_noise;

void sd_noise_seed(sd_noise *r, bool philox, uint64_t seed);
/* out[h*w][c] = randn(c, h, w); tmp: c*h*w values. */
void sd_noise_draw(sd_noise *r, sd_shape s, float *out, float *tmp);

/* x becomes the point `share` of the way from x to y along the sphere, for
 * each of the columns (over h) of each channel: A1111's "variation". */
void sd_noise_blend(sd_shape s, double share, float *x, const float *y);

/* torchsde's BrownianTree as k-diffusion's BrownianTreeNoiseSampler uses it: a
 * path over noise levels that is a function of the seed alone, wherever and in
 * whatever order it is looked at. Levels are told apart to 1e-6. */
typedef struct sd_brownian {
    bool philox;
    uint64_t seed;
    double start, end; /* lowest and highest noise level; start < end */
} sd_brownian;

enum { SD_BROWNIAN_TMP = 4 };

/* out[h*w][c] = the path's move from level `from` down to `to`, scaled to
 * variance 1; tmp: SD_BROWNIAN_TMP * c*h*w values. */
void sd_brownian_draw(const sd_brownian *b, sd_shape s, float from, float to, float *out,
                      float *tmp);

#endif
