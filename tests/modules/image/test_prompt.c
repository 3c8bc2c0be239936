/* SPDX-License-Identifier: MIT
 * Prompts as text: weights, steps, AND as A1111's own parser answers (prompts.json), and
 * what it has no part in: choices, wildcards, tags, chunks.
 */
#include <sys/stat.h>

#include "common.h"
#include "image/prompt/prompt.h"
#include "temp_dir.h"

typedef void check(const cJSON *answer, const char *text, int steps);

static void for_all(const char *part, check *f)
{
    cJSON *side = side_json("prompts");
    const int steps = cJSON_GetObjectItem(side, "steps")->valueint;
    const cJSON *c, *cases = cJSON_GetObjectItem(side, part);
    int n = 0;
    cJSON_ArrayForEach(c, cases)
    {
        f(cJSON_GetArrayItem(c, 1), cJSON_GetArrayItem(c, 0)->valuestring, steps);
        n++;
    }
    assert_true(n > 150);
    cJSON_Delete(side);
}

static void check_weigh(const cJSON *answer, const char *text, int steps)
{
    (void)steps;
    sd_pieces p;
    bt_error err = { 0 };
    if (sd_prompt_weigh(text, &p, &err) != BT_OK)
        fail_msg("\"%s\": %s", text, err.text);
    if ((int)p.n != cJSON_GetArraySize(answer))
        fail_msg("\"%s\": %zu pieces", text, p.n);
    for (int i = 0; i < (int)p.n; i++) {
        const cJSON *a = cJSON_GetArrayItem(answer, i);
        const char *s = cJSON_GetArrayItem(a, 0)->valuestring;
        if (strlen(s) != p.v[i].n || memcmp(s, p.text.data + p.v[i].from, p.v[i].n) != 0 ||
            p.v[i].weight != cJSON_GetArrayItem(a, 1)->valuedouble)
            fail_msg("\"%s\": piece %d is \"%.*s\" %.17g, not \"%s\"", text, i, (int)p.v[i].n,
                     p.text.data + p.v[i].from, p.v[i].weight, s);
    }
    sd_pieces_free(&p);
}

static void check_turns(const cJSON *answer, const char *text, int steps)
{
    sd_turns t;
    bt_error err = { 0 };
    if (sd_prompt_turns(text, steps, &t, &err) != BT_OK)
        fail_msg("\"%s\": %s", text, err.text);
    if (t.n != cJSON_GetArraySize(answer))
        fail_msg("\"%s\": %d turns", text, t.n);
    for (int i = 0; i < t.n; i++) {
        const cJSON *a = cJSON_GetArrayItem(answer, i);
        const char *s = cJSON_GetArrayItem(a, 1)->valuestring, *mine = t.texts[t.which[i]];
        if (t.until[i] != cJSON_GetArrayItem(a, 0)->valueint || strcmp(mine, s) != 0)
            fail_msg("\"%s\": until %d \"%s\", not \"%s\"", text, t.until[i], mine, s);
    }
    sd_turns_free(&t);
}

static void check_clauses(const cJSON *answer, const char *text, int steps)
{
    (void)steps;
    sd_clauses c;
    bt_error err = { 0 };
    if (sd_prompt_clauses(text, &c, &err) != BT_OK)
        fail_msg("\"%s\": %s", text, err.text);
    assert_int_equal(c.n, cJSON_GetArraySize(answer));
    for (int i = 0; i < c.n; i++) {
        const cJSON *a = cJSON_GetArrayItem(answer, i);
        const char *s = cJSON_GetArrayItem(a, 0)->valuestring;
        if (strcmp(s, c.v[i].text) != 0 ||
            c.v[i].weight != cJSON_GetArrayItem(a, 1)->valuedouble)
            fail_msg("\"%s\": \"%s\" %g, not \"%s\"", text, c.v[i].text, c.v[i].weight, s);
    }
    sd_clauses_free(&c);
}

static void test_weigh(void **state)
{
    (void)state;
    for_all("weigh", check_weigh);
}

static void test_turns(void **state)
{
    (void)state;
    for_all("turns", check_turns);
}

static void test_clauses(void **state)
{
    (void)state;
    for_all("clauses", check_clauses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weigh),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_clauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
