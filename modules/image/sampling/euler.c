/* SPDX-License-Identifier: MIT
 * Samplers along the curve of Karras et al. (arXiv 2206.00364): Euler, Heun
 * (algorithm 2 without churn), linear multistep, and what k-diffusion adds.
 */
#include <math.h>

#include "image/sampling/steps.h"

bt_status sd_step_euler(sd_walk *w, int i)
{
    float sigma = w->grid->sigma[i], dt = w->grid->sigma[i + 1] - sigma;
    bt_status st = sd_foresee(w, w->x, w->grid->t[i], sigma);
    for (size_t k = 0; st == BT_OK && k < w->n; k++)
        w->x[k] += (w->x[k] - w->x0[k]) / sigma * dt;
    return st;
}

bt_status sd_step_euler_a(sd_walk *w, int i)
{
    float sigma = w->grid->sigma[i];
    sd_ancestral a = sd_ancestral_of(sigma, w->grid->sigma[i + 1], w->eta);
    bt_status st = sd_foresee(w, w->x, w->grid->t[i], sigma);
    if (st != BT_OK)
        return st;
    sd_walk_draw(w); /* also when up is 0, as diffusers does */
    for (size_t k = 0; k < w->n; k++) {
        float x = w->x[k] + (w->x[k] - w->x0[k]) / sigma * (a.down - sigma);
        w->x[k] = x + w->noise[k] * a.up;
    }
    return BT_OK;
}

/* Of a point of the grid, also of one that ends above 0. */
static float t_of(const sd_grid *g, int i)
{
    return i < g->n ? g->t[i] : (float)sd_table_t(&g->table, (double)g->sigma[i]);
}

/* The mean of the slopes here and where Euler's step leads. */
bt_status sd_step_heun(sd_walk *w, int i)
{
    float from = w->grid->sigma[i], to = w->grid->sigma[i + 1], dt = to - from;
    float *slope = w->old[0];
    if (to == 0)
        return sd_step_euler(w, i);
    bt_status st;
    BT_TRY(sd_foresee(w, w->x, w->grid->t[i], from));
    for (size_t k = 0; k < w->n; k++) {
        slope[k] = (w->x[k] - w->x0[k]) / from;
        w->mid[k] = w->x[k] + slope[k] * dt;
    }
    BT_TRY(sd_foresee(w, w->mid, t_of(w->grid, i + 1), to));
    float share = sd_second_share(w, from, to);
    for (size_t k = 0; k < w->n; k++) {
        float second = sd_second_slope(share, slope[k], (w->mid[k] - w->x0[k]) / to);
        w->x[k] += (slope[k] + second) / 2 * dt;
    }
fail:
    return st;
}

/* Where the grid rises, noise brings x back up (arXiv 2306.14878). */
bt_status sd_step_restart(sd_walk *w, int i)
{
    float from = w->grid->sigma[i], to = w->grid->sigma[i + 1];
    if (to <= from)
        return sd_step_heun(w, i);
    sd_walk_draw(w);
    float up = sqrtf(to * to - from * from);
    for (size_t k = 0; k < w->n; k++)
        w->x[k] += w->noise[k] * up;
    return BT_OK;
}

/* ---- linear multistep ------------------------------------------------------- */

/* Integral, over the step, of the polynomial that is 1 at level i - j and 0 at
 * the other levels i, ..., i - order + 1; two points of Gauss suffice. */
static double lms_weight(const float *sigma, int order, int j)
{
    double a = (double)sigma[0], b = (double)sigma[1], sum = 0;
    for (int side = -1; side <= 1; side += 2) {
        double at = (a + b) / 2 + side * (b - a) / (2 * sqrt(3)), product = 1;
        for (int k = 0; k < order; k++)
            if (k != j)
                product *= (at - (double)sigma[-k]) / (double)(sigma[-j] - sigma[-k]);
        sum += product * (b - a) / 2;
    }
    return sum;
}

bt_status sd_step_lms(sd_walk *w, int i)
{
    const float *sigma = w->grid->sigma + i;
    int order = sd_adams_order(w, w->past + 1);
    bt_status st = sd_foresee(w, w->x, w->grid->t[i], *sigma);
    if (st != BT_OK)
        return st;
    for (size_t k = 0; k < w->n; k++)
        w->x0[k] = (w->x[k] - w->x0[k]) / *sigma; /* the slope */
    sd_walk_remember(w);
    for (int j = 0; j < order; j++) {
        float weight = (float)lms_weight(sigma, order, j);
        for (size_t k = 0; k < w->n; k++)
            w->x[k] += weight * w->old[j][k];
    }
    return BT_OK;
}
