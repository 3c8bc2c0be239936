/* SPDX-License-Identifier: MIT
 * hibari "heart" against onnxruntime and its package's vocoder, noise and weights the same
 * (tests/golden/make_hibari.py): durations and samples; precision, threads, chunks.
 */
#include <stdio.h>

#include <cjson/cJSON.h>

#include "audio/hibari/hibari.h"
#include "voice_host.h"

enum { MAX_RUNS = 8, MAX_IDS = 512 };

typedef struct golden_run {
    char name[32], phonemes[512];
    float speed;
    uint64_t seed;
    size_t samples, first, n;
    int32_t ids[MAX_IDS], beats[MAX_IDS];
} golden_run;

static golden_run run[MAX_RUNS];
static int n_runs;
static bt_store *golden;

static size_t numbers(const cJSON *list, int32_t *out)
{
    const cJSON *v;
    size_t n = 0;
    cJSON_ArrayForEach(v, list)
    {
        assert_true(n < MAX_IDS);
        out[n++] = (int32_t)v->valuedouble;
    }
    return n;
}

static double number(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItem(o, key)->valuedouble;
}

static int load(void **state)
{
    char *text = golden_text("hibari.json", NULL);
    cJSON *json = cJSON_Parse(text), *item;
    (void)state;
    free(text);
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "runs"))
    {
        assert_true(n_runs < MAX_RUNS);
        golden_run *r = &run[n_runs++];
        snprintf(r->name, sizeof r->name, "%s", cJSON_GetObjectItem(item, "name")->valuestring);
        snprintf(r->phonemes, sizeof r->phonemes, "%s",
                 cJSON_GetObjectItem(item, "phonemes")->valuestring);
        r->speed = (float)number(item, "speed");
        r->seed = (uint64_t)number(item, "seed");
        r->samples = (size_t)number(item, "samples");
        r->first = (size_t)number(item, "first");
        r->n = numbers(cJSON_GetObjectItem(item, "ids"), r->ids);
        assert_int_equal(numbers(cJSON_GetObjectItem(item, "beats"), r->beats), r->n);
    }
    cJSON_Delete(json);
    golden = golden_open("hibari");
    return n_runs >= 5 ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    bt_store_close(golden);
    return 0;
}

/* ---- one run ----------------------------------------------------------- */

static host_sound speak(host *h, const int32_t *ids, size_t n, float speed, uint64_t seed,
                        bool first, int32_t *beats)
{
    host_sound out = { 0 };
    bt_parts parts = bt_hibari_parts(h->model);
    const bt_run r = { .error = &h->error };
    const bt_speak_call c = {
        .r = &r, .seed = seed, .first = first, .samples = host_hear, .user = &out
    };
    if (bt_hibari_speak(&parts, ids, n, speed, &c, beats) != BT_OK)
        fail_msg("%s", h->error.text);
    bt_parts_clear(&parts);
    return out;
}

static host_sound speak_run(host *h, const golden_run *r, int32_t *beats)
{
    return speak(h, r->ids, r->n, r->speed, r->seed, true, beats);
}

static void open_voice(host *h, int threads, bt_precision p)
{
    host_open_as(h, &bt_module_hibari, HIBARI, threads, p);
}

/* ---- tests ------------------------------------------------------------- */

static void phonemes_have_the_packages_ids(void **state)
{
    (void)state;
    host h;
    open_voice(&h, 1, BT_PREC_F32);
    for (int i = 0; i < n_runs; i++) {
        bt_utterances u = { 0 };
        assert_int_equal(
            bt_hibari_utter(h.model, run[i].phonemes, strlen(run[i].phonemes), &u, &h.error),
            BT_OK);
        assert_int_equal(u.n, 1);
        assert_int_equal(u.v[0].n, run[i].n);
        assert_memory_equal(u.v[0].ids, run[i].ids, run[i].n * sizeof *run[i].ids);
        bt_utterances_free(&u);
    }
    host_close(&h);
}

