/* SPDX-License-Identifier: MIT
 * A walk of one picture with a formula for a network.
 */
#ifndef BT_TESTS_IMAGE_WALKER_H
#define BT_TESTS_IMAGE_WALKER_H

#include "image/sampling/samplers.h"

typedef struct walker {
    sd_walk w;
    sd_latent p;
    float *block;
    double linear;  /* the network answers in * (t / (t + 1) - linear * t / 1000) */
    double spread;  /* not 0: the best v for pictures that are normal with this spread */
    bool scaled;    /* the sampler goes on from what the network saw, as diffusers' tests do */
    bool second;    /* in the middle of a step */
    int asked;      /* how often */
    int fail_after; /* askings; 0: never */
} walker;

/* Its noise is that of seed 42: first the latent, then the steps'. */
walker *walker_new(const sd_sampler *s, const sd_schedule_config *c, const sd_train *train,
                   const sd_grid *g, double eta, sd_shape shape);
void walker_free(walker *k);
const sd_sampler *sampler_named(const char *name);

#endif
