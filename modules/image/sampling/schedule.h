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

/* Which of diffusers' time grids a sampler's class makes. EULER's samplers hold
 * x0 + sigma noise, all others sqrt(abar) x0 + sqrt(1 - abar) noise. */
typedef enum sd_family {
    SD_DDIM, /* next = t - T / n */
    SD_DDPM, /* next = the grid's next */
    SD_PLMS, /* some steps ask twice or four times: each asking is a step of the grid */
    SD_LCM,  /* some of the 50 steps of a distillation */
    SD_EULER,
    SD_DPM,
    SD_UNIPC,
    SD_DEIS
} sd_family;

/* The option "scheduler"; names are in levels.c. */
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
    SD_GRID_AYS,
    SD_GRID_BETA,
    SD_GRID_LINEAR_QUADRATIC,
    SD_GRID_TRAILING,
    SD_GRID_COUNT
} sd_grid_kind;

extern const char sd_grid_choices[];       /* of the option table */
const char *sd_grid_label(sd_grid_kind k); /* as A1111's "Schedule type" */
const char *sd_grid_name(sd_grid_kind k);  /* the choice's first spelling */

/* What training used; made once per model. */
typedef struct sd_train {
    int n;
    float *abar; /* [n] */
} sd_train;

bt_status sd_train_create(const sd_schedule_config *c, sd_train *out, bt_error *err);
void sd_train_release(sd_train *t);
/* Whether training ends in pure noise ("zero terminal SNR", arXiv 2305.08891). The first
 * level of a grid then stands for an infinite one, and the next is far below. */
static inline bool sd_train_zero_snr(const sd_train *t) { return t->abar[t->n - 1] == 0; }

/* Sigmas of all training steps as doubles (numpy's type from there on), and
 * their logarithms in float, as np.log of a float array. */
typedef struct sd_table {
    int n;
    double *sigma, *log;
} sd_table;

/* abar[first], abar[first + stride], ...; `last` stands in for an abar of 0. */
bt_status sd_table_create(const sd_train *train, int first, int stride, float last, sd_table *out,
                          bt_error *err);
void sd_table_release(sd_table *t);
/* Between the steps both are linear in the logarithm of sigma. */
double sd_table_t(const sd_table *s, double sigma);
float sd_table_sigma(const sd_table *s, float t); /* k-diffusion's, in float */

typedef struct sd_grid {
    sd_grid_kind kind; /* never AUTOMATIC */
    bool own;          /* it was, and A1111's sampler has a grid of its own */
    int steps;         /* that were asked for */
    int n;             /* that there are */
    int extra;         /* of them: askings of PLMS' first steps beyond one each */
    float *t;          /* [n]: the network's timestep, may be fractional */
    float *sigma;      /* [n + 1]; the last is where the run ends */
    float *abar;       /* [n]: share of the picture at t */
    float *next;       /* [n]: and where the step from t leads */
    float start;       /* what the first noise is multiplied with */
    sd_table table;
} sd_grid;

/* What makes a sampler's grid its own. */
typedef struct sd_grid_rules {
    sd_family family;
    sd_grid_kind automatic; /* A1111's choice; AUTOMATIC: a grid of its own */
    bool discard;           /* A1111 makes one level more and drops the last but one */
} sd_grid_rules;

bt_status sd_grid_create(const sd_schedule_config *c, const sd_train *train,
                         const sd_grid_rules *rules, sd_grid_kind kind, int steps, bool xl,
                         sd_grid *out, bt_error *err);
void sd_grid_release(sd_grid *g);
/* The step that a first picture's run begins with, `strength` being its share:
 * diffusers' rule or A1111's. May be n, when nothing is left to do. */
int sd_grid_first(const sd_grid *g, sd_family f, double strength);
/* "Restart Sampling" (arXiv 2306.14878): from step `first` on, the levels of
 * Karras with rises between them, as A1111 chooses them. */
bt_status sd_grid_restart(sd_grid *g, int first, bt_error *err);

/* ---- shared by the files of this folder ------------------------------------ */

bt_status sd_grid_alloc(int n, sd_grid *g, bt_error *err);
enum { SD_RUNGE_KUTTA_EXTRA = 9 };
void sd_grid_by_model(const sd_schedule_config *c, const sd_train *train, sd_family f, sd_grid *g);
/* Steps that such a grid has, or 0: it cannot have so many. */
int sd_grid_model_steps(const sd_schedule_config *c, const sd_train *train, sd_family f, int steps);
/* Level i of n of a named grid, from the highest down, 0 being left out; xl: of SDXL. */
double sd_grid_level(const sd_table *s, sd_grid_kind kind, bool xl, int n, int i);
/* Levels that a list of `n` has: ComfyUI's ddim_uniform counts from step 1 by
 * T / n and may come to more. */
int sd_grid_levels(const sd_table *s, sd_grid_kind kind, int n);
/* torch.linspace in float: both halves count from their own end. */
float sd_linspace(float a, float b, int n, int i);
/* Level i of n of Karras (rho 7), and of even steps of the logarithm. */
float sd_karras_float(double max, double min, int n, int i);
double sd_karras(double max, double min, int n, int i);
double sd_exponential(double max, double min, int n, int i);
/* The same of scipy.stats.beta.ppf(1 - i / (n - 1), 0.6, 0.6) (arXiv 2407.12173). */
double sd_beta(double max, double min, int n, int i);

#endif
