/* SPDX-License-Identifier: MIT
 * The audio module as the engine drives it: options, sentences, cancelling,
 * chunks, files that are no voices.
 */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "audio/vits/vits.h"
#include "voice_host.h"

#define TINY BT_SOURCE_DIR "/tests/golden/tiny-vits-high.onnx" /* three speakers */

static void open_tiny(host *h)
{
    host_open(h, TINY, NULL, 2, BT_PREC_F32);
    host_set(h, "text", "hello");
}

/* Runs and returns a copy of the samples. */
static float *run(host *h, size_t *n)
{
    host_run(h);
    float *x = malloc((h->n + 1) * sizeof *x);
    assert_non_null(x);
    memcpy(x, h->samples, h->n * sizeof *x);
    *n = h->n;
    return x;
}

static int same(const float *a, size_t na, const float *b, size_t nb)
{
    return na == nb && memcmp(a, b, na * sizeof *a) == 0;
}

static void seeds_choose_the_sound(void **state)
{
    (void)state;
    host h;
    size_t n[3];
    open_tiny(&h);
    float *a = run(&h, &n[0]), *b = run(&h, &n[1]);
    host_set(&h, "seed", "1");
    float *c = run(&h, &n[2]);
    assert_true(same(a, n[0], b, n[1]));
    assert_false(same(a, n[0], c, n[2]));
    free(a);
    free(b);
    free(c);
    host_close(&h);
}

/* Sentence i is what seed + i makes of it alone; silence only between them. */
static void sentences_are_joined(void **state)
{
    (void)state;
    host h;
    size_t n[2];
    open_tiny(&h);
    host_set(&h, "phonemes", "hello");
    float *a = run(&h, &n[0]);
    host_set(&h, "phonemes", "again");
    host_set(&h, "seed", "1");
    float *b = run(&h, &n[1]);
    host_set(&h, "phonemes", "hello\nagain");
    host_set(&h, "seed", "0");
    host_set(&h, "sentence_silence", "0.1");
    host_run(&h);
    size_t gap = (size_t)(0.1 * h.rate);
    assert_int_equal(h.n, n[0] + gap + n[1]);
    assert_memory_equal(h.samples, a, n[0] * sizeof *a);
    for (size_t i = 0; i < gap; i++)
        assert_true(h.samples[n[0] + i] == 0);
    assert_memory_equal(h.samples + n[0] + gap, b, n[1] * sizeof *b);
    assert_true(host_fact(&h, "sentences") == 2);
    assert_true(fabs(host_fact(&h, "audio_seconds") * h.rate - (double)h.n) < 1);
    free(a);
    free(b);
    host_close(&h);
}

/* Blank lines part paragraphs; what has no sound leaves its silence to the next. */
static void paragraphs_are_parted(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double silence; /* s, in all */
    } cases[] = { { "hello\nagain", 0.25 },
                  { "hello\n\nagain", 0.5 },
                  { "hello\r\n \t\r\n\r\nagain\n\n", 0.5 },
                  { "\n\n\xE6\x9D\xB1\n\nhello\nagain\n \n", 0.25 },
                  { "hello\n\n\xE6\x9D\xB1\n\nagain", 0.5 } };
    host h;
    size_t n[2];
    open_tiny(&h);
    float *a = run(&h, &n[0]);
    host_set(&h, "text", "again");
    host_set(&h, "seed", "1");
    float *b = run(&h, &n[1]);
    host_set(&h, "seed", "0");
    host_set(&h, "sentence_silence", "0.25");
    host_set(&h, "paragraph_silence", "0.25");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t gap = (size_t)(cases[i].silence * 22050);
        host_set(&h, "text", cases[i].text);
        host_run(&h);
        assert_int_equal(h.n, n[0] + gap + n[1]);
        assert_memory_equal(h.samples, a, n[0] * sizeof *a);
        for (size_t k = 0; k < gap; k++)
            assert_true(h.samples[n[0] + k] == 0);
        assert_memory_equal(h.samples + n[0] + gap, b, n[1] * sizeof *b);
    }
    host_set(&h, "phonemes", "hello\n\nagain"); /* no paragraphs */
    host_run(&h);
    assert_int_equal(h.n, n[0] + (size_t)(0.25 * 22050) + n[1]);
    free(a);
    free(b);
    host_close(&h);
}

