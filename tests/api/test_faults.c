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
        st = run_and_look(j);
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

static void fail_each(const char *plugin, const char *path)
{
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text),
        cmocka_unit_test(image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
