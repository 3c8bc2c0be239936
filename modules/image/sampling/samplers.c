/* SPDX-License-Identifier: MIT
 * The table of samplers, and what they share.
 *
 * A step first turns the network's answer (the noise, the picture, or v =
 * sqrt(abar) noise - sqrt(1 - abar) x0) into the picture x0 that it foresees,
 * then goes from here towards it.
 */
#include "image/sampling/samplers.h"

#include <math.h>
#include <string.h>

#include "image/sampling/steps.h"

/* ---- table ---------------------------------------------------------------- */

/* X(name, further spellings, members): A1111's, ComfyUI's, stable-diffusion.cpp's. */
#define SAMPLERS(X)                                                                                \
    X("ddim", "", .label = "DDIM", .class_name = "DDIMScheduler",                                  \
      .rules = { SD_DDIM, SD_GRID_AUTOMATIC, false }, .step = sd_step_ddim)                        \
    X("euler", "=k_euler", .label = "Euler", .class_name = "EulerDiscreteScheduler",               \
      .rules = { SD_EULER, SD_GRID_UNIFORM, false }, .step = sd_step_euler)                        \
    X("euler_a", "=euler_ancestral=k_euler_a=k_euler_ancestral", .label = "Euler a",               \
      .class_name = "EulerAncestralDiscreteScheduler",                                             \
      .rules = { SD_EULER, SD_GRID_UNIFORM, false }, .eta = 1, .step = sd_step_euler_a)            \
    X("dpm++2m", "=dpm++_2m=dpmpp_2m=dpmpp2m=k_dpmpp_2m", .label = "DPM++ 2M",                     \
      .class_name = "DPMSolverMultistepScheduler", .rules = { SD_DPM, SD_GRID_KARRAS, false },     \
      .step = sd_step_multistep)                                                                   \
    X("heun", "=k_heun", .label = "Heun", .class_name = "HeunDiscreteScheduler",                   \
      .rules = { SD_EULER, SD_GRID_UNIFORM, false }, .twice = true, .step = sd_step_heun)          \
    X("dpm2", "=dpm_2=k_dpm_2", .label = "DPM2", .class_name = "KDPM2DiscreteScheduler",           \
      .rules = { SD_EULER, SD_GRID_KARRAS, true }, .twice = true, .step = sd_step_dpm2)            \
    X("dpm2_a", "=dpm_2_ancestral=dpm2_ancestral=k_dpm_2_a=k_dpm_2_ancestral", .label = "DPM2 a",  \
      .class_name = "KDPM2AncestralDiscreteScheduler",                                             \
      .rules = { SD_EULER, SD_GRID_KARRAS, true }, .twice = true, .eta = 1, .step = sd_step_dpm2)  \
    X("lms", "=k_lms", .label = "LMS", .class_name = "LMSDiscreteScheduler",                       \
      .rules = { SD_EULER, SD_GRID_UNIFORM, false }, .step = sd_step_lms)                          \
    X("dpm++2s_a",                                                                                 \
      "=dpm++_2s_a=dpmpp_2s_a=dpmpp2s_a=dpmpp_2s_ancestral=k_dpmpp_2s_a=k_dpmpp_2s_ancestral",     \
      .label = "DPM++ 2S a", .rules = { SD_EULER, SD_GRID_KARRAS, false }, .twice = true,          \
      .eta = 1, .step = sd_step_2s)                                                                \
    X("dpm++sde", "=dpm++_sde=dpmpp_sde=dpmpp_sde_gpu=k_dpmpp_sde", .label = "DPM++ SDE",          \
      .class_name = "DPMSolverSDEScheduler", .rules = { SD_EULER, SD_GRID_KARRAS, false },         \
      .twice = true, .eta = 1, .brownian = true, .step = sd_step_sde)                              \
    X("dpm++2m_sde", "=dpm++_2m_sde=dpmpp_2m_sde=dpmpp_2m_sde_gpu=dpm++2m_sde_bt=k_dpmpp_2m_sde",  \
      .label = "DPM++ 2M SDE", .rules = { SD_DPM, SD_GRID_EXPONENTIAL, false }, .eta = 1,          \
      .brownian = true, .step = sd_step_multistep)                                                 \
    X("dpm++2m_sde_heun",                                                                          \
      "=dpm++_2m_sde_heun=dpmpp_2m_sde_heun=dpmpp_2m_sde_heun_gpu=k_dpmpp_2m_sde_heun",            \
      .label = "DPM++ 2M SDE Heun", .rules = { SD_DPM, SD_GRID_EXPONENTIAL, false }, .heun = true, \
      .eta = 1, .brownian = true, .step = sd_step_multistep)                                       \
    X("dpm++3m_sde", "=dpm++_3m_sde=dpmpp_3m_sde=dpmpp_3m_sde_gpu=k_dpmpp_3m_sde",                 \
      .label = "DPM++ 3M SDE", .rules = { SD_DPM, SD_GRID_EXPONENTIAL, true }, .order = 3,         \
      .heun = true, .eta = 1, .brownian = true, .step = sd_step_multistep)                         \
    X("ddpm", "", .label = "DDPM", .class_name = "DDPMScheduler",                                  \
      .rules = { SD_DDPM, SD_GRID_UNIFORM, false }, .eta = 1, .step = sd_step_ddpm)                \
    X("plms", "=pndm=k_plms", .label = "PLMS", .class_name = "PNDMScheduler",                      \
      .rules = { SD_PLMS, SD_GRID_AUTOMATIC, false }, .step = sd_step_plms)                        \
    X("unipc", "=uni_pc=k_unipc", .label = "UniPC", .class_name = "UniPCMultistepScheduler",       \
      .rules = { SD_UNIPC, SD_GRID_AUTOMATIC, false }, .step = sd_step_unipc)                      \
    X("deis", "=k_deis", .label = "DEIS", .class_name = "DEISMultistepScheduler",                  \
      .rules = { SD_DEIS, SD_GRID_UNIFORM, false }, .step = sd_step_deis)                          \
    X("lcm", "=k_lcm", .label = "LCM", .class_name = "LCMScheduler",                               \
      .rules = { SD_LCM, SD_GRID_AUTOMATIC, false }, .eta = 1, .step = sd_step_lcm)                \
    X("tcd", "", .label = "TCD", .class_name = "TCDScheduler",                                     \
      .rules = { SD_LCM, SD_GRID_TRAILING, false }, .eta = 0.3, .step = sd_step_tcd)               \
    X("restart", "=k_restart", .label = "Restart", .rules = { SD_EULER, SD_GRID_KARRAS, false },   \
      .twice = true, .restarts = true, .step = sd_step_restart)