static void assert_part(const host *h, size_t at, const float *x, size_t n, float factor)
{
    assert_true(at + n <= h->n);
    for (size_t i = 0; i < n; i++)
        assert_true(h->samples[at + i] == x[i] * factor);
}

/* Passages of a document sound as their texts do alone, with their speaker, pace and volume. */
static void documents_are_spoken(void **state)
{
    (void)state;
    host h;
    size_t n[3];
    open_tiny(&h);
    float *a = run(&h, &n[0]);
    host_set(&h, "seed", "1");
    host_set(&h, "speaker", "2");
    host_set(&h, "text", "again");
    float *b = run(&h, &n[1]);
    host_set(&h, "seed", "2");
    host_set(&h, "speaker", "");
    host_set(&h, "length_scale", "2");
    float *c = run(&h, &n[2]);
    host_set(&h, "length_scale", "");
    host_set(&h, "seed", "0");
    host_set(&h, "text",
             "<speak><break time='100ms'/><s>hello</s><break time='1s'/><voice name='2'><prosody "
             "volume='50%'>again</prosody></voice> <prosody rate='50%'>again</prosody>"
             "<break time='200ms'/></speak>");
    host_run(&h);
    assert_int_equal(h.n, 2205 + n[0] + 22050 + n[1] + n[2] + 4410);
    assert_part(&h, 2205, a, n[0], 1);
    assert_part(&h, 2205 + n[0] + 22050, b, n[1], 0.5f);
    assert_part(&h, 2205 + n[0] + 22050 + n[1], c, n[2], 1);
    host_set(&h, "text", "<speak>hello<voice name='zoe'>again</voice></speak>");
    assert_int_equal(host_try_run(&h), BT_EINVAL);
    assert_non_null(strstr(h.error.text, "the voice has no speaker \"zoe\" (it has 3)"));
    assert_int_equal(h.n, 0); /* known before the first word */
    host_set(&h, "text", "<speak>hello</p></speak>");
    assert_int_equal(host_try_run(&h), BT_EFORMAT);
    assert_int_equal(h.n, 0);
    host_set(&h, "ssml", "0"); /* its letters are read */
    host_run(&h);
    host_set(&h, "ssml", "1");
    host_set(&h, "text", "hello");
    assert_int_equal(host_try_run(&h), BT_EFORMAT);
    free(a);
    free(b);
    free(c);
    host_close(&h);
}

static void scales_have_effect(void **state)
{
    (void)state;
    host h;
    size_t n[4];
    open_tiny(&h);
    float *a = run(&h, &n[0]);
    host_set(&h, "length_scale", "2");
    float *slow = run(&h, &n[1]);
    assert_true(n[1] > 1.5 * (double)n[0]);
    assert_true(host_fact(&h, "length_scale") == 2);
    host_set(&h, "length_scale", "");
    host_set(&h, "volume", "0.5");
    float *quiet = run(&h, &n[2]);
    assert_int_equal(n[2], n[0]);
    for (size_t i = 0; i < n[0]; i++)
        assert_true(quiet[i] == a[i] * 0.5f);
    host_set(&h, "volume", "1");
    host_set(&h, "normalize", "1");
    float *full = run(&h, &n[3]), peak = 0;
    for (size_t i = 0; i < n[3]; i++)
        peak = fmaxf(peak, fabsf(full[i]));
    assert_int_equal(n[3], n[0]);
    assert_true(fabsf(peak - 1) < 1e-6f);
    free(a);
    free(slow);
    free(quiet);
    free(full);
    host_close(&h);
}

static void speakers_differ(void **state)
{
    (void)state;
    host h;
    size_t n[3];
    open_tiny(&h);
    float *a = run(&h, &n[0]);
    host_set(&h, "speaker", "2");
    float *b = run(&h, &n[1]);
    assert_false(same(a, n[0], b, n[1]));
    host_set(&h, "speaker", "0");
    float *c = run(&h, &n[2]);
    assert_true(same(a, n[0], c, n[2]));
    host_set(&h, "speaker", "3");
    assert_int_equal(host_try_run(&h), BT_EINVAL);
    host_set(&h, "speaker", "nobody");
    assert_int_equal(host_try_run(&h), BT_EINVAL);
    assert_non_null(strstr(h.error.text, "nobody"));
    free(a);
    free(b);
    free(c);
    host_close(&h);
}

