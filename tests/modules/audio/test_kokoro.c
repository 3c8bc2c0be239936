/* SPDX-License-Identifier: MIT
 * Kokoro against onnxruntime on the float form of its graph, stage by stage; threads and
 * precisions. The model itself is too large for the repository: without it only the tiny
 * one runs (tests/golden/kokoro).
 */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "audio/kokoro/kokoro.h"
#include "base/rng.h"
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

/* Row i of src as often as frames[i] says. */
static void repeat(float *dst, const float *src, const int64_t *frames, size_t n, int64_t c)
{
    for (size_t i = 0; i < n; i++)
        for (int64_t j = 0; j < frames[i]; j++, dst += c)
            memcpy(dst, src + (int64_t)i * c, (size_t)c * sizeof *dst);
}

/* Source, decoder and vocoder from the reference's own pitch, on which phases depend so much
 * that errors of 1e-6 show. */
static void check_vocoder(const voice *v, const golden *g, const golden_run *r, double least)
{
    const bt_kokoro *k = v->k;
    size_t n, half, samples;
    char name[64];
    bt_graph *graph;
    bt_plan *p;
    bt_error err = { 0 };
    bt_torch_rng rng;
    snprintf(name, sizeof name, "%s.durations", r->name);
    int64_t *frames = golden_ints(g->store, name, &n);
    float *text = wanted(g, r, "text", NULL), *pitch = wanted(g, r, "pitch", &half);
    float *energy = wanted(g, r, "energy", NULL), *style = wanted(g, r, "style", NULL);
    float *want = wanted(g, r, "samples", &samples);
    const int64_t f = (int64_t)half / 2, rows = f * k->hop / (k->fft / 4) + 1;
    assert_int_equal(bt_graph_create(k->ws, &graph), BT_OK);
    bt_node *twice = bt_input_ids(graph, 2 * f), *shift = bt_input_ids(graph, rows);
    bt_node *in[5] = { bt_input(graph, (bt_shape){ 1, 1, f, k->hidden }),
                       bt_input(graph, (bt_shape){ 1, 1, 2 * f, 1 }),
                       bt_input(graph, (bt_shape){ 1, 1, 2 * f, 1 }),
                       bt_input(graph, (bt_shape){ 1, 1, f * k->hop, 1 }),
                       bt_input(graph, (bt_shape){ 1, 1, 1, k->style }) };
    bt_node *har = bt_kok_source(graph, k, in[1], in[3]);
    bt_node *x = bt_kok_decoder(graph, k, in[0], in[1], in[2], in[4], twice);
    bt_node *y = bt_output(graph, bt_kok_generator(graph, k, x, har, in[4], shift));
    if (bt_plan_create(graph, &p, &err) != BT_OK)
        fail_msg("%s", err.text);
    repeat(bt_plan_data(p, in[0]), text, frames, n, k->hidden);
    memcpy(bt_plan_data(p, in[1]), pitch, half * sizeof *pitch);
    memcpy(bt_plan_data(p, in[2]), energy, half * sizeof *energy);
    memcpy(bt_plan_data(p, in[4]), style, (size_t)k->style * sizeof *style);
    bt_torch_seed(&rng, r->seed);
    bt_torch_randn(&rng, bt_plan_data(p, in[3]), samples);
    int32_t *ids = bt_plan_data(p, twice), *moved = bt_plan_data(p, shift);
    for (int32_t i = 0; i < 2 * f; i++)
        ids[i] = i / 2;
    for (int32_t i = 0; i < rows; i++)
        moved[i] = i ? i - 1 : 1;
    assert_int_equal(bt_plan_run(p, NULL, &err), BT_OK);
    const double db = golden_snr_db(bt_plan_data(p, y), want, samples);
    printf("    %s from its pitch: %.1f dB\n", r->name, db);
    assert_true(db > least);
    bt_plan_free(p);
    free(frames);
    free(text);
    free(pitch);
    free(energy);
    free(style);
    free(want);
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
        if (p == BT_PREC_F32)
            check_vocoder(&v, g, r, 60);
    }
    close_voice(&v);
}

static void tiny_path(char *path, size_t size)
{
    snprintf(path, size, "%s", BT_SOURCE_DIR "/tests/golden/kokoro/tiny.onnx");
}

/* The real model, if it is installed; whoever wants the test sets it up. */
static bool real_path(char *path, size_t size)
{
    const char *data = getenv("BOTTEGA_DATA"), *home = getenv("HOME");
    if (data && data[0])
        snprintf(path, size, "%s/" REAL, data);
    else
        snprintf(path, size, "%s/.local/share/bottega/" REAL, home ? home : "");
    return access(path, R_OK) == 0;
}

static const char *const isas[] = { "scalar", "avx2", "avx512", "auto" };
enum { N_ISAS = sizeof isas / sizeof *isas };

