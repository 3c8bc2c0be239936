/* SPDX-License-Identifier: MIT
 * What the samplers' steps share.
 */
#ifndef BT_IMAGE_STEPS_H
#define BT_IMAGE_STEPS_H

#include "image/sampling/samplers.h"

bt_status sd_step_euler(sd_walk *w, int i);
bt_status sd_step_euler_a(sd_walk *w, int i);
bt_status sd_step_heun(sd_walk *w, int i);
bt_status sd_step_restart(sd_walk *w, int i);
bt_status sd_step_lms(sd_walk *w, int i);
bt_status sd_step_dpm2(sd_walk *w, int i);
bt_status sd_step_2s(sd_walk *w, int i);
bt_status sd_step_sde(sd_walk *w, int i);
bt_status sd_step_multistep(sd_walk *w, int i);
bt_status sd_step_deis(sd_walk *w, int i);
bt_status sd_step_unipc(sd_walk *w, int i);
bt_status sd_step_ddim(sd_walk *w, int i);
bt_status sd_step_ddpm(sd_walk *w, int i);
bt_status sd_step_lcm(sd_walk *w, int i);
bt_status sd_step_tcd(sd_walk *w, int i);
bt_status sd_step_plms(sd_walk *w, int i);

/* w->noise = fresh normal values of each picture's generator. */
void sd_walk_draw(sd_walk *w);
/* The same, of its path between two noise levels if the sampler has one. */
void sd_walk_draw_between(sd_walk *w, float from, float to);
/* Makes room in w->x0: what it holds becomes old[0]. */
void sd_walk_remember(sd_walk *w);

/* ---- Euler's scale: x = x0 + sigma noise ------------------------------------- */

/* w->x0 = the picture that the network foresees from x at this noise level. */
bt_status sd_foresee(sd_walk *w, const float *x, float t, float sigma);
/* Heun and DPM2 ask a second time at level `at`, and add to Euler's step what the slope
 * differs by there: the pictures' difference / at, times the step. That is (from / to - 1) / 2
 * times the difference with Heun, a hundred times and more where a grid falls out of pure
 * noise: with such models the solvers collapse in few steps, also ComfyUI's (its pull request
 * 11360). There the same formulas are taken over 1 / sigma, in which x / sigma has the slope
 * x0 (DPM2's is then DPM-Solver++ 2S, arXiv 2211.01095): what the slope differs by counts
 * at / from times as much, so that no difference counts more than once. */
static inline float sd_second_share(const sd_walk *w, float from, float at)
{
    return sd_train_zero_snr(w->train) ? at / from : 1;
}
static inline float sd_second_slope(float share, float first, float second)
{
    return share == 1 ? second : first + share * (second - first);
}
/* Adams and Bashforth's formulas of order 2, 3 and 4 are stable in steps of up to 1, 6/11 and
 * 3/10 of the noise level (Hairer and Wanner, Solving Ordinary Differential Equations II,
 * V.1). The grids of models that begin in pure noise fall by more. */
static inline int sd_adams_order(const sd_walk *w, int order)
{
    const int most = sd_train_zero_snr(w->train) ? 2 : 4;
    return order < most ? order : most;
}
/* An ancestral step (k-diffusion): down to `down`, then noise of level `up`. */
typedef struct sd_ancestral {
    float down, up;
} sd_ancestral;
sd_ancestral sd_ancestral_of(float from, float to, double eta);

/* ---- the others' scale: x = alpha x0 + sigma noise ---------------------------- */

/* A noise level: shares of picture and noise, and lambda, the log of their
 * ratio, which is the solvers' time. */
typedef struct sd_level {
    float alpha, sigma, lambda;
} sd_level;

sd_level sd_level_of(float sigma);
/* w->x0 = the picture that the network foresees from w->x at step i of the grid. */
bt_status sd_foresee_at(sd_walk *w, int i, sd_level at);

#endif
