/* SPDX-License-Identifier: MIT
 * Jobs: options as text, runs, results, callbacks, cancelling, budgets.
 */
#include "api.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void nulls_are_refused(void **state)
{
    (void)state;
    bt_job *j = job_with("fake_text", "echo");
    bt_estimate est = { .struct_size = sizeof est };
    bt_image img = { .struct_size = sizeof img };
    bt_audio audio = { .struct_size = sizeof audio };
    char *s;
    assert_int_equal(bt_job_set(NULL, "x", "y"), BT_EINVAL);
    assert_int_equal(bt_job_set(j, NULL, "y"), BT_ENOTFOUND);
    assert_null(bt_job_get(NULL, "x"));
    assert_null(bt_job_get(j, NULL));
    assert_int_equal(bt_job_estimate(NULL, &est), BT_EINVAL);
    assert_int_equal(bt_job_estimate(j, NULL), BT_EINVAL);
    assert_int_equal(bt_job_run(NULL), BT_EINVAL);
    assert_int_equal(bt_job_image(NULL, 0, &img), BT_EINVAL);
    assert_int_equal(bt_job_image(j, 0, &img), BT_ENOTFOUND);
    assert_int_equal(bt_job_audio(j, &audio), BT_ENOTFOUND);
    assert_int_equal(bt_job_audio(j, NULL), BT_EINVAL);
    assert_int_equal(bt_job_report(NULL, &s), BT_EINVAL);
    assert_int_equal(bt_job_trace(j, &s), BT_ENOTFOUND);
    assert_int_equal(bt_job_set_image(j, "init", &img), BT_ENOTFOUND); /* a text job */
    assert_int_equal(bt_job_image_count(NULL), 0);
    assert_string_equal(bt_job_text(NULL, 0), "");
    assert_string_equal(bt_job_text(j, 0), "");
    assert_string_equal(bt_job_message(NULL), "");
    bt_job_cancel(NULL);
    bt_job_set_callbacks(NULL, NULL);
    bt_job_free(NULL);
    bt_job_free(j);
}

static void options_are_read_and_checked(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *then; /* then NULL: refused */
    } cases[] = {
        { "width", "128", "128" },
        { "width", " 128 ", "128" },
        { "width", "0", NULL },
        { "width", "2049", NULL },
        { "width", "12x", NULL },
        { "width", "", NULL },
        { "width", "99999999999999999999", NULL },
        { "batch_count", "3", "3" }, /* alias */
        { "batch-count", "4", "4" },
        { "seed", "18446744073709551615", "18446744073709551615" },
        { "seed", "18446744073709551616", NULL },
        { "seed", "-1", NULL },
        { "direction", "vertical", "down" }, /* a further spelling */
        { "direction", "DOWN", "down" },
        { "direction", "up", NULL },
        { "direction", "down,", NULL },
        { "invert", "yes", "true" },
        { "invert", "0", "false" },
        { "invert", "maybe", NULL },
        { "brightness", "0.5", "0.5" },
        { "brightness", "5e-1", "0.5" },
        { "brightness", "", "" }, /* the model's own */
        { "brightness", "nan", NULL },
        { "brightness", "1.01", NULL },
        { "brightness", "0,5", NULL },
        { "prompt", "any text at all\n", "any text at all\n" },
    };
    bt_job *j = job_with("fake_image", "gradient");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bt_status st = bt_job_set(j, cases[i].name, cases[i].value);
        if ((st == BT_OK) != (cases[i].then != NULL) || (st != BT_OK && st != BT_EINVAL))
            fail_msg("%s = %s: %d %s", cases[i].name, cases[i].value, st, bt_job_message(j));
        if (st == BT_OK)
            assert_string_equal(bt_job_get(j, cases[i].name), cases[i].then);
        if (st != BT_OK)
            assert_true(*bt_job_message(j));
    }
    assert_string_equal(bt_job_get(j, "width"), "128"); /* what was refused changed nothing */
    assert_int_equal(bt_job_set(j, "width", NULL), BT_OK);
    assert_string_equal(bt_job_get(j, "width"), "64");
    assert_int_equal(bt_job_set(j, "nonsense", "1"), BT_ENOTFOUND);
    assert_non_null(strstr(bt_job_message(j), "nonsense"));
    assert_null(bt_job_get(j, "nonsense"));
    bt_job_free(j);
}

