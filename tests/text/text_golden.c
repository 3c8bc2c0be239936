/* SPDX-License-Identifier: MIT
 * See text_golden.h.
 */
#include "text_golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *read_file(const char *path, size_t *n)
{
    char *s = NULL;
    bt_error err = { 0 };
    if (bt_file_read(path, (size_t)1 << 28, &s, n, &err) != BT_OK)
        fail_msg("%s", err.text);
    return s;
}

cJSON *json_load(const char *name)
{
    char path[1024];
    size_t n;
    snprintf(path, sizeof path, BT_SOURCE_DIR "/tests/%s", name);
    char *s = read_file(path, &n);
    for (char *p = s; (p = strstr(p, "\\u0000")); p += 6)
        memcpy(p, "\\uf8ff", 6);
    cJSON *j = cJSON_ParseWithLength(s, n);
    bt_release(s);
    if (!j)
        fail_msg("%s: not JSON", path);
    return j;
}

char *json_text(const cJSON *string, size_t *n)
{
    const char *s = string->valuestring;
    char *out = malloc(strlen(s) + 1), *p = out;
    while (*s) {
        bool zero = strncmp(s, "\xEF\xA3\xBF", 3) == 0;
        *p++ = zero ? 0 : *s;
        s += zero ? 3 : 1;
    }
    *p = 0;
    *n = (size_t)(p - out);
    return out;
}

int same_ids(const bt_ids *ids, const cJSON *want, const char *text)
{
    bool same = (int)ids->len == cJSON_GetArraySize(want);
    const cJSON *v = want->child;
    for (size_t i = 0; same && i < ids->len; i++, v = v->next)
        same = ids->data[i] == v->valueint;
    if (same)
        return 1;
    char *list = cJSON_PrintUnformatted(want);
    print_message("differs: \"%.200s\"\n  want %s\n  got  [", text, list);
    for (size_t i = 0; i < ids->len; i++)
        print_message("%s%d", i ? "," : "", ids->data[i]);
    print_message("]\n");
    free(list);
    return 0;
}

bt_store *smollm2_open(void)
{
    char path[1024];
    const char *data = getenv("BOTTEGA_DATA"), *home = getenv("HOME");
    bt_store *s = NULL;
    bt_error err = { 0 };
    snprintf(path, sizeof path, "%s%s/models/SmolLM2-135M-Instruct.Q4_1.gguf",
             data   ? data
             : home ? home
                    : "",
             data ? "" : "/.local/share/bottega");
    if (bt_store_open(path, &s, &err) != BT_OK)
        fail_msg("%s", err.text);
    return s;
}

typedef struct arrays {
    const bt_meta *tokens, *merges, *types;
} arrays;

static const char *token_at(void *user, size_t i, size_t *len)
{
    return bt_store_array_str(((arrays *)user)->tokens, i, len);
}

static const char *merge_at(void *user, size_t i, size_t *len)
{
    return bt_store_array_str(((arrays *)user)->merges, i, len);
}

static int type_at(void *user, size_t i)
{
    int64_t t = 0;
    bt_store_array_i64(((arrays *)user)->types, i, &t);
    return (int)t;
}

bt_bpe *smollm2_tokenizer(const bt_store *s)
{
    arrays a;
    bt_meta_type type;
    size_t n_tokens, n_merges, n_types;
    bt_bpe *b = NULL;
    bt_error err = { 0 };
    a.tokens = bt_store_array(s, "tokenizer.ggml.tokens", &type, &n_tokens);
    a.merges = bt_store_array(s, "tokenizer.ggml.merges", &type, &n_merges);
    a.types = bt_store_array(s, "tokenizer.ggml.token_type", &type, &n_types);
    assert_true(a.tokens && a.merges && a.types && n_types == n_tokens);
    const bt_bpe_vocab v = { n_tokens, n_merges, token_at, merge_at, type_at, &a };
    const char *pre = bt_store_str(s, "tokenizer.ggml.pre", NULL);
    if (bt_bpe_new_gpt2(&v, pre, &b, &err) != BT_OK)
        fail_msg("%s", err.text);
    return b;
}

bt_bpe *clip_tokenizer(const char *folder)
{
    char path[1024];
    size_t vocab_n, merges_n;
    bt_bpe *b = NULL;
    bt_error err = { 0 };
    const bt_clip_config c = { .bos = "<|startoftext|>", .eos = "<|endoftext|>", .max_length = 32 };
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    char *vocab = read_file(path, &vocab_n);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    char *merges = read_file(path, &merges_n);
    if (bt_bpe_new_clip(vocab, vocab_n, merges, merges_n, &c, &b, &err) != BT_OK)
        fail_msg("%s", err.text);
    bt_release(vocab);
    bt_release(merges);
    return b;
}
