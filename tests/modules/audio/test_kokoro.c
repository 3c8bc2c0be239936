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
    bt_parts parts;
    bt_kok_piece last; /* what was spoken */
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
    v->parts = bt_kok_parts(v->k);
}

static void close_voice(voice *v)
{
    bt_parts_clear(&v->parts);
    bt_kokoro_close(v->k);
}

static float *wanted(const golden *g, const golden_run *r, const char *part, size_t *n)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", r->name, part);
    return golden_floats(g->store, name, n);
}

static int32_t *ids_of(const golden *g, const golden_run *r, const char *part, size_t *n)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", r->name, part);
    int64_t *wide = golden_ints(g->store, name, n);
    int32_t *ids = calloc(*n, sizeof *ids);
    assert_non_null(ids);
    for (size_t i = 0; i < *n; i++)
        ids[i] = (int32_t)wide[i];
    free(wide);
    return ids;
}

static void speak(voice *v, const golden *g, const golden_run *r)
{
    size_t n, m;
    bt_error err = { 0 };
    int32_t *ids = ids_of(g, r, "ids", &n), *frames = ids_of(g, r, "durations", &m);
    float *style = wanted(g, r, "style", NULL);
    const bt_run run = { .error = &err };
    v->last = (bt_kok_piece){ .ids = ids,
                              .n = n,
                              .style = style,
                              .length_scale = 1 / r->speed,
                              .noise_scale = 1,
                              .seed = r->seed };
    if (bt_kok_speak(&v->parts, &v->last, &run) != BT_OK)
        fail_msg("%s", err.text);
    assert_int_equal(n, m);
    assert_memory_equal(v->last.durations, frames, n * sizeof *frames);
    free(ids);
    free(frames);
    free(style);
}

/* Runs the text's part alone: the wave's writes over it. */
static bt_part *read_text(voice *v, const golden *g, const golden_run *r)
{
    bt_part *p;
    size_t n;
    bt_error err = { 0 };
    int32_t *ids = ids_of(g, r, "ids", &n);
    float *style = wanted(g, r, "style", NULL);
    assert_int_equal(bt_part_get(&v->parts, BT_KOK_TEXT, (int64_t)n, &p, &err), BT_OK);
    memcpy(bt_plan_data(p->plan, p->ids), ids, n * sizeof *ids);
    memcpy(bt_plan_data(p->plan, p->in[BT_KOK_IN_STYLE]), style,
           2 * (size_t)v->k->style * sizeof *style);
    memset(bt_plan_data(p->plan, p->in[BT_KOK_IN_ZEROS]), 0, n * sizeof *ids);
    for (size_t i = 0; i < n; i++)
        ((int32_t *)bt_plan_data(p->plan, p->in[BT_KOK_IN_POSITIONS]))[i] = (int32_t)i;
    assert_int_equal(bt_plan_run(p->plan, NULL, &err), BT_OK);
    free(ids);
    free(style);
    return p;
}

/* What was spoken last is still there. */
static bt_part *wave_of(voice *v)
{
    bt_part *p;
    bt_error err = { 0 };
    assert_int_equal(bt_part_get(&v->parts, BT_KOK_WAVE, v->last.frames, &p, &err), BT_OK);
    return p;
}

static double compare(bt_part *p, const golden *g, const golden_run *r, const char *part, int out)
{
    size_t n;
    float *want = wanted(g, r, part, &n);
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
    const int64_t f = (int64_t)half / 2;
    assert_int_equal(bt_graph_create(k->ws, &graph), BT_OK);
    bt_graph_round(graph, true); /* as long pieces are made; nothing in f32 */
    bt_node *twice = bt_input_ids(graph, 2 * f);
    bt_node *in[5] = { bt_input(graph, (bt_shape){ 1, 1, f, k->hidden }),
                       bt_input(graph, (bt_shape){ 1, 1, 2 * f, 1 }),
                       bt_input(graph, (bt_shape){ 1, 1, 2 * f, 1 }),
                       bt_input(graph, (bt_shape){ 1, 1, f * k->hop, 1 }),
                       bt_input(graph, (bt_shape){ 1, 1, 1, k->style }) };
    bt_node *har = bt_kok_source(graph, k, in[1], in[3]);
    bt_node *x = bt_kok_decoder(graph, k, in[0], in[1], in[2], in[4], twice);
    bt_node *y = bt_output(graph, bt_kok_generator(graph, k, x, har, in[4]));
    if (bt_plan_create(graph, &p, &err) != BT_OK)
        fail_msg("%s", err.text);
    repeat(bt_plan_data(p, in[0]), text, frames, n, k->hidden);
    memcpy(bt_plan_data(p, in[1]), pitch, half * sizeof *pitch);
    memcpy(bt_plan_data(p, in[2]), energy, half * sizeof *energy);
    memcpy(bt_plan_data(p, in[4]), style, (size_t)k->style * sizeof *style);
    bt_torch_seed(&rng, r->seed);
    bt_torch_randn(&rng, bt_plan_data(p, in[3]), samples);
    int32_t *ids = bt_plan_data(p, twice);
    for (int32_t i = 0; i < 2 * f; i++)
        ids[i] = i / 2;
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
        bt_part *part = read_text(&v, g, r);
        assert_true(compare(part, g, r, "logits", 2) > curves);
        assert_true(compare(part, g, r, "text", 1) > 60);
        speak(&v, g, r);
        part = wave_of(&v);
        assert_true(compare(part, g, r, "pitch", 1) > curves);
        assert_true(compare(part, g, r, "energy", 2) > curves);
        assert_true(compare(part, g, r, "samples", 0) > samples);
        if (p == BT_PREC_F32 || v.kernels.cpu & BT_CPU_AMX)
            check_vocoder(&v, g, r, p == BT_PREC_F32 ? 60 : samples);
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
        add_tensor(header, data, name, 3, (int64_t[]){ (int64_t)rows, 1, 1 }, g, rows);
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
    if (!GOLDEN_BRIEF)
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
        assert_int_equal(one.last.frames, more.last.frames);
        assert_memory_equal(one.last.samples, more.last.samples,
                            (size_t)(one.last.frames * one.k->hop) * sizeof *one.last.samples);
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
    if (GOLDEN_BRIEF || !real_path(path, sizeof path))
        return;
    load_golden(&g, "kokoro");
    same_for_threads(path, &g, BT_PREC_AUTO);
    bt_store_close(g.store);
}