static void pictures_come_out(void **state)
{
    (void)state;
    bt_job *j = job_with("fake_image", "gradient");
    bt_image img = { .struct_size = sizeof img };
    char *json;
    assert_int_equal(bt_job_set(j, "batch", "2"), BT_OK);
    assert_int_equal(bt_job_set(j, "prompt", "a \"red\" apple"), BT_OK);
    if (bt_job_run(j) != BT_OK)
        fail_msg("%s", bt_job_message(j));
    assert_int_equal(bt_job_image_count(j), 2);
    assert_int_equal(bt_job_image(j, 0, &img), BT_OK);
    assert_int_equal(img.width, 64);
    assert_int_equal(img.height, 32);
    assert_int_equal(img.channels, 3);
    assert_int_equal(img.pixels[0], 0);
    assert_int_equal(img.pixels[64 * 32 * 3 - 1], 255);
    assert_non_null(strstr(bt_job_text(j, 1), "Seed: 1"));
    assert_int_equal(bt_job_image(j, 2, &img), BT_ENOTFOUND);
    assert_string_equal(bt_job_text(j, 2), "");
    img.struct_size = 0;
    assert_int_equal(bt_job_image(j, 0, &img), BT_EINVAL);
    /* The module's own value is in force after the run, and so are its facts. */
    assert_string_equal(bt_job_get(j, "brightness"), "1");
    assert_string_equal(bt_job_get(j, "painter"), "a plug-in");
    assert_int_equal(bt_job_report(j, &json), BT_OK);
    assert_non_null(strstr(json, "\"prompt\":\"a \\\"red\\\" apple\""));
    assert_non_null(strstr(json, "\"brightness\":1,"));
    assert_non_null(strstr(json, "\"painter\":\"a plug-in\""));
    assert_non_null(strstr(json, "\"status\":\"success\""));
    assert_non_null(strstr(json, "\"peak_memory\":"));
    bt_free(json);
    bt_job_free(j);
}

static void a_run_can_be_traced(void **state)
{
    (void)state;
    bt_job *j = job_with("fake_image", "gradient");
    char *json;
    assert_int_equal(bt_job_set(j, "profile", "true"), BT_OK);
    assert_int_equal(bt_job_run(j), BT_OK);
    assert_int_equal(bt_job_trace(j, &json), BT_OK);
    assert_non_null(strstr(json, "traceEvents"));
    bt_free(json);
    assert_int_equal(bt_job_set(j, "profile", NULL), BT_OK);
    assert_int_equal(bt_job_run(j), BT_OK);
    assert_int_equal(bt_job_trace(j, &json), BT_ENOTFOUND);
    assert_null(json);
    bt_job_free(j);
}

static void input_pictures_are_checked(void **state)
{
    (void)state;
    uint8_t pixels[12] = { 0 };
    bt_job *j = job_with("fake_image", "gradient");
    bt_image img = { sizeof img, 2, 2, 3, pixels };
    assert_int_equal(bt_job_set_image(j, "init", &img), BT_OK);
    assert_int_equal(bt_job_set_image(j, "init", &img), BT_OK); /* replaces */
    assert_int_equal(bt_job_set_image(j, "init", NULL), BT_OK);
    assert_int_equal(bt_job_set_image(j, "portrait", &img), BT_ENOTFOUND);
    img.channels = 4;
    assert_int_equal(bt_job_set_image(j, "mask", &img), BT_EINVAL);
    img.channels = 1;
    img.width = 0;
    assert_int_equal(bt_job_set_image(j, "mask", &img), BT_EINVAL);
    assert_int_equal(bt_job_set_image(NULL, "mask", &img), BT_EINVAL);
    bt_job_free(j);
}

typedef struct heard {
    int progress, tokens, chunks, stop_after;
    size_t samples;
    char text[256];
} heard;

static int on_progress(void *user, const char *stage, int done, int total)
{
    heard *h = user;
    assert_non_null(stage);
    assert_true(done <= total);
    h->progress++;
    return 0;
}

static int on_token(void *user, int32_t id, const char *text, size_t len)
{
    heard *h = user;
    (void)id;
    h->tokens++;
    strncat(h->text, text, len);
    return h->stop_after && h->tokens >= h->stop_after;
}

