/* SPDX-License-Identifier: MIT
 * Chat templates against Jinja's own output, and templates that mean harm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "text_golden.h"
#include "text/chat.h"

enum { MAX_MESSAGES = 16 };

static bt_status render(const char *source, size_t n, const cJSON *messages, bool gen,
                        const char *bos, char **text, bt_error *err)
{
    bt_chat_message m[MAX_MESSAGES];
    bt_chat_input in = { .messages = m, .bos_token = bos, .eos_token = "</s>" };
    bt_chat *c = NULL;
    const cJSON *item;
    *text = NULL;
    in.add_generation_prompt = gen;
    cJSON_ArrayForEach(item, messages)
    {
        assert_true(in.n < MAX_MESSAGES);
        m[in.n].role = cJSON_GetObjectItem(item, "role")->valuestring;
        m[in.n++].content = cJSON_GetObjectItem(item, "content")->valuestring;
    }
    bt_status st = bt_chat_new(source, n, &c, err);
    if (st != BT_OK)
        assert_null(c);
    size_t len = 0;
    if (st == BT_OK)
        st = bt_chat_render(c, &in, text, &len, err);
    if (st == BT_OK)
        assert_int_equal(len, strlen(*text));
    bt_chat_free(c);
    return st;
}

/* 1 if the template gives what Jinja gave, or is refused where Jinja refused. */
static int agrees(const char *source, const cJSON *messages, bool gen, const cJSON *row)
{
    const cJSON *want = cJSON_GetObjectItem(row, "rendered");
    bt_error err = { 0 };
    char *text;
    const bt_status st = render(source, strlen(source), messages, gen, "<s>", &text, &err);
    const bool same = want ? st == BT_OK && strcmp(text, want->valuestring) == 0 : st != BT_OK;
    if (!same)
        print_message("--- %s\nwant: %s\ngot (%d): %s%s\n", source,
                      want ? want->valuestring : cJSON_GetObjectItem(row, "error")->valuestring, st,
                      text ? text : "", st != BT_OK ? err.text : "");
    if (st != BT_OK)
        assert_true(err.text[0] != 0);
    bt_release(text);
    return same;
}

static void families(void **state)
{
    (void)state;
    cJSON *golden = json_load("text/chat.json"), *row;
    const cJSON *templates = cJSON_GetObjectItem(golden, "templates");
    int total = 0, same = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(golden, "families"))
    {
        const char *name = cJSON_GetObjectItem(row, "name")->valuestring;
        const char *source = cJSON_GetObjectItemCaseSensitive(templates, name)->valuestring;
        const bool gen = cJSON_IsTrue(cJSON_GetObjectItem(row, "gen"));
        same += agrees(source, cJSON_GetObjectItem(row, "messages"), gen, row);
        total++;
    }
    print_message("%d of %d renderings as Jinja\n", same, total);
    assert_true(total >= 150);
    assert_int_equal(same, total);
    cJSON_Delete(golden);
}

static void pieces(void **state)
{
    (void)state;
    cJSON *golden = json_load("text/chat.json"), *row;
    const cJSON *messages = cJSON_GetObjectItem(golden, "piece_messages");
    int total = 0, same = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(golden, "pieces"))
    {
        same += agrees(cJSON_GetObjectItem(row, "source")->valuestring, messages, false, row);
        total++;
    }
    print_message("%d of %d pieces as Jinja\n", same, total);
    assert_true(total >= 90);
    assert_int_equal(same, total);
    cJSON_Delete(golden);
}

/* The model's own template, and the ids of what it makes. */
static void smollm2_chats(void **state)
{
    (void)state;
    bt_store *s = smollm2_open();
    bt_bpe *b = smollm2_tokenizer(s);
    size_t n;
    const char *source = bt_store_str(s, "tokenizer.chat_template", &n);
    cJSON *golden = json_load("golden/tokenizer_smollm2.json"), *row;
    int total = 0;
    assert_non_null(source);
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(golden, "chats"))
    {
        const bool gen = cJSON_IsTrue(cJSON_GetObjectItem(row, "add_generation_prompt"));
        bt_error err = { 0 };
        bt_ids ids = { 0 };
        char *text;
        const cJSON *messages = cJSON_GetObjectItem(row, "messages");
        assert_int_equal(render(source, n, messages, gen, "", &text, &err), BT_OK);
        assert_string_equal(text, cJSON_GetObjectItem(row, "rendered")->valuestring);
        assert_int_equal(bt_bpe_encode(b, text, strlen(text), true, &ids), BT_OK);
        assert_true(same_ids(&ids, cJSON_GetObjectItem(row, "ids_special"), text));
        bt_ids_free(&ids);
        bt_release(text);
        total++;
    }
    assert_true(total >= 8);
    cJSON_Delete(golden);
    bt_bpe_free(b);
    bt_store_close(s);
}

