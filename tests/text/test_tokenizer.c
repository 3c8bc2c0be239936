/* SPDX-License-Identifier: MIT
 * The tokenizers against Hugging Face's, and against hard input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "text_golden.h"
#include "text/utf8.h"

static void smollm2_strings(void **state)
{
    (void)state;
    bt_store *s = smollm2_open();
    bt_bpe *b = smollm2_tokenizer(s);
    cJSON *golden = json_load("golden/tokenizer_smollm2.json"), *row;
    int total = 0, same = 0, round = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(golden, "strings"))
    {
        const cJSON *ids_special = cJSON_GetObjectItem(row, "ids_special");
        const cJSON *want_ids = cJSON_GetObjectItem(row, "ids");
        const cJSON *decoded = cJSON_GetObjectItem(row, "decoded");
        bt_ids plain = { 0 }, special = { 0 };
        bt_buf back = { 0 };
        size_t n, want_n;
        char *text = json_text(cJSON_GetObjectItem(row, "text"), &n);
        char *want = json_text(decoded ? decoded : cJSON_GetObjectItem(row, "text"), &want_n);
        assert_int_equal(bt_bpe_encode(b, text, n, false, &plain), BT_OK);
        assert_int_equal(bt_bpe_encode(b, text, n, true, &special), BT_OK);
        bt_bpe_decode(b, plain.data, plain.len, true, &back);
        same += same_ids(&plain, want_ids, text) &&
                same_ids(&special, ids_special ? ids_special : want_ids, text);
        bool came_back = back.len == want_n && (!want_n || memcmp(back.data, want, want_n) == 0);
        if (!came_back)
            print_message("comes back as \"%s\", not \"%s\"\n", back.data, want);
        round += came_back;
        total++;
        bt_ids_free(&plain);
        bt_ids_free(&special);
        bt_buf_free(&back);
        free(text);
        free(want);
    }
    print_message("smollm2: %d of %d identical, %d came back\n", same, total, round);
    assert_true(total >= 500);
    assert_int_equal(same, total);
    assert_int_equal(round, total);
    cJSON_Delete(golden);
    bt_bpe_free(b);
    bt_store_close(s);
}

/* Whether the padded form is the golden's list cut or filled to 32. */
static bool clip_padded_fits(const bt_bpe *b, const char *text, size_t n, const cJSON *want)
{
    int32_t ids[32];
    size_t used;
    assert_int_equal(bt_bpe_encode_clip(b, text, n, ids, &used), BT_OK);
    int k = cJSON_GetArraySize(want);
    if ((int)used != (k < 32 ? k : 32))
        return false;
    for (int i = 0; i < 32; i++) {
        int expect = i < k ? cJSON_GetArrayItem(want, i)->valueint : 2713;
        if (k > 32 && i == 31)
            expect = 2713;
        if (ids[i] != expect)
            return false;
    }
    return true;
}

static void clip_strings(void **state)
{
    (void)state;
    bt_bpe *b = clip_tokenizer(ICONS);
    cJSON *golden = json_load("golden/tokenizer_clip.json"), *row;
    int total = 0, same = 0;
    assert_int_equal(bt_bpe_max_length(b), 32);
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(golden, "strings"))
    {
        const cJSON *want = cJSON_GetObjectItem(row, "ids");
        bt_ids ids = { 0 };
        size_t n;
        char *text = json_text(cJSON_GetObjectItem(row, "text"), &n);
        bt_ids_add(&ids, 2712);
        assert_int_equal(bt_bpe_encode(b, text, n, true, &ids), BT_OK);
        bt_ids_add(&ids, 2713);
        same += same_ids(&ids, want, text) && clip_padded_fits(b, text, n, want);
        total++;
        bt_ids_free(&ids);
        free(text);
    }
    print_message("clip: %d of %d identical\n", same, total);
    assert_true(total >= 300);
    assert_int_equal(same, total);
    cJSON_Delete(golden);
    bt_bpe_free(b);
}

/* ---- size and speed ------------------------------------------------------------ */

