/* SPDX-License-Identifier: MIT
 * The grid that a model's own configuration asks for: each family follows its
 * diffusers class made by from_config (schedulers/scheduling_*.py, 0.42), in the
 * same number type at every place.
 */
#include <math.h>

#include "image/sampling/schedule.h"

/* np.interp over the steps */
static double interpolate(const double *v, int n, double t)
{
    if (t <= 0)
        return v[0];
    if (t >= n - 1)
        return v[n - 1];
    int low = (int)t;
    return (v[low + 1] - v[low]) * (t - low) + v[low];
}

/* ---- spacing ------------------------------------------------------------ */

/* Element i of numpy.arange(start, 0, -step): start + i * (what one step
 * comes to after rounding). Where that rounding makes numpy give n + 1 values
 * (n = 61, 103, ...), the surplus one at t = -1 is not used here. */
static double arange(double start, double step, int i)
{
    double second = start - step;
    return start + i * (second - start);
}

/* All but Euler round linspace to whole steps. The multistep solvers count
 * n + 1 points and leave the last out; DPM may begin later (lambda_min_clipped). */
static double spaced(const sd_schedule_config *c, sd_family f, int last, int n, int i)
{
    sd_spacing spacing = c->spacing;
    int points = f >= SD_DPM ? n + 1 : n, k = points - 1 - i;
    if (spacing == SD_SPACING_UNSET)
        spacing = f < SD_EULER ? SD_LEADING : SD_LINSPACE;
    switch (spacing) {
    case SD_LINSPACE: {
        double t = points > 1 ? k * ((last - 1) / (double)(points - 1)) : 0;
        if (points > 1 && k == points - 1)
            t = last - 1;
        return f == SD_EULER ? (double)(float)t : rint(t);
    }
    case SD_TRAILING: return rint(arange(last, (double)c->steps / n, i)) - 1;
    default: return (double)k * (last / points) + c->offset;
    }
}

/* Step i of n, inside the training's. */
static int whole(const sd_schedule_config *c, sd_family f, int n, int i)
{
    double t = spaced(c, f, c->steps, n, i);
    return t < 0 ? 0 : t > c->steps - 1 ? c->steps - 1 : (int)t;
}

/* ---- grids over whole steps ------------------------------------------------ */

/* DDIM goes from t to t - T / n, whatever the next t is. */
static void ddim_grid(const sd_schedule_config *c, const sd_train *train, sd_grid *g)
{
    for (int i = 0; i < g->n; i++) {
        int at = whole(c, SD_DDIM, g->n, i), to = at - c->steps / g->n;
        g->t[i] = (float)at;
        g->abar[i] = train->abar[at];
        g->next[i] = to >= 0 ? train->abar[to] : c->alpha_to_one ? 1 : train->abar[0];
    }
}

static void ddpm_grid(const sd_schedule_config *c, const sd_train *train, sd_grid *g)
{
    for (int i = 0; i < g->n; i++) {
        int at = whole(c, SD_DDPM, g->n, i);
        g->t[i] = (float)at;
        g->abar[i] = train->abar[at];
        g->next[i] = i + 1 < g->n ? train->abar[whole(c, SD_DDPM, g->n, i + 1)] : 1;
    }
}

/* "Latent Consistency Models" (arXiv 2310.04378): every k-th step was distilled. */
static void lcm_grid(const sd_schedule_config *c, const sd_train *train, sd_grid *g)
{
    int k = c->steps / c->original_steps, m = c->original_steps;
    for (int i = 0; i < g->n; i++) {
        int at = (m - (int)(i * ((double)m / g->n))) * k - 1;
        g->t[i] = (float)at;
        g->abar[i] = train->abar[at];
        g->next[i] = 1;
        if (i > 0)
            g->next[i - 1] = g->abar[i];
    }
}

/* ---- PNDM (arXiv 2202.09778) ----------------------------------------------- */

static void pndm_put(const sd_schedule_config *c, const sd_train *train, sd_grid *g, int i, int t,
                     int from, int to)
{
    const float least = 0x1p-24f; /* an abar of 0 cannot be divided by */
    float abar = train->abar[from < c->steps ? from : c->steps - 1];
    g->t[i] = (float)t;
    g->abar[i] = abar > least ? abar : least;
    g->next[i] = to >= 0 ? train->abar[to] : c->alpha_to_one == 1 ? 1 : train->abar[0];
}

/* Out of pure noise the four askings of a step would be at levels that have nothing to do
 * with each other. */
static bool runge_kutta(const sd_schedule_config *c, const sd_train *train, int steps)
{
    return !c->skip_prk && steps >= 4 && !sd_train_zero_snr(train);
}

/* Three steps of Runge and Kutta with four askings each, or one of Heun with
 * two; then one asking per step. */
