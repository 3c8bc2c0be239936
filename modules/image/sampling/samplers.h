/* SPDX-License-Identifier: MIT
 * Samplers: how latents move from one noise level to the next.
 *
 * A sampler is one function: a step from point i of the grid to i + 1, for a
 * group of pictures at once. It asks the network as often as its paper does.
 */
#ifndef BT_IMAGE_SAMPLERS_H
#define BT_IMAGE_SAMPLERS_H

#include "image/sampling/noise.h"
#include "image/sampling/schedule.h"

enum { SD_GROUP = 4 }; /* pictures that go together */

/* A picture on its way. */
typedef struct sd_latent {
    sd_shape shape;
    float *x;     /* [h * w][c], in the sampler's own scale */
    float *noise; /* the same; free between steps */
    float *tmp;   /* SD_BROWNIAN_TMP times as many values */
    sd_noise rng;
    sd_brownian path;
} sd_latent;

typedef struct sd_sampler sd_sampler;

/* Pictures that take their steps together. Arrays hold n values, picture after
 * picture; x and noise are those of the pictures. */
typedef struct sd_walk {
    const sd_sampler *sampler;
    const sd_grid *grid;
    const sd_schedule_config *config;
    const sd_train *train;
    double eta; /* share of fresh noise in a step */
    int b;
    sd_latent *p[SD_GROUP];
    size_t n;
    float *x, *noise;
    float *in;     /* what the network sees, where that is not x */
    float *x0;     /* its answer, then the picture foreseen by it */
    float *mid;    /* x elsewhere in the step */
    float *old[4]; /* what a multistep sampler remembers, the newest first */
    int past;      /* steps taken */
    int order;     /* UniPC: of the step before; PLMS: how much is remembered */
    void *host;
    /* out = the network's guided answer to `in` at timestep t. */
    bt_status (*ask)(void *host, const float *in, float t, float *out);
} sd_walk;

struct sd_sampler {
    const char *name, *label; /* option value; A1111's name */
    const char *class_name;   /* of diffusers; NULL: none */
    sd_grid_rules rules;
    bt_status (*step)(sd_walk *w, int i);
    int order;     /* of a multistep solver; 0: as the model's configuration says */
    bool heun;     /* and its second order */
    double eta;    /* unless the user says another */
    bool twice;    /* asks the network twice per step, but for a step to 0 */
    bool brownian; /* its noise is a path's */
    bool restarts; /* its grid rises between */
};

extern const sd_sampler sd_samplers[]; /* ends with a zeroed entry */
/* Of the option table: "model", then those of sd_samplers in order, each with
 * the spellings of A1111, ComfyUI and stable-diffusion.cpp (the engine takes
 * any case, and a space or '-' for '_'). Then those that A1111 up to 1.8 and
 * its heirs name together with a grid: "DPM++ 2M Karras". */
extern const char sd_sampler_choices[];
/* The sampler of a choice >= 1; *kind: the grid named with it, else MODEL. */
const sd_sampler *sd_sampler_chosen(int choice, sd_grid_kind *kind);
/* The sampler of a model's scheduler class. Classes that have none here fall
 * back to DDIM, which solves the same equation. */
const sd_sampler *sd_sampler_of(const sd_schedule_config *c);

/* How often the network is asked from step `first` on. */
int sd_sampler_asks(const sd_sampler *s, const sd_grid *g, int first);
/* Whether noise is taken from the path, as A1111 does and diffusers does not always. */
bool sd_sampler_on_path(const sd_sampler *s, const sd_grid *g);
/* The path of a seed over all levels of the grid. */
sd_brownian sd_sampler_path(const sd_grid *g, bool philox, uint64_t seed);

/* Arrays of a walk besides x and noise: floats for each value of its pictures. */
enum { SD_WALK_FLOATS = 7 };
void sd_walk_lay_out(sd_walk *w, float *block);
bt_status sd_walk_step(sd_walk *w, int i);
/* Whether x after step i is at a level of the grid, not inside of a step. */
bool sd_walk_between(const sd_walk *w, int i);

/* The picture that the network's answer m to x = alpha x0 + sigma noise foresees. */
static inline float sd_foreseen(sd_prediction kind, float x, float m, float alpha, float sigma)
{
    switch (kind) {
    case SD_EPSILON: return (x - sigma * m) / alpha;
    case SD_SAMPLE: return m;
    default: return alpha * x - sigma * m;
    }
}

/* x0 with noise as it is before step i; i = n: x0 itself. */
void sd_sampler_mix(const sd_sampler *s, const sd_grid *g, int i, const float *x0,
                    const float *noise, float *x, size_t n);

#endif
