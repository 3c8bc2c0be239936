/* SPDX-License-Identifier: MIT
 * Kokoro against onnxruntime on the float form of its graph, stage by stage; threads and
 * precisions. The model itself is too large for the repository: without it only the tiny
 * one runs (tests/golden/kokoro).
 */
#include <stdio.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "audio/kokoro/kokoro.h"
#include "voice_host.h"

#define REAL "models/kokoro/kokoro.onnx"

enum { MAX_RUNS = 4 };

typedef struct golden_run {
    char name[32];
    float speed;
    uint64_t seed;
} golden_run;

typedef struct golden {
    bt_store *store;
    golden_run run[MAX_RUNS];
    int n;
} golden;

typedef struct voice {
    bt_kernels kernels;
    bt_compute compute;
    bt_kokoro *k;
    bt_kok_plans plans;
    float *samples;
    size_t n;
} voice;

static void load_golden(golden *g, const char *name)
{
    char path[64];
    memset(g, 0, sizeof *g);
    snprintf(path, sizeof path, "kokoro/%s.json", name);
    char *text = golden_text(path, NULL);
    cJSON *json = cJSON_Parse(text), *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "runs"))
    {
        assert_true(g->n < MAX_RUNS);
        golden_run *r = &g->run[g->n++];
        snprintf(r->name, sizeof r->name, "%s", cJSON_GetObjectItem(item, "name")->valuestring);
        r->speed = (float)cJSON_GetObjectItem(item, "speed")->valuedouble;
        r->seed = (uint64_t)cJSON_GetObjectItem(item, "seed")->valuedouble;
    }
    cJSON_Delete(json);
    free(text);
    snprintf(path, sizeof path, "kokoro/%s", name);
    g->store = golden_open(path);
}

static void open_voice(voice *v, const char *path, const char *isa, int threads, bt_precision p)
{
    bt_store *s;
    bt_error err = { 0 };
    memset(v, 0, sizeof *v);
    bt_kernels_init(&v->kernels, bt_cpu_flags() & (uint32_t)bt_cpu_cap(isa));
    v->compute = (bt_compute){ .kernels = &v->kernels, .threads = threads, .precision = p };
    if (bt_store_open(path, &s, &err) != BT_OK ||
        bt_kokoro_open(s, &v->compute, &v->k, &err) != BT_OK)
        fail_msg("%s", err.text);
    v->plans.voice = v->k;
}

static void close_voice(voice *v)
{
    bt_kok_plans_clear(&v->plans);
    bt_kokoro_close(v->k);
    free(v->samples);
}

static bt_status keep(void *user, const float *x, size_t n)
{
    voice *v = user;
    v->samples = realloc(v->samples, (v->n + n) * sizeof *x);
    memcpy(v->samples + v->n, x, n * sizeof *x);
    v->n += n;
    return BT_OK;
}

static float *wanted(const golden *g, const golden_run *r, const char *part, size_t *n)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", r->name, part);
    return golden_floats(g->store, name, n);
}

static void speak(voice *v, const golden *g, const golden_run *r)
{
    char name[64];
    size_t n, m;
    int32_t ids[512], durations[512];
    bt_error err = { 0 };
    snprintf(name, sizeof name, "%s.ids", r->name);
    int64_t *tokens = golden_ints(g->store, name, &n);
    snprintf(name, sizeof name, "%s.durations", r->name);
    int64_t *frames = golden_ints(g->store, name, &m);
    float *style = wanted(g, r, "style", NULL);
    assert_true(n == m && n <= 512);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)tokens[i];
    v->n = 0;
    const bt_kok_settings s = { .style = style,
                                .length_scale = 1 / r->speed,
                                .noise_scale = 1,
                                .seed = r->seed,
                                .samples = keep,
                                .user = v };
    if (bt_kok_speak(&v->plans, ids, n, &s, durations, &err) != BT_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(durations[i], frames[i]);
    free(tokens);
    free(frames);
    free(style);
}

static double compare(const voice *v, const golden *g, const golden_run *r, const char *part,
                      bt_kok_part plan, int out)
{
    size_t n;
    float *want = wanted(g, r, part, &n);
    const bt_kok_plan *p = &v->plans.list[plan];
    const bt_shape s = bt_shape_of(p->out[out]);
    assert_int_equal(n, s.w * s.c);
    const double db = golden_snr_db(bt_plan_data(p->plan, p->out[out]), want, n);
    printf("    %s %s: %.1f dB\n", r->name, part, db);
    free(want);
    return db;
}

/* Every stage of every run of `g`; the least SNR that is right. */
static void check(const char *path, const golden *g, const char *isa, bt_precision p, double curves,
                  double samples)
{
    voice v;
    open_voice(&v, path, isa, 2, p);
    printf("  %s, %s\n", v.kernels.isa, p == BT_PREC_F32 ? "f32" : "auto");
    for (int i = 0; i < g->n; i++) {
        const golden_run *r = &g->run[i];
        speak(&v, g, r);
        assert_true(compare(&v, g, r, "logits", BT_KOK_TEXT, 2) > curves);
        assert_true(compare(&v, g, r, "text", BT_KOK_TEXT, 1) > 60);
        assert_true(compare(&v, g, r, "pitch", BT_KOK_WAVE, 1) > curves);
        assert_true(compare(&v, g, r, "energy", BT_KOK_WAVE, 2) > curves);
        assert_true(compare(&v, g, r, "samples", BT_KOK_WAVE, 0) > samples);
    }
    close_voice(&v);
}

static bool real_path(char *path, size_t size)
{
    golden_data(REAL, path, size);
    return access(path, R_OK) == 0;
}

static void test_real(void **state)
{
    (void)state;
    char path[1024];
    golden g;
    if (!real_path(path, sizeof path))
        skip();
    load_golden(&g, "kokoro");
    check(path, &g, "auto", BT_PREC_F32, 60, 40);
    check(path, &g, "auto", BT_PREC_AUTO, 40, 25);
    bt_store_close(g.store);
}

static void test_threads(void **state)
{
    (void)state;
    char path[1024];
    golden g;
    if (!real_path(path, sizeof path))
        skip();
    load_golden(&g, "kokoro");
    voice one, more;
    open_voice(&one, path, "auto", 1, BT_PREC_AUTO);
    speak(&one, &g, &g.run[0]);
    for (int threads = 2; threads <= 3; threads++) {
        open_voice(&more, path, "auto", threads, BT_PREC_AUTO);
        speak(&more, &g, &g.run[0]);
        assert_int_equal(one.n, more.n);
        assert_memory_equal(one.samples, more.samples, one.n * sizeof *one.samples);
        close_voice(&more);
    }
    close_voice(&one);
    bt_store_close(g.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
