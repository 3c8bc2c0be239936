/* SPDX-License-Identifier: MIT
 * Schedules and samplers against traces of diffusers' classes (make_samplers.py).
 */
#include "common.h"

#include "image/sampling/samplers.h"
#include "walker.h"

static bt_store *golden;
static cJSON *side;

/* The configuration as a file would give it. */
static sd_schedule_config read_config(const cJSON *json)
{
    char *text = cJSON_Print(json);
    const char *path =
        temp_model((const char *const[]){ "scheduler/scheduler_config.json", text, NULL });
    bt_error err = { 0 };
    bt_store *s;
    sd_schedule_config c = { 0 };

    if (bt_store_open(path, &s, &err) != BT_OK || sd_schedule_read(s, &c, &err) != BT_OK)
        fail_msg("%s", err.text);
    bt_store_close(s);
    remove_model(path);
    free(text);
    return c;
}

static sd_schedule_config named_config(const char *name)
{
    return read_config(cJSON_GetObjectItem(cJSON_GetObjectItem(side, "configs"), name));
}

static void close_to(const char *key, const char *what, const float *x, double bound)
{
    char name[128];
    size_t n;
    snprintf(name, sizeof name, "%s.%s", key, what);
    if (!bt_store_find(golden, name))
        return;
    float *ref = golden_floats(golden, name, &n);
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)x[i] - (double)ref[i]) <= bound * (1 + fabs((double)ref[i]))))
            fail_msg("%s[%zu]: %.9g, not %.9g", name, i, (double)x[i], (double)ref[i]);
    free(ref);
}

static void test_training(void **state)
{
    (void)state;
    const cJSON *c;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(side, "configs"))
    {
        sd_schedule_config config = read_config(c);
        sd_train train;
        assert_int_equal(sd_train_create(&config, &train, NULL), BT_OK);
        close_to(c->string, "alphas_cumprod", train.abar, 2e-7);
        sd_train_release(&train);
        sd_schedule_release(&config);
    }
}

/* Follows a trace from its own start; compares every step. A trace has a point
 * for every asking. */
static void follow(const char *key, const sd_sampler *sampler, const sd_schedule_config *c,
                   const sd_train *train, const sd_grid *grid, double eta)
{
    char name[128];
    snprintf(name, sizeof name, "%s.trace", key);
    if (!bt_store_find(golden, name))
        return;
    size_t n;
    int asks = 0;
    float *ref = golden_floats(golden, name, &n);
    double scale = (double)(grid->start > 1 ? grid->start : 1);
    walker *k = walker_new(sampler, c, train, grid, eta, (sd_shape){ 4, 4, 4 });

    assert_int_equal(n, (size_t)(sd_sampler_asks(sampler, grid, 0) + 1) * k->w.n);
    for (int i = 0; i <= grid->n; i++) {
        float *planes = to_nchw(k->w.x, 4, 4, 4);
        /* float rounding of a step at noise level s stays in proportion to s */
        double bound = 3e-5 * (i ? (double)grid->sigma[i - 1] / 10 + 1 : scale);
        for (size_t j = 0; j < k->w.n; j++) {
            double want = (double)ref[(size_t)asks * k->w.n + j];
            if (!(fabs((double)planes[j] - want) <= bound))
                fail_msg("%s step %d [%zu]: %.9g, not %.9g", key, i, j, (double)planes[j], want);
        }
        free(planes);
        asks += sampler->twice && i + 1 < grid->n ? 2 : 1;
        if (i < grid->n)
            assert_int_equal(sd_walk_step(&k->w, i), BT_OK);
    }
    walker_free(k);
    free(ref);
}

typedef struct kind {
    const char *golden, *sampler;
    double eta;
    int karras, exponential;
} kind;

