/* SPDX-License-Identifier: MIT
 * Samplers that go from one share of the picture to the next: DDIM, DDPM, LCM
 * and TCD. Floats in diffusers' order of operations.
 */
#include <math.h>

#include "image/sampling/steps.h"

/* What the network foresees: picture and noise. */
typedef struct parts {
    float x0, noise;
} parts;

static parts parts_of(sd_prediction kind, float x, float m, float root_a, float root_b)
{
    const float x0 = sd_foreseen(kind, x, m, root_a, root_b);
    switch (kind) {
    case SD_EPSILON: return (parts){ x0, m };
    case SD_SAMPLE: return (parts){ x0, (x - root_a * m) / root_b };
    default: return (parts){ x0, root_a * m + root_b * x };
    }
}

/* clip_sample, whose default is the class's */
static float clipped(const sd_schedule_config *c, bool fallback, float x0)
{
    float range = (float)c->clip_range;
    if (!(c->clip_sample < 0 ? fallback : c->clip_sample))
        return x0;
    return x0 < -range ? -range : x0 > range ? range : x0;
}

static bt_status ask(sd_walk *w, int i, bool noisy)
{
    bt_status st = w->ask(w->host, w->x, w->grid->t[i], w->x0);
    if (st == BT_OK && noisy)
        sd_walk_draw(w);
    return st;
}

/* arXiv 2010.02502, formulas 12 and 16 */
bt_status sd_step_ddim(sd_walk *w, int i)
{
    float a = w->grid->abar[i], next = w->grid->next[i];
    float root_a = sqrtf(a), root_b = sqrtf(1 - a);
    float variance = (1 - next) / (1 - a) * (1 - a / next);
    float std = (float)w->eta * sqrtf(variance > 0 ? variance : 0);
    float left = 1 - next - std * std, direction = sqrtf(left > 0 ? left : 0);
    float root_next = sqrtf(next);
    bt_status st = ask(w, i, w->eta > 0); /* draws also if nothing comes of it, as diffusers */
    if (st != BT_OK)
        return st;
    for (size_t k = 0; k < w->n; k++) {
        parts p = parts_of(w->config->prediction, w->x[k], w->x0[k], root_a, root_b);
        float x0 = clipped(w->config, true, p.x0);
        w->x[k] = root_next * x0 + direction * p.noise + (w->eta > 0 ? std * w->noise[k] : 0);
    }
    return BT_OK;
}

/* arXiv 2006.11239, formula 7, with the smaller of its two variances */
bt_status sd_step_ddpm(sd_walk *w, int i)
{
    float a = w->grid->abar[i], next = w->grid->next[i], now = a / next;
    float of_x0 = sqrtf(next) * (1 - now) / (1 - a), of_x = sqrtf(now) * (1 - next) / (1 - a);
    float variance = (1 - next) / (1 - a) * (1 - now);
    float std = (float)w->eta * sqrtf(variance > 1e-20f ? variance : 1e-20f);
    bool noisy = w->grid->t[i] > 0;
    bt_status st = ask(w, i, noisy);
    if (st != BT_OK)
        return st;
    for (size_t k = 0; k < w->n; k++) {
        parts p = parts_of(w->config->prediction, w->x[k], w->x0[k], sqrtf(a), sqrtf(1 - a));
        float x0 = clipped(w->config, true, p.x0);
        w->x[k] = of_x0 * x0 + of_x * w->x[k] + (noisy ? std * w->noise[k] : 0);
    }
    return BT_OK;
}

/* arXiv 2310.04378, algorithm 3: a whole picture, then noise of the next level.
 * The network is the identity at t = 0 (sigma_data is 0.5). */
bt_status sd_step_lcm(sd_walk *w, int i)
{
    const sd_grid *g = w->grid;
    float a = g->abar[i], next = g->next[i], root_next = sqrtf(next), std = sqrtf(1 - next);
    float t = g->t[i] * (float)w->config->time_scale, length = t * t + 0.25f;
    float skip = 0.25f / length, out = t / sqrtf(length);
    bool noisy = i + 1 < g->n;
    bt_status st = ask(w, i, noisy);
    if (st != BT_OK)
        return st;
    for (size_t k = 0; k < w->n; k++) {
        parts p = parts_of(w->config->prediction, w->x[k], w->x0[k], sqrtf(a), sqrtf(1 - a));
        float x0 = out * clipped(w->config, false, p.x0) + skip * w->x[k];
        w->x[k] = noisy ? root_next * x0 + std * w->noise[k] : x0;
    }
    return BT_OK;
}

/* "Trajectory Consistency Distillation" (arXiv 2402.19159), algorithm 2: past the
 * next level to s, then noise back up to it. */
bt_status sd_step_tcd(sd_walk *w, int i)
{
    const sd_grid *g = w->grid;
    bool last = i + 1 == g->n, noisy = w->eta > 0 && !last;
    int s = last ? 0 : (int)floor((1 - w->eta) * (double)g->t[i + 1]);
    float a = g->abar[i], of_s = w->train->abar[s], next = last ? of_s : g->abar[i + 1];
    float back = next / of_s < 1 ? next / of_s : 1, std = sqrtf(1 - back);
    bt_status st = ask(w, i, noisy);
    if (st != BT_OK)
        return st;
    for (size_t k = 0; k < w->n; k++) {
        parts p = parts_of(w->config->prediction, w->x[k], w->x0[k], sqrtf(a), sqrtf(1 - a));
        float x = sqrtf(of_s) * p.x0 + sqrtf(1 - of_s) * p.noise;
        w->x[k] = noisy ? sqrtf(back) * x + std * w->noise[k] : x;
    }
    return BT_OK;
}
