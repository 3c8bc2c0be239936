/* SPDX-License-Identifier: MIT
 * The hand-written matchers against the regular expressions that they stand for.
 */
#include <stdlib.h>
#include <string.h>

#include "text_golden.h"
#include "text/pretok.h"

static bool same_cuts(const bt_pretok *p, const char *text, size_t n, const cJSON *want)
{
    size_t i = 0;
    for (const cJSON *w = want->child; w; w = w->next) {
        if (i >= n || p->next(text + i, n - i) != (size_t)w->valueint)
            return false;
        i += (size_t)w->valueint;
    }
    return i == n;
}

static void cuts(void **state)
{
    (void)state;
    static const char *const names[] = { "smollm", "gpt-2", "llama-bpe", "qwen2", "default" };
    cJSON *golden = json_load("text/pretok.json"), *row;
    int total = 0, same = 0;
    cJSON_ArrayForEach(row, golden)
    {
        size_t n;
        char *text = json_text(cJSON_GetObjectItem(row, "text"), &n);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++, total++) {
            const bt_pretok *p = bt_pretok_find(names[i]);
            const cJSON *want = cJSON_GetObjectItem(row, names[i]);
            assert_true(p && want);
            if (same_cuts(p, text, n, want)) {
                same++;
                continue;
            }
            char *list = cJSON_PrintUnformatted(want);
            char *shown = cJSON_PrintUnformatted(cJSON_GetObjectItem(row, "text"));
            print_message("%s: %s want %s got", names[i], shown, list);
            for (size_t at = 0, len; at < n; at += len) {
                len = p->next(text + at, n - at);
                print_message(" %zu", len);
            }
            print_message("\n");
            free(list);
            free(shown);
        }
        free(text);
    }
    print_message("%d of %d strings are cut the same\n", same, total);
    assert_true(total >= 2000);
    assert_int_equal(same, total);
    cJSON_Delete(golden);
}

static void names(void **state)
{
    (void)state;
    assert_null(bt_pretok_find("no-such"));
    assert_true(bt_pretok_find("qwen2")->nfc);
    assert_true(bt_pretok_find("llama-bpe")->whole_words);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(cuts), cmocka_unit_test(names) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
