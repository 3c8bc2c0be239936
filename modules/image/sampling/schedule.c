/* SPDX-License-Identifier: MIT
 * Time grids. With SD_GRID_MODEL each family follows its diffusers class made
 * by from_config (schedulers/scheduling_{ddim,euler_discrete,
 * dpmsolver_multistep}.py, 0.42), in the same number type at every place; the
 * named grids follow A1111's modules/sd_schedulers.py and k-diffusion.
 */
#include "image/sampling/schedule.h"

#include <math.h>
#include <string.h>

static const char *const labels[SD_GRID_COUNT] = {
    "Model",       "Automatic", "Uniform", "Karras", "Exponential", "Polyexponential",
    "SGM Uniform", "Simple",    "Normal",  "DDIM",   "KL Optimal",
};

const char sd_grid_choices[] =
    "model,automatic,uniform=discrete,karras,exponential,polyexponential,sgm_uniform,simple,normal,"
    "ddim_uniform=ddim,kl_optimal";

const char *sd_grid_label(sd_grid_kind k) { return labels[k]; }

/* ---- training ---------------------------------------------------------- */

/* torch.linspace in float: both halves count from their own end. */
static float linspace32(float a, float b, int n, int i)
{
    float step = (b - a) / (float)(n - 1);
    return i < n / 2 ? a + step * (float)i : b - step * (float)(n - 1 - i);
}

/* "Improved Denoising Diffusion Probabilistic Models" (arXiv 2102.09672), eq. 17 */
static double cosine_bar(double t)
{
    double c = cos((t + 0.008) / 1.008 * M_PI / 2);
    return c * c;
}

static float beta_of(const sd_schedule_config *c, int i)
{
    if (c->trained)
        return c->trained[i];
    if (c->betas == SD_SQUAREDCOS) {
        double b = 1 - cosine_bar((double)(i + 1) / c->steps) / cosine_bar((double)i / c->steps);
        return (float)(b < 0.999 ? b : 0.999);
    }
    if (c->betas == SD_LINEAR)
        return linspace32((float)c->beta_start, (float)c->beta_end, c->steps, i);
    float r = linspace32((float)sqrt(c->beta_start), (float)sqrt(c->beta_end), c->steps, i);
    return r * r;
}

/* cumprod in double, stored as float, as torch does on a CPU */
static void cumulate(float *abar, int n)
{
    double product = 1;
    for (int i = 0; i < n; i++) {
        product *= (double)abar[i];
        abar[i] = (float)product;
    }
}

/* Algorithm 1 of "Common Diffusion Noise Schedules and Sample Steps are
 * Flawed" (arXiv 2305.08891): the last step becomes pure noise. */
static void rescale_zero_snr(float *abar, int n)
{
    float first = sqrtf(abar[0]), last = sqrtf(abar[n - 1]), before = 0;
    float scale = first / (first - last);
    for (int i = 0; i < n; i++) {
        float root = (sqrtf(abar[i]) - last) * scale;
        float bar = root * root;
        float alpha = i ? bar / before : bar;
        abar[i] = 1.0f - (1.0f - alpha); /* through the betas and back */
        before = bar;
    }
    cumulate(abar, n);
}

bt_status sd_train_create(const sd_schedule_config *c, sd_train *out, bt_error *err)
{
    out->n = c->steps;
    out->abar = bt_calloc((size_t)c->steps, sizeof *out->abar);
    if (!out->abar)
        return bt_no_memory(err, "the time grid");
    for (int i = 0; i < c->steps; i++)
        out->abar[i] = 1.0f - beta_of(c, i);
    cumulate(out->abar, c->steps);
    if (c->zero_snr)
        rescale_zero_snr(out->abar, c->steps);
    for (int i = 0; i < c->steps; i++)
        if (!(out->abar[i] >= 0 && out->abar[i] < 1)) {
            sd_train_release(out);
            return bt_fail(err, BT_EFORMAT, "the scheduler's betas make no noise schedule");
        }
    return BT_OK;
}

void sd_train_release(sd_train *t)
{
    bt_release(t->abar);
    t->abar = NULL;
}

/* ---- sigmas of training ------------------------------------------------ */

static float sigma_of(float abar) { return sqrtf((1 - abar) / abar); }

/* Sigmas of all training steps as doubles (numpy's type from there on), and
 * their logarithms in float, as np.log of a float array. `last`: what stands
 * in for an abar of 0 at the end. */
typedef struct table {
    int n;
    double *sigma, *log;
} table;

static bt_status table_create(const sd_train *train, bool zero_snr, float last, table *out,
                              bt_error *err)
{
    out->n = train->n;
    out->sigma = bt_calloc((size_t)train->n * 2, sizeof *out->sigma);
    if (!out->sigma)
        return bt_no_memory(err, "the time grid");
    out->log = out->sigma + train->n;
    for (int i = 0; i < train->n; i++) {
        float s = sigma_of(zero_snr && i == train->n - 1 ? last : train->abar[i]);
        out->sigma[i] = (double)s;
        out->log[i] = (double)logf(s);
    }
    return BT_OK;
}

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

