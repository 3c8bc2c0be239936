/* SPDX-License-Identifier: MIT
 * Every allocation of a whole life fails once: the calls report BT_ENOMEM (or
 * do without), and nothing leaks or crashes.
 */
#include "api.h"

#include <stdio.h>
#include <string.h>

/* base/alloc.h, in the shared core */
long bt_fault_after(long n);

static bt_status run_and_look(bt_job *j)
{
    bt_image img = { .struct_size = sizeof img };
    char *json = NULL;
    bt_status st = bt_job_set(j, "prompt", "words to say");
    if (st == BT_OK)
        st = bt_job_set(j, "profile", "true");
    if (st == BT_OK)
        st = bt_job_run(j);
    if (st == BT_OK && bt_job_image_count(j) > 0)
        st = bt_job_image(j, 0, &img);
    if (st == BT_OK)
        st = bt_job_report(j, &json);
    bt_free(json);
    return st;
}

/* Through the filters of the stream and of the file, in every kind of file. */
static bt_status speak_and_save(bt_engine *e, bt_job *j)
{
    static const char *const formats[] = { "wav", "flac", "ogg", "opus", "mp3" };
    bt_audio sound = { .struct_size = sizeof sound };
    bt_status st = bt_job_set(j, "text", "ab");
    if (st == BT_OK)
        st = bt_job_set(j, "rate", "22050");
    if (st == BT_OK)
        st = bt_job_run(j);
    if (st == BT_OK)
        st = bt_job_audio(j, &sound);
    for (int i = 0; i < 5 && st == BT_OK; i++) {
        sound.format = formats[i];
        st = bt_audio_save(e, scratch_file("sound"), &sound);
        if (st == BT_EUNSUPPORTED) /* by this libsndfile */
            st = BT_OK;
    }
    return st;
}

static bt_status use_model(bt_engine *e, const char *path)
{
    bt_model *m;
    bt_job *j = NULL;
    char *json = NULL;
    bt_status st = bt_model_open(e, path, &m);
    if (st == BT_OK)
        st = bt_model_describe(m, &json);
    if (st == BT_OK)
        st = bt_job_create(m, &j);
    if (st == BT_OK)
        st = bt_model_kind(m) == BT_KIND_AUDIO ? speak_and_save(e, j) : run_and_look(j);
    bt_free(json);
    bt_job_free(j);
    bt_model_free(m);
    return st;
}

static bt_status whole_life(const char *plugin, const char *path)
{
    bt_engine *e;
    char *json = NULL;
    bt_status st = bt_engine_create(NULL, &e);
    if (st == BT_OK)
        st = bt_engine_load_module(e, plugin);
    if (st == BT_OK)
        st = bt_engine_describe(e, &json);
    if (st == BT_OK)
        st = use_model(e, path);
    bt_free(json);
    bt_engine_free(e);
    return st;
}

static void fail_each(const char *plugin, const char *model)
{
    char path[256]; /* the next scratch file would take the other's place */
    snprintf(path, sizeof path, "%s", model);
    bt_fault_after(0);
    assert_int_equal(whole_life(plugin, path), BT_OK);
    for (long n = 1;; n++) {
        bt_fault_after(n);
        const bt_status st = whole_life(plugin, path);
        const long left = bt_fault_after(0);
        if (left > 0) {
            assert_int_equal(st, BT_OK);
            assert_true(n > 20);
            return;
        }
        if (st != BT_OK && st != BT_ENOMEM)
            fail_msg("allocation %ld: status %d", n, st);
    }
}

static void text(void **state)
{
    (void)state;
    fail_each(PLUGINS "/fake_text.so", tiny_model("echo"));
}

static void image(void **state)
{
    (void)state;
    fail_each(PLUGINS "/fake_image.so", tiny_model("gradient"));
}

static void audio(void **state)
{
    (void)state;
    fail_each(PLUGINS "/fake_audio.so", tiny_model("sine"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text),
        cmocka_unit_test(image),
        cmocka_unit_test(audio),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
