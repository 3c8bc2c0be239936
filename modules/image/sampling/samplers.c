/* SPDX-License-Identifier: MIT
 * Samplers, each one function, as diffusers 0.42 computes them (scheduling_
 * ddim.py, _euler_discrete.py, _euler_ancestral_discrete.py,
 * _dpmsolver_multistep.py): floats in the same order of operations.
 *
 * DDIM and DPM++ hold sqrt(abar) x0 + sqrt(1 - abar) noise, Euler holds
 * x0 + sigma noise. Each step first turns the network's answer (the noise, the
 * picture, or v = sqrt(abar) noise - sqrt(1 - abar) x0) into the picture x0
 * that it foresees, then goes from here towards it.
 */
#include "image/sampling/samplers.h"

#include <math.h>
#include <string.h>

void sd_noise_seed(sd_noise *r, int philox, uint64_t seed)
{
    *r = (sd_noise){ .philox = philox, .seed = seed };
    bt_torch_seed(&r->torch, seed);
}

void sd_noise_draw(sd_noise *r, float *out, float *tmp, int c, int h, int w)
{
    size_t rows = (size_t)h * (size_t)w;
    if (r->philox)
        bt_philox_randn(r->seed, r->calls++, tmp, rows * (size_t)c);
    else
        bt_torch_randn(&r->torch, tmp, rows * (size_t)c);
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < (size_t)c; k++)
            out[i * (size_t)c + k] = tmp[k * rows + i];
}

static size_t values(const sd_latent *p) { return (size_t)p->c * (size_t)p->h * (size_t)p->w; }

static void draw(sd_latent *p) { sd_noise_draw(&p->rng, p->noise, p->tmp, p->c, p->h, p->w); }

/* ---- DDIM (arXiv 2010.02502, formulas 12 and 16) ------------------------- */

static void ddim_step(const sd_step *s, sd_latent *p, const float *out)
{
    const sd_schedule_config *c = s->config;
    float a = s->grid->abar[s->i], next = s->grid->next[s->i];
    float root_a = sqrtf(a), root_b = sqrtf(1 - a);
    float variance = (1 - next) / (1 - a) * (1 - a / next);
    float std = (float)s->eta * sqrtf(variance > 0 ? variance : 0);
    float left = 1 - next - std * std, direction = sqrtf(left > 0 ? left : 0);
    float root_next = sqrtf(next), range = (float)c->clip_range;

    if (s->eta > 0) /* also when nothing comes of it, as diffusers does */
        draw(p);
    for (size_t i = 0; i < values(p); i++) {
        float x = p->x[i], m = out[i], x0, eps;
        switch (c->prediction) {
        case SD_EPSILON: x0 = (x - root_b * m) / root_a, eps = m; break;
        case SD_SAMPLE: x0 = m, eps = (x - root_a * m) / root_b; break;
        default: x0 = root_a * x - root_b * m, eps = root_a * m + root_b * x; break;
        }
        if (c->clip_sample)
            x0 = x0 < -range ? -range : x0 > range ? range : x0;
        p->x[i] = root_next * x0 + direction * eps + (s->eta > 0 ? std * p->noise[i] : 0);
    }
}

/* ---- Euler and Euler ancestral (arXiv 2206.00364, algorithm 2) ----------- */

static float foreseen_ve(sd_prediction kind, float x, float m, float sigma)
{
    switch (kind) {
    case SD_EPSILON: return x - sigma * m;
    case SD_SAMPLE: return m;
    default: return m * (-sigma / sqrtf(sigma * sigma + 1)) + x / (sigma * sigma + 1);
    }
}

static void euler_step(const sd_step *s, sd_latent *p, const float *out)
{
    float sigma = s->grid->sigma[s->i], dt = s->grid->sigma[s->i + 1] - sigma;
    for (size_t i = 0; i < values(p); i++) {
        float x0 = foreseen_ve(s->config->prediction, p->x[i], out[i], sigma);
        p->x[i] += (p->x[i] - x0) / sigma * dt;
    }
}

static void euler_a_step(const sd_step *s, sd_latent *p, const float *out)
{
    float sigma = s->grid->sigma[s->i], to = s->grid->sigma[s->i + 1];
    float up = sqrtf(to * to * (sigma * sigma - to * to) / (sigma * sigma));
    float down = sqrtf(to * to - up * up), dt = down - sigma;

    draw(p); /* also when up is 0, as diffusers does */
    for (size_t i = 0; i < values(p); i++) {
        float x0 = foreseen_ve(s->config->prediction, p->x[i], out[i], sigma);
        float x = p->x[i] + (p->x[i] - x0) / sigma * dt;
        p->x[i] = x + p->noise[i] * up;
    }
}

/* ---- DPM-Solver++ 2M (arXiv 2211.01095, algorithm 2) ---------------------- */

/* A noise level: shares of picture and noise, and lambda, the log of their
 * ratio, which is the solver's time. */
