/* SPDX-License-Identifier: MIT
 * Noise levels by name, as A1111 (1.9 and later, "Schedule type"), ComfyUI and
 * k-diffusion make them, whatever the model's configuration says.
 */
#include <math.h>

#include "image/sampling/schedule.h"

/* X(kind, label, name, further spellings): A1111's, ComfyUI's, stable-diffusion.cpp's */
#define GRIDS(X)                                                                                   \
    X(AUTOMATIC, "Automatic", "automatic", "=auto")                                                \
    X(UNIFORM, "Uniform", "uniform", "=discrete")                                                  \
    X(KARRAS, "Karras", "karras", "")                                                              \
    X(EXPONENTIAL, "Exponential", "exponential", "")                                               \
    X(POLYEXPONENTIAL, "Polyexponential", "polyexponential", "")                                   \
    X(SGM_UNIFORM, "SGM Uniform", "sgm_uniform", "=sgmuniform")                                    \
    X(SIMPLE, "Simple", "simple", "")                                                              \
    X(NORMAL, "Normal", "normal", "")                                                              \
    X(DDIM, "DDIM", "ddim_uniform", "=ddim")                                                       \
    X(KL_OPTIMAL, "KL Optimal", "kl_optimal", "")                                                  \
    X(AYS, "Align Your Steps", "align_your_steps", "=ays")                                         \
    X(BETA, "Beta", "beta", "")                                                                    \
    X(LINEAR_QUADRATIC, "Linear Quadratic", "linear_quadratic", "")                                \
    X(TRAILING, "Trailing", "trailing", "")

#define LABEL(kind, label, name, more)  [SD_GRID_##kind] = label,
#define NAME(kind, label, name, more)   [SD_GRID_##kind] = name,
#define CHOICE(kind, label, name, more) "," name more

static const char *const labels[] = { [SD_GRID_MODEL] = "Model", GRIDS(LABEL) };
static const char *const names[] = { [SD_GRID_MODEL] = "model", GRIDS(NAME) };

const char sd_grid_choices[] = "model" GRIDS(CHOICE);

const char *sd_grid_label(sd_grid_kind k) { return labels[k]; }
const char *sd_grid_name(sd_grid_kind k) { return names[k]; }

/* ---- formulas ---------------------------------------------------------------- */

static double share(int n, int i) { return n > 1 ? i / (double)(n - 1) : 0; }

double sd_karras(double max, double min, int n, int i)
{
    double a = pow(max, 1 / 7.0), b = pow(min, 1 / 7.0);
    return pow(a + share(n, i) * (b - a), 7);
}

double sd_exponential(double max, double min, int n, int i)
{
    return exp(log(max) + share(n, i) * (log(min) - log(max)));
}

/* Share of the beta distribution (a, a) below x <= 1/2: Lentz' continued
 * fraction (DLMF 8.17.22). */
