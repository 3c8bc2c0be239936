/* SPDX-License-Identifier: MIT
 * UniPC (arXiv 2302.04867), multistep, foreseeing the picture: each step first
 * corrects the one before with what the network now says, then predicts.
 */
#include <math.h>
#include <string.h>

#include "image/sampling/steps.h"

enum { ORDER = 3 };

/* Solves a[n][n] x = b by Gauss; the matrices are Vandermonde's of distinct
 * points. */
static void solve(double a[ORDER][ORDER], double *b, int n)
{
    for (int i = 0; i < n; i++) {
        int best = i;
        for (int r = i + 1; r < n; r++)
            if (fabs(a[r][i]) > fabs(a[best][i]))
                best = r;
        for (int c = 0; c < n; c++) {
            double t = a[i][c];
            a[i][c] = a[best][c], a[best][c] = t;
        }
        double t = b[i];
        b[i] = b[best], b[best] = t;
        for (int r = 0; r < n; r++) {
            double f = r == i ? 0 : a[r][i] / a[i][i];
            for (int c = i; c < n; c++)
                a[r][c] -= f * a[i][c];
            b[r] -= f * b[i];
        }
    }
    for (int i = 0; i < n; i++)
        b[i] /= a[i][i];
}

/* From level `from` to `to`: what x, the picture foreseen last, and the
 * differences to it count for. */
typedef struct update {
    double keep, take, step; /* step: alpha B(h) */
    double rho[ORDER], r[ORDER];
} update;

/* `points`: older pictures; r of each is its place in units of the step. With
 * `now`, the picture at the goal is known too, at place 1. */
static update update_of(const float *sigma, int points, bool now, bool bh1)
{
    sd_level from = sd_level_of(sigma[0]), to = sd_level_of(sigma[1]);
    double h = (double)(to.lambda - from.lambda), phi = expm1(-h) / -h - 1, factorial = 1;
    double base = bh1 ? -h : expm1(-h), a[ORDER][ORDER];
    int n = points + now;
    update u = { (double)(to.sigma / from.sigma),
                 -(double)to.alpha * expm1(-h),
                 (double)to.alpha * base,
                 { 0 },
                 { 0 } };

    for (int k = 0; k < points; k++)
        u.r[k] = (double)(sd_level_of(sigma[-1 - k]).lambda - from.lambda) / h;
    if (now)
        u.r[points] = 1;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < n; k++)
            a[i][k] = pow(u.r[k], i);
        u.rho[i] = phi * factorial / base;
        factorial *= i + 2;
        phi = phi / -h - 1 / factorial;
    }
    if (n == 0)
        u.step = 0;  /* times nothing; B(h) may be infinite */
    else if (n == 1) /* as its authors simplify */
        u.rho[0] = 0.5;
    else
        solve(a, u.rho, n);
    return u;
}

/* out = x moved; m[0] was foreseen last, m[1], m[2] before it; now: at the goal. */
static void move(const update *u, size_t n, const float *x, float *const *m, int points,
                 const float *now, float *out)
{
    for (size_t k = 0; k < n; k++) {
        double base = (double)m[0][k], sum = 0;
        for (int j = 0; j < points; j++)
            sum += u->rho[j] * ((double)m[j + 1][k] - base) / u->r[j];
        if (now)
            sum += u->rho[points] * ((double)now[k] - base);
        out[k] = (float)(u->keep * (double)x[k] + u->take * base - u->step * sum);
    }
}

/* A1111 has order 3 and B(h) = h; diffusers 2 and e^h - 1. */
bt_status sd_step_unipc(sd_walk *w, int i)
{
    const sd_schedule_config *c = w->config;
    const sd_grid *g = w->grid;
    bool model = g->kind == SD_GRID_MODEL, bh1 = model ? c->bh1 : true;
    int order = model ? c->order : ORDER, left = g->n - i;
    bt_status st = sd_foresee_at(w, i, sd_level_of(g->sigma[i]));
    if (st != BT_OK)
        return st;
    if (w->past > 0) { /* w->mid: x before the last step */
        update u = update_of(g->sigma + i - 1, w->order - 1, true, bh1);
        move(&u, w->n, w->mid, w->old, w->order - 1, w->x0, w->x);
    }
    if (order > w->past + 1)
        order = w->past + 1;
    if (order > left && (!model || c->lower_order_final || g->sigma[g->n] == 0))
        order = left;
    sd_walk_remember(w);
    memcpy(w->mid, w->x, w->n * sizeof *w->mid);
    w->order = order;
    update u = update_of(g->sigma + i, order - 1, false, bh1);
    move(&u, w->n, w->mid, w->old, order - 1, NULL, w->x);
    return BT_OK;
}