typedef struct level {
    float alpha, sigma, lambda;
} level;

static level level_of(float sigma)
{
    level l;
    l.alpha = 1 / sqrtf(sigma * sigma + 1);
    l.sigma = sigma * l.alpha;
    l.lambda = logf(l.alpha) - logf(l.sigma);
    return l;
}

static float foreseen_vp(sd_prediction kind, float x, float m, level s)
{
    switch (kind) {
    case SD_EPSILON: return (x - s.sigma * m) / s.alpha;
    case SD_SAMPLE: return m;
    default: return s.alpha * x - s.sigma * m;
    }
}

/* The second-order step wants an older foresight, and is left out where it
 * would overshoot: at the last step of short runs, or when it ends at 0. */
static bool first_order(const sd_step *s, const sd_latent *p)
{
    const sd_schedule_config *c = s->config;
    bool last = s->i == s->grid->n - 1;
    return c->order == 1 || p->done < 1 ||
           (last && (c->euler_at_final || (c->lower_order_final && s->grid->n < 15) ||
                     s->grid->sigma[s->grid->n] == 0));
}

static void dpm_step(const sd_step *s, sd_latent *p, const float *out)
{
    const float *sigma = s->grid->sigma + s->i;
    level from = level_of(sigma[0]), to = level_of(sigma[1]);
    bool first = first_order(s, p);
    float h = to.lambda - from.lambda, e = expf(-h) - 1, r0 = 1;
    float keep = to.sigma / from.sigma, a = to.alpha * e;
    float b = s->config->heun ? -(to.alpha * (e / h + 1)) : 0.5f * a; /* midpoint else */

    if (!first)
        r0 = (from.lambda - level_of(sigma[-1]).lambda) / h;
    for (size_t i = 0; i < values(p); i++) {
        float x0 = foreseen_vp(s->config->prediction, p->x[i], out[i], from);
        float x = keep * p->x[i] - a * x0;
        if (!first)
            x -= b * (1 / r0 * (x0 - p->old[i]));
        p->x[i] = x;
        p->old[i] = x0;
    }
}

/* ---- table ---------------------------------------------------------------- */

const sd_sampler sd_samplers[] = {
    { "ddim", "DDIM", "DDIMScheduler", SD_DDIM, ddim_step },
    { "euler", "Euler", "EulerDiscreteScheduler", SD_EULER, euler_step },
    { "euler_a", "Euler a", "EulerAncestralDiscreteScheduler", SD_EULER, euler_a_step },
    { "dpm++2m", "DPM++ 2M", "DPMSolverMultistepScheduler", SD_DPM, dpm_step },
    { 0 },
};

const char sd_sampler_choices[] =
    "model,ddim,euler=k_euler,euler_a=euler_ancestral=k_euler_a,"
    "dpm++2m=dpm++_2m=dpmpp_2m=dpmpp2m=k_dpmpp_2m,"
    "euler_karras=k_euler_karras=k_euler_ka,"
    "euler_a_karras=euler_ancestral_karras=k_euler_a_karras=k_euler_a_ka,"
    "dpm++2m_karras=dpm++_2m_karras=dpmpp_2m_karras=dpmpp2m_karras=k_dpmpp_2m_karras=k_dpmpp_2m_ka";

const sd_sampler *sd_sampler_chosen(int choice, bool *karras)
{
    enum { SAMPLERS = sizeof sd_samplers / sizeof *sd_samplers - 1 };
    *karras = choice > SAMPLERS; /* DDIM, the first, has no such name */
    return &sd_samplers[*karras ? choice - SAMPLERS : choice - 1];
}

const sd_sampler *sd_sampler_of(const char *class_name)
{
    for (const sd_sampler *s = sd_samplers; s->name; s++)
        if (!strcmp(s->class_name, class_name))
            return s;
    return &sd_samplers[0];
}

void sd_sampler_input(const sd_sampler *s, const sd_grid *g, int i, const float *x, float *out,
                      size_t n)
{
    float root = sqrtf(g->sigma[i] * g->sigma[i] + 1);
    if (s->family != SD_EULER)
        memcpy(out, x, n * sizeof *x);
    else
        for (size_t k = 0; k < n; k++)
            out[k] = x[k] / root;
}

void sd_sampler_mix(const sd_sampler *s, const sd_grid *g, int i, const float *x0,
                    const float *noise, float *x, size_t n)
{
    float keep = 1, add = 0;
    if (i < g->n && s->family == SD_DDIM)
        keep = sqrtf(g->abar[i]), add = sqrtf(1 - g->abar[i]);
    else if (i < g->n && s->family == SD_EULER)
        add = g->sigma[i];
    else if (i < g->n)
        keep = level_of(g->sigma[i]).alpha, add = level_of(g->sigma[i]).sigma;
    for (size_t k = 0; k < n; k++)
        x[k] = keep * x0[k] + add * noise[k];
}
