/* SPDX-License-Identifier: MIT
 * Schedules and samplers against traces of diffusers' classes (make_samplers.py).
 */
#include "common.h"

#include "image/sampling/samplers.h"

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

/* f(x, t) of make_samplers.py */
static void network(const float *x, float t, float *out, int n)
{
    float k = (float)((double)t / ((double)t + 1) - 0.5 * (double)t / 1000);
    for (int i = 0; i < n; i++)
        out[i] = x[i] * k;
}

enum { C = 4, H = 4, W = 4, N = C * H * W };

/* Follows a trace from its own start; compares every step. */
static void follow(const char *key, const sd_sampler *sampler, const sd_schedule_config *c,
                   const sd_grid *grid, double eta)
{
    char name[128];
    snprintf(name, sizeof name, "%s.trace", key);
    if (!bt_store_find(golden, name))
        return;
    size_t n;
    float *ref = golden_floats(golden, name, &n), x[N], old[N], noise[N], tmp[N], in[N], out[N];
    sd_latent p = { .x = x, .old = old, .noise = noise, .tmp = tmp, .c = C, .h = H, .w = W };
    double scale = (double)(grid->start > 1 ? grid->start : 1);

    assert_int_equal(n, (size_t)(grid->n + 1) * N);
    sd_noise_seed(&p.rng, 0, 42);
    sd_noise_draw(&p.rng, x, tmp, C, H, W);
    for (int i = 0; i < N; i++)
        x[i] *= grid->start;
    for (int i = 0; i <= grid->n; i++) {
        float *planes = to_nchw(x, C, H, W);
        /* float rounding of a step at noise level s stays in proportion to s */
        double bound = 1e-5 * (i ? (double)grid->sigma[i - 1] / 10 + 1 : scale);
        for (int k = 0; k < N; k++)
            if (!(fabs((double)planes[k] - (double)ref[i * N + k]) <= bound * 3))
                fail_msg("%s step %d [%d]: %.9g, not %.9g", key, i, k, (double)planes[k],
                         (double)ref[i * N + k]);
        free(planes);
        if (i == grid->n)
            break;
        sd_sampler_input(sampler, grid, i, x, in, N);
        network(in, grid->t[i], out, N);
        sampler->step(&(sd_step){ grid, c, i, eta }, &p, out);
        p.done++;
    }
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
    { "euler_a", "euler_a", 0, 0, 0 },
    { "dpmpp_2m", "dpm++2m", 0, 0, 0 },
    { "dpmpp_2m_karras", "dpm++2m", 0, 1, 0 },
    { "dpmpp_2m_exponential", "dpm++2m", 0, 0, 1 },
};

static const sd_sampler *sampler_named(const char *name)
{
    const sd_sampler *s = sd_samplers;
    while (strcmp(s->name, name))
        s++;
    return s;
}