/* Sentences are taken one by one; the sound is the same as of all at once. */
static void books_are_streamed(void **state)
{
    (void)state;
    host h;
    size_t n;
    host_open(&h, JOE, NULL, 2, BT_PREC_F32);
    host_set(&h, "text", "One, two. Three!\nFour");
    float *a = run(&h, &n);
    assert_true(host_fact(&h, "sentences") == 3 && h.calls >= 3);
    assert_true(h.first_call < n / 3);                   /* somebody waits for it */
    host_set(&h, "text", "One, two. Three!\n[[fˈɔːɹ]]"); /* taken as a whole */
    host_run(&h);
    assert_true(host_fact(&h, "sentences") == 2);
    assert_memory_equal(h.samples, a, 10000 * sizeof *a);
    free(a);
    host_close(&h);
}

static void nothing_to_say_is_an_error(void **state)
{
    (void)state;
    host h;
    static const char *const texts[] = { "", " \n ", "\xE6\x9D\xB1" };
    open_tiny(&h);
    for (int i = 0; i < 3; i++) {
        host_set(&h, "text", texts[i]);
        assert_int_equal(host_try_run(&h), BT_ENOTFOUND);
        assert_int_equal(h.n, 0);
    }
    host_set(&h, "text",
             "a\xE6\x9D\xB1"
             "b\xFF");
    host_run(&h);
    assert_true(host_fact(&h, "missing_phonemes") == 2);
    host_close(&h);
}

static void callbacks_and_flags_cancel(void **state)
{
    (void)state;
    host h;
    open_tiny(&h);
    host_set(&h, "text", "hello\nagain\nand again");
    h.cancel_at = 1;
    assert_int_equal(host_try_run(&h), BT_ECANCELLED);
    assert_int_equal(h.calls, 1);
    h.cancel_at = 0;
    atomic_store(&h.cancel, true);
    assert_int_equal(host_try_run(&h), BT_ECANCELLED);
    atomic_store(&h.cancel, false);
    host_run(&h);
    host_close(&h);
}

/* The decoder over a window with its margins gives the bytes of the whole. */
static void windows_equal_the_whole(const char *path, bt_precision p)
{
    enum { F = 150 };
    host h;
    bt_part *plan;
    host_open(&h, path, NULL, 2, p);
    const bt_voice *v = h.model;
    bt_parts plans = bt_vits_parts(v);
    float *z = malloc((size_t)(F * v->inter) * sizeof *z);
    float *whole = malloc((size_t)(F * v->dec.hop) * sizeof *whole);
    for (int i = 0; i < F * v->inter; i++)
        z[i] = sinf((float)i * 0.37f) + cosf((float)(i * i % 977));
    for (int a = 0; a < F; a += 29) { /* first the whole, then windows; the last ends it */
        int b = a == 0 ? F : a + 5;
        int lo = a > v->dec.margin ? (a - v->dec.margin) / v->dec.align * v->dec.align : 0,
            hi = b + v->dec.margin < F ? b + v->dec.margin : F;
        if (bt_part_get(&plans, BT_VITS_VOCODER, hi - lo, &plan, &h.error) != BT_OK)
            fail_msg("%s", h.error.text);
        if (plan->speaker)
            *(int32_t *)bt_plan_data(plan->plan, plan->speaker) = 1;
        memcpy(bt_plan_data(plan->plan, plan->in[0]), z + lo * v->inter,
               (size_t)((hi - lo) * v->inter) * sizeof *z);
        assert_int_equal(bt_plan_run(plan->plan, NULL, &h.error), BT_OK);
        const float *x = bt_plan_data(plan->plan, plan->out[0]);
        if (a == 0)
            memcpy(whole, x, (size_t)(F * v->dec.hop) * sizeof *x);
        else
            assert_memory_equal(x + (a - lo) * v->dec.hop, whole + a * v->dec.hop,
                                (size_t)((b - a) * v->dec.hop) * sizeof *x);
    }
    free(z);
    free(whole);
    bt_parts_clear(&plans);
    host_close(&h);
}

static void chunks_do_not_change_bytes(void **state)
{
    (void)state;
    windows_equal_the_whole(JOE, BT_PREC_F32);
    windows_equal_the_whole(JOE, BT_PREC_BF16);
    windows_equal_the_whole(JOE, BT_PREC_INT8);
    windows_equal_the_whole(TINY, BT_PREC_F32);
}