static void not_supported(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "{% macro f() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% set a, b = 1, 2 %}",
        "{{ 1.5 }}",
        "{{ 1 / 2 }}",
        "{{ 2 ** 3 }}",
        "{{ 1 < 2 < 3 }}",
        "{{ [1] }}",
        "{{ strftime_now('%d') }}",
        "{{ 'a'|indent(4) }}",
        "{% raw %}x{% endraw %}",
        "{{ 9223372036854775807 + 1 }}",
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        bt_error err = { 0 };
        char *text;
        const char *s = sources[i];
        if (render(s, strlen(s), NULL, false, "", &text, &err) != BT_EUNSUPPORTED)
            fail_msg("%s: %s", s, err.text);
        assert_non_null(strstr(err.text, "line 1"));
        bt_release(text);
    }
}

/* Each would run for ever, fill the memory or overflow the stack. */
static void harm(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "{% set n = namespace(s='aaaaaaaaaaaaaaaa') %}{% for i in range(99) %}"
        "{% set n.s = n.s + n.s %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ a }}{% for b in range(99999) %}y{% endfor %}{% endfor %}",
        "{{ range(999999999)|length }}",
        "{% set n = namespace(x=1) %}{% set n.x = n %}{{ n|tojson }}",
        "{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor %}"
        "{{ n.x|tojson }}",
        "{% set n = namespace(s='a') %}{% for i in range(20) %}{% set n.s = n.s + n.s %}"
        "{% endfor %}"
        "{{ n.s.replace('a', n.s) }}",
        "{% set n = namespace(s='a') %}{% for i in range(20) %}{% set n.s = n.s + n.s %}"
        "{% endfor %}"
        "{% for i in range(99999) %}{% set x = n.s|trim('b') in n.s %}{{ n.s|length }}{% endfor %}",
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        bt_error err = { 0 };
        char *text;
        const double t = bt_now();
        const char *s = sources[i];
        if (render(s, strlen(s), NULL, false, "", &text, &err) == BT_OK)
            fail_msg("%s", s);
        assert_true(bt_now() - t < 120);
        bt_release(text);
    }
    static const char *const deep[][3] = {
        { "{{ ", "(", "" },       { "{{ ", "not ", "" },   { "{{ ", "-", "" },
        { "{{ ", "[", "" },       { "{{ 1", "+1", " }}" }, { "{{ x", "|trim", " }}" },
        { "", "{% if 1 %}", "" }, { "{{ x", ".x", " }}" }, { "{{ 1 ", "if 1 else 1 ", " }}" },
        { "{{ a", "[a", "" },
    };
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        bt_error err = { 0 };
        bt_buf b = { 0 };
        char *text;
        bt_buf_puts(&b, deep[i][0]);
        for (int k = 0; k < 50000; k++)
            bt_buf_puts(&b, deep[i][1]);
        bt_buf_puts(&b, deep[i][2]);
        assert_int_not_equal(render(b.data, b.len, NULL, false, "", &text, &err), BT_OK);
        bt_buf_free(&b);
    }
}

/* A megabyte of content goes through the usual templates. */
static void large_message(void **state)
{
    (void)state;
    const size_t n = 1 << 20;
    const char *source = "{% for m in messages %}{{ '<' + m.role + '>' + m['content'] | trim }}"
                         "{% if '</think>' in m.content %}{{ m.content.split('x')[-1] }}{% endif %}"
                         "{% endfor %}";
    char *big = malloc(n + 1), *text;
    size_t len;
    memset(big, ' ', n);
    memset(big + 10, 'y', n - 20);
    big[n] = 0;
    const bt_chat_message m = { "user", big };
    const bt_chat_input in = { .messages = &m, .n = 1 };
    bt_chat *c;
    bt_error err = { 0 };
    assert_int_equal(bt_chat_new(source, strlen(source), &c, &err), BT_OK);
    assert_int_equal(bt_chat_render(c, &in, &text, &len, &err), BT_OK);
    assert_int_equal(len, n - 20 + 6);
    bt_release(text);
    bt_chat_free(c);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families),      cmocka_unit_test(pieces), cmocka_unit_test(smollm2_chats),
        cmocka_unit_test(not_supported), cmocka_unit_test(harm),   cmocka_unit_test(large_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