static int on_samples(void *user, const bt_audio *chunk)
{
    heard *h = user;
    assert_int_equal(chunk->sample_rate, 8000);
    assert_int_equal(chunk->channels, 1);
    h->chunks++;
    h->samples += chunk->n;
    return h->stop_after && h->chunks >= h->stop_after;
}

static void callbacks_hear_and_cancel(void **state)
{
    (void)state;
    heard h = { 0 };
    const bt_callbacks cb = { .struct_size = sizeof cb,
                              .user = &h,
                              .progress = on_progress,
                              .samples = on_samples,
                              .token = on_token };
    bt_job *j = job_with("fake_text", "echo");
    bt_job_set_callbacks(j, &cb);
    assert_int_equal(bt_job_set(j, "prompt", "one two three"), BT_OK);
    assert_int_equal(bt_job_run(j), BT_OK);
    assert_string_equal(h.text, "one two three");
    assert_string_equal(bt_job_text(j, 0), "one two three");
    assert_int_equal(h.tokens, 3);
    assert_int_equal(h.progress, 1);
    h = (heard){ .stop_after = 2 };
    assert_int_equal(bt_job_run(j), BT_ECANCELLED);
    assert_string_equal(bt_job_text(j, 0), "one two");
    assert_true(*bt_job_message(j));
    h = (heard){ 0 };
    bt_job_set_callbacks(j, NULL);
    assert_int_equal(bt_job_run(j), BT_OK); /* not affected */
    assert_string_equal(bt_job_message(j), "");
    assert_int_equal(h.tokens, 0);
    bt_job_free(j);
}

static void sound_comes_in_pieces(void **state)
{
    (void)state;
    heard h = { 0 };
    bt_callbacks cb = { .struct_size = sizeof cb, .user = &h, .samples = on_samples };
    bt_audio audio = { .struct_size = sizeof audio };
    bt_job *j = job_with("fake_audio", "sine");
    bt_job_set_callbacks(j, &cb);
    assert_int_equal(bt_job_run(j), BT_OK); /* no text, no sound */
    assert_int_equal(bt_job_audio(j, &audio), BT_ENOTFOUND);
    assert_int_equal(bt_job_set(j, "text", "abc"), BT_OK);
    assert_int_equal(bt_job_run(j), BT_OK);
    assert_int_equal(h.chunks, 3);
    assert_int_equal(bt_job_audio(j, &audio), BT_OK);
    assert_int_equal(audio.n, h.samples);
    assert_int_equal(audio.sample_rate, 8000);
    assert_true(audio.samples[5] != 0.0f);
    h = (heard){ 0 };
    cb.drop_samples = 1;
    bt_job_set_callbacks(j, &cb);
    assert_int_equal(bt_job_run(j), BT_OK);
    assert_int_equal(bt_job_audio(j, &audio), BT_OK);
    assert_null(audio.samples);
    assert_int_equal(audio.n, 2400);
    assert_int_equal(h.samples, 2400);
    audio.struct_size = 1;
    assert_int_equal(bt_job_audio(j, &audio), BT_EINVAL);
    bt_job_free(j);
}

typedef struct times {
    int kinds[BT_TIMING_PHONEME + 1];
    uint64_t end;
    int left; /* calls until the callback says stop */
} times;

static int on_timing(void *user, const bt_timing *t)
{
    times *all = user;
    assert_int_equal(t->struct_size, sizeof *t);
    all->kinds[t->kind]++;
    all->end = t->end;
    return --all->left == 0;
}

static void times_are_told(void **state)
{
    (void)state;
    times all = { 0 };
    const bt_callbacks cb = { .struct_size = sizeof cb, .user = &all, .timing = on_timing };
    bt_audio audio = { .struct_size = sizeof audio };
    bt_job *j = job_with("fake_audio", "sine");
    bt_job_set_callbacks(j, &cb);
    assert_int_equal(bt_job_set(j, "text", "ab c. de."), BT_OK);
    assert_int_equal(bt_job_run(j), BT_OK);
    assert_int_equal(all.kinds[BT_TIMING_SENTENCE], 2);
    assert_int_equal(all.kinds[BT_TIMING_WORD], 3);
    assert_int_equal(all.kinds[BT_TIMING_PHONEME], 8);
    assert_int_equal(bt_job_audio(j, &audio), BT_OK);
    assert_int_equal(all.end, audio.n);
    all = (times){ .left = 4 };
    assert_int_equal(bt_job_run(j), BT_ECANCELLED);
    assert_int_equal(bt_job_audio(j, &audio), BT_ENOTFOUND);
    bt_job_free(j);
}