#define ENTRY(first, more, ...)  { .name = first, __VA_ARGS__ },
#define CHOICE(first, more, ...) "," first more

const sd_sampler sd_samplers[] = { SAMPLERS(ENTRY){ 0 } };

/* X(sampler, grid, spellings); too many to be listed among the choices */
#define PAIRS(X)                                                                                   \
    X("euler", KARRAS, "euler_karras=k_euler_karras=k_euler_ka")                                   \
    X("euler_a", KARRAS, "euler_a_karras=euler_ancestral_karras=k_euler_a_karras=k_euler_a_ka")    \
    X("dpm++2m", KARRAS,                                                                           \
      "dpm++2m_karras=dpm++_2m_karras=dpmpp_2m_karras=dpmpp2m_karras=k_dpmpp_2m_karras="           \
      "k_dpmpp_2m_ka")                                                                             \
    X("heun", KARRAS, "heun_karras=k_heun_karras=k_heun_ka")                                       \
    X("lms", KARRAS, "lms_karras=k_lms_karras=k_lms_ka")                                           \
    X("dpm2", KARRAS, "dpm2_karras=dpm_2_karras=k_dpm_2_karras=k_dpm_2_ka")                        \
    X("dpm2_a", KARRAS, "dpm2_a_karras=dpm_2_ancestral_karras=k_dpm_2_a_karras=k_dpm_2_a_ka")      \
    X("dpm++2s_a", KARRAS,                                                                         \
      "dpm++2s_a_karras=dpm++_2s_a_karras=dpmpp_2s_a_karras=dpmpp_2s_ancestral_karras="            \
      "k_dpmpp_2s_a_karras=k_dpmpp_2s_a_ka")                                                       \
    X("dpm++sde", KARRAS,                                                                          \
      "dpm++sde_karras=dpm++_sde_karras=dpmpp_sde_karras=k_dpmpp_sde_karras=k_dpmpp_sde_ka")       \
    X("dpm++2m_sde", KARRAS,                                                                       \
      "dpm++2m_sde_karras=dpm++_2m_sde_karras=dpmpp_2m_sde_karras=k_dpmpp_2m_sde_karras="          \
      "k_dpmpp_2m_sde_ka")                                                                         \
    X("dpm++2m_sde", EXPONENTIAL,                                                                  \
      "dpm++2m_sde_exponential=dpm++_2m_sde_exponential=dpmpp_2m_sde_exponential="                 \
      "k_dpmpp_2m_sde_exp")                                                                        \
    X("dpm++2m_sde_heun", KARRAS,                                                                  \
      "dpm++2m_sde_heun_karras=dpm++_2m_sde_heun_karras=dpmpp_2m_sde_heun_karras="                 \
      "k_dpmpp_2m_sde_heun_ka")                                                                    \
    X("dpm++2m_sde_heun", EXPONENTIAL,                                                             \
      "dpm++2m_sde_heun_exponential=dpm++_2m_sde_heun_exponential="                                \
      "dpmpp_2m_sde_heun_exponential=k_dpmpp_2m_sde_heun_exp")                                     \
    X("dpm++3m_sde", KARRAS,                                                                       \
      "dpm++3m_sde_karras=dpm++_3m_sde_karras=dpmpp_3m_sde_karras=k_dpmpp_3m_sde_ka")              \
    X("dpm++3m_sde", EXPONENTIAL,                                                                  \
      "dpm++3m_sde_exponential=dpm++_3m_sde_exponential=dpmpp_3m_sde_exponential="                 \
      "k_dpmpp_3m_sde_exp")                                                                        \
    X("ddim", TRAILING, "ddim_trailing")

