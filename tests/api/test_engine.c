/* SPDX-License-Identifier: MIT
 * Engine, options, models, plug-ins.
 */
#include "api.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void statuses_have_their_numbers_and_texts(void **state)
{
    (void)state;
#define CHECK(name, number, text)                                                                  \
    assert_int_equal(BT_##name, number);                                                           \
    assert_string_equal(bt_status_text(BT_##name), text);
    BT_STATUS_MAP(CHECK)
#undef CHECK
    assert_string_equal(bt_kind_name(BT_KIND_AUDIO), "audio");
    assert_string_equal(bt_version(), BT_VERSION);
}

static void nulls_are_refused(void **state)
{
    (void)state;
    bt_engine *e = engine_with(NULL);
    bt_model *m;
    bt_job *j;
    char *s;
    int32_t *ids;
    size_t n;
    assert_int_equal(bt_engine_create(NULL, NULL), BT_EINVAL);
    assert_int_equal(bt_engine_describe(NULL, &s), BT_EINVAL);
    assert_int_equal(bt_engine_describe(e, NULL), BT_EINVAL);
    assert_int_equal(bt_engine_load_module(NULL, "x"), BT_EINVAL);
    assert_int_equal(bt_engine_load_module(e, NULL), BT_EINVAL);
    assert_int_equal(bt_model_open(NULL, "x", &m), BT_EINVAL);
    assert_int_equal(bt_model_open(e, NULL, &m), BT_EINVAL);
    assert_int_equal(bt_model_open(e, "x", NULL), BT_EINVAL);
    assert_int_equal(bt_model_describe(NULL, &s), BT_EINVAL);
    assert_int_equal(bt_file_describe(e, NULL, &s), BT_EINVAL);
    assert_int_equal(bt_convert(e, NULL, "x", "f16", NULL, NULL, NULL), BT_EINVAL);
    assert_int_equal(bt_tokenize(NULL, "x", 1, 0, &ids, &n), BT_EINVAL);
    assert_int_equal(bt_detokenize(NULL, NULL, 0, &s, NULL), BT_EINVAL);
    assert_int_equal(bt_job_create(NULL, &j), BT_EINVAL);
    assert_null(j);
    assert_int_equal(bt_option_count(NULL, BT_KIND_TEXT), 0);
    assert_int_equal((int)bt_model_kind(NULL), 0);
    assert_string_equal(bt_engine_message(NULL), "");
    bt_engine_free(NULL);
    bt_model_free(NULL);
    bt_model_retain(NULL);
    bt_free(NULL);
    bt_engine_free(e);
}

static void engine_options_are_checked(void **state)
{
    (void)state;
    bt_engine *e = (bt_engine *)&e;
    const bt_engine_options bad[] = {
        { .struct_size = 0 },
        { .struct_size = sizeof bad[0], .threads = -1 },
        { .struct_size = sizeof bad[0], .threads = 1 << 20 },
        { .struct_size = sizeof bad[0], .isa = "mmx" },
        { .struct_size = sizeof bad[0], .precision = "f8" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(bt_engine_create(&bad[i], &e), BT_EINVAL);
        assert_null(e);
    }
    /* A caller built against an older, shorter struct: the rest has defaults. */
    const bt_engine_options old = { .struct_size = offsetof(bt_engine_options, isa),
                                    .threads = 2,
                                    .isa = "not looked at" };
    assert_int_equal(bt_engine_create(&old, &e), BT_OK);
    char *json;
    assert_int_equal(bt_engine_describe(e, &json), BT_OK);
    assert_non_null(strstr(json, "\"threads\":2"));
    bt_free(json);
    bt_engine_free(e);
}

static void describe_names_isa_and_modules(void **state)
{
    (void)state;
    bt_engine *e = engine_with("fake_text");
    char *json;
    assert_int_equal(bt_engine_describe(e, &json), BT_OK);
    assert_non_null(strstr(json, "\"isa\":\"scalar\""));
    assert_non_null(strstr(json, "\"cpu_used\":[]"));
    assert_non_null(strstr(json, "\"threads\":1"));
    assert_non_null(strstr(json, "\"name\":\"echo\",\"kind\":\"text\",\"file\":\"/"));
    bt_free(json);
    bt_engine_free(e);
}

static void options_are_listed_and_merged(void **state)
{
    (void)state;
    bt_engine *e = engine_with("fake_image");
    const size_t n = bt_option_count(e, BT_KIND_IMAGE);
    int prompts = 0, profiles = 0, directions = 0;
    bt_option_info o = { .struct_size = sizeof o };
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(bt_option_at(e, BT_KIND_IMAGE, i, &o), BT_OK);
        assert_non_null(o.name);
        assert_non_null(o.default_value);
        assert_non_null(o.help);
        prompts += strcmp(o.name, "prompt") == 0;
        profiles += strcmp(o.name, "profile") == 0;
        if (strcmp(o.name, "direction") != 0)
            continue;
        directions++;
        assert_int_equal(o.type, BT_OPT_CHOICE);
        assert_string_equal(o.choices, "across,down");
        assert_string_equal(o.spellings, "across=horizontal,down=vertical");
    }
    assert_int_equal(prompts, 1); /* of two modules that both have it */
    assert_int_equal(profiles, 1);
    assert_int_equal(directions, 1);
    assert_int_equal(bt_option_at(e, BT_KIND_IMAGE, n, &o), BT_ENOTFOUND);
    o.struct_size = 0;
    assert_int_equal(bt_option_at(e, BT_KIND_IMAGE, 0, &o), BT_EINVAL);
    assert_int_equal(bt_option_count(e, (bt_kind)9), 0);
    bt_engine_free(e);
}

static void bad_plugins_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        bt_status st;
        const char *says;
    } bad[] = {
        { PLUGINS "/bad_plugin1.so", BT_EUNSUPPORTED, "ABI" },
        { PLUGINS "/bad_plugin2.so", BT_EUNSUPPORTED, "0.0.0-other" },
        { PLUGINS "/bad_plugin3.so", BT_EUNSUPPORTED, "incomplete" },
        { PLUGINS "/bad_plugin4.so", BT_EUNSUPPORTED, "outside its struct" },
        { PLUGINS "/bad_plugin5.so", BT_EUNSUPPORTED, "not between" },
        { MODULES "/libbottega.so", BT_EFORMAT, "not a bottega module" },
        { "/nowhere/x.so", BT_EFORMAT, "/nowhere/x.so" },
        { "/etc/passwd", BT_EFORMAT, "/etc/passwd" },
        { "", BT_EINVAL, "no module file" },
    };
    bt_engine *e = engine_with(NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(bt_engine_load_module(e, bad[i].file), bad[i].st);
        if (!strstr(bt_engine_message(e), bad[i].says))
            fail_msg("%s", bt_engine_message(e));
    }
    bt_engine_free(e);
}

static void a_plugin_replaces_its_namesake(void **state)
{
    (void)state;
    bt_engine *e = engine_with("fake_text");
    const size_t n = bt_option_count(e, BT_KIND_TEXT);
    assert_int_equal(bt_engine_load_module(e, PLUGINS "/fake_text.so"), BT_OK);
    assert_int_equal(bt_option_count(e, BT_KIND_TEXT), n);
    char *json;
    assert_int_equal(bt_engine_describe(e, &json), BT_OK);
    const char *first = strstr(json, "\"echo\"");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\"echo\""));
    bt_free(json);
    bt_engine_free(e);
}