static int on_new_rate(void *user, const bt_audio *chunk)
{
    heard *h = user;
    assert_int_equal(chunk->sample_rate, 16000);
    h->samples += chunk->n;
    return 0;
}

/* Option "rate": the stream and the whole are both of that rate, run after run. */
static void another_sample_rate(void **state)
{
    (void)state;
    const bt_callbacks cb = { .struct_size = sizeof cb, .samples = on_new_rate };
    bt_audio audio = { .struct_size = sizeof audio };
    bt_job *j = job_with("fake_audio", "sine");
    assert_int_equal(bt_job_set(j, "text", "abc"), BT_OK);
    assert_int_equal(bt_job_set(j, "rate", "7999"), BT_EINVAL);
    assert_int_equal(bt_job_set(j, "rate", "16000"), BT_OK);
    for (int run = 0; run < 2; run++) {
        heard h = { 0 };
        bt_callbacks with = cb;
        with.user = &h;
        bt_job_set_callbacks(j, &with);
        assert_int_equal(bt_job_run(j), BT_OK);
        assert_int_equal(bt_job_audio(j, &audio), BT_OK);
        assert_int_equal(audio.n, h.samples);
        assert_in_range(audio.n, 4799, 4801); /* 3 letters, 800 samples at 8000 Hz each */
        assert_int_equal(audio.sample_rate, 16000);
    }
    assert_int_equal(bt_job_set(j, "rate", ""), BT_OK);
    bt_job_set_callbacks(j, NULL);
    assert_int_equal(bt_job_run(j), BT_OK);
    assert_int_equal(bt_job_audio(j, &audio), BT_OK);
    assert_int_equal(audio.n, 2400);
    bt_job_free(j);
    j = job_with("fake_text", "echo");
    assert_int_equal(bt_job_set(j, "rate", "16000"), BT_ENOTFOUND);
    bt_job_free(j);
}

static void *cancel_soon(void *job)
{
    const struct timespec wait = { .tv_nsec = 50 * 1000 * 1000 };
    nanosleep(&wait, NULL);
    bt_job_cancel(job);
    return NULL;
}

static void another_thread_cancels(void **state)
{
    (void)state;
    pthread_t t;
    bt_job *j = job_with("fake_text", "echo");
    assert_int_equal(bt_job_set(j, "prompt", "word"), BT_OK);
    assert_int_equal(bt_job_set(j, "repeat", "1000000"), BT_OK);
    assert_int_equal(bt_job_set(j, "delay_ms", "5"), BT_OK);
    assert_int_equal(pthread_create(&t, NULL, cancel_soon, j), 0);
    assert_int_equal(bt_job_run(j), BT_ECANCELLED);
    pthread_join(t, NULL);
    bt_job_cancel(j); /* between runs: without effect on the next */
    assert_int_equal(bt_job_set(j, "repeat", "1"), BT_OK);
    assert_int_equal(bt_job_run(j), BT_OK);
    bt_job_free(j);
}

static void failures_have_messages(void **state)
{
    (void)state;
    char *json;
    bt_job *j = job_with("fake_text", "echo");
    assert_int_equal(bt_job_set(j, "fail", "silently"), BT_OK);
    assert_int_equal(bt_job_run(j), BT_EIO);
    assert_non_null(strstr(bt_job_message(j), "input or output failed"));
    assert_int_equal(bt_job_set(j, "fail", "loudly"), BT_OK);
    assert_int_equal(bt_job_run(j), BT_EINVAL);
    assert_string_equal(bt_job_message(j), "asked to fail");
    assert_int_equal(bt_job_report(j, &json), BT_OK);
    assert_non_null(strstr(json, "\"status\":\"invalid argument\""));
    bt_free(json);
    bt_job_free(j);
}

static void jobs_keep_their_state(void **state)
{
    (void)state;
    bt_job *j = job_with("fake_text", "echo");
    assert_int_equal(bt_job_run(j), BT_OK);
    assert_int_equal(bt_job_run(j), BT_OK);
    assert_string_equal(bt_job_get(j, "turns"), "2");
    bt_job_free(j);
}

