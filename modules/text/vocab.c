/* SPDX-License-Identifier: MIT
 * The tokenizer of a GGUF, its special tokens, and the chat template.
 */
#include <string.h>

#include "llm.h"

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
    int64_t v = BT_TOKEN_NORMAL;
    bt_store_array_i64(((arrays *)user)->types, i, &v);
    return v >= BT_TOKEN_NORMAL && v <= BT_TOKEN_BYTE ? (int)v : BT_TOKEN_NORMAL;
}

static bt_status read_bpe(const bt_store *s, bt_bpe **out, bt_error *err)
{
    const char *path = bt_store_path(s);
    const char *model = bt_store_str(s, "tokenizer.ggml.model", NULL);
    if (!model)
        return bt_fail(err, BT_EFORMAT, "%s: tokenizer.ggml.model is missing", path);
    if (strcmp(model, "gpt2"))
        return bt_fail(err, BT_EUNSUPPORTED, "%s: tokenizer \"%s\" is not supported", path, model);

    bt_meta_type type;
    size_t n_types = 0;
    arrays a = { 0 };
    bt_bpe_vocab v = { .token = token_at, .merge = merge_at, .user = &a };
    a.tokens = bt_store_array(s, "tokenizer.ggml.tokens", &type, &v.n_tokens);
    if (!a.tokens || type != BT_META_STR)
        return bt_fail(err, BT_EFORMAT, "%s: tokenizer.ggml.tokens is missing", path);
    a.merges = bt_store_array(s, "tokenizer.ggml.merges", &type, &v.n_merges);
    if (!a.merges || type != BT_META_STR)
        return bt_fail(err, BT_EFORMAT, "%s: tokenizer.ggml.merges is missing", path);
    a.types = bt_store_array(s, "tokenizer.ggml.token_type", &type, &n_types);
    if (a.types && n_types == v.n_tokens)
        v.type = type_at;

    bt_error e = { 0 };
    bt_status st = bt_bpe_new_gpt2(&v, bt_store_str(s, "tokenizer.ggml.pre", NULL), out, &e);
    return st == BT_OK ? st : bt_fail(err, st, "%s: %s", path, e.text);
}

/* The id in a metadata key if it is one of the vocabulary's, else -1. */
static int32_t read_id(const bt_store *s, const bt_bpe *b, const char *key)
{
    uint64_t id;
    return bt_store_u64(s, key, &id) && id < bt_bpe_count(b) ? (int32_t)id : -1;
}

/* Files often name one end token only, while a chat ends with another: known
 * texts count too if they are control tokens (as llama.cpp's llama-vocab.cpp). */
static bt_status read_eog(const bt_store *s, bt_llm_vocab *v)
{
    static const char *const keys[] = { "tokenizer.ggml.eos_token_id",
                                        "tokenizer.ggml.eot_token_id",
                                        "tokenizer.ggml.eom_token_id" };
    static const char *const texts[] = { "<|im_end|>", "<|eot_id|>",      "<|eom_id|>",
                                         "<|end|>",    "<|endoftext|>",   "<|end_of_text|>",
                                         "</s>",       "<|end_of_turn|>", "<end_of_turn>" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int32_t id = read_id(s, v->bpe, keys[i]);
        if (id >= 0 && !bt_llm_is_eog(v, id) && bt_ids_add(&v->eog, id) != BT_OK)
            return BT_ENOMEM;
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int32_t id = bt_bpe_find(v->bpe, texts[i], strlen(texts[i]));
        if (id >= 0 && bt_bpe_type(v->bpe, id) == BT_TOKEN_CONTROL && !bt_llm_is_eog(v, id) &&
            bt_ids_add(&v->eog, id) != BT_OK)
            return BT_ENOMEM;
    }
    return BT_OK;
}

static const char *text_of(const bt_bpe *b, int32_t id)
{
    size_t n;
    const char *text = id < 0 ? NULL : bt_bpe_text(b, id, &n);
    return text ? text : "";
}

bt_status bt_llm_vocab_read(const bt_store *s, bt_llm_vocab *v, bt_error *err)
{
    *v = (bt_llm_vocab){ 0 };
    bt_status st = read_bpe(s, &v->bpe, err);
    if (st != BT_OK)
        return st;
    v->bos = read_id(s, v->bpe, "tokenizer.ggml.bos_token_id");
    v->bos_text = text_of(v->bpe, v->bos);
    v->eos_text = text_of(v->bpe, read_id(s, v->bpe, "tokenizer.ggml.eos_token_id"));

    /* Llama 3's files leave the rule to the name of the pre-tokenizer */
    const char *pre = bt_store_str(s, "tokenizer.ggml.pre", NULL);
    v->add_bos = pre && !strcmp(pre, "llama-bpe");
    bt_store_bool(s, "tokenizer.ggml.add_bos_token", &v->add_bos);
    v->add_bos = v->add_bos && v->bos >= 0;
    if (read_eog(s, v) != BT_OK) {
        bt_llm_vocab_free(v);
        return bt_no_memory(err, "the vocabulary");
    }

    size_t n;
    const char *chat = bt_store_str(s, "tokenizer.chat_template", &n);
    if (!chat)
        bt_fail(&v->chat_error, BT_EUNSUPPORTED, "the model has no chat template");
    else if (bt_chat_new(chat, n, &v->chat, &v->chat_error) != BT_OK)
        v->chat = NULL;
    return BT_OK;
}

void bt_llm_vocab_free(bt_llm_vocab *v)
{
    bt_bpe_free(v->bpe);
    bt_chat_free(v->chat);
    bt_ids_free(&v->eog);
    *v = (bt_llm_vocab){ 0 };
}

bool bt_llm_is_eog(const bt_llm_vocab *v, int32_t id)
{
    for (size_t i = 0; i < v->eog.len; i++)
        if (v->eog.data[i] == id)
            return true;
    return false;
}

bt_status bt_llm_encode(const bt_llm_vocab *v, const char *text, size_t n, bool special,
                        bt_ids *out)
{
    if (v->add_bos && bt_ids_add(out, v->bos) != BT_OK)
        return BT_ENOMEM;
    return bt_bpe_encode(v->bpe, text, n, special, out);
}