static double beta_below(double a, double x)
{
    double c = 1, d = 1 / (1 - 2 * a * x / (a + 1)), f = d;
    for (int m = 1; m < 200; m++) {
        double even = m * (a - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (2 * a + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / (1 + even * d), c = 1 + even / c;
        f *= c * d;
        d = 1 / (1 + odd * d), c = 1 + odd / c;
        f *= c * d;
        if (fabs(c * d - 1) < 1e-15)
            break;
    }
    return exp(a * log(x * (1 - x)) + lgamma(2 * a) - 2 * lgamma(a)) / a * f;
}

/* The x below which the share p <= 1/2 lies. */
static double beta_quantile(double a, double p)
{
    double low = 0, high = 0.5;
    for (int i = 0; i < 80; i++) {
        double mid = (low + high) / 2;
        if (beta_below(a, mid) < p)
            low = mid;
        else
            high = mid;
    }
    return high;
}

/* k-diffusion computes in float. That is kept, to the order of operations, as paths
 * of noise (brownian.c) tell levels apart to 1e-6. */
float sd_karras_float(double max, double min, int n, int i)
{
    double a = pow(max, 1 / 7.0), b = pow(min, 1 / 7.0);
    float base = (float)a + sd_linspace(0, 1, n, i) * (float)(b - a);
    return (float)pow((double)base, 7);
}

static float exponential_float(double max, double min, int n, int i)
{
    return (float)exp((double)sd_linspace((float)log(max), (float)log(min), n, i));
}

static float polyexponential(double max, double min, int n, int i) /* A1111's rho is 1 */
{
    float part = sd_linspace(1, 0, n, i) * (float)(log(max) - log(min)) + (float)log(min);
    return (float)exp((double)part);
}

static float kl_optimal(double max, double min, int n, int i)
{
    float part = (float)i / (float)n, low = (float)atan(min), high = (float)atan(max);
    return (float)tan((double)(part * low + (1 - part) * high));
}

double sd_beta(double max, double min, int n, int i)
{
    double p = 1 - share(n, i);
    double x = p <= 0 || p >= 1 ? p
               : p <= 0.5       ? beta_quantile(0.6, p)
                                : 1 - beta_quantile(0.6, 1 - p);
    return min + x * (max - min);
}

/* "Align Your Steps" (arXiv 2404.14507): levels found for 10 steps, between them
 * even in the logarithm. */
static double align_your_steps(bool xl, int n, int i)
{
    static const double found[2][11] = {
        { 14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029 },
        { 14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029 },
    };
    double at = share(n, i) * 10;
    int low = at < 10 ? (int)at : 9;
    double a = log(found[xl][low]), b = log(found[xl][low + 1]);
    return exp(a + (at - low) * (b - a));
}

/* Half the steps linearly through the first 2.5 %, the rest as a parabola
 * (ComfyUI's linear_quadratic, first of Movie Gen, arXiv 2410.13720). */
static double linear_quadratic(double max, int n, int i)
{
    const double bend = 0.025;
    int linear = n / 2, rest = n - linear;
    if (i < linear)
        return max * (1 - i * bend / linear);
    if (n == 1)
        return max;
    double left = linear - bend * n, square = left / (linear * (double)rest * rest);
    double slope = bend / linear - 2 * left / ((double)rest * rest);
    return max * (1 - (square * i * i + slope * i + square * linear * linear));
}

int sd_grid_levels(const sd_table *s, sd_grid_kind kind, int n)
{
    return kind == SD_GRID_DDIM ? (s->n - 2) / (s->n > n ? s->n / n : 1) + 1 : n;
}

double sd_grid_level(const sd_table *s, sd_grid_kind kind, bool xl, int n, int i)
{
    double min = s->sigma[0], max = s->sigma[s->n - 1];
    switch (kind) {
    case SD_GRID_KARRAS: return (double)sd_karras_float(max, min, n, i);
    case SD_GRID_EXPONENTIAL: return (double)exponential_float(max, min, n, i);
    case SD_GRID_POLYEXPONENTIAL: return (double)polyexponential(max, min, n, i);
    case SD_GRID_SGM_UNIFORM:
        return (double)sd_table_sigma(s, sd_linspace((float)(s->n - 1), 0, n + 1, i));
    case SD_GRID_SIMPLE: return s->sigma[s->n - 1 - (int)(i * ((double)s->n / n))];
    case SD_GRID_DDIM:
        return s->sigma[1 + (sd_grid_levels(s, kind, n) - 1 - i) * (s->n > n ? s->n / n : 1)];
    case SD_GRID_KL_OPTIMAL: return (double)kl_optimal(max, min, n, i);
    case SD_GRID_AYS: return align_your_steps(xl, n, i);
    case SD_GRID_BETA: return sd_beta(max, min, n, i);
    case SD_GRID_LINEAR_QUADRATIC: return linear_quadratic(max, n, i);
    case SD_GRID_TRAILING: return s->sigma[(int)rint(s->n - i * ((double)s->n / n)) - 1];
    default: return (double)sd_table_sigma(s, sd_linspace((float)(s->n - 1), 0, n, i));
    }
}