#define PAIR(sampler, grid, spellings)        { sampler, SD_GRID_##grid },
#define PAIR_CHOICE(sampler, grid, spellings) ",=" spellings

static const struct {
    const char *sampler;
    sd_grid_kind kind;
} pairs[] = { PAIRS(PAIR) };

const char sd_sampler_choices[] = "model" SAMPLERS(CHOICE) PAIRS(PAIR_CHOICE);

static const sd_sampler *named(const char *name)
{
    const sd_sampler *s = sd_samplers;
    while (strcmp(s->name, name) != 0)
        s++;
    return s;
}

const sd_sampler *sd_sampler_chosen(int choice, sd_grid_kind *kind)
{
    enum { COUNT = sizeof sd_samplers / sizeof *sd_samplers - 1 };
    *kind = SD_GRID_MODEL;
    if (choice <= COUNT)
        return &sd_samplers[choice - 1];
    *kind = pairs[choice - COUNT - 1].kind;
    return named(pairs[choice - COUNT - 1].sampler);
}

const sd_sampler *sd_sampler_of(const sd_schedule_config *c)
{
    if (c->sde && !strcmp(c->class_name, "DPMSolverMultistepScheduler"))
        return named("dpm++2m_sde");
    for (const sd_sampler *s = sd_samplers; s->name; s++)
        if (s->class_name && !strcmp(s->class_name, c->class_name))
            return s;
    return &sd_samplers[0];
}

int sd_sampler_asks(const sd_sampler *s, const sd_grid *g, int first)
{
    int asks = 0;
    for (int i = first; i < g->n; i++) {
        bool rises = g->sigma[i + 1] > g->sigma[i];
        asks += s->restarts && rises ? 0 : s->twice && g->sigma[i + 1] > 0 ? 2 : 1;
    }
    return asks;
}

/* ---- noise ------------------------------------------------------------------ */

bool sd_sampler_on_path(const sd_sampler *s, const sd_grid *g)
{
    return s->brownian && (s->rules.family == SD_EULER || g->kind != SD_GRID_MODEL);
}

sd_brownian sd_sampler_path(const sd_grid *g, bool philox, uint64_t seed)
{
    float low = INFINITY, high = 0;
    for (int i = 0; i <= g->n; i++) {
        if (g->sigma[i] > 0)
            low = fminf(low, g->sigma[i]);
        high = fmaxf(high, g->sigma[i]);
    }
    return (sd_brownian){ philox, seed, (double)low, (double)high };
}