static void check_kind(const cJSON *json, const kind *k)
{
    static const int steps[] = { 1, 2, 3, 4, 5, 7, 10, 12, 15, 20, 25, 28, 30, 50 };
    sd_schedule_config c = read_config(json);
    const sd_sampler *sampler = sampler_named(k->sampler);
    sd_train train;

    c.karras = k->karras, c.exponential = k->exponential;
    assert_int_equal(sd_train_create(&c, &train, NULL), BT_OK);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char key[96];
        sd_grid g;
        snprintf(key, sizeof key, "%s.%s.n%d", json->string, k->golden, steps[i]);
        assert_int_equal(
            sd_grid_create(&c, &train, sampler->family, SD_GRID_MODEL, steps[i], &g, NULL), BT_OK);
        close_to(key, "timesteps", g.t, 2e-6);
        close_to(key, "sigmas", g.sigma, 2e-6);
        close_to(key, "init_noise_sigma", &g.start, 2e-6);
        follow(key, sampler, &c, &g, k->eta);
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

/* A1111's grids, SD 1.5, n = 10 (shared/research/image_engines.md, measured). */
static void test_named_grids(void **state)
{
    (void)state;
    static const struct {
        sd_grid_kind kind;
        int n;
        double sigma[10];
    } want[] = {
        { SD_GRID_KARRAS,
          10,
          { 14.6146, 9.1029, 5.4784, 3.1686, 1.7494, .91408, .44692, .20140, .08191, .02917 } },
        { SD_GRID_UNIFORM,
          10,
          { 14.6146, 7.8399, 4.6092, 2.9183, 1.9502, 1.3449, .93236, .62498, .36866, .02917 } },
        { SD_GRID_SGM_UNIFORM, 5, { 14.6146, 8.3072, 5.0924, 3.3251, 2.2797 } },
        { SD_GRID_SIMPLE, 3, { 14.6146, 8.3028, 5.0878 } },
        { SD_GRID_EXPONENTIAL, 3, { 14.6146, 7.3249, 3.6712 } },
    };
    sd_schedule_config c = named_config("sd15");
    sd_train train;
    assert_int_equal(sd_train_create(&c, &train, NULL), BT_OK);
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        sd_grid g;
        assert_int_equal(sd_grid_create(&c, &train, SD_EULER, want[k].kind, 10, &g, NULL), BT_OK);
        for (int i = 0; i < want[k].n; i++)
            assert_true(fabs((double)g.sigma[i] / want[k].sigma[i] - 1) < 3e-4);
        assert_true(g.sigma[10] == 0);
        assert_true(g.t[0] == 999);
        sd_grid_release(&g);
    }
    sd_train_release(&train);
    sd_schedule_release(&c);
}

/* Every named grid falls, ends at 0 and gives the sampler finite numbers. */
static void test_all_grids_fall(void **state)
{
    (void)state;
    sd_schedule_config c = named_config("icons");
    sd_train train;
    assert_int_equal(sd_train_create(&c, &train, NULL), BT_OK);
    for (int kind = 0; kind < SD_GRID_COUNT; kind++)
        for (int family = SD_DDIM; family <= SD_DPM; family++)
            for (int n = 1; n <= 1000; n = n * 3 + 1) {
                sd_grid g;
                assert_int_equal(
                    sd_grid_create(&c, &train, (sd_family)family, (sd_grid_kind)kind, n, &g, NULL),
                    BT_OK);
                for (int i = 0; i < n; i++) {
                    assert_true(g.t[i] >= 0 && g.t[i] <= 999);
                    assert_true(g.abar[i] >= 0 && g.abar[i] < 1 && g.next[i] > g.abar[i]);
                }
                sd_grid_release(&g);
            }
    sd_grid g;
    for (int n = 0; n <= 1001; n += 1001)
        assert_int_equal(sd_grid_create(&c, &train, SD_EULER, SD_GRID_MODEL, n, &g, NULL),
                         BT_EINVAL);
    sd_train_release(&train);
    sd_schedule_release(&c);
}

/* Every choice leads to a sampler of its name, the last three with Karras' levels. */
static void test_choices(void **state)
{
    (void)state;
    int choice = 0, with_karras = 0;
    for (const char *p = strchr(sd_sampler_choices, ','); p; p = strchr(p + 1, ',')) {
        const size_t len = strcspn(p + 1, ",=");
        bool karras;
        const sd_sampler *s = sd_sampler_chosen(++choice, &karras);
        char want[40];
        assert_non_null(s->name);
        snprintf(want, sizeof want, "%s%s", s->name, karras ? "_karras" : "");
        assert_int_equal(len, strlen(want));
        assert_memory_equal(p + 1, want, len);
        with_karras += karras;
    }
    assert_int_equal(choice, 7);
    assert_int_equal(with_karras, 3);
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
        cmocka_unit_test(test_training),    cmocka_unit_test(test_traces),
        cmocka_unit_test(test_named_grids), cmocka_unit_test(test_all_grids_fall),
        cmocka_unit_test(test_choices),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
