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