static void bad_models_are_refused(void **state)
{
    (void)state;
    bt_engine *e = engine_with(NULL);
    bt_model *m = (bt_model *)&m;
    assert_int_equal(bt_model_open(e, "/nowhere/m.gguf", &m), BT_ENOTFOUND);
    assert_null(m);
    assert_non_null(strstr(bt_engine_message(e), "/nowhere/m.gguf"));
    assert_int_equal(bt_model_open(e, "/etc/passwd", &m), BT_EFORMAT);
    assert_non_null(strstr(bt_engine_message(e), "/etc/passwd"));
    /* Readable, but nobody's. */
    const char *path = tiny_model("nobody");
    assert_int_equal(bt_model_open(e, path, &m), BT_EUNSUPPORTED);
    assert_non_null(strstr(bt_engine_message(e), path));
    /* A call that succeeds forgets the message. */
    char *json;
    assert_int_equal(bt_file_describe(e, path, &json), BT_OK);
    assert_string_equal(bt_engine_message(e), "");
    assert_non_null(strstr(json, "safetensors"));
    bt_free(json);
    bt_engine_free(e);
}

static void *fail_here(void *engine)
{
    bt_model *m;
    assert_int_equal(bt_model_open(engine, "/nowhere/other", &m), BT_ENOTFOUND);
    assert_non_null(strstr(bt_engine_message(engine), "/nowhere/other"));
    return NULL;
}

