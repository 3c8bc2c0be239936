/* SPDX-License-Identifier: MIT
 * en_US-joe-medium against onnxruntime (tests/golden/make_speech.py): the same
 * lengths, and samples within the bounds of the issue; threads and precision.
 */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "audio/vits/phonemes.h"
#include "audio/vits/vits.h"
#include "formats/convert.h"
#include "voice_host.h"

/* The runs of a golden's JSON: "<sentence or voice>.<kind>". */
typedef struct golden_run {
    char name[32], file[64];
    float scales[3];
    uint64_t seed;
    int speaker;
} golden_run;

enum { MAX_RUNS = 10 };

typedef struct golden {
    bt_store *store;
    golden_run run[MAX_RUNS];
    int n;
} golden;

static golden joe, tiny;

/* Of joe: all, or two short sentences, each with and without noise. */
static int runs(void) { return GOLDEN_BRIEF ? 4 : joe.n; }

static double number(const cJSON *o, const char *key)
{
    const cJSON *v = cJSON_GetObjectItem(o, key);
    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

static void load_golden(golden *g, const char *name)
{
    char file[64];
    snprintf(file, sizeof file, "%s.json", name);
    char *text = golden_text(file, NULL);
    cJSON *json = cJSON_Parse(text), *item;
    free(text);
    g->store = golden_open(name);
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "runs"))
    {
        assert_true(g->n < MAX_RUNS);
        golden_run *r = &g->run[g->n++];
        const cJSON *voice = cJSON_GetObjectItem(item, "file"), *scale;
        int i = 0;
        snprintf(r->name, sizeof r->name, "%s", cJSON_GetObjectItem(item, "name")->valuestring);
        snprintf(r->file, sizeof r->file, "%s", voice ? voice->valuestring : JOE);
        cJSON_ArrayForEach(scale, cJSON_GetObjectItem(item, "scales")) r->scales[i++] =
            (float)scale->valuedouble;
        r->seed = (uint64_t)number(item, "seed");
        r->speaker = (int)number(item, "sid");
    }
    assert_true(g->n >= 5);
    cJSON_Delete(json);
}

static int load(void **state)
{
    (void)state;
    load_golden(&joe, "speech");
    load_golden(&tiny, "tiny_vits");
    return 0;
}

static int unload(void **state)
{
    (void)state;
    bt_store_close(joe.store);
    bt_store_close(tiny.store);
    return 0;
}

/* ---- one run from ids, without espeak-ng ------------------------------- */

static host_sound speak(host *h, const golden *g, const golden_run *r, bool first)
{
    char key[64];
    host_sound out = { 0 };
    size_t n;
    snprintf(key, sizeof key, "%.*s.ids", (int)strcspn(r->name, "."), r->name);
    int64_t *ids = golden_ints(g->store, key, &n);
    int32_t *ids32 = calloc(n, sizeof *ids32);
    for (size_t i = 0; i < n; i++)
        ids32[i] = (int32_t)ids[i];
    bt_parts plans = bt_vits_parts(h->model);
    const bt_vits_settings s = {
        .speaker = r->speaker,
        .noise_scale = r->scales[0],
        .length_scale = r->scales[1],
        .noise_w = r->scales[2],
    };
    const bt_run run = { .error = &h->error };
    const bt_speak_call c = {
        .r = &run, .seed = r->seed, .first = first, .samples = host_hear, .user = &out
    };
    if (bt_vits_speak(&plans, ids32, n, &s, &c) != BT_OK)
        fail_msg("%s", h->error.text);
    bt_parts_clear(&plans);
    free(ids);
    free(ids32);
    return out;
}

static void compare(host *h, const golden *g, const golden_run *r, int gain, double bound)
{
    char key[64];
    size_t n;
    snprintf(key, sizeof key, "%s.audio", r->name);
    float *want = golden_floats(g->store, key, &n);
    host_sound got = speak(h, g, r, false);
    assert_int_equal(got.n, n);
    double snr = gain ? golden_snr_gain_db(got.x, want, n) : golden_snr_db(got.x, want, n);
    print_message("%s: %.1f dB\n", r->name, snr);
    assert_true(snr >= bound);
    free(got.x);
    free(want);
}

/* Every run of joe, from the voice at `path`, against the golden. */
static void check(const char *path, bt_precision p, int gain, double bound)
{
    host h;
    host_open(&h, path, NULL, 2, p);
    for (int i = 0; i < runs(); i++)
        compare(&h, &joe, &joe.run[i], gain, bound);
    host_close(&h);
}

static void matches_onnxruntime(void **state)
{
    (void)state;
    check(JOE, BT_PREC_F32, 0, 50);
}

/* Random voices of other sizes: ResBlock1, four stages, three speakers; 16 kHz. */
static void other_voices_match_onnxruntime(void **state)
{
    (void)state;
    for (int i = 0; i < tiny.n; i++) {
        host h;
        char path[1024];
        snprintf(path, sizeof path, "%s/tests/golden/%s", BT_SOURCE_DIR, tiny.run[i].file);
        host_open(&h, path, NULL, 2, BT_PREC_F32);
        compare(&h, &tiny, &tiny.run[i], 0, 50);
        host_close(&h);
    }
}