static const kind kinds[] = {
    { "ddim", "ddim", 0, 0, 0 },
    { "ddim_eta1", "ddim", 1, 0, 0 },
    { "ddim_eta0.5", "ddim", 0.5, 0, 0 },
    { "euler", "euler", 0, 0, 0 },
    { "euler_karras", "euler", 0, 1, 0 },
    { "euler_exponential", "euler", 0, 0, 1 },
    { "euler_a", "euler_a", 1, 0, 0 },
    { "dpmpp_2m", "dpm++2m", 0, 0, 0 },
    { "dpmpp_2m_karras", "dpm++2m", 0, 1, 0 },
    { "dpmpp_2m_exponential", "dpm++2m", 0, 0, 1 },
    { "dpmpp_2m_sde", "dpm++2m_sde", 1, 0, 0 },
    { "dpmpp_2m_sde_karras", "dpm++2m_sde", 1, 1, 0 },
    { "dpmpp_3m", "dpm++2m", 0, 0, 0 },
    { "heun", "heun", 0, 0, 0 },
    { "unipc", "unipc", 0, 0, 0 },
    { "ddpm", "ddpm", 1, 0, 0 },
    { "lcm", "lcm", 1, 0, 0 },
    { "pndm", "plms", 0, 0, 0 },
};

static void check_kind(const cJSON *json, const kind *k)
{
    static const int steps[] = { 1, 2, 3, 4, 5, 7, 10, 12, 15, 20, 25, 28, 30, 50 };
    sd_schedule_config c = read_config(json);
    const sd_sampler *sampler = sampler_named(k->sampler);
    sd_train train;

    c.karras = k->karras, c.exponential = k->exponential;
    if (!strcmp(k->golden, "dpmpp_3m"))
        c.order = 3;
    if (!strcmp(k->golden, "heun") || !strcmp(k->golden, "pndm"))
        c.zero_snr = 0; /* diffusers' classes do not know it */
    assert_int_equal(sd_train_create(&c, &train, NULL), BT_OK);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char key[96];
        sd_grid g;
        snprintf(key, sizeof key, "%s.%s.n%d", json->string, k->golden, steps[i]);
        if (!sd_grid_model_steps(&c, &train, sampler->rules.family, steps[i]))
            continue;
        assert_int_equal(
            sd_grid_create(&c, &train, &sampler->rules, SD_GRID_MODEL, steps[i], false, &g, NULL),
            BT_OK);
        if (!sampler->twice) { /* those name a point for every asking */
            close_to(key, "timesteps", g.t, 2e-6);
            if (sampler->rules.family >= SD_EULER)
                close_to(key, "sigmas", g.sigma, 2e-6);
        }
        close_to(key, "init_noise_sigma", &g.start, 2e-6);
        follow(key, sampler, &c, &train, &g, k->eta);
        sd_grid_release(&g);
    }
    sd_train_release(&train);
    sd_schedule_release(&c);
}

static void test_traces(void **state)
{
    (void)state;
    const cJSON *c;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(
                              side, "configs")) for (size_t k = 0; k < sizeof kinds / sizeof *kinds;
                                                     k++) check_kind(c, &kinds[k]);
}

/* Every grid of every sampler falls and gives it finite numbers. */
static void test_all_grids_fall(void **state)
{
    (void)state;
    sd_schedule_config c = named_config("icons");
    sd_train train;
    assert_int_equal(sd_train_create(&c, &train, NULL), BT_OK);
    for (const sd_sampler *s = sd_samplers; s->name; s++)
        for (int kind = 0; kind < SD_GRID_COUNT; kind++)
            for (int n = 1; n <= 1000; n = n * 3 + 1) {
                sd_grid g;
                if (n > 50 && s->rules.family == SD_LCM)
                    continue;
                assert_int_equal(
                    sd_grid_create(&c, &train, &s->rules, (sd_grid_kind)kind, n, true, &g, NULL),
                    BT_OK);
                for (int i = 0; i < g.n; i++) {
                    assert_true(g.t[i] >= 0 && g.t[i] <= 999);
                    assert_true(g.abar[i] >= 0 && g.abar[i] < 1 && g.next[i] >= g.abar[i]);
                }
                sd_grid_release(&g);
            }
    sd_grid g;
    for (int n = 0; n <= 1001; n += 1001)
        assert_int_equal(
            sd_grid_create(&c, &train, &sd_samplers[0].rules, SD_GRID_MODEL, n, false, &g, NULL),
            BT_EINVAL);
    sd_train_release(&train);
    sd_schedule_release(&c);
}

