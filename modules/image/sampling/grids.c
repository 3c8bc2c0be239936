/* SPDX-License-Identifier: MIT
 * Grids from noise levels, and those that A1111's DDIM, PLMS and UniPC have of
 * their own.
 */
#include <math.h>
#include <string.h>

#include "image/sampling/schedule.h"

bt_status sd_grid_alloc(int n, sd_grid *g, bt_error *err)
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
    sd_table_release(&g->table);
    *g = (sd_grid){ 0 };
}

/* Sigmas tell the rest. */
static void fill_abar(sd_grid *g)
{
    for (int i = 0; i < g->n; i++) {
        g->abar[i] = 1 / (g->sigma[i] * g->sigma[i] + 1);
        g->next[i] = 1 / (g->sigma[i + 1] * g->sigma[i + 1] + 1);
    }
}

/* PLMS asks twice for its first step: both askings are steps of the grid. */
static void double_first(sd_grid *g)
{
    g->extra = 1;
    for (int i = g->n - 1; i > 1; i--) {
        g->t[i] = g->t[i - 1];
        g->abar[i] = g->abar[i - 1];
        g->next[i] = g->next[i - 1];
    }
    g->abar[1] = g->abar[0];
    g->next[1] = g->next[0];
}

/* LCM knows every k-th step only (A1111's LCMCompVisDenoiser). */
static float distilled_t(const sd_grid *g, int k, double sigma)
{
    return (float)(rint(sd_table_t(&g->table, sigma)) * k + k - 1);
}

static bt_status named_grid(const sd_grid_rules *r, sd_grid_kind kind, int k, bool xl, sd_grid *g,
                            bt_error *err)
{
    int asked = g->steps + r->discard, n = sd_grid_levels(&g->table, kind, asked) - r->discard;
    bool twice = r->family == SD_PLMS && n > 1;
    bt_status st = sd_grid_alloc(n + twice, g, err);
    if (st != BT_OK)
        return st;
    for (int i = 0; i < n; i++) {
        double sigma = sd_grid_level(&g->table, kind, xl, asked, i);
        g->sigma[i] = (float)sigma;
        g->t[i] = k > 1 ? distilled_t(g, k, sigma) : (float)sd_table_t(&g->table, sigma);
    }
    /* A1111's list of KL Optimal ends with the lowest level, not with 0. */
    g->sigma[n] = kind == SD_GRID_KL_OPTIMAL ? (float)g->table.sigma[0] : 0;
    g->start = g->sigma[0];
    if (r->family != SD_EULER)
        g->start /= sqrtf(g->sigma[0] * g->sigma[0] + 1);
    g->n = n;
    fill_abar(g);
    g->n = n + twice;
    if (twice)
        double_first(g);
    return BT_OK;
}

/* ---- the grids of A1111's DDIM, PLMS and UniPC ----------------------------------- */

/* Its timesteps: 1, 1 + T / n, ...; and how many. */
static int a1111_t(const sd_train *train, int steps, int i)
{
    int t = i * (train->n / steps) + 1;
    return t < train->n ? t : train->n - 1;
}

static int a1111_count(const sd_train *train, int steps)
{
    int d = train->n / steps;
    return (train->n + d - 1) / d;
}

/* From each timestep to the one below; the lowest is not asked for. */
static bt_status ddim_grid(const sd_grid_rules *r, const sd_train *train, sd_grid *g, bt_error *err)
{
    const float least = 0x1p-24f; /* an abar of 0 cannot be divided by */
    int count = a1111_count(train, g->steps), n = count > 1 ? count - 1 : 1;
    bool twice = r->family == SD_PLMS && n > 1;
    bt_status st = sd_grid_alloc(n + twice, g, err);
    if (st != BT_OK)
        return st;
    for (int i = 0; i < n; i++) {
        int t = count > 1 ? a1111_t(train, g->steps, count - 1 - i) : train->n - 1;
        int to = count > 1 ? a1111_t(train, g->steps, count - 2 - i) : 0;
        g->t[i] = (float)t;
        g->abar[i] = train->abar[t] > least || r->family != SD_PLMS ? train->abar[t] : least;
        g->next[i] = train->abar[to] > least || r->family != SD_PLMS ? train->abar[to] : least;
    }
    g->start = 1;
    if (twice)
        double_first(g);
    return BT_OK;
}

/* Even steps of t, log(abar) being linear between the training's. */
static bt_status unipc_grid(const sd_train *train, sd_grid *g, bt_error *err)
{
    bt_status st = sd_grid_alloc(a1111_count(train, g->steps), g, err);
    if (st != BT_OK)
        return st;
    for (int i = 0; i <= g->n; i++) {
        double t = (train->n - 1) * (1 - i / (double)g->n);
        int low = t < train->n - 1 ? (int)t : train->n - 2;
        double a = -log1p(pow(g->table.sigma[low], 2));
        double b = -log1p(pow(g->table.sigma[low + 1], 2));
        g->sigma[i] = (float)sqrt(expm1(-(a + (t - low) * (b - a))));
        if (i < g->n)
            g->t[i] = (float)t;
    }
    g->start = 1;
    fill_abar(g);
    return BT_OK;
}

/* ---- entry ----------------------------------------------------------------------- */

static bt_status own_grid(const sd_grid_rules *r, const sd_train *train, int k, sd_grid *g,
                          bt_error *err)
{
    g->own = true;
    g->kind = SD_GRID_UNIFORM;
    switch (r->family) {
    case SD_LCM: return named_grid(r, SD_GRID_UNIFORM, k, false, g, err);
    case SD_UNIPC: return unipc_grid(train, g, err);
    default: return ddim_grid(r, train, g, err);
    }
}

