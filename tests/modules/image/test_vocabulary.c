/* SPDX-License-Identifier: MIT
 * CLIP's own vocabulary, which models without tokenizer files are read with, against
 * transformers (make_tokenizer_clip.py).
 */
#include "common.h"

#include "image/network/vocabulary.h"

static const sd_tokenizer_config config = { "<|startoftext|>", "<|endoftext|>", "<|endoftext|>",
                                            "<|endoftext|>", 77 };

static bt_bpe *open_with(const char *const *files, bt_error *err)
{
    const char *path = temp_model(files);
    bt_store *s;
    bt_bpe *b = NULL;
    assert_int_equal(bt_store_open(path, &s, err), BT_OK);
    sd_tokenizer_open(s, "tokenizer", &config, 77, &b, err);
    bt_store_close(s);
    remove_model(path);
    return b;
}

static void test_own(void **state)
{
    (void)state;
    bt_error err = { 0 };
    bt_bpe *b = open_with((const char *const[]){ NULL }, &err);
    cJSON *golden = side_json("tokenizer_clip_own");
    const cJSON *row, *id;
    int n_rows = 0;
    assert_non_null(b);
    assert_int_equal(bt_bpe_count(b), 49408);
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(golden, "strings"))
    {
        const char *text = cJSON_GetObjectItem(row, "text")->valuestring;
        bt_ids ids = { 0 };
        size_t i = 0;
        bt_ids_add(&ids, 49406);
        assert_int_equal(bt_bpe_encode(b, text, strlen(text), true, &ids), BT_OK);
        bt_ids_add(&ids, 49407);
        cJSON_ArrayForEach(id, cJSON_GetObjectItem(row, "ids"))
        {
            if (i >= ids.len || ids.data[i] != id->valueint)
                fail_msg("\"%s\": token %zu is %d, not %d", text, i,
                         i < ids.len ? (int)ids.data[i] : -1, id->valueint);
            i++;
        }
        assert_int_equal(i, ids.len);
        bt_ids_free(&ids);
        n_rows++;
    }
    assert_true(n_rows > 100);
    cJSON_Delete(golden);
    bt_bpe_free(b);
}

/* One file of the two is a damaged model, not one without a tokenizer. */
static void test_half(void **state)
{
    (void)state;
    bt_error err = { 0 };
    assert_null(open_with((const char *const[]){ "tokenizer/vocab.json", "{}", NULL }, &err));
    assert_non_null(strstr(err.text, "tokenizer/merges.txt is missing"));
    assert_null(open_with((const char *const[]){ "tokenizer/merges.txt", "a b\n", NULL }, &err));
    assert_non_null(strstr(err.text, "tokenizer/vocab.json is missing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_own), cmocka_unit_test(test_half) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