void sd_walk_draw(sd_walk *w)
{
    for (int j = 0; j < w->b; j++)
        sd_noise_draw(&w->p[j]->rng, w->p[j]->shape, w->p[j]->noise, w->p[j]->tmp);
}

void sd_walk_draw_between(sd_walk *w, float from, float to)
{
    if (!sd_sampler_on_path(w->sampler, w->grid)) {
        sd_walk_draw(w);
        return;
    }
    for (int j = 0; j < w->b; j++)
        sd_brownian_draw(&w->p[j]->path, w->p[j]->shape, from, to, w->p[j]->noise, w->p[j]->tmp);
}

/* ---- walking ------------------------------------------------------------------ */

void sd_walk_lay_out(sd_walk *w, float *block)
{
    w->in = block;
    w->x0 = block + w->n;
    w->mid = block + 2 * w->n;
    for (int k = 0; k < 4; k++)
        w->old[k] = block + (size_t)(3 + k) * w->n;
}

void sd_walk_remember(sd_walk *w)
{
    float *last = w->old[3];
    memmove(w->old + 1, w->old, 3 * sizeof *w->old);
    w->old[0] = w->x0;
    w->x0 = last;
}

bt_status sd_walk_step(sd_walk *w, int i)
{
    bt_status st = w->sampler->step(w, i);
    w->past++;
    return st;
}

bool sd_walk_between(const sd_walk *w, int i)
{
    switch (w->grid->extra) {
    case 0: return true;
    case SD_RUNGE_KUTTA_EXTRA: return i >= 12 || i % 4 == 3;
    default: return i > 0;
    }
}

/* ---- scales ------------------------------------------------------------------- */

static void foresee_ve(sd_prediction kind, const float *x, float *m, float sigma, size_t n)
{
    for (size_t i = 0; i < n; i++)
        switch (kind) {
        case SD_EPSILON: m[i] = x[i] - sigma * m[i]; break;
        case SD_SAMPLE: break;
        default: m[i] = m[i] * (-sigma / sqrtf(sigma * sigma + 1)) + x[i] / (sigma * sigma + 1);
        }
}

/* The network sees x / sqrt(sigma^2 + 1), which has variance 1. */
bt_status sd_foresee(sd_walk *w, const float *x, float t, float sigma)
{
    float root = sqrtf(sigma * sigma + 1);
    for (size_t i = 0; i < w->n; i++)
        w->in[i] = x[i] / root;
    bt_status st = w->ask(w->host, w->in, t, w->x0);
    if (st == BT_OK)
        foresee_ve(w->config->prediction, x, w->x0, sigma, w->n);
    return st;
}

sd_ancestral sd_ancestral_of(float from, float to, double eta)
{
    sd_ancestral a;
    float up = (float)eta * sqrtf(to * to * (from * from - to * to) / (from * from));
    a.up = up < to ? up : to;
    a.down = sqrtf(to * to - a.up * a.up);
    return a;
}

sd_level sd_level_of(float sigma)
{
    sd_level l;
    l.alpha = 1 / sqrtf(sigma * sigma + 1);
    l.sigma = sigma * l.alpha;
    l.lambda = logf(l.alpha) - logf(l.sigma);
    return l;
}

bt_status sd_foresee_at(sd_walk *w, int i, sd_level at)
{
    bt_status st = w->ask(w->host, w->x, w->grid->t[i], w->x0);
    for (size_t k = 0; st == BT_OK && k < w->n; k++)
        w->x0[k] = sd_foreseen(w->config->prediction, w->x[k], w->x0[k], at.alpha, at.sigma);
    return st;
}

void sd_sampler_mix(const sd_sampler *s, const sd_grid *g, int i, const float *x0,
                    const float *noise, float *x, size_t n)
{
    float keep = 1, add = 0;
    if (i < g->n && s->rules.family < SD_EULER)
        keep = sqrtf(g->abar[i]), add = sqrtf(1 - g->abar[i]);
    else if (i < g->n && s->rules.family == SD_EULER)
        add = g->sigma[i];
    else if (i < g->n)
        keep = sd_level_of(g->sigma[i]).alpha, add = sd_level_of(g->sigma[i]).sigma;
    for (size_t k = 0; k < n; k++)
        x[k] = keep * x0[k] + add * noise[k];
}