/* The (fractional) step of a sigma, linear in its logarithm (_sigma_to_t). */
static double sigma_to_t(const table *s, double sigma)
{
    double log_sigma = log(sigma > 1e-10 ? sigma : 1e-10);
    int low = 0, high = s->n - 1; /* last step whose sigma is not above */
    while (low < high) {
        int mid = (low + high + 1) / 2;
        if (log_sigma - s->log[mid] >= 0)
            low = mid;
        else
            high = mid - 1;
    }
    if (low > s->n - 2)
        low = s->n - 2;
    double w = (s->log[low] - log_sigma) / (s->log[low] - s->log[low + 1]);
    w = w < 0 ? 0 : w > 1 ? 1 : w;
    return (1 - w) * low + w * (low + 1);
}

static double t_to_sigma(const table *s, double t) { return exp(interpolate(s->log, s->n, t)); }

/* ---- spacing ------------------------------------------------------------ */

/* Element i of numpy.arange(start, 0, -step): start + i * (what one step
 * comes to after rounding). Where that rounding makes numpy give n + 1 values
 * (n = 61, 103, ...), the surplus one at t = -1 is not used here. */
static double arange(double start, double step, int i)
{
    double second = start - step;
    return start + i * (second - start);
}

/* DDIM and DPM round linspace to whole steps, Euler does not. DPM counts n + 1
 * points and leaves the last out, and may begin later (lambda_min_clipped). */
