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

static void check_pass(const cJSON *answer, const char *text, int steps, int before)
{
    sd_turns t;
    bt_error err = { 0 };
    if (sd_prompt_turns(text, steps, before, &t, &err) != BT_OK)
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

static void check_turns(const cJSON *answer, const char *text, int steps)
{
    check_pass(answer, text, steps, 0);
}

/* Of a second pass, after one of 10. */
static void check_second(const cJSON *answer, const char *text, int steps)
{
    check_pass(answer, text, steps, 10);
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
        if (strcmp(s, c.v[i].text) != 0 || c.v[i].weight != cJSON_GetArrayItem(a, 1)->valuedouble)
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
    for_all("second", check_second);
}

static void test_clauses(void **state)
{
    (void)state;
    for_all("clauses", check_clauses);
}

/* ---- choices ----------------------------------------------------------------- */

static const char *choose(const char *text, uint64_t seed)
{
    static char out[4][256];
    static int k;
    char *made, *to = out[k = (k + 1) % 4];
    bt_error err = { 0 };
    if (sd_prompt_choose(text, temp_dir, seed, 0, &made, &err) != BT_OK)
        fail_msg("\"%s\": %s", text, err.text);
    snprintf(to, sizeof out[0], "%s", made);
    bt_release(made);
    return to;
}

/* How often each of the answers comes, of n seeds; fails if another one does. */
static void count(const char *text, const char *const *answers, int *times, int n)
{
    for (int seed = 0; seed < n; seed++) {
        const char *s = choose(text, (uint64_t)seed);
        int i = 0;
        while (answers[i] && strcmp(answers[i], s) != 0)
            i++;
        if (!answers[i])
            fail_msg("\"%s\": \"%s\"", text, s);
        times[i]++;
    }
}

static void test_choices(void **state)
{
    (void)state;
    static const char *const three[] = { "a x", "b x", "c x", NULL };
    static const char *const pairs[] = { "a, b", "b, a", "a, c", "c, a", "b, c", "c, b", NULL };
    static const char *const some[] = { "a", "b", "a and b", "b and a", NULL };
    int even[3] = { 0 }, heavy[3] = { 0 }, both[6] = { 0 }, any[4] = { 0 };
    count("{a|b|c} x", three, even, 3000);
    count("{2::a|b|{0::z|c}} x", three, heavy, 4000);
    count("{2$$a|b|c}", pairs, both, 3000);
    count("{1-2$$ and $$a|b}", some, any, 3000);
    for (int i = 0; i < 3; i++) {
        assert_in_range(even[i], 900, 1100);
        assert_in_range(heavy[i], i == 0 ? 1850 : 900, i == 0 ? 2150 : 1100);
    }
    for (int i = 0; i < 6; i++)
        assert_in_range(both[i], 420, 580);
    for (int i = 0; i < 4; i++)
        assert_in_range(any[i], 650, 850);
    assert_string_equal(choose("{a|b|c} {a|b|c}", 7), choose("{a|b|c} {a|b|c}", 7));
    assert_string_equal(choose("a } b { c | d", 1), "a } b { c | d");
    assert_string_equal(choose("\\{a|b\\} {c}", 1), "\\{a|b\\} c");
    assert_string_equal(choose("{[a|b]}", 1), "[a|b]");
    assert_string_equal(choose("{9$$a}", 1), "a");
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_wildcards(void **state)
{
    (void)state;
    static const char *const animals[] = { "red cat", "dog", NULL };
    static const char *const two[] = { "red cat and dog", "dog and red cat", NULL };
    int one[2] = { 0 }, order[2] = { 0 };
    assert_int_equal(mkdir(temp_path("sub"), 0700), 0);
    write_text(temp_path("animal.txt"),
               "\xEF\xBB\xBF# animals\r\n\n  3::__sub/the-colour__ cat \r\ndog");
    write_text(temp_path("sub/the-colour.txt"), "{red|red}\n");
    count("__animal__", animals, one, 4000);
    assert_in_range(one[0], 2850, 3150);
    count("{2$$ and $$__animal__}", two, order, 2000);
    assert_true(order[0] > 1000 && order[1] > 200);
    assert_string_equal(choose("a __ b __c", 1), "a __ b __c");
    assert_string_equal(choose("___", 1), "___");
}

/* ---- tags -------------------------------------------------------------------- */

static void test_tags(void **state)
{
    (void)state;
    sd_tags t;
    bt_error err = { 0 };
    char *rest;
    assert_int_equal(sd_prompt_tags("<lora:a>x<lora:b c:0.5><lyco:d:1:-.25> < b > <lora:> <x:y>"
                                    "<lora:e:unet=2:te=3><lora:f:1:unet=4:dyn=8",
                                    &rest, &t, &err),
                     BT_OK);
    static const struct {
        const char *name;
        double text, unet;
    } want[] = { { "a", 1, 1 }, { "b c", 0.5, 0.5 }, { "d", 1, -0.25 }, { "e", 3, 2 } };
    assert_string_equal(rest, "x < b > <lora:> <lora:f:1:unet=4:dyn=8");
    assert_int_equal(t.n, 4);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(t.v[i].name, want[i].name);
        assert_true(t.v[i].text == want[i].text && t.v[i].unet == want[i].unet);
    }
    bt_release(rest);
    sd_tags_free(&t);
    assert_int_equal(sd_prompt_tags("<lora:a:x>", &rest, &t, &err), BT_EINVAL);
    assert_int_equal(sd_prompt_tags("<lora:a:nan>", &rest, &t, &err), BT_EINVAL);
}

/* ---- limits ------------------------------------------------------------------ */

static void fill(char *to, size_t n, const char *with)
{
    for (size_t i = 0, k = strlen(with); i < n; i++)
        to[i] = with[i % k];
    to[n] = 0;
}

/* A megabyte of each of these is read or refused within a moment. */
static void test_long_texts(void **state)
{
    (void)state;
    static const char *const parts[] = { "(",        "[",     "(a",      "[a|",    ")",
                                         "[a:b:.5]", "[a|b]", "(a:1.2)", ":",      "\\",
                                         "{",        "{a|",   "}",       "{[",     "__",
                                         "__a",      "AND ",  " AND",    "BREAK ", " ",
                                         "<lora:",   "<",     "((a) ",   "1",      "{a}" };
    char *text = malloc(SD_MAX_PROMPT + 1), *made;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        sd_pieces p;
        sd_turns t;
        sd_clauses c;
        sd_tags tags;
        bt_error err;
        fill(text, SD_MAX_PROMPT, parts[i]);
        if (sd_prompt_weigh(text, &p, &err) == BT_OK)
            sd_pieces_free(&p);
        if (sd_prompt_turns(text, 20, 0, &t, &err) == BT_OK)
            sd_turns_free(&t);
        if (sd_prompt_clauses(text, &c, &err) == BT_OK)
            sd_clauses_free(&c);
        if (sd_prompt_choose(text, "", 1, 0, &made, &err) == BT_OK)
            bt_release(made);
        if (sd_prompt_tags(text, &made, &tags, &err) == BT_OK) {
            bt_release(made);
            sd_tags_free(&tags);
        }
    }
    bt_error err;
    fill(text, SD_MAX_PROMPT, "a|");
    memcpy(text, "{9999$$", 7);
    text[SD_MAX_PROMPT - 1] = '}';
    assert_int_equal(sd_prompt_choose(text, "", 1, 0, &made, &err), BT_EINVAL);
    assert_non_null(strstr(err.text, "too often from too much"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weigh),      cmocka_unit_test(test_turns),
        cmocka_unit_test(test_clauses),    cmocka_unit_test(test_choices),
        cmocka_unit_test(test_wildcards),  cmocka_unit_test(test_tags),
        cmocka_unit_test(test_long_texts),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