static bt_status model_grid(const sd_schedule_config *c, const sd_train *train, sd_family f,
                            sd_grid *g, bt_error *err)
{
    int n = sd_grid_model_steps(c, train, f, g->steps);
    if (n == 0)
        return bt_fail(err, BT_EINVAL, "steps must be 1 to %d with this model and sampler",
                       c->original_steps);
    bt_status st = sd_grid_alloc(n, g, err);
    if (st == BT_OK)
        sd_grid_by_model(c, train, f, g);
    return st;
}

/* As many steps as training had round to some timesteps twice. Solvers over the logarithm of
 * the levels divide by its differences: they take each level once. */
static void drop_twins(sd_grid *g)
{
    int n = 0;
    for (int i = 0; i < g->n; i++)
        if (i == 0 || g->sigma[i] != g->sigma[n - 1]) {
            g->t[n] = g->t[i];
            g->abar[n] = g->abar[i];
            g->sigma[n++] = g->sigma[i];
        }
    g->sigma[n] = g->sigma[g->n];
    g->n = n;
    fill_abar(g);
}

bt_status sd_grid_create(const sd_schedule_config *c, const sd_train *train,
                         const sd_grid_rules *rules, sd_grid_kind kind, int steps, bool xl,
                         sd_grid *out, bt_error *err)
{
    /* 2^-24: diffusers' stand-in for an abar of 0; the other is A1111's and ComfyUI's. */
    const float last = kind == SD_GRID_MODEL ? 0x1p-24f : 4.8973451890853435e-08f;
    bool distilled = rules->family == SD_LCM && rules->automatic == SD_GRID_AUTOMATIC;
    int k = distilled && kind != SD_GRID_MODEL ? train->n / c->original_steps : 1;
    bt_status st;

    *out = (sd_grid){ .steps = steps };
    if (steps < 1 || steps > train->n / k)
        return bt_fail(err, BT_EINVAL, "steps must be 1 to %d with this model%s", train->n / k,
                       k > 1 ? " and sampler" : "");
    BT_TRY(sd_table_create(train, k - 1, k, last, &out->table, err));
    if (kind == SD_GRID_AUTOMATIC)
        kind = rules->automatic;
    out->kind = kind;
    if (kind == SD_GRID_AUTOMATIC)
        BT_TRY(own_grid(rules, train, k, out, err));
    else if (kind == SD_GRID_MODEL)
        BT_TRY(model_grid(c, train, rules->family, out, err));
    else
        BT_TRY(named_grid(rules, kind, k, xl, out, err));
    if (rules->family >= SD_DPM)
        drop_twins(out);
    return BT_OK;
fail:
    sd_grid_release(out);
    return st;
}

/* diffusers: of n steps the last int(n * strength). A1111: one more, or, where
 * it has timesteps of its own, DDIM and PLMS one less. */
int sd_grid_first(const sd_grid *g, sd_family f, double strength)
{
    int n = g->n - g->extra, j, done = (int)(fmin(strength, 0.999) * g->steps);
    if (g->kind == SD_GRID_MODEL)
        j = n - (int)(n * strength);
    else if (g->own && f != SD_LCM)
        j = done > 0 ? n + (f != SD_UNIPC) - done : n;
    else
        j = n - (done + 1 < n ? done + 1 : n);
    if (j <= 0)
        return 0;
    return g->extra == SD_RUNGE_KUTTA_EXTRA && j < 3 ? 4 * j : j + g->extra;
}

/* ---- Restart --------------------------------------------------------------------- */

/* Which of sigma[n] is nearest. */
static int nearest(const float *sigma, int n, float wanted)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (fabsf(sigma[i] - wanted) < fabsf(sigma[best] - wanted))
            best = i;
    return best;
}

bt_status sd_grid_restart(sd_grid *g, int first, bt_error *err)
{
    int steps = g->n - first, length = steps >= 36 ? steps / 4 : 9, times = steps >= 36 ? 2 : 1;
    if (steps < 20)
        return BT_OK;
    int n = steps - length * times, at = first;
    sd_grid r = *g;
    bt_status st = sd_grid_alloc(g->n + times, &r, err);
    if (st != BT_OK)
        return st;
    float *s = bt_calloc((size_t)n + 1, sizeof *s);
    if (!s) {
        bt_release(r.t);
        return bt_no_memory(err, "the time grid");
    }
    for (int i = 0; i < n; i++)
        s[i] = sd_karras_float((double)g->sigma[first], (double)g->sigma[g->n - 1], n, i);
    memcpy(r.sigma, g->sigma, (size_t)first * sizeof *r.sigma);
    int low = nearest(s, n + 1, 0.1f), high = nearest(s, n + 1, 2);
    if (high >= low || low == 0)
        times = 0;
    for (int i = 0; i <= n; i++) {
        r.sigma[at++] = s[i];
        for (int k = 0; i == low && k < times; k++)
            for (int j = 0; j <= length; j++)
                r.sigma[at++] = sd_karras_float((double)s[high], (double)s[low], length + 1, j);
    }
    r.n = at - 1;
    for (int i = 0; i < r.n; i++)
        r.t[i] = (float)sd_table_t(&r.table, (double)r.sigma[i]);
    fill_abar(&r);
    bt_release(s);
    bt_release(g->t);
    *g = r;
    return BT_OK;
}