static void pndm_grid(const sd_schedule_config *c, const sd_train *train, sd_grid *g)
{
    int n = g->steps, d = c->steps / n, half = d / 2, at = 0, first = 0;
    g->extra = g->n - n;
    if (runge_kutta(c, train, n)) {
        for (first = 0; first < 3; first++) {
            int t = whole(c, SD_PLMS, n, first), to = whole(c, SD_PLMS, n, first + 1);
            int mid = to + half;
            pndm_put(c, train, g, at++, t, t, t - half);
            pndm_put(c, train, g, at++, mid, t, mid);
            pndm_put(c, train, g, at++, mid, t, to);
            pndm_put(c, train, g, at++, to, t, to);
        }
    } else if (n > 1) {
        int t = whole(c, SD_PLMS, n, 0), to = whole(c, SD_PLMS, n, 1);
        pndm_put(c, train, g, at++, t, t, t - d);
        pndm_put(c, train, g, at++, to, to + d, to);
        first = 1;
    }
    for (int i = first; i < n; i++) {
        int t = whole(c, SD_PLMS, n, i);
        pndm_put(c, train, g, at++, t, t, t - d);
    }
}

/* ---- grids over sigmas ------------------------------------------------------- */

static int last_step(const sd_schedule_config *c, const sd_table *s)
{
    int n = 0; /* steps with lambda = -log(sigma) below the clip */
    while (n < s->n - 1 && -s->log[s->n - 1 - n] < c->lambda_min)
        n++;
    return s->n - n;
}

static bool log_linear(const sd_schedule_config *c, sd_family f)
{
    return f == SD_EULER && c->log_linear && !c->karras && !c->exponential && !c->beta;
}

static double transformed(const sd_schedule_config *c, double max, double min, int n, int i)
{
    if (c->karras)
        return sd_karras(max, min, n, i);
    return c->exponential ? sd_exponential(max, min, n, i) : sd_beta(max, min, n, i);
}

/* The timestep of a transformed sigma: the multistep solvers' are whole. */
static double timestep(const sd_schedule_config *c, sd_family f, const sd_table *s, double sigma)
{
    double t = sd_table_t(s, sigma);
    if (f == SD_EULER)
        return t;
    return c->karras && (f != SD_DPM || c->betas != SD_SQUAREDCOS) ? rint(t) : floor(t);
}

static float last_sigma(const sd_schedule_config *c, sd_family f, const sd_grid *g)
{
    bool changed = c->karras || c->exponential || c->beta;
    if (f == SD_DEIS)
        return changed ? g->sigma[g->n - 1] : (float)g->table.sigma[0];
    return c->final_sigma_min || log_linear(c, f) ? (float)g->table.sigma[0] : 0;
}

static void sigma_grid(const sd_schedule_config *c, sd_family f, sd_grid *g)
{
    const sd_table *s = &g->table;
    int n = g->n, last = f == SD_DPM ? last_step(c, s) : s->n;
    bool euler = f == SD_EULER;
    double t0 = euler ? spaced(c, f, last, n, 0) : s->n - 1;
    double t1 = euler ? spaced(c, f, last, n, n - 1) : 0;
    double max = isnan(c->sigma_max) ? interpolate(s->sigma, s->n, t0) : c->sigma_max;
    double min = isnan(c->sigma_min) ? interpolate(s->sigma, s->n, t1) : c->sigma_min;
    float top = 0;

    for (int i = 0; i < n; i++) {
        double t = spaced(c, f, last, n, i);
        double sigma = interpolate(s->sigma, s->n, t);
        if (c->karras || c->exponential || c->beta) {
            sigma = transformed(c, max, min, n, i);
            t = timestep(c, f, s, sigma);
        } else if (log_linear(c, f)) {
            sigma = exp(s->log[s->n - 1] + i * (s->log[0] - s->log[s->n - 1]) / n);
        }
        g->t[i] = (float)t;
        g->sigma[i] = (float)sigma;
        top = g->sigma[i] > top ? g->sigma[i] : top;
    }
    g->sigma[n] = last_sigma(c, f, g);
    if (euler)
        g->start = c->spacing == SD_LEADING ? sqrtf(top * top + 1) : top;
}

int sd_grid_model_steps(const sd_schedule_config *c, const sd_train *train, sd_family f, int steps)
{
    if (f == SD_LCM)
        return steps <= c->original_steps ? steps : 0;
    if (f == SD_PLMS && steps > 1)
        return runge_kutta(c, train, steps) ? steps + SD_RUNGE_KUTTA_EXTRA : steps + 1;
    return steps;
}

void sd_grid_by_model(const sd_schedule_config *c, const sd_train *train, sd_family f, sd_grid *g)
{
    g->start = 1;
    switch (f) {
    case SD_DDIM: ddim_grid(c, train, g); return;
    case SD_DDPM: ddpm_grid(c, train, g); return;
    case SD_PLMS: pndm_grid(c, train, g); return;
    case SD_LCM: lcm_grid(c, train, g); return;
    default: sigma_grid(c, f, g);
    }
    for (int i = 0; i < g->n; i++) {
        g->abar[i] = 1 / (g->sigma[i] * g->sigma[i] + 1);
        g->next[i] = 1 / (g->sigma[i + 1] * g->sigma[i + 1] + 1);
    }
}