static void round_trip(const bt_bpe *b, const char *what, const char *text, size_t n)
{
    bt_ids ids = { 0 };
    bt_buf back = { 0 };
    const double t = bt_now();
    assert_int_equal(bt_bpe_encode(b, text, n, true, &ids), BT_OK);
    const double seconds = bt_now() - t;
    bt_bpe_decode(b, ids.data, ids.len, true, &back);
    assert_int_equal(back.len, n);
    assert_memory_equal(back.data, text, n);
    print_message("%-24s %8zu tokens, %6.1f MB/s\n", what, ids.len, (double)n / 1e6 / seconds);
    assert_true(seconds < 120); /* a quadratic step would take minutes; sanitizers are slow */
    bt_ids_free(&ids);
    bt_buf_free(&back);
}

static void megabytes(void **state)
{
    (void)state;
    static const char *const unit[][2] = {
        { "one word", "a" },
        { "one word of words", "thequickbrown" },
        { "spaces", " " },
        { "line ends", "\n" },
        { "spaces and line ends", " \n" },
        { "spaced letters", "   x" },
        { "digits", "1234567890" },
        { "marks", "!?." },
        { "quotes", "'s" },
        { "emoji", "\xF0\x9F\x98\x80" },
        { "combining marks", "\xCC\x81\xCC\x96" },
        { "special tokens", "<|im_start|>" },
        { "nearly special", "<|im_start" },
        { "English", "It was a bright cold day in April, and the clocks were striking thirteen. "
                     "The hallway smelt of boiled cabbage and old rag mats; at one end of it a "
                     "coloured poster, too large for indoor display, had been tacked up.\n" },
    };
    const size_t n = 1 << 20;
    bt_store *s = smollm2_open();
    const double t = bt_now();
    bt_bpe *b = smollm2_tokenizer(s), *clip = clip_tokenizer(ICONS);
    print_message("opened in %.1f ms\n", (bt_now() - t) * 1e3);
    char *text = malloc(n + 256);
    for (size_t u = 0; u < sizeof unit / sizeof *unit; u++) {
        const size_t k = strlen(unit[u][1]);
        size_t len = 0;
        for (; len < n; len += k)
            memcpy(text + len, unit[u][1], k);
        round_trip(b, unit[u][0], text, len);
        int32_t ids[32];
        const double start = bt_now();
        assert_int_equal(bt_bpe_encode_clip(clip, text, len, ids, NULL), BT_OK);
        assert_true(bt_now() - start < 120);
    }
    free(text);
    bt_bpe_free(b);
    bt_bpe_free(clip);
    bt_store_close(s);
}

/* ---- small vocabularies ----------------------------------------------------------- */

typedef struct toy {
    const char *const *tokens, *const *merges;
    const int *types;
} toy;

static const char *toy_token(void *user, size_t i, size_t *len)
{
    const char *s = ((toy *)user)->tokens[i];
    *len = s ? strlen(s) : 0;
    return s;
}

static const char *toy_merge(void *user, size_t i, size_t *len)
{
    const char *s = ((toy *)user)->merges[i];
    *len = strlen(s);
    return s;
}

static int toy_type(void *user, size_t i) { return ((toy *)user)->types[i]; }

static const char *const toy_tokens[] = { "a", "b", "c", "ab", "bc", "abc", "<x>", "<xy>", "<u>" };
static const int toy_types[] = { 1, 1, 1, 1, 1, 1, 3, 3, 4 };

