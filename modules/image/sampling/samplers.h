/* SPDX-License-Identifier: MIT
 * Samplers: how a latent moves from one noise level to the next.
 */
#ifndef BT_IMAGE_SAMPLERS_H
#define BT_IMAGE_SAMPLERS_H

#include "base/rng.h"
#include "image/sampling/schedule.h"

/* One picture's source of noise, so that a picture does not know its batch. */
typedef struct sd_noise {
    int philox;
    uint64_t seed;
    uint32_t calls;
    bt_torch_rng torch;
} sd_noise;

void sd_noise_seed(sd_noise *r, int philox, uint64_t seed);
/* out[h*w][c] (channels last) = randn(c, h, w); tmp: c*h*w values. */
void sd_noise_draw(sd_noise *r, float *out, float *tmp, int c, int h, int w);

/* A picture on its way. x, old and noise hold c*h*w values each, channels last. */
typedef struct sd_latent {
    float *x;     /* in the sampler's own scale */
    float *old;   /* DPM++ 2M: the picture foreseen one step before */
    float *noise; /* of this step */
    float *tmp;
    int c, h, w;
    int done; /* steps taken */
    sd_noise rng;
} sd_latent;

typedef struct sd_step {
    const sd_grid *grid;
    const sd_schedule_config *config;
    int i; /* of grid->n */
    double eta;
} sd_step;

typedef struct sd_sampler {
    const char *name, *label; /* option value; A1111's name */
    const char *class_name;   /* of diffusers */
    sd_family family;
    /* Moves p->x from grid step i to i + 1, `out` being the network's output. */
    void (*step)(const sd_step *s, sd_latent *p, const float *out);
} sd_sampler;

extern const sd_sampler sd_samplers[]; /* ends with a zeroed entry */
/* Of the option table: "model", then those of sd_samplers in order, each with
 * the spellings of A1111, ComfyUI and stable-diffusion.cpp (the engine takes
 * any case, and a space or '-' for '_'). Then those that A1111 up to 1.8 and
 * its heirs name together with Karras' noise levels: "DPM++ 2M Karras". */
extern const char sd_sampler_choices[];
/* The sampler of a choice >= 1; *karras: the choice names the levels too. */
const sd_sampler *sd_sampler_chosen(int choice, bool *karras);
/* The sampler of a model's scheduler class. Classes that have none here fall
 * back to DDIM, which solves the same equation. */
const sd_sampler *sd_sampler_of(const char *class_name);

/* What the network sees: x / sqrt(sigma^2 + 1) for Euler, else x. */
void sd_sampler_input(const sd_sampler *s, const sd_grid *g, int i, const float *x, float *out,
                      size_t n);
/* x0 with noise as it is before step i; i = n: x0 itself. */
void sd_sampler_mix(const sd_sampler *s, const sd_grid *g, int i, const float *x0,
                    const float *noise, float *x, size_t n);

#endif