static double spaced(const sd_schedule_config *c, sd_spacing spacing, sd_family f, int last, int n,
                     int i)
{
    int points = f == SD_DPM ? n + 1 : n, k = points - 1 - i;
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

static sd_spacing spacing_of(const sd_schedule_config *c, sd_family f)
{
    if (c->spacing != SD_SPACING_UNSET)
        return c->spacing;
    return f == SD_DDIM ? SD_LEADING : SD_LINSPACE;
}

static int clamp_step(const table *s, double t)
{
    return t < 0 ? 0 : t > s->n - 1 ? s->n - 1 : (int)t;
}

/* ---- grids -------------------------------------------------------------- */

static bt_status grid_alloc(int n, sd_grid *g, bt_error *err)
{
    g->n = n;
    g->t = bt_calloc(4 * (size_t)n + 1, sizeof *g->t);
    if (!g->t)
        return bt_no_memory(err, "the time grid");
    g->sigma = g->t + n;
    g->abar = g->sigma + n + 1;
    g->next = g->abar + n;
    return BT_OK;
}

void sd_grid_release(sd_grid *g)
{
    bt_release(g->t);
    *g = (sd_grid){ 0 };
}

/* k-diffusion's get_sigmas_karras, rho = 7 */
static double karras(double max, double min, int n, int i)
{
    double ramp = n > 1 ? i / (double)(n - 1) : 0, a = pow(max, 1 / 7.0), b = pow(min, 1 / 7.0);
    return pow(a + ramp * (b - a), 7);
}

/* k-diffusion's get_sigmas_exponential: even steps of the logarithm */
static double exponential(double max, double min, int n, int i)
{
    double ramp = n > 1 ? i / (double)(n - 1) : 0;
    return exp(log(max) + ramp * (log(min) - log(max)));
}

/* DDIM goes from t to t - T / n, whatever the next t is. */
static void ddim_grid(const sd_schedule_config *c, const sd_train *train, sd_grid *g)
{
    for (int i = 0; i < g->n; i++) {
        double t = spaced(c, spacing_of(c, SD_DDIM), SD_DDIM, c->steps, g->n, i);
        int at = t < 0 ? 0 : t > c->steps - 1 ? c->steps - 1 : (int)t;
        int to = at - c->steps / g->n;
        g->t[i] = (float)at;
        g->abar[i] = train->abar[at];
        g->next[i] = to >= 0 ? train->abar[to] : c->alpha_to_one ? 1 : train->abar[0];
    }
    g->start = 1;
}

static int last_step(const sd_schedule_config *c, const table *s)
{
    int n = 0; /* steps with lambda = -log(sigma) below the clip */
    while (n < s->n - 1 && -s->log[s->n - 1 - n] < c->lambda_min)
        n++;
    return s->n - n;
}

/* Euler and DPM: sigmas of the model's own configuration. */
static void sigma_grid(const sd_schedule_config *c, const table *s, sd_family f, sd_grid *g)
{
    int n = g->n, last = f == SD_DPM ? last_step(c, s) : s->n;
    sd_spacing spacing = spacing_of(c, f);
    bool euler = f == SD_EULER;
    double t0 = euler ? spaced(c, spacing, f, last, n, 0) : s->n - 1;
    double t1 = euler ? spaced(c, spacing, f, last, n, n - 1) : 0;
    double max = isnan(c->sigma_max) ? interpolate(s->sigma, s->n, t0) : c->sigma_max;
    double min = isnan(c->sigma_min) ? interpolate(s->sigma, s->n, t1) : c->sigma_min;

    for (int i = 0; i < n; i++) {
        double t = spaced(c, spacing, f, last, n, i);
        double sigma = interpolate(s->sigma, s->n, t);
        if (c->karras || c->exponential) {
            sigma = c->karras ? karras(max, min, n, i) : exponential(max, min, n, i);
            t = sigma_to_t(s, sigma);
            if (!euler) /* whole steps */
                t = c->karras && c->betas != SD_SQUAREDCOS ? rint(t) : floor(t);
        } else if (euler && c->log_linear) {
            sigma = exp(s->log[s->n - 1] + i * (s->log[0] - s->log[s->n - 1]) / n);
        }
        g->t[i] = (float)t;
        g->sigma[i] = (float)sigma;
    }
    bool to_min = c->final_sigma_min || (euler && c->log_linear && !c->karras && !c->exponential);
    g->sigma[n] = to_min ? (float)s->sigma[0] : 0;
    float top = 0;
    for (int i = 0; i < n; i++)
        top = g->sigma[i] > top ? g->sigma[i] : top;
    g->start = !euler ? 1 : spacing == SD_LEADING ? sqrtf(top * top + 1) : top;
}

/* Sigma i of n on a named grid. */
static double named_sigma(const table *s, sd_grid_kind kind, int n, int i)
{
    double min = s->sigma[0], max = s->sigma[s->n - 1], ramp = n > 1 ? i / (double)(n - 1) : 0;
    switch (kind) {
    case SD_GRID_KARRAS: return karras(max, min, n, i);
    case SD_GRID_EXPONENTIAL:
    case SD_GRID_POLYEXPONENTIAL: return exponential(max, min, n, i); /* A1111's rho is 1 */
    case SD_GRID_SGM_UNIFORM: return t_to_sigma(s, (s->n - 1) * (1 - i / (double)n));
    case SD_GRID_SIMPLE: return s->sigma[clamp_step(s, s->n - 1 - (int)(i * ((double)s->n / n)))];
    case SD_GRID_DDIM: return s->sigma[clamp_step(s, 1 + (n - 1 - i) * (s->n / n))];
    case SD_GRID_KL_OPTIMAL: return tan(ramp * atan(min) + (1 - ramp) * atan(max));
    default: return t_to_sigma(s, (s->n - 1) * (1 - ramp)); /* uniform, normal */
    }
}

static void named_grid(const table *s, sd_family f, sd_grid_kind kind, sd_grid *g)
{
    for (int i = 0; i < g->n; i++) {
        double sigma = named_sigma(s, kind, g->n, i);
        g->sigma[i] = (float)sigma;
        g->t[i] = (float)sigma_to_t(s, sigma);
    }
    g->sigma[g->n] = 0;
    g->start = f == SD_EULER ? g->sigma[0] : g->sigma[0] / sqrtf(g->sigma[0] * g->sigma[0] + 1);
}

bt_status sd_grid_create(const sd_schedule_config *c, const sd_train *train, sd_family family,
                         sd_grid_kind kind, int steps, sd_grid *out, bt_error *err)
{
    /* 2^-24: diffusers' stand-in for an abar of 0; the other is A1111's and ComfyUI's. */
    const float last = kind == SD_GRID_MODEL ? 0x1p-24f : 4.8973451890853435e-08f;
    table s = { 0 };
    bt_status st;

    *out = (sd_grid){ 0 };
    if (steps < 1 || steps > train->n)
        return bt_fail(err, BT_EINVAL, "steps must be 1 to %d with this model", train->n);
    if (kind == SD_GRID_AUTOMATIC)
        kind = family == SD_DPM ? SD_GRID_KARRAS : SD_GRID_UNIFORM;
    BT_TRY(grid_alloc(steps, out, err));
    BT_TRY(table_create(train, c->zero_snr, last, &s, err));
    if (kind == SD_GRID_MODEL && family == SD_DDIM) {
        ddim_grid(c, train, out);
    } else {
        if (kind == SD_GRID_MODEL)
            sigma_grid(c, &s, family, out);
        else
            named_grid(&s, family, kind, out);
        for (int i = 0; i < steps; i++) {
            out->abar[i] = 1 / (out->sigma[i] * out->sigma[i] + 1);
            out->next[i] = 1 / (out->sigma[i + 1] * out->sigma[i + 1] + 1);
        }
    }
    bt_release(s.sigma);
    return BT_OK;
fail:
    bt_release(s.sigma);
    sd_grid_release(out);
    return st;
}