static void encode_is(const bt_bpe *b, const char *text, bool special, const char *want)
{
    bt_ids ids = { 0 };
    char got[256] = "";
    assert_int_equal(bt_bpe_encode(b, text, strlen(text), special, &ids), BT_OK);
    for (size_t i = 0; i < ids.len; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", i ? " " : "", ids.data[i]);
    assert_string_equal(got, want);
    bt_ids_free(&ids);
}

static void toy_merges(void **state)
{
    (void)state;
    static const char *const merges[] = { "b c", "a b", "a bc" };
    toy t = { toy_tokens, merges, toy_types };
    const bt_bpe_vocab v = { 9, 3, toy_token, toy_merge, toy_type, &t };
    bt_bpe *b = NULL;
    bt_error err = { 0 };
    assert_int_equal(bt_bpe_new_gpt2(&v, "gpt-2", &b, &err), BT_OK);
    encode_is(b, "abc", true, "5"); /* the better rank first: bc, then a bc */
    encode_is(b, "abab", true, "3 3");
    encode_is(b, "azb", true, "3"); /* a byte without a token vanishes, as in Hugging Face */
    encode_is(b, "<x><xy><xyz", true, "6 7"); /* the longest special token counts */
    encode_is(b, "<x>a<u>", false, "0 8");    /* a user-defined token is always found */
    encode_is(b, "", true, "");
    assert_int_equal(bt_bpe_find(b, "<xy>", 4), 7);
    assert_int_equal(bt_bpe_find(b, "nope", 4), -1);
    assert_int_equal(bt_bpe_type(b, 6), BT_TOKEN_CONTROL);
    assert_null(bt_bpe_text(b, 9, &(size_t){ 0 }));
    bt_buf out = { 0 };
    bt_bpe_decode(b, (int32_t[]){ 5, 6, -1, 99, 8 }, 5, false, &out);
    assert_string_equal(out.data, "abc<u>");
    bt_buf_free(&out);
    bt_bpe_free(b);
}

static void bad_vocabularies(void **state)
{
    (void)state;
    static const char *const unknown[] = { "a z" }, *const no_space[] = { "ab" };
    static const char *const holed[] = { "a", NULL };
    const bt_clip_config c = { "<s>", "<e>", NULL, NULL, 8 };
    toy t = { toy_tokens, unknown, toy_types };
    bt_bpe_vocab v = { 9, 1, toy_token, toy_merge, NULL, &t };
    bt_bpe *b;
    bt_error err = { 0 };
    assert_int_equal(bt_bpe_new_gpt2(&v, "gpt-2", &b, &err), BT_EFORMAT);
    assert_null(b);
    t.merges = no_space;
    assert_int_equal(bt_bpe_new_gpt2(&v, "gpt-2", &b, &err), BT_EFORMAT);
    v.n_merges = 0;
    assert_int_equal(bt_bpe_new_gpt2(&v, "no-such", &b, &err), BT_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "no-such"));
    v.n_tokens = 2;
    t.tokens = holed;
    assert_int_equal(bt_bpe_new_gpt2(&v, "gpt-2", &b, &err), BT_EFORMAT);
    static const char *const json[] = {
        "",
        "{",
        "{}",
        "[1]",
        "{\"<s>\":0}",
        "{\"<s>\":0,\"<e>\":0}",
        "{\"<s>\":0,\"<e>\":-1}",
        "{\"<s>\":0,\"<e>\":999999999999}",
        "{\"<s>\":0,\"<e>\":1",
        "{\"\\ud800\":0}",
        "{\"\\u12",
        "{\"<s>\":0,\"<e\\",
        "{\"<s>\":0,\"<e>\":1,}",
        "{\"<s>\":\"0\"}",
    };
    for (size_t i = 0; i < sizeof json / sizeof *json; i++)
        assert_int_equal(bt_bpe_new_clip(json[i], strlen(json[i]), "", 0, &c, &b, &err),
                         BT_EFORMAT);
    const char *good = "{\"<s>\":0, \"<e>\" : 1,\"\\u0061</w>\":2}";
    assert_int_equal(bt_bpe_new_clip(good, strlen(good), "a b", 3, &c, &b, &err), BT_EFORMAT);
    assert_int_equal(bt_bpe_new_clip(good, strlen(good), "#version: 1\n\n", 13, &c, &b, &err),
                     BT_OK);
    encode_is(b, "A b <E> a<e>", true, "2 1 1 1 1 2 1");
    bt_bpe_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_strings),  cmocka_unit_test(clip_strings),
        cmocka_unit_test(megabytes),        cmocka_unit_test(toy_merges),
        cmocka_unit_test(bad_vocabularies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