/* Long sentences come in pieces. */
static void long_sentences_are_streamed(void **state)
{
    (void)state;
    host h;
    open_tiny(&h);
    host_set(&h, "text",
             "the quick brown fox jumps over the lazy dog and then it goes home to "
             "sleep for the quick brown fox is tired of jumping over lazy dogs");
    host_run(&h);
    assert_true(h.calls > 1);
    host_close(&h);
}

static void it_describes_and_estimates(void **state)
{
    (void)state;
    host h;
    bt_buf json = { 0 };
    bt_estimate e = { 0 };
    open_tiny(&h);
    const bt_run r = { .options = h.options, .error = &h.error };
    assert_int_equal(bt_module_vits.describe(h.model, &json), BT_OK);
    assert_non_null(strstr(json.data, "\"sample_rate\":22050"));
    assert_non_null(strstr(json.data, "\"speakers\":3"));
    assert_int_equal(bt_module_vits.estimate(h.job, &r, &e), BT_OK);
    assert_true(e.weights > 100000 && e.arena > 10000 && e.flops > 1e6);
    bt_buf_free(&json);
    host_close(&h);
}

/* ---- files that are no voices ------------------------------------------ */

static char folder[64];

static void put(const char *name, const char *data, size_t n)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

static void refuse(bt_status want, const char *message)
{
    host h;
    char path[160];
    snprintf(path, sizeof path, "%s/v.onnx", folder);
    host_setup(&h, NULL, 1, BT_PREC_F32);
    bt_status st = host_try_open(&h, path);
    if (st != want || !strstr(h.error.text, message))
        fail_msg("status %d, \"%s\"", st, h.error.text);
    host_close(&h);
}

/* The tiny voice's JSON with one piece of text replaced. */
static void put_json(const char *from, const char *to)
{
    size_t n;
    char *text = golden_text("tiny-vits-high.onnx.json", &n);
    const char *at = strstr(text, from);
    bt_buf b = { 0 };
    assert_non_null(at);
    bt_buf_add(&b, text, (size_t)(at - text));
    bt_buf_puts(&b, to);
    bt_buf_puts(&b, at + strlen(from));
    put("v.onnx.json", b.data, b.len);
    bt_buf_free(&b);
    free(text);
}

static void bad_voices_are_refused(void **state)
{
    (void)state;
    size_t n;
    char path[160], *onnx = golden_text("tiny-vits-high.onnx", &n);
    strcpy(folder, "/tmp/bottega-voice-XXXXXX");
    assert_non_null(mkdtemp(folder));
    put("v.onnx", onnx, n);
    refuse(BT_ENOTFOUND, "JSON is missing");
    put("v.onnx.json", "{\"audio\":", 9);
    refuse(BT_EFORMAT, "JSON");
    put("v.onnx.json", "{}", 2);
    refuse(BT_EFORMAT, "sample_rate");
    put_json("\"sample_rate\": 22050", "\"sample_rate\": 0");
    refuse(BT_EFORMAT, "sample_rate");
    put_json("\"phoneme_type\": \"text\"", "\"phoneme_type\": \"tonal\"");
    refuse(BT_EUNSUPPORTED, "tonal");
    put_json("\"phoneme_id_map\"", "\"phoneme_ids\"");
    refuse(BT_EFORMAT, "phoneme_id_map");
    put_json("\"length_scale\": 1", "\"length_scale\": -1");
    refuse(BT_EFORMAT, "scales");
    put_json("\"_\": [\n   0\n  ]", "\"_\": [ 1000000 ]");
    refuse(BT_EFORMAT, "outside");
    put_json("\"audio\"", "\"audio\"");
    put("v.onnx", onnx, n / 2);
    refuse(BT_EFORMAT, "v.onnx");
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/v.onnx%s", folder, i ? ".json" : "");
        unlink(path);
    }
    rmdir(folder);
    free(onnx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paragraphs_are_parted),       cmocka_unit_test(documents_are_spoken),
        cmocka_unit_test(seeds_choose_the_sound),      cmocka_unit_test(sentences_are_joined),
        cmocka_unit_test(scales_have_effect),          cmocka_unit_test(speakers_differ),
        cmocka_unit_test(books_are_streamed),          cmocka_unit_test(nothing_to_say_is_an_error),
        cmocka_unit_test(callbacks_and_flags_cancel),  cmocka_unit_test(chunks_do_not_change_bytes),
        cmocka_unit_test(long_sentences_are_streamed), cmocka_unit_test(it_describes_and_estimates),
        cmocka_unit_test(bad_voices_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