/* ---- models that begin in pure noise --------------------------------------------- */

/* By how much a picture in so many steps is not what the exact path ends in, spread times the
 * first noise; where noise is added on the way, by how much its spread is another. */
static double miss(const sd_schedule_config *c, const sd_train *train, const sd_sampler *s,
                   sd_grid_kind kind, int steps)
{
    enum { SIDE = 8, N = 4 * SIDE * SIDE };
    const double spread = 2;
    double first[N], all = 0, off = 0;
    sd_grid g;
    assert_int_equal(sd_grid_create(c, train, &s->rules, kind, steps, false, &g, NULL), BT_OK);
    if (s->restarts)
        assert_int_equal(sd_grid_restart(&g, 0, NULL), BT_OK);
    walker *k = walker_new(s, c, train, &g, s->eta, (sd_shape){ 4, SIDE, SIDE });
    k->spread = spread;
    for (int i = 0; i < N; i++)
        first[i] = (double)(k->w.x[i] / g.start);
    for (int i = 0; i < g.n; i++)
        assert_int_equal(sd_walk_step(&k->w, i), BT_OK);
    for (int i = 0; i < N; i++) {
        all += pow((double)k->w.x[i] / spread, 2) / N;
        off += pow((double)k->w.x[i] / spread - first[i], 2) / N;
    }
    walker_free(k);
    sd_grid_release(&g);
    return s->eta > 0 || s->restarts ? fabs(sqrt(all) - 1) : sqrt(off);
}

/* With zero terminal SNR the first level stands for an infinite one: neither the step out of
 * it nor those over levels far apart may lead astray. One step has nothing to go by. */
static void test_zero_snr(void **state)
{
    (void)state;
    static const int counts[] = { 1, 9, 20, 1000 };
    sd_schedule_config c = named_config("icons");
    sd_train train;
    assert_int_equal(sd_train_create(&c, &train, NULL), BT_OK);
    for (const sd_sampler *s = sd_samplers; s->name; s++)
        for (int i = 0; i < 8; i++) {
            const int n = counts[i / 2];
            if (n == 1000 && (s->brownian || s->rules.family == SD_LCM))
                continue;
            const double m = miss(&c, &train, s, i % 2 ? SD_GRID_AUTOMATIC : SD_GRID_MODEL, n);
            if (!(m < (n == 1 ? 1.5 : 0.5)))
                fail_msg("%s, %d %s steps: %.3f", s->name, n, i % 2 ? "automatic" : "own", m);
        }
    sd_train_release(&train);
    sd_schedule_release(&c);
}

/* Every choice leads to a sampler of its name, and to the grid named with it. */
static void test_choices(void **state)
{
    (void)state;
    int choice = 0, with_grid = 0;
    for (const char *p = strchr(sd_sampler_choices, ','); p; p = strchr(p + 1, ',')) {
        p += p[1] == '='; /* not listed */
        const size_t len = strcspn(p + 1, ",=");
        sd_grid_kind kind;
        const sd_sampler *s = sd_sampler_chosen(++choice, &kind);
        char want[64];
        assert_non_null(s->name);
        snprintf(want, sizeof want, "%s%s%s", s->name, kind ? "_" : "",
                 kind ? sd_grid_name(kind) : "");
        assert_int_equal(len, strlen(want));
        assert_memory_equal(p + 1, want, len);
        with_grid += kind != SD_GRID_MODEL;
    }
    assert_int_equal(choice, 36);
    assert_int_equal(with_grid, 16);
}

static int setup(void **state)
{
    (void)state;
    golden = golden_open("samplers");
    side = side_json("samplers");
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training),       cmocka_unit_test(test_traces),
        cmocka_unit_test(test_all_grids_fall), cmocka_unit_test(test_zero_snr),
        cmocka_unit_test(test_choices),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
