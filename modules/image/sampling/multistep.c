/* SPDX-License-Identifier: MIT
 * Solvers that ask once a step and remember: DPM-Solver++ 2M and 3M, as ODE and
 * as SDE (arXiv 2211.01095, algorithm 2; 3M: k-diffusion), and DEIS (arXiv
 * 2204.13902). Floats in diffusers' order of operations.
 */
#include <math.h>

#include "image/sampling/steps.h"

/* Orders that the step may have by the samples there are, and by the end: at the
 * last steps of short runs diffusers takes lower ones, and a step to 0 has one. */
static int order_of(const sd_walk *w, int i)
{
    const sd_schedule_config *c = w->config;
    const sd_grid *g = w->grid;
    bool model = g->kind == SD_GRID_MODEL, brief = model && c->lower_order_final && g->n < 15;
    int order = w->sampler->order ? w->sampler->order : model ? c->order : 2, left = g->n - i;
    if (order > w->past + 1)
        order = w->past + 1;
    if (brief && order > left)
        order = left;
    bool euler = model && c->euler_at_final && w->sampler->rules.family == SD_DPM;
    return left == 1 && (euler || g->sigma[g->n] == 0) ? 1 : order;
}

/* ---- DPM-Solver++ -------------------------------------------------------------- */

/* eta 0: the ODE; 1: the SDE, whose time runs twice as fast. */
bt_status sd_step_multistep(sd_walk *w, int i)
{
    const float *sigma = w->grid->sigma + i;
    sd_level from = sd_level_of(sigma[0]), to = sd_level_of(sigma[1]);
    bool model = w->grid->kind == SD_GRID_MODEL;
    bool heun = w->sampler->heun || (model && w->config->heun);
    int order = order_of(w, i);
    float eta = (float)w->eta, h = to.lambda - from.lambda, he = h * (1 + eta);
    float e = expf(-he) - 1, keep = to.sigma / from.sigma, a = to.alpha * e, r0 = 1, r1 = 1;
    float b = heun || order == 3 ? -(to.alpha * (e / he + 1)) : 0.5f * a; /* midpoint else */
    bt_status st = sd_foresee_at(w, i, from);
    if (st != BT_OK)
        return st;
    if (eta > 0) {
        sd_walk_draw_between(w, sigma[0], sigma[1]);
        keep *= expf(-eta * h);
    }
    if (order > 1)
        r0 = (from.lambda - sd_level_of(sigma[-1]).lambda) / h;
    if (order > 2)
        r1 = (sd_level_of(sigma[-1]).lambda - sd_level_of(sigma[-2]).lambda) / h;
    float c = to.alpha * ((e + he) / (he * he) - 0.5f);
    float fresh = eta > 0 ? to.sigma * sqrtf(1 - expf(-2 * eta * h)) : 0;
    for (size_t k = 0; k < w->n; k++) {
        float x0 = w->x0[k], x = keep * w->x[k] - a * x0;
        if (order == 2)
            x -= b * (1 / r0 * (x0 - w->old[0][k]));
        if (order == 3) {
            float d0 = (x0 - w->old[0][k]) / r0, d1 = (w->old[0][k] - w->old[1][k]) / r1;
            x -= b * (d0 + (d0 - d1) * r0 / (r0 + r1)) + c * ((d0 - d1) / (r0 + r1));
        }
        w->x[k] = eta > 0 ? x + fresh * w->noise[k] : x;
    }
    sd_walk_remember(w);
    return BT_OK;
}

/* ---- DEIS ------------------------------------------------------------------------ */

/* Antiderivatives over rho of the polynomials in log(rho) that are 1 at b and 0
 * at c (and d); 0 at rho = 0. */
static double line(double rho, double b, double c)
{
    return rho > 0 ? rho * (log(rho) - 1 - c) / (b - c) : 0;
}

static double parabola(double rho, double b, double c, double d)
{
    double l = rho > 0 ? log(rho) : 0;
    return rho * (l * l - (2 + c + d) * l + 2 + c + d + c * d) / ((b - c) * (b - d));
}

/* Weight of the noise foreseen j steps ago. */
static double deis_weight(const float *rho, int order, int j)
{
    double from = (double)rho[0], to = (double)rho[1], l[3] = { 0 };
    for (int k = 0; k < order; k++)
        l[k] = log((double)rho[-k]);
    if (order == 1)
        return to - from;
    if (order == 2)
        return line(to, l[j], l[1 - j]) - line(from, l[j], l[1 - j]);
    int c = (j + 1) % 3, d = (j + 2) % 3;
    return parabola(to, l[j], l[c], l[d]) - parabola(from, l[j], l[c], l[d]);
}

bt_status sd_step_deis(sd_walk *w, int i)
{
    const float *rho = w->grid->sigma + i;
    sd_level from = sd_level_of(rho[0]), to = sd_level_of(rho[1]);
    int order = order_of(w, i);
    bt_status st = sd_foresee_at(w, i, from);
    if (st != BT_OK)
        return st;
    for (size_t k = 0; k < w->n; k++)
        w->x0[k] = (w->x[k] - from.alpha * w->x0[k]) / from.sigma; /* the noise */
    sd_walk_remember(w);
    for (size_t k = 0; k < w->n; k++)
        w->x[k] /= from.alpha;
    for (int j = 0; j < order; j++) {
        float weight = (float)deis_weight(rho, order, j);
        for (size_t k = 0; k < w->n; k++)
            w->x[k] += weight * w->old[j][k];
    }
    for (size_t k = 0; k < w->n; k++)
        w->x[k] *= to.alpha;
    return BT_OK;
}
