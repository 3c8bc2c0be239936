/* SPDX-License-Identifier: MIT
 * A walk of one picture with a formula for a network.
 */
#include "walker.h"

#include "common.h"

/* v by x, where pictures have this spread: x0 is expected to be sqrt(abar) spread^2 x by the
 * variance of x. */
static float best_v(const walker *k, double t)
{
    const float *abar = k->w.train->abar;
    const int low = t < k->w.train->n - 1 ? (int)t : k->w.train->n - 2;
    const double a = (double)abar[low] + (t - low) * (double)(abar[low + 1] - abar[low]);
    const double own = k->spread * k->spread;
    return (float)(sqrt(a * (1 - a)) * (1 - own) / (a * own + 1 - a));
}

static bt_status answer(void *host, const float *in, float t, float *out)
{
    walker *k = host;
    float f = (float)((double)t / ((double)t + 1) - k->linear * (double)t / 1000);
    if (k->spread != 0)
        f = best_v(k, (double)t);
    float *x = k->second ? k->w.mid : k->w.x;
    if (k->asked++ == k->fail_after && k->fail_after)
        return BT_ECANCELLED;
    if (k->scaled && in != x)
        memcpy(x, in, k->w.n * sizeof *x);
    for (size_t i = 0; i < k->w.n; i++)
        out[i] = in[i] * f;
    k->second = k->w.sampler->twice && !k->second;
    return BT_OK;
}

const sd_sampler *sampler_named(const char *name)
{
    const sd_sampler *s = sd_samplers;
    while (strcmp(s->name, name) != 0)
        s++;
    return s;
}

walker *walker_new(const sd_sampler *s, const sd_schedule_config *c, const sd_train *train,
                   const sd_grid *g, double eta, sd_shape shape)
{
    walker *k = calloc(1, sizeof *k);
    size_t n = (size_t)shape.c * (size_t)shape.h * (size_t)shape.w;
    assert_non_null(k);
    k->block = calloc((2 + SD_WALK_FLOATS + SD_BROWNIAN_TMP) * n, sizeof *k->block);
    assert_non_null(k->block);
    k->linear = 0.5;
    k->p = (sd_latent){ .shape = shape, .x = k->block, .noise = k->block + n };
    k->p.tmp = k->block + (2 + SD_WALK_FLOATS) * n;
    k->p.path = sd_sampler_path(g, false, 42);
    sd_noise_seed(&k->p.rng, false, 42);
    sd_noise_draw(&k->p.rng, shape, k->p.x, k->p.tmp);
    for (size_t i = 0; i < n; i++)
        k->p.x[i] *= g->start;
    k->w = (sd_walk){ .sampler = s, .grid = g, .config = c, .train = train, .eta = eta, .b = 1 };
    k->w.p[0] = &k->p;
    k->w.n = n;
    k->w.x = k->p.x, k->w.noise = k->p.noise;
    k->w.host = k;
    k->w.ask = answer;
    sd_walk_lay_out(&k->w, k->block + 2 * n);
    return k;
}

void walker_free(walker *k)
{
    free(k->block);
    free(k);
}
