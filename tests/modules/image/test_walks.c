/* SPDX-License-Identifier: MIT
 * Samplers, grids and noise as A1111 has them (make_walks.py: k-diffusion and
 * torchsde), and diffusers' own tests of its samplers without weights.
 */
#include "common.h"
#include "walker.h"

static bt_store *golden;
static cJSON *side;

/* SD 1.5's training; 2.1's with v. */
static sd_schedule_config config_of(sd_prediction p)
{
    return (sd_schedule_config){ .steps = 1000,
                                 .beta_start = 0.00085,
                                 .beta_end = 0.012,
                                 .betas = SD_SCALED_LINEAR,
                                 .prediction = p,
                                 .spacing = SD_SPACING_UNSET,
                                 .sigma_min = NAN,
                                 .sigma_max = NAN,
                                 .lambda_min = -INFINITY,
                                 .clip_range = 1,
                                 .lower_order_final = true,
                                 .order = 2,
                                 .original_steps = 50,
                                 .time_scale = 10 };
}

/* a against b, by b's length */
static double distance(const float *a, const float *b, size_t n)
{
    double d = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        d += pow((double)a[i] - (double)b[i], 2);
        all += pow((double)b[i], 2);
    }
    return sqrt(d / all);
}

/* ---- grids -------------------------------------------------------------------- */

static void test_levels(void **state)
{
    (void)state;
    static const int counts[] = { 2, 10, 11, 20, 33, 50 };
    sd_schedule_config c = config_of(SD_EPSILON);
    const sd_sampler *euler = sampler_named("euler");
    sd_train train;
    int found = 0;
    assert_int_equal(sd_train_create(&c, &train, NULL), BT_OK);
    for (int kind = SD_GRID_UNIFORM; kind < SD_GRID_COUNT; kind++)
        for (size_t i = 0; i < 2 * sizeof counts / sizeof *counts; i++) {
            char name[64];
            size_t n;
            sd_grid g;
            snprintf(name, sizeof name, "grid.%s%s.n%d", sd_grid_name((sd_grid_kind)kind),
                     i % 2 ? ".xl" : "", counts[i / 2]);
            if (!bt_store_find(golden, name))
                continue;
            float *ref = golden_floats(golden, name, &n);
            assert_int_equal(sd_grid_create(&c, &train, &euler->rules, (sd_grid_kind)kind,
                                            counts[i / 2], i % 2, &g, NULL),
                             BT_OK);
            assert_int_equal(g.n + 1, n);
            for (int j = 0; j <= g.n; j++)
                if (!(fabsf(g.sigma[j] - ref[j]) <= 2e-6f * ref[j]))
                    fail_msg("%s[%d]: %.9g, not %.9g", name, j, (double)g.sigma[j], (double)ref[j]);
            found++;
            sd_grid_release(&g);
            free(ref);
        }
    assert_int_equal(found, 84);
    sd_train_release(&train);
}

/* ---- k-diffusion's samplers ------------------------------------------------------ */

/* Paths follow the last digit of a level, so they need the golden's own. */
static void take_levels(const char *walk, sd_grid *g)
{
    char name[64];
    size_t n;
    snprintf(name, sizeof name, "%s.sigmas", walk);
    if (!bt_store_find(golden, name))
        return;
    float *ref = golden_floats(golden, name, &n);
    assert_int_equal(n, g->n + 1);
    for (int i = 0; i <= g->n; i++) {
        assert_true(fabsf(g->sigma[i] - ref[i]) <= 3e-7f * ref[i]);
        g->sigma[i] = ref[i];
    }
    free(ref);
}

static double walk(const char *name, const sd_sampler *s, sd_prediction p, sd_grid_kind kind,
                   int steps, double eta)
{
    sd_schedule_config c = config_of(p);
    sd_train train;
    sd_grid g;
    size_t n;
    double worst = 0;
    float *ref = golden_floats(golden, name, &n);
    assert_int_equal(sd_train_create(&c, &train, NULL), BT_OK);
    assert_int_equal(sd_grid_create(&c, &train, &s->rules, kind, steps, false, &g, NULL), BT_OK);
    if (s->restarts)
        assert_int_equal(sd_grid_restart(&g, 0, NULL), BT_OK);
    take_levels(name, &g);
    walker *k = walker_new(s, &c, &train, &g, eta, (sd_shape){ 4, 4, 4 });
    size_t points = n / k->w.n;
    for (int i = 0; i <= g.n; i++) {
        float *planes = to_nchw(k->w.x, 4, 4, 4);
        /* k-diffusion holds x0 + sigma noise */
        float scale = s->rules.family == SD_DPM ? sqrtf(g.sigma[i] * g.sigma[i] + 1) : 1;
        for (size_t j = 0; j < k->w.n; j++)
            planes[j] *= scale;
        if (points == 1 ? i == g.n : (size_t)i < points)
            worst =
                fmax(worst, distance(planes, ref + (points == 1 ? 0 : (size_t)i * k->w.n), k->w.n));
        free(planes);
        if (i < g.n)
            assert_int_equal(sd_walk_step(&k->w, i), BT_OK);
    }
    if (points > 1)
        assert_int_equal(points, g.n + 1);
    assert_int_equal(k->asked, sd_sampler_asks(s, &g, 0));
    walker_free(k);
    sd_grid_release(&g);
    sd_train_release(&train);
    free(ref);
    return worst;
}