static void test_tiny(void **state)
{
    (void)state;
    char path[1024];
    golden g;
    load_golden(&g, "tiny");
    tiny_path(path, sizeof path);
    for (int i = 0; i < N_ISAS; i++)
        check(path, &g, isas[i], BT_PREC_F32, 80, 20);
    check(path, &g, "auto", BT_PREC_AUTO, 60, 10);
    bt_store_close(g.store);
}

/* hexgrad's name of a tensor: "decoder.x" is "decoder.module.x". */
static void checkpoint_name(char *out, size_t size, const char *name, const char *end)
{
    const char *dot = strchr(name, '.');
    snprintf(out, size, "%.*s.module%s%s", (int)(dot - name), name, dot, end);
}

static void add_tensor(FILE *header, FILE *data, const char *name, int n_dims, const int64_t *dims,
                       const float *v, size_t n)
{
    const long at = ftell(data);
    fprintf(header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", ftell(header) ? "," : "", name);
    for (int i = 0; i < n_dims; i++)
        fprintf(header, "%s%lld", i ? "," : "", (long long)dims[i]);
    fwrite(v, sizeof *v, n, data);
    fprintf(header, "],\"data_offsets\":[%ld,%ld]}", at, ftell(data));
}

/* A weight as it is, or as a direction and a norm. */
static void add_weight(FILE *header, FILE *data, const bt_kok_known *k)
{
    char name[256];
    bt_error err = { 0 };
    const bt_tensor *t = bt_weight_tensor(k->w);
    const size_t n = (size_t)bt_tensor_count(t), rows = n ? (size_t)t->dims[0] : 0;
    const size_t len = strlen(k->name);
    float *v = bt_weight_values(k->w, &err);
    assert_non_null(v);
    const bool normed = t->n_dims == 3 && strcmp(k->name + len - 7, ".weight") == 0;
    float *g = calloc(rows, sizeof *g);
    for (size_t i = 0; normed && i < n; i++)
        g[i / (n / rows)] += v[i] * v[i];
    for (size_t i = 0; i < rows; i++)
        g[i] = sqrtf(g[i]);
    for (size_t i = 0; normed && i < n; i++)
        v[i] *= 3; /* the norm of weight_v means nothing */
    checkpoint_name(name, sizeof name, k->name, normed ? "_v" : "");
    add_tensor(header, data, name, t->n_dims, t->dims, v, n);
    checkpoint_name(name, sizeof name, k->name, "_g");
    if (normed)
        add_tensor(header, data, name, 1, t->dims, g, rows);
    free(g);
    bt_release(v);
}

/* The voice's weights as a safetensors file under hexgrad's names. */
static void write_checkpoint(const bt_kokoro *k, const char *path)
{
    char *texts[2];
    size_t sizes[2];
    FILE *f = fopen(path, "wb"), *header = open_memstream(&texts[0], &sizes[0]);
    FILE *data = open_memstream(&texts[1], &sizes[1]);
    for (int i = 0; i < BT_KOK_KNOWN; i++)
        if (k->known[i].name && k->known[i].w)
            add_weight(header, data, &k->known[i]);
    fclose(header);
    fclose(data);
    const uint64_t n = sizes[0] + 2;
    fwrite(&n, 8, 1, f);
    fprintf(f, "{%s}", texts[0]);
    fwrite(texts[1], 1, sizes[1], f);
    fclose(f);
    free(texts[0]);
    free(texts[1]);
}

static void test_checkpoint_names(void **state)
{
    (void)state;
    char path[1024], file[] = "kokoro_checkpoint.safetensors";
    golden g;
    voice v;
    load_golden(&g, "tiny");
    tiny_path(path, sizeof path);
    open_voice(&v, path, "auto", 1, BT_PREC_F32);
    write_checkpoint(v.k, file);
    close_voice(&v);
    check(file, &g, "auto", BT_PREC_F32, 80, 20);
    remove(file);
    bt_store_close(g.store);
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

static void same_for_threads(const char *path, const golden *g, bt_precision p)
{
    voice one, more;
    open_voice(&one, path, "auto", 1, p);
    speak(&one, g, &g->run[0]);
    for (int threads = 2; threads <= 3; threads++) {
        open_voice(&more, path, "auto", threads, p);
        speak(&more, g, &g->run[0]);
        assert_int_equal(one.n, more.n);
        assert_memory_equal(one.samples, more.samples, one.n * sizeof *one.samples);
        close_voice(&more);
    }
    close_voice(&one);
}

static void test_threads(void **state)
{
    (void)state;
    char path[1024];
    golden g;
    load_golden(&g, "tiny");
    tiny_path(path, sizeof path);
    same_for_threads(path, &g, BT_PREC_F32);
    same_for_threads(path, &g, BT_PREC_AUTO);
    bt_store_close(g.store);
    if (!real_path(path, sizeof path))
        return;
    load_golden(&g, "kokoro");
    same_for_threads(path, &g, BT_PREC_AUTO);
    bt_store_close(g.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_checkpoint_names),
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
