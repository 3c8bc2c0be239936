/* SPDX-License-Identifier: MIT
 * Sentences at one loudness, peaks below the bound, and no clicks where they meet. Measured by
 * libebur128, as listeners' programs do.
 */
#include <ebur128.h>
#include <math.h>

#include "audio/speak/loudness.h"
#include "voice_host.h"

#define TINY BT_SOURCE_DIR "/tests/golden/tiny-vits-high.onnx"

static double loudness_of(const float *x, size_t n, int rate, double *peak)
{
    double lufs = 0;
    ebur128_state *s = ebur128_init(1, (unsigned)rate, EBUR128_MODE_I | EBUR128_MODE_TRUE_PEAK);
    assert_non_null(s);
    assert_int_equal(ebur128_add_frames_float(s, x, n), EBUR128_SUCCESS);
    assert_int_equal(ebur128_loudness_global(s, &lufs), EBUR128_SUCCESS);
    assert_int_equal(ebur128_true_peak(s, 0, peak), EBUR128_SUCCESS);
    *peak = 20 * log10(*peak);
    ebur128_destroy(&s);
    return lufs;
}

/* Bursts of a 200 Hz tone with overtones, `crest` times as high for a moment now and then. */
static void make_sound(float *x, size_t n, int rate, float level, float crest)
{
    for (size_t i = 0; i < n; i++) {
        const float t = (float)i / (float)rate, a = sinf(6.2831853f * 4 * t) > 0 ? level : 0;
        x[i] =
            a * (sinf(1256.637f * t) + 0.5f * sinf(5026.5f * t + 1)) * (i % 4000 < 40 ? crest : 1);
    }
}

static void any_level_becomes_the_target(void **state)
{
    enum { RATE = 24000, N = 3 * RATE };
    static const struct {
        float level, crest;
        double target;
    } cases[] = {
        { 0.1f, 1, -23 }, { 0.9f, 1, -23 }, { 0.02f, 8, -16 }, { 0.3f, 4, -16 }, { 0.1f, 20, -14 }
    };
    float *x = malloc(N * sizeof *x);
    bt_error err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double gain = 1, peak;
        make_sound(x, N, RATE, cases[i].level, cases[i].crest);
        assert_int_equal(bt_loudness_set(x, N, RATE, cases[i].target, &gain, &err), BT_OK);
        const double lufs = loudness_of(x, N, RATE, &peak);
        print_message("target %.0f: %.2f LUFS, %.2f dBTP\n", cases[i].target, lufs, peak);
        assert_true(fabs(lufs - cases[i].target) < 0.5);
        assert_true(peak <= BT_TRUE_PEAK + 1e-3);
    }
    free(x);
}

/* What is too quiet to be speech takes the gain of the sentence before it. */
static void noise_stays_noise(void **state)
{
    enum { RATE = 16000, N = RATE / 2 };
    float x[N];
    double gain = 2;
    bt_error err;
    (void)state;
    make_sound(x, N, RATE, 1e-4f, 1);
    const float was = x[100];
    assert_int_equal(bt_loudness_set(x, N, RATE, -16, &gain, &err), BT_OK);
    assert_true(gain == 2 && fabsf(x[100] - 2 * was) < 1e-9f && was != 0);
    memset(x, 0, sizeof x);
    assert_int_equal(bt_loudness_set(x, N, RATE, -16, &gain, &err), BT_OK);
    assert_true(gain == 2 && x[N / 2] == 0);
}

static size_t sentence(const host *h, int number, size_t *n)
{
    for (size_t i = 0; i < h->n_times; i++)
        if (h->times[i].kind == BT_TIMING_SENTENCE && number-- == 0) {
            *n = (size_t)(h->times[i].end - h->times[i].begin);
            return (size_t)h->times[i].begin;
        }
    fail_msg("there are fewer sentences");
    return *n = 0;
}

#define TALE                                                                                       \
    "<speak>It was a dark and stormy night, and nobody slept. Why not? <prosody volume='-6dB'>"    \
    "Because of the wind, which howled around the house.</prosody></speak>"

static void sentences_have_one_loudness(void **state)
{
    static const double off[] = { 0, 0, -6.0206 * 0.9966 };
    host h;
    (void)state;
    host_open_as(&h, &bt_module_hibari, HIBARI, 2, BT_PREC_AUTO);
    host_set(&h, "text", TALE);
    host_set(&h, "loudness", "-16");
    h.wants_times = true;
    host_run(&h);
    for (int i = 0; i < 3; i++) {
        size_t n, at = sentence(&h, i, &n);
        double peak, lufs = loudness_of(h.samples + at, n, h.rate, &peak);
        print_message("%.2f LUFS, %.2f dBTP\n", lufs, peak);
        assert_true(fabs(lufs + 16 - off[i]) < 0.5);
        assert_true(peak <= BT_TRUE_PEAK + 1e-3);
    }
    host_set(&h, "normalize", "1");
    assert_int_equal(host_try_run(&h), BT_EINVAL);
    host_close(&h);
}

/* The same bytes for any number of threads and any speech before it. */
static void threads_do_not_change_bytes(void **state)
{
    host h[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        host_open(&h[k], TINY, NULL, k + 1, BT_PREC_F32);
        host_set(&h[k], "text", "hello world\nagain and again");
        host_set(&h[k], "loudness", "-20");
        host_run(&h[k]);
    }
    assert_int_equal(h[0].n, h[1].n);
    assert_memory_equal(h[0].samples, h[1].samples, h[0].n * sizeof *h[0].samples);
    host_close(&h[0]);
    host_close(&h[1]);
}

/* ---- joins ----------------------------------------------------------------------- */

/* Where one sentence follows another without a silence, and at both ends, the step is smaller
 * than those of speech, whatever the voice does there. */
static void assert_no_clicks(host *h, const char *text)
{
    float most = 0;
    host_set(h, "text", text);
    host_set(h, "paragraph_silence", "0");
    h->wants_times = true;
    host_run(h);
    for (size_t i = 1; i < h->n; i++)
        most = fmaxf(most, fabsf(h->samples[i] - h->samples[i - 1]));
    int joins = 0;
    for (size_t i = 0; i < h->n_times; i++) {
        if (h->times[i].kind != BT_TIMING_SENTENCE)
            continue;
        const size_t at = (size_t)h->times[i].begin;
        const float before = at ? h->samples[at - 1] : 0;
        assert_true(fabsf(h->samples[at] - before) < most / 20);
        joins++;
    }
    assert_true(joins >= 3);
    assert_true(fabsf(h->samples[h->n - 1]) < most / 20);
}

static void joins_do_not_click(void **state)
{
    host h;
    (void)state;
    host_open(&h, TINY, NULL, 1, BT_PREC_F32); /* random weights: loud to its last sample */
    assert_no_clicks(&h, "hello\nagain\n\nand so on");
    host_close(&h);
    host_open_as(&h, &bt_module_hibari, HIBARI, 2, BT_PREC_AUTO);
    assert_no_clicks(&h, "<speak>One <prosody rate='fast'>two</prosody> three<break "
                         "strength='none'/>four.</speak>");
    host_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_level_becomes_the_target),
        cmocka_unit_test(noise_stays_noise),
        cmocka_unit_test(sentences_have_one_loudness),
        cmocka_unit_test(threads_do_not_change_bytes),
        cmocka_unit_test(joins_do_not_click),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
