/* SPDX-License-Identifier: MIT
 * The time grid of a run: at which noise levels the network is asked.
 *
 * abar is the share of the picture in the mix (alphas_cumprod): a noisy latent
 * is sqrt(abar) * x0 + sqrt(1 - abar) * noise; sigma = sqrt((1 - abar) / abar)
 * is the noise level of the same mix divided by sqrt(abar).
 */
#ifndef BT_IMAGE_SCHEDULE_H
#define BT_IMAGE_SCHEDULE_H

#include "image/network/config.h"

typedef enum sd_family { SD_DDIM, SD_EULER, SD_DPM } sd_family;

/* Index of the option "scheduler"; see sd_grid_names. */
typedef enum sd_grid_kind {
    SD_GRID_MODEL, /* as diffusers' class of the sampler makes it from the model's config */
    SD_GRID_AUTOMATIC,
    SD_GRID_UNIFORM,
    SD_GRID_KARRAS,
    SD_GRID_EXPONENTIAL,
    SD_GRID_POLYEXPONENTIAL,
    SD_GRID_SGM_UNIFORM,
    SD_GRID_SIMPLE,
    SD_GRID_NORMAL,
    SD_GRID_DDIM,
    SD_GRID_KL_OPTIMAL,
    SD_GRID_COUNT
} sd_grid_kind;

extern const char sd_grid_choices[];       /* of the option table */
const char *sd_grid_label(sd_grid_kind k); /* as A1111's "Schedule type" */

/* What training used; made once per model. */
typedef struct sd_train {
    int n;
    float *abar; /* [n] */
} sd_train;

bt_status sd_train_create(const sd_schedule_config *c, sd_train *out, bt_error *err);
void sd_train_release(sd_train *t);

typedef struct sd_grid {
    int n;
    float *t;     /* [n]: the network's timestep, may be fractional */
    float *sigma; /* [n + 1], falling; the last is where the run ends */
    float *abar;  /* [n]: share of the picture at t */
    float *next;  /* [n]: and where the step from t leads */
    float start;  /* what the first noise is multiplied with */
} sd_grid;

/* steps >= 1. AUTOMATIC is resolved by A1111's rule. */
bt_status sd_grid_create(const sd_schedule_config *c, const sd_train *train, sd_family family,
                         sd_grid_kind kind, int steps, sd_grid *out, bt_error *err);
void sd_grid_release(sd_grid *g);

#endif