static void expect(const char *name, double d, double bound)
{
    print_message("%-34s %.2g\n", name, d);
    if (!(d <= bound))
        fail_msg("%s: %g", name, d);
}

static void test_k_diffusion(void **state)
{
    (void)state;
    int found = 0;
    for (const sd_sampler *s = sd_samplers; s->name; s++)
        for (int i = 0; i < 8; i++) {
            char name[64];
            const bool v = i & 1, simple = i & 2, half = i & 4;
            snprintf(name, sizeof name, "%s.%s%s.%s", v ? "sd21" : "sd15", s->name,
                     half ? ".eta0.5" : "", simple ? "simple" : "automatic");
            if (!bt_store_find(golden, name))
                continue;
            sd_grid_kind kind = simple ? SD_GRID_SIMPLE : half ? SD_GRID_KARRAS : SD_GRID_AUTOMATIC;
            expect(name, walk(name, s, v ? SD_V : SD_EPSILON, kind, 8, half ? 0.5 : s->eta), 1e-4);
            found++;
        }
    assert_int_equal(found, 39);
}

/* Samplers whose grid is A1111's own, and Restart. */
static void test_a1111(void **state)
{
    (void)state;
    static const struct {
        const char *sampler, *suffix;
        int steps;
        double eta;
    } cases[] = {
        { "ddim", ".eta0", 8, 0 },  { "ddim", ".eta1", 8, 1 }, { "ddim", ".eta0", 15, 0 },
        { "ddim", ".eta1", 15, 1 }, { "plms", "", 8, 0 },      { "plms", "", 15, 0 },
        { "unipc", "", 8, 0 },      { "unipc", "", 15, 0 },    { "lcm", "", 1, 1 },
        { "lcm", "", 4, 1 },        { "lcm", "", 8, 1 },       { "restart", "", 8, 0 },
        { "restart", "", 20, 0 },   { "restart", "", 40, 0 },
    };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        char name[64];
        const bool v = i & 1;
        const sd_sampler *s = sampler_named(cases[i / 2].sampler);
        snprintf(name, sizeof name, "%s.%s.n%d%s", v ? "sd21" : "sd15", s->name, cases[i / 2].steps,
                 cases[i / 2].suffix);
        if (v && s->restarts)
            continue;
        expect(name,
               walk(name, s, v ? SD_V : SD_EPSILON, SD_GRID_AUTOMATIC, cases[i / 2].steps,
                    cases[i / 2].eta),
               1e-4);
    }
}

/* ---- diffusers' tests without weights ------------------------------------------------ */

typedef struct weightless {
    const char *sampler;
    int train, steps;
    double sum; /* of |x| over 768 values, as diffusers' tests/schedulers have it */
    double eta;
    bool karras, v, low; /* low: ends at the lowest level, with no lower order */
} weightless;