static void messages_belong_to_threads(void **state)
{
    (void)state;
    bt_engine *e = engine_with(NULL);
    bt_model *m;
    pthread_t t;
    assert_int_equal(bt_model_open(e, "/nowhere/mine", &m), BT_ENOTFOUND);
    assert_int_equal(pthread_create(&t, NULL, fail_here, e), 0);
    pthread_join(t, NULL);
    assert_non_null(strstr(bt_engine_message(e), "/nowhere/mine"));
    bt_engine_free(e);
}

static void models_are_counted(void **state)
{
    (void)state;
    bt_engine *e = engine_with("fake_text");
    bt_model *m;
    char *json;
    assert_int_equal(bt_model_open(e, tiny_model("echo"), &m), BT_OK);
    bt_engine_free(e); /* the model keeps it */
    bt_model_retain(m);
    bt_model_free(m);
    assert_int_equal(bt_model_kind(m), BT_KIND_TEXT);
    assert_int_equal(bt_model_describe(m, &json), BT_OK);
    assert_string_equal(json, "{\"architecture\":\"echo\"}");
    bt_free(json);
    bt_model_free(m);
}

static void tokens_go_both_ways(void **state)
{
    (void)state;
    bt_engine *e = engine_with("fake_text");
    bt_model *m;
    int32_t *ids;
    size_t n, len;
    char *text;
    assert_int_equal(bt_model_open(e, tiny_model("echo"), &m), BT_OK);
    assert_int_equal(bt_tokenize(m, "abc", 3, 0, &ids, &n), BT_OK);
    assert_int_equal(n, 3);
    assert_int_equal(ids[1], 'b');
    assert_int_equal(bt_detokenize(m, ids, n, &text, &len), BT_OK);
    assert_string_equal(text, "abc");
    assert_int_equal(len, 3);
    bt_free(ids);
    bt_free(text);
    assert_int_equal(bt_tokenize(m, NULL, 0, 0, &ids, &n), BT_OK);
    assert_int_equal(n, 0);
    bt_free(ids);
    bt_model_free(m);
    assert_int_equal(bt_engine_load_module(e, PLUGINS "/fake_audio.so"), BT_OK);
    assert_int_equal(bt_model_open(e, tiny_model("sine"), &m), BT_OK);
    assert_int_equal(bt_tokenize(m, "abc", 3, 0, &ids, &n), BT_EUNSUPPORTED);
    assert_null(ids);
    bt_model_free(m);
    bt_engine_free(e);
}

static void convert_checks_its_arguments(void **state)
{
    (void)state;
    bt_engine *e = engine_with(NULL);
    const char *out = scratch_file("never.gguf");
    assert_int_equal(bt_convert(e, tiny_model("x"), out, "q9_9", NULL, NULL, NULL), BT_EINVAL);
    assert_non_null(strstr(bt_engine_message(e), "q9_9"));
    assert_int_equal(bt_convert(e, "/etc/passwd", out, "f16", NULL, NULL, NULL), BT_EFORMAT);
    FILE *f = fopen(out, "rb");
    assert_null(f);
    bt_engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_have_their_numbers_and_texts),
        cmocka_unit_test(nulls_are_refused),
        cmocka_unit_test(engine_options_are_checked),
        cmocka_unit_test(describe_names_isa_and_modules),
        cmocka_unit_test(options_are_listed_and_merged),
        cmocka_unit_test(bad_plugins_are_refused),
        cmocka_unit_test(a_plugin_replaces_its_namesake),
        cmocka_unit_test(bad_models_are_refused),
        cmocka_unit_test(messages_belong_to_threads),
        cmocka_unit_test(models_are_counted),
        cmocka_unit_test(tokens_go_both_ways),
        cmocka_unit_test(convert_checks_its_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
