/* SPDX-License-Identifier: MIT
 * PNDM (arXiv 2202.09778): the noise of a few steps, combined as Runge-Kutta and
 * Adams-Bashforth do, carried by DDIM's move. PLMS, as it is called where one
 * step of Heun takes the place of Runge-Kutta's.
 */
#include <math.h>
#include <string.h>

#include "image/sampling/steps.h"

/* What an asking stands for. */
typedef enum role { ALONE, FIRST, AGAIN, RUNGE_KUTTA } role;

static role role_of(const sd_grid *g, int i)
{
    if (g->extra == SD_RUNGE_KUTTA_EXTRA)
        return i < 12 ? RUNGE_KUTTA : ALONE;
    return g->extra && i < 2 ? (i == 0 ? FIRST : AGAIN) : ALONE;
}

/* The noise that the answer means. diffusers combines v, others noise. */
static bt_status ask(sd_walk *w, int i, bool v)
{
    const sd_grid *g = w->grid;
    float a = role_of(g, i) == AGAIN ? g->next[0] : g->abar[i];
    float root_a = sqrtf(a), root_b = sqrtf(1 - a), *m = w->x0;
    sd_prediction kind = v ? SD_EPSILON : w->config->prediction;
    bt_status st = w->ask(w->host, w->x, g->t[i], m);
    for (size_t k = 0; st == BT_OK && k < w->n; k++)
        if (kind == SD_V)
            m[k] = root_a * m[k] + root_b * w->x[k];
        else if (kind == SD_SAMPLE)
            m[k] = (w->x[k] - root_a * m[k]) / root_b;
    return st;
}

/* w->x = `from` moved along the noise e (formula 9); e may be w->x. */
static void move(sd_walk *w, int i, bool v, const float *from, const float *e)
{
    float a = w->grid->abar[i], next = w->grid->next[i];
    float root_a = sqrtf(a), root_b = sqrtf(1 - a), keep = sqrtf(next / a);
    float along = (next - a) / (a * sqrtf(1 - next) + sqrtf(a * (1 - a) * next));
    for (size_t k = 0; k < w->n; k++) {
        float noise = v ? root_a * e[k] + root_b * from[k] : e[k];
        w->x[k] = keep * from[k] - along * noise;
    }
}

/* Of four: 1/6, 1/3, 1/3, 1/6; the sum grows in w->in. */
static void runge_kutta(sd_walk *w, int i, bool v)
{
    int stage = i % 4;
    float part = stage == 0 || stage == 3 ? 1 / 6.0f : 1 / 3.0f;
    if (stage == 0)
        memcpy(w->mid, w->x, w->n * sizeof *w->mid);
    for (size_t k = 0; k < w->n; k++)
        w->in[k] = (stage == 0 ? 0 : w->in[k]) + part * w->x0[k];
    move(w, i, v, w->mid, stage == 3 ? w->in : w->x0);
    if (stage == 0) {
        sd_walk_remember(w);
        w->order++;
    }
}

/* Adams-Bashforth over as many as there are. */
static void combine(sd_walk *w)
{
    static const float weights[4][4] = { { 1 },
                                         { 3 / 2.0f, -1 / 2.0f },
                                         { 23 / 12.0f, -16 / 12.0f, 5 / 12.0f },
                                         { 55 / 24.0f, -59 / 24.0f, 37 / 24.0f, -9 / 24.0f } };
    int n = sd_adams_order(w, w->order);
    for (size_t k = 0; k < w->n; k++) {
        w->in[k] = 0;
        for (int j = 0; j < n; j++)
            w->in[k] += weights[n - 1][j] * w->old[j][k];
    }
}

/* The noise that, in front of the first step, shows the picture that the second asking's
 * shows behind it: see sd_second_share. */
static void carry_back(sd_walk *w)
{
    float a = w->grid->abar[0], root_a = sqrtf(a), root_b = sqrtf(1 - a);
    float next = w->grid->next[0], root_next = sqrtf(next), rest = sqrtf(1 - next);
    for (size_t k = 0; k < w->n; k++) {
        float x0 = sd_foreseen(SD_EPSILON, w->x[k], w->x0[k], root_next, rest);
        w->x0[k] = (w->mid[k] - root_a * x0) / root_b;
    }
}

/* w->order: how many noises are remembered */
bt_status sd_step_plms(sd_walk *w, int i)
{
    role r = role_of(w->grid, i);
    bool zero = sd_train_zero_snr(w->train);
    bool v = w->grid->kind == SD_GRID_MODEL && w->config->prediction == SD_V && !zero;
    bt_status st = ask(w, i, v);
    if (st != BT_OK)
        return st;
    if (r == RUNGE_KUTTA) {
        runge_kutta(w, i, v);
    } else if (r == AGAIN) {
        if (zero)
            carry_back(w);
        for (size_t k = 0; k < w->n; k++)
            w->in[k] = (w->x0[k] + w->old[0][k]) / 2;
        move(w, i, v, w->mid, w->in);
    } else {
        if (r == FIRST)
            memcpy(w->mid, w->x, w->n * sizeof *w->mid);
        sd_walk_remember(w);
        w->order++;
        combine(w);
        move(w, i, v, w->x, w->in);
    }
    return BT_OK;
}