static void budgets_hold(void **state)
{
    (void)state;
    bt_engine *e;
    bt_model *m;
    bt_job *j;
    bt_estimate est = { .struct_size = sizeof est };
    const bt_engine_options o = { .struct_size = sizeof o, .memory = 10 << 20 };
    assert_int_equal(bt_engine_create(&o, &e), BT_OK);
    assert_int_equal(bt_engine_load_module(e, PLUGINS "/fake_text.so"), BT_OK);
    assert_int_equal(bt_model_open(e, tiny_model("echo"), &m), BT_OK);
    assert_int_equal(bt_job_create(m, &j), BT_OK);
    assert_int_equal(bt_job_estimate(j, &est), BT_OK);
    assert_int_equal(est.weights, 1 << 20);
    assert_int_equal(est.caches, 1 << 20);
    assert_int_equal(bt_job_run(j), BT_OK);
    assert_int_equal(bt_job_set(j, "repeat", "20"), BT_OK);
    assert_int_equal(bt_job_run(j), BT_EBUDGET);
    assert_non_null(strstr(bt_job_message(j), "MiB"));
    est.struct_size = 0;
    assert_int_equal(bt_job_estimate(j, &est), BT_EINVAL);
    bt_job_free(j);
    bt_model_free(m);
    bt_engine_free(e);
}

/* A host in a locale whose numbers have commas; it keeps it in callbacks. */
static int sees_own_locale(void *user, const char *stage, int done, int total)
{
    (void)stage;
    (void)done;
    (void)total;
    char s[16];
    snprintf(s, sizeof s, "%.1f", 0.5);
    return strcmp(s, user) != 0;
}

static void numbers_ignore_the_locale(void **state)
{
    (void)state;
    char half[16];
    if (!setlocale(LC_ALL, "de_DE.UTF-8"))
        setlocale(LC_ALL, "");
    snprintf(half, sizeof half, "%.1f", 0.5);
    const bt_callbacks cb = { .struct_size = sizeof cb, .user = half, .progress = sees_own_locale };
    bt_job *j = job_with("fake_image", "gradient");
    bt_job_set_callbacks(j, &cb);
    assert_int_equal(bt_job_set(j, "brightness", "0.5"), BT_OK);
    assert_string_equal(bt_job_get(j, "brightness"), "0.5");
    assert_int_equal(bt_job_run(j), BT_OK);
    assert_string_equal(bt_job_get(j, "brightness"), "0.5");
    bt_job_free(j);
    setlocale(LC_ALL, "C");
}

static void *run_job(void *job) { return bt_job_run(job) == BT_OK ? job : NULL; }

static void two_jobs_share_a_model(void **state)
{
    (void)state;
    bt_engine *e = engine_with("fake_image");
    bt_model *m;
    bt_job *j[2];
    pthread_t t[2];
    void *r[2];
    assert_int_equal(bt_model_open(e, tiny_model("gradient"), &m), BT_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bt_job_create(m, &j[i]), BT_OK);
        assert_int_equal(bt_job_set(j[i], "batch", "8"), BT_OK);
        assert_int_equal(bt_job_set(j[i], "width", i ? "300" : "200"), BT_OK);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, run_job, j[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(t[i], &r[i]);
        assert_ptr_equal(r[i], j[i]);
        assert_int_equal(bt_job_image_count(j[i]), 8);
        bt_job_free(j[i]);
    }
    bt_model_free(m);
    bt_engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nulls_are_refused),
        cmocka_unit_test(options_are_read_and_checked),
        cmocka_unit_test(pictures_come_out),
        cmocka_unit_test(a_run_can_be_traced),
        cmocka_unit_test(input_pictures_are_checked),
        cmocka_unit_test(callbacks_hear_and_cancel),
        cmocka_unit_test(sound_comes_in_pieces),
        cmocka_unit_test(times_are_told),
        cmocka_unit_test(another_sample_rate),
        cmocka_unit_test(another_thread_cancels),
        cmocka_unit_test(failures_have_messages),
        cmocka_unit_test(jobs_keep_their_state),
        cmocka_unit_test(budgets_hold),
        cmocka_unit_test(numbers_ignore_the_locale),
        cmocka_unit_test(two_jobs_share_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