static void matches_onnxruntime(void **state)
{
    (void)state;
    host h;
    open_voice(&h, 2, BT_PREC_F32);
    for (int i = 0; i < n_runs; i++) {
        char key[64];
        int32_t beats[MAX_IDS];
        size_t n;
        snprintf(key, sizeof key, "%.31s.audio", run[i].name);
        float *want = golden_floats(golden, key, &n);
        host_sound got = speak_run(&h, &run[i], beats);
        assert_memory_equal(beats, run[i].beats, run[i].n * sizeof *beats);
        assert_int_equal(got.n, run[i].samples);
        const double snr = golden_snr_db(got.x + run[i].first, want, n);
        print_message("%s: %.1f dB\n", run[i].name, snr);
        assert_true(snr >= 45); /* measured: 53 to 74 */
        free(got.x);
        free(want);
    }
    host_close(&h);
}

/* Coarser types change the sound a little, and never a length. */
static void check_precision(bt_precision p, double bound)
{
    host exact, h;
    open_voice(&exact, 2, BT_PREC_F32);
    open_voice(&h, 2, p);
    for (int i = 0; i < (GOLDEN_BRIEF ? 2 : n_runs); i++) {
        int32_t beats[MAX_IDS];
        host_sound want = speak_run(&exact, &run[i], NULL), got = speak_run(&h, &run[i], beats);
        assert_memory_equal(beats, run[i].beats, run[i].n * sizeof *beats);
        assert_int_equal(got.n, want.n);
        const double snr = golden_snr_db(got.x, want.x, got.n);
        print_message("%s: %.1f dB\n", run[i].name, snr);
        assert_true(snr >= bound);
        free(want.x);
        free(got.x);
    }
    host_close(&h);
    host_close(&exact);
}

static void auto_precision_is_close(void **state)
{
    (void)state;
    check_precision(BT_PREC_AUTO, 30);
}

static void int8_is_close(void **state)
{
    (void)state;
    check_precision(BT_PREC_INT8, 30);
}

static void threads_do_not_change_bytes(void **state)
{
    static const bt_precision precisions[] = { BT_PREC_F32, BT_PREC_AUTO };
    (void)state;
    for (int p = 0; p < 2; p++) {
        host_sound first = { 0 };
        for (int threads = 1; threads <= 3; threads++) {
            host h;
            open_voice(&h, threads, precisions[p]);
            host_sound s = speak_run(&h, &run[2], NULL);
            host_close(&h);
            if (threads == 1) {
                first = s;
                continue;
            }
            assert_int_equal(s.n, first.n);
            assert_memory_equal(s.x, first.x, s.n * sizeof *s.x);
            free(s.x);
        }
        free(first.x);
    }
}

/* Three times the longest sentence, in chunks that begin elsewhere; f32 and the
 * processor's own type. */
static void chunks_do_not_change_bytes(void **state)
{
    static const bt_precision precisions[] = { BT_PREC_F32, BT_PREC_AUTO };
    int32_t ids[3 * MAX_IDS];
    size_t n = 0;
    (void)state;
    for (int i = 0; i < 3; i++, n += run[3].n)
        memcpy(ids + n, run[3].ids, run[3].n * sizeof *ids);
    for (int p = 0; p < 2; p++) {
        host h;
        open_voice(&h, 2, precisions[p]);
        host_sound a = speak(&h, ids, n, 1, 9, true, NULL),
                   b = speak(&h, ids, n, 1, 9, false, NULL);
        assert_true(a.calls > 2 && b.calls > 1 && a.calls != b.calls);
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.x, b.x, a.n * sizeof *a.x);
        free(a.x);
        free(b.x);
        host_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phonemes_have_the_packages_ids),
        cmocka_unit_test(matches_onnxruntime),
        cmocka_unit_test(auto_precision_is_close),
        cmocka_unit_test(int8_is_close),
        cmocka_unit_test(threads_do_not_change_bytes),
        cmocka_unit_test(chunks_do_not_change_bytes),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