static const weightless tests[] = {
    { .sampler = "euler", .train = 1100, .sum = 10.0807 },
    { .sampler = "euler", .train = 1100, .sum = 124.5226, .karras = true },
    { .sampler = "euler_a", .train = 1100, .sum = 152.3192, .eta = 1 },
    { .sampler = "heun", .train = 1100, .sum = 0.1233 },
    { .sampler = "dpm2", .train = 1100, .sum = 20.4125 },
    { .sampler = "dpm2_a", .train = 1100, .sum = 13979.94, .eta = 1 },
    { .sampler = "lms", .train = 1100, .sum = 1006.388 },
    { .sampler = "lms", .train = 1100, .sum = 3812.993, .karras = true },
    { .sampler = "dpm++sde", .train = 1100, .sum = 162.5238, .eta = 1 },
    { .sampler = "dpm++2m", .train = 1000, .sum = 768 * 0.330145, .low = true },
    { .sampler = "ddim", .train = 1000, .sum = 172.0067 },
    { .sampler = "plms", .train = 1000, .sum = 198.1318 },
    { .sampler = "unipc", .train = 1000, .sum = 189.2318, .low = true },
    { .sampler = "unipc", .train = 1000, .sum = 224.6267, .low = true, .karras = true },
    { .sampler = "deis", .train = 1000, .sum = 768 * 0.239162 },
    { .sampler = "ddpm", .train = 1000, .steps = 1000, .sum = 258.9606, .eta = 1 },
    { .sampler = "lcm", .train = 1000, .steps = 1, .sum = 18.7097, .eta = 1 },
    { .sampler = "lcm", .train = 1000, .sum = 197.7616, .eta = 1 },
    { .sampler = "tcd", .train = 1000, .sum = 181.2040, .eta = 0 },
    { .sampler = "tcd", .train = 1000, .sum = 264.7297, .eta = 0.3 },
};

static double run_weightless(const weightless *t)
{
    const sd_sampler *s = sampler_named(t->sampler);
    sd_schedule_config c = config_of(t->v ? SD_V : SD_EPSILON);
    sd_train train;
    sd_grid g;
    double sum = 0;
    const bool distilled = s->rules.family == SD_LCM;
    c.steps = t->train;
    if (!distilled)
        c.betas = SD_LINEAR, c.beta_start = 1e-4, c.beta_end = 0.02;
    c.clip_sample = c.alpha_to_one = -1;
    c.karras = t->karras, c.final_sigma_min = t->low;
    c.lower_order_final = !t->low || s->rules.family == SD_UNIPC;
    assert_int_equal(sd_train_create(&c, &train, NULL), BT_OK);
    assert_int_equal(sd_grid_create(&c, &train, &s->rules, SD_GRID_MODEL, t->steps ? t->steps : 10,
                                    false, &g, NULL),
                     BT_OK);
    walker *k = walker_new(s, &c, &train, &g, t->eta, (sd_shape){ 1, 96, 8 });
    k->linear = 0;
    k->scaled = s->rules.family == SD_EULER;
    sd_noise_seed(&k->p.rng, false, 0);
    k->p.path.seed = 0;
    /* arange(768) as (3, 8, 8, 4), then the last axis first */
    for (int b = 0; b < 4; b++)
        for (int i = 0; i < 192; i++)
            k->w.x[b * 192 + i] = (float)(4 * i + b) / 768 * g.start;
    for (int i = 0; i < g.n; i++)
        assert_int_equal(sd_walk_step(&k->w, i), BT_OK);
    for (size_t i = 0; i < k->w.n; i++)
        sum += fabs((double)k->w.x[i]);
    walker_free(k);
    sd_grid_release(&g);
    sd_train_release(&train);
    return sum;
}

static void test_weightless(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        double sum = run_weightless(&tests[i]);
        print_message("%-10s %.5f (%.5f)\n", tests[i].sampler, sum, tests[i].sum);
        if (!(fabs(sum - tests[i].sum) <= 1e-4 * tests[i].sum + 5e-5))
            fail_msg("%s: %.6f, not %.6f", tests[i].sampler, sum, tests[i].sum);
    }
}

/* ---- noise ------------------------------------------------------------------------------ */

static void test_brownian(void **state)
{
    (void)state;
    enum { N = 64 };
    float out[N], tmp[SD_BROWNIAN_TMP * N];
    const cJSON *list = cJSON_GetObjectItem(side, "brownian");
    for (int i = 0; i < cJSON_GetArraySize(list); i++) {
        const cJSON *v = cJSON_GetArrayItem(list, i);
        double at[5];
        char name[32];
        size_t n;
        for (int j = 0; j < 5; j++)
            at[j] = cJSON_GetArrayItem(v, j)->valuedouble;
        snprintf(name, sizeof name, "brownian.%d", i);
        float *ref = golden_floats(golden, name, &n);
        sd_brownian b = { false, (uint64_t)at[0], (double)(float)at[1], (double)(float)at[2] };
        sd_brownian_draw(&b, (sd_shape){ 4, 4, 4 }, (float)at[3], (float)at[4], out, tmp);
        float *planes = to_nchw(out, 4, 4, 4);
        expect(name, distance(planes, ref, N), 1e-5);
        free(planes);
        free(ref);
    }
    assert_int_equal(cJSON_GetArraySize(list), 18);
}