/* ---- the module with the real model --------------------------------------- */

static bool open_real(host *h)
{
    char path[1024];
    if (!real_path(path, sizeof path))
        return false;
    host_open_as(h, &bt_module_kokoro, path, 2, BT_PREC_AUTO);
    return true;
}

/* Phonemes last as many frames as onnxruntime gives them. */
static void times_are_durations(void **state)
{
    host h;
    golden g;
    (void)state;
    if (!open_real(&h))
        skip();
    load_golden(&g, "kokoro");
    char *text = golden_text("kokoro/kokoro.json", NULL), speed[32];
    cJSON *json = cJSON_Parse(text);
    for (int i = 0; i < g.n; i++) {
        const cJSON *r = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "runs"), i);
        size_t n;
        int32_t *frames = ids_of(&g, &g.run[i], "durations", &n);
        uint64_t at = 0;
        snprintf(speed, sizeof speed, "%g", (double)g.run[i].speed);
        host_set(&h, "speed", speed);
        host_set(&h, "speaker", cJSON_GetObjectItem(r, "voice")->valuestring);
        host_set(&h, "phonemes", cJSON_GetObjectItem(r, "phonemes")->valuestring);
        host_run_timed(&h, 0);
        for (size_t k = 0; k < n; k++) {
            const bt_timing *t = host_told(&h, BT_TIMING_PHONEME, (int)k);
            assert_int_equal(t->begin, at);
            at += 600 * (uint64_t)frames[k];
            assert_int_equal(t->end, at);
        }
        assert_int_equal(at, h.n);
        free(frames);
    }
    cJSON_Delete(json);
    free(text);
    bt_store_close(g.store);
    host_close(&h);
}

static double level(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum / (double)n);
}

/* Around sample `at`, where two pieces meet: no step, the silence of a clause and no more,
 * and speech of the same level on either side. */
static void check_join(const host *h, size_t at)
{
    enum { SECOND = 24000 };
    size_t before = at, after = at;
    assert_true(at > 2 * SECOND && at + 2 * SECOND < h->n);
    while (fabsf(h->samples[before - 1]) < 0.01f)
        before--;
    while (fabsf(h->samples[after]) < 0.01f)
        after++;
    const double left = level(h->samples + before - 2 * SECOND, 2 * SECOND);
    const double right = level(h->samples + after, 2 * SECOND);
    const double silence = level(h->samples + before, after - before);
    const double step = fabs((double)h->samples[at] - (double)h->samples[at - 1]);
    printf("    join at %.2f s: %zu ms of silence, its level %.6f, step %.7f; speech before %.4f, "
           "after %.4f\n",
           (double)at / SECOND, (after - before) / 24, silence, step, left, right);
    assert_true(after - before >= SECOND / 10 && after - before <= SECOND * 36 / 100);
    assert_true(step < 1e-4 && silence < 0.003);
    assert_true(left < 1.6 * right && right < 1.6 * left); /* 4 dB */
}

#define CLAUSE "ðə kwˈɪk bɹˈWn fˈɑks ʤˈʌmps ˈOvəɹ ðə lˈAzi dˈɔɡ ænd lˈʊks ˌʌp æt ðə mˈun, "
#define FIVE   CLAUSE CLAUSE CLAUSE CLAUSE CLAUSE

static void joins_are_not_heard(void **state)
{
    host h;
    int joins = 0;
    (void)state;
    if (!open_real(&h))
        skip();
    host_set(&h, "phonemes", FIVE FIVE "dˈɔɡ.");
    host_run(&h);
    const size_t n = h.n;
    float *streamed = malloc(n * sizeof *streamed);
    memcpy(streamed, h.samples, n * sizeof *streamed);
    host_run_timed(&h, 0);
    assert_int_equal(h.n, n);
    assert_memory_equal(h.samples, streamed, n * sizeof *streamed);
    for (size_t i = 1; i < h.n_times; i++)
        if (h.times[i].id == 0 && h.times[i - 1].id == 0) {
            check_join(&h, h.times[i].begin);
            joins++;
        }
    assert_int_equal(joins, 1);
    free(streamed);
    host_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny),           cmocka_unit_test(test_checkpoint_names),
        cmocka_unit_test(test_real),           cmocka_unit_test(test_threads),
        cmocka_unit_test(times_are_durations), cmocka_unit_test(joins_are_not_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
