/* SPDX-License-Identifier: MIT
 * Solvers that ask the network a second time in the middle of their step: DPM2
 * and DPM2 a (after DPM-Solver-2, arXiv 2206.00927), DPM++ 2S a and DPM++ SDE
 * (arXiv 2211.01095), all as k-diffusion has them. The middle is that of the
 * logarithms of the noise levels.
 */
#include <math.h>

#include "image/sampling/steps.h"

static float middle(float a, float b) { return (float)sqrt((double)a * (double)b); }

static bt_status foresee_middle(sd_walk *w, float sigma)
{
    return sd_foresee(w, w->mid, (float)sd_table_t(&w->grid->table, (double)sigma), sigma);
}

static void add_noise(sd_walk *w, float *x, float up)
{
    for (size_t k = 0; k < w->n; k++)
        x[k] += w->noise[k] * up;
}

/* out = x, taken from one level to another towards the picture w->x0. */
static void go(const sd_walk *w, float from, float to, float *out)
{
    float keep = to / from;
    for (size_t k = 0; k < w->n; k++)
        out[k] = keep * w->x[k] + (1 - keep) * w->x0[k];
}

/* The slope in the middle. */
bt_status sd_step_dpm2(sd_walk *w, int i)
{
    float from = w->grid->sigma[i], to = w->grid->sigma[i + 1];
    sd_ancestral a = sd_ancestral_of(from, to, w->eta);
    float mid = middle(from, a.down), *slope = w->old[0];
    if (a.down == 0)
        return sd_step_euler(w, i);
    bt_status st;
    BT_TRY(sd_foresee(w, w->x, w->grid->t[i], from));
    for (size_t k = 0; k < w->n; k++) {
        slope[k] = (w->x[k] - w->x0[k]) / from;
        w->mid[k] = w->x[k] + slope[k] * (mid - from);
    }
    BT_TRY(foresee_middle(w, mid));
    float share = sd_second_share(w, from, mid);
    for (size_t k = 0; k < w->n; k++) {
        float second = (w->mid[k] - w->x0[k]) / mid;
        w->x[k] += sd_second_slope(share, slope[k], second) * (a.down - from);
    }
    if (a.up > 0) {
        sd_walk_draw(w);
        add_noise(w, w->x, a.up);
    }
fail:
    return st;
}

/* The picture foreseen in the middle. */
bt_status sd_step_2s(sd_walk *w, int i)
{
    float from = w->grid->sigma[i], to = w->grid->sigma[i + 1];
    sd_ancestral a = sd_ancestral_of(from, to, w->eta);
    bt_status st;
    BT_TRY(sd_foresee(w, w->x, w->grid->t[i], from));
    if (a.down > 0) {
        go(w, from, middle(from, a.down), w->mid);
        BT_TRY(foresee_middle(w, middle(from, a.down)));
    }
    go(w, from, a.down, w->x);
    if (to > 0) {
        sd_walk_draw(w);
        add_noise(w, w->x, a.up);
    }
fail:
    return st;
}

/* exp(-t), t = -log(sigma), each rounded to float as in torch: a path tells levels
 * apart to 1e-6, so the last digit counts. */
static float minus_log(float sigma) { return (float)-log((double)sigma); }
static float sigma_at(float t) { return (float)exp(-(double)t); }

/* The same, the middle being reached by an ancestral step too. */
bt_status sd_step_sde(sd_walk *w, int i)
{
    float from = w->grid->sigma[i], to = w->grid->sigma[i + 1];
    if (to == 0)
        return sd_step_euler(w, i);
    float t = minus_log(from), next = minus_log(to), mid = sigma_at(t + (next - t) * 0.5f);
    sd_ancestral half = sd_ancestral_of(from, mid, w->eta), a = sd_ancestral_of(from, to, w->eta);
    bt_status st;
    BT_TRY(sd_foresee(w, w->x, w->grid->t[i], from));
    go(w, from, half.down, w->mid);
    sd_walk_draw_between(w, sigma_at(t), mid);
    add_noise(w, w->mid, half.up);
    BT_TRY(foresee_middle(w, mid));
    go(w, from, a.down, w->x);
    sd_walk_draw_between(w, sigma_at(t), sigma_at(next));
    add_noise(w, w->x, a.up);
fail:
    return st;
}