static void test_blend(void **state)
{
    (void)state;
    size_t n;
    float *a = golden_floats(golden, "slerp.a", &n), *b = golden_floats(golden, "slerp.b", &n);
    for (int i = 0; i < 2; i++) {
        float *ref = golden_floats(golden, i ? "slerp.0.5" : "slerp.0.1", &n);
        float *x = to_nhwc(a, 4, 6, 5), *y = to_nhwc(b, 4, 6, 5);
        sd_noise_blend((sd_shape){ 4, 6, 5 }, i ? 0.5 : 0.1, x, y);
        float *planes = to_nchw(x, 4, 6, 5);
        expect("slerp", distance(planes, ref, n), 1e-6);
        free(x), free(y), free(ref), free(planes);
    }
    free(a), free(b);
    float x[3] = { 1, -2, 3 };
    const float y[3] = { -4, -6, 3 };
    sd_noise_blend((sd_shape){ 1, 1, 3 }, 0.25, x, y); /* one row has no sphere */
    for (int i = 0; i < 3; i++)
        assert_true(fabsf(x[i] - (float[]){ -0.25f, -3, 3 }[i]) < 1e-6f);
}

/* With a first picture: diffusers takes the last int(20 * 0.75) steps, k-diffusion in
 * A1111 one more, its DDIM one less. Nothing is left of a strength of 0 where nothing
 * is done then. */
static void test_first(void **state)
{
    (void)state;
    static const struct {
        const char *sampler;
        sd_grid_kind kind;
        int full, most, none; /* askings with strength 0.75, 1 and 0 */
    } cases[] = {
        { "euler", SD_GRID_MODEL, 15, 20, 0 },       { "euler", SD_GRID_KARRAS, 16, 20, 1 },
        { "dpm++2m", SD_GRID_AUTOMATIC, 16, 20, 1 }, { "ddim", SD_GRID_MODEL, 15, 20, 0 },
        { "ddim", SD_GRID_AUTOMATIC, 14, 18, 0 },    { "unipc", SD_GRID_AUTOMATIC, 15, 19, 0 },
        { "plms", SD_GRID_MODEL, 15, 29, 0 },        { "lcm", SD_GRID_AUTOMATIC, 16, 20, 1 },
    };
    sd_schedule_config c = config_of(SD_EPSILON);
    sd_train train;
    assert_int_equal(sd_train_create(&c, &train, NULL), BT_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const sd_sampler *s = sampler_named(cases[i].sampler);
        sd_grid g;
        assert_int_equal(sd_grid_create(&c, &train, &s->rules, cases[i].kind, 20, false, &g, NULL),
                         BT_OK);
        assert_int_equal(g.n - sd_grid_first(&g, s->rules.family, 0.75), cases[i].full);
        assert_int_equal(g.n - sd_grid_first(&g, s->rules.family, 1), cases[i].most);
        assert_int_equal(g.n - sd_grid_first(&g, s->rules.family, 0), cases[i].none);
        sd_grid_release(&g);
    }
    sd_train_release(&train);
}

/* A sampler gives up when the network does, wherever in its step. */
static void test_failure(void **state)
{
    (void)state;
    sd_schedule_config c = config_of(SD_EPSILON);
    sd_train train;
    assert_int_equal(sd_train_create(&c, &train, NULL), BT_OK);
    for (const sd_sampler *s = sd_samplers; s->name; s++)
        for (int after = 1; after < 4; after++) {
            sd_grid g;
            bt_status st = BT_OK;
            assert_int_equal(
                sd_grid_create(&c, &train, &s->rules, SD_GRID_AUTOMATIC, 8, false, &g, NULL),
                BT_OK);
            walker *k = walker_new(s, &c, &train, &g, s->eta, (sd_shape){ 4, 4, 4 });
            k->fail_after = after;
            for (int i = 0; i < g.n && st == BT_OK; i++)
                st = sd_walk_step(&k->w, i);
            assert_int_equal(st, BT_ECANCELLED);
            assert_int_equal(k->asked, after + 1);
            walker_free(k);
            sd_grid_release(&g);
        }
    sd_train_release(&train);
}

static int setup(void **state)
{
    (void)state;
    golden = golden_open("walks");
    side = side_json("walks");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bt_store_close(golden);
    cJSON_Delete(side);
    return 0;
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_levels),   cmocka_unit_test(test_k_diffusion),
        cmocka_unit_test(test_a1111),    cmocka_unit_test(test_weightless),
        cmocka_unit_test(test_brownian), cmocka_unit_test(test_blend),
        cmocka_unit_test(test_first),    cmocka_unit_test(test_failure),
    };
    return cmocka_run_group_tests(all, setup, teardown);
}
