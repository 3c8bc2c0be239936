/* SPDX-License-Identifier: MIT
 * en_US-joe-medium against onnxruntime (tests/golden/make_speech.py): the same
 * lengths, and samples within the bounds of the issue; threads and precision.
 */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "audio/phonemes.h"
#include "audio/vits.h"
#include "formats/convert.h"
#include "voice_host.h"

/* The runs of speech.json: s<i>.plain (all noise 0) and s<i>.noise. */
typedef struct golden_run {
    char name[32];
    const char *text; /* of the JSON */
    float scales[3];
    uint64_t seed;
} golden_run;

enum { RUNS = 10 };

typedef struct golden {
    bt_store *store;
    cJSON *json;
    golden_run run[RUNS];
} golden;

static golden g;

static int load(void **state)
{
    (void)state;
    char *text = golden_text("speech.json", NULL);
    g.store = golden_open("speech");
    g.json = cJSON_Parse(text);
    free(text);
    cJSON *item;
    int n = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(g.json, "runs"))
    {
        assert_true(n < RUNS);
        golden_run *r = &g.run[n++];
        snprintf(r->name, sizeof r->name, "%s", cJSON_GetObjectItem(item, "name")->valuestring);
        r->text = cJSON_GetObjectItem(item, "text")->valuestring;
        for (int i = 0; i < 3; i++)
            r->scales[i] = (float)cJSON_GetArrayItem(cJSON_GetObjectItem(item, "scales"), i)->valuedouble;
        const cJSON *seed = cJSON_GetObjectItem(item, "seed");
        r->seed = cJSON_IsNumber(seed) ? (uint64_t)seed->valuedouble : 0;
    }
    assert_int_equal(n, RUNS);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    bt_store_close(g.store);
    cJSON_Delete(g.json);
    return 0;
}

/* ---- one run from ids, without espeak-ng ------------------------------- */

typedef struct sound {
    float *x;
    size_t n;
} sound;

static bt_status collect(void *user, const float *x, size_t n)
{
    sound *s = user;
    s->x = realloc(s->x, (s->n + n) * sizeof *x);
    assert_non_null(s->x);
    memcpy(s->x + s->n, x, n * sizeof *x);
    s->n += n;
    return BT_OK;
}

static sound speak(host *h, const golden_run *r)
{
    char key[64];
    sound out = { 0 };
    size_t n;
    snprintf(key, sizeof key, "s%c.ids", r->name[1]);
    int64_t *ids = golden_ints(g.store, key, &n);
    int32_t *ids32 = calloc(n, sizeof *ids32);
    for (size_t i = 0; i < n; i++)
        ids32[i] = (int32_t)ids[i];
    bt_vits_plans plans = { .voice = h->model };
    bt_vits_settings s = { .noise_scale = r->scales[0], .length_scale = r->scales[1], .noise_w = r->scales[2],
                           .seed = r->seed, .samples = collect, .user = &out };
    if (bt_vits_speak(&plans, ids32, n, &s, NULL, &h->error) != BT_OK)
        fail_msg("%s", h->error.text);
    bt_vits_plans_clear(&plans);
    free(ids);
    free(ids32);
    return out;
}

/* Every run of the voice at `path` against the golden. */
static void check(const char *path, bt_precision p, int gain, double bound)
{
    host h;
    host_open(&h, path, NULL, 2, p);
    for (int i = 0; i < RUNS; i++) {
        char key[64];
        size_t n;
        snprintf(key, sizeof key, "%s.audio", g.run[i].name);
        float *want = golden_floats(g.store, key, &n);
        sound got = speak(&h, &g.run[i]);
        assert_int_equal(got.n, n);
        double snr = gain ? golden_snr_gain_db(got.x, want, n) : golden_snr_db(got.x, want, n);
        print_message("%s: %.1f dB\n", g.run[i].name, snr);
        assert_true(snr >= bound);
        free(got.x);
        free(want);
    }
    host_close(&h);
}

static void matches_onnxruntime(void **state)
{
    (void)state;
    check(JOE, BT_PREC_F32, 0, 50);
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
        bt_convert_store(s, out, type, NULL, NULL, &err) != BT_OK)
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
        sound first = { 0 };
        for (int threads = 1; threads <= 3; threads++) {
            host h;
            host_open(&h, JOE, NULL, threads, precisions[p]);
            sound s = speak(&h, &g.run[5]);
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
        cmocka_unit_test(auto_precision_is_close),
        cmocka_unit_test(all_precisions_have_the_same_lengths),
        cmocka_unit_test(own_files_are_read),
        cmocka_unit_test(quantized_voices_are_close),
        cmocka_unit_test(threads_do_not_change_bytes),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