/* Without fast bf16 `auto` is f32 with fewer products (graph/minimal.h). */
static const char *const plain_isas[] = { "avx2", "avx512vnni", "neon" };
enum { N_ISAS = sizeof plain_isas / sizeof *plain_isas };

static bool open_plain(host *h, const char *path, int isa, int threads)
{
    const int64_t cap = bt_cpu_cap(plain_isas[isa]);
    if (cap < 0 || (bt_cpu_flags() & cap) != cap)
        return false;
    host_open(h, path, plain_isas[isa], threads, BT_PREC_AUTO);
    return true;
}

static void minimal_filtering_matches_onnxruntime(void **state)
{
    (void)state;
    for (int isa = 0; isa < N_ISAS; isa++) {
        host h;
        if (!open_plain(&h, JOE, isa, 2))
            continue;
        assert_true(((const bt_voice *)h.model)->dec.minimal);
        for (int i = 0; i < runs(); i++)
            compare(&h, &joe, &joe.run[i], 0, 75);
        host_close(&h);
        for (int i = 0; i < tiny.n; i++) {
            char path[1024];
            snprintf(path, sizeof path, "%s/tests/golden/%s", BT_SOURCE_DIR, tiny.run[i].file);
            open_plain(&h, path, isa, 2);
            compare(&h, &tiny, &tiny.run[i], 0, 50);
            host_close(&h);
        }
    }
}

static void assert_same_sound(host_sound a, host_sound b)
{
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.x, b.x, a.n * sizeof *a.x);
    free(a.x);
    free(b.x);
}

/* In one piece, or its first frames for themselves (one is spoken so slowly that it takes
 * several pieces anyway, cut at other places then); on any number of threads. */
static void minimal_filtering_has_the_same_groups_in_any_cut(void **state)
{
    (void)state;
    for (int isa = 0; isa < N_ISAS; isa++)
        for (int i = 0; i < runs(); i++) {
            golden_run r = joe.run[i];
            host h;
            r.scales[1] *= i == 0 ? 4 : 1;
            if (!open_plain(&h, JOE, isa, 1))
                continue;
            host_sound whole = speak(&h, &joe, &r, false);
            host_close(&h);
            open_plain(&h, JOE, isa, 1 + i % 2);
            assert_same_sound(whole, speak(&h, &joe, &r, true));
            host_close(&h);
        }
}

static void auto_precision_is_close(void **state)
{
    (void)state;
    check(JOE, BT_PREC_AUTO, 1, 25);
}

/* Coarser types change the sound, never the length. */
static void all_precisions_have_the_same_lengths(void **state)
{
    (void)state;
    check(JOE, BT_PREC_BF16, 1, 20);
    check(JOE, BT_PREC_INT8, 1, 0);
}

static void check_converted(bt_dtype type, bt_precision p, int gain, double bound)
{
    char in[1024], out[64];
    bt_store *s;
    bt_error err = { 0 };
    snprintf(out, sizeof out, "/tmp/bottega-voice-%d.gguf", (int)getpid());
    if (bt_store_open(golden_data(JOE, in, sizeof in), &s, &err) != BT_OK ||
        bt_convert_store(s, out, type, NULL, NULL, NULL, &err) != BT_OK)
        fail_msg("%s", err.text);
    bt_store_close(s);
    check(out, p, gain, bound);
    remove(out);
}

static void own_files_are_read(void **state)
{
    (void)state;
    check_converted(BT_F32, BT_PREC_F32, 0, 50);
}

static void quantized_voices_are_close(void **state)
{
    (void)state;
    check_converted(BT_Q8_0, BT_PREC_AUTO, 1, 25);
}

static void threads_do_not_change_bytes(void **state)
{
    (void)state;
    static const bt_precision precisions[] = { BT_PREC_F32, BT_PREC_AUTO };
    for (int p = 0; p < 2; p++) {
        host_sound first = { 0 };
        for (int threads = 1; threads <= 3; threads++) {
            host h;
            host_open(&h, JOE, NULL, threads, precisions[p]);
            host_sound s = speak(&h, &joe, &joe.run[GOLDEN_BRIEF ? 3 : 5], false);
            if (threads == 1) {
                first = s;
            } else {
                assert_int_equal(s.n, first.n);
                assert_memory_equal(s.x, first.x, s.n * sizeof *s.x);
                free(s.x);
            }
            host_close(&h);
        }
        free(first.x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_onnxruntime),
        cmocka_unit_test(other_voices_match_onnxruntime),
        cmocka_unit_test(minimal_filtering_matches_onnxruntime),
        cmocka_unit_test(minimal_filtering_has_the_same_groups_in_any_cut),
        cmocka_unit_test(auto_precision_is_close),
        cmocka_unit_test(all_precisions_have_the_same_lengths),
        cmocka_unit_test(own_files_are_read),
        cmocka_unit_test(quantized_voices_are_close),
        cmocka_unit_test(threads_do_not_change_bytes),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
