/* SPDX-License-Identifier: MIT
 * Byte-pair encoding: byte-level (GPT-2 and its children, from GGUF arrays) and
 * CLIP's ("</w>" ends a word, from vocab.json and merges.txt).
 *
 * A bt_bpe is immutable: any number of threads may use one at once. Encoding
 * takes O(n log n) in the length of the text, whatever the text.
 */
#ifndef BT_TEXT_BPE_H
#define BT_TEXT_BPE_H

#include "base/alloc.h"
#include "base/status.h"

typedef struct bt_bpe bt_bpe;

/* A growable list of ids. Start with {0}. */
typedef struct bt_ids {
    int32_t *data;
    size_t len, cap;
} bt_ids;

bt_status bt_ids_add(bt_ids *ids, int32_t id); /* BT_ENOMEM */
void bt_ids_free(bt_ids *ids);

/* Token types of GGUF's `tokenizer.ggml.token_type`. */
typedef enum bt_token_type {
    BT_TOKEN_NORMAL = 1,
    BT_TOKEN_UNKNOWN = 2,
    BT_TOKEN_CONTROL = 3,      /* found in a text only if specials are asked for */
    BT_TOKEN_USER_DEFINED = 4, /* always found whole in a text */
    BT_TOKEN_UNUSED = 5,
    BT_TOKEN_BYTE = 6
} bt_token_type;

/* What a byte-level tokenizer is made of. The callbacks give item i of
 * tokenizer.ggml.tokens, .merges ("left right") and .token_type; they are called
 * only while bt_bpe_new_gpt2 runs, and what they return is copied. `type` may
 * be NULL: all tokens are normal. A NULL string is BT_EFORMAT. */
typedef struct bt_bpe_vocab {
    size_t n_tokens, n_merges;
    const char *(*token)(void *user, size_t i, size_t *len);
    const char *(*merge)(void *user, size_t i, size_t *len);
    int (*type)(void *user, size_t i);
    void *user;
} bt_bpe_vocab;

/* pre: tokenizer.ggml.pre: "smollm", "gpt-2", "llama-bpe" (llama3), "qwen2",
 * "default"; NULL means "default". Others are BT_EUNSUPPORTED. */
bt_status bt_bpe_new_gpt2(const bt_bpe_vocab *v, const char *pre, bt_bpe **out, bt_error *err);

/* The special tokens of a CLIP tokenizer by text ("<|startoftext|>", ...; pad
 * and unk may be NULL: eos), and its model_max_length. */
typedef struct bt_clip_config {
    const char *bos, *eos, *pad, *unk;
    int max_length; /* >= 2 */
} bt_clip_config;

/* vocab_json NULL: the vocabulary that the merges imply, in CLIP's order. */
bt_status bt_bpe_new_clip(const char *vocab_json, size_t vocab_n, const char *merges_txt,
                          size_t merges_n, const bt_clip_config *c, bt_bpe **out, bt_error *err);
void bt_bpe_free(bt_bpe *b);

/* Appends the ids of text[0..n); no bos or eos is added. `special`: control
 * tokens in the text become their ids. Ill-formed UTF-8 is replaced by U+FFFD.
 * On failure (BT_ENOMEM) some ids may have been added. */
bt_status bt_bpe_encode(const bt_bpe *b, const char *text, size_t n, bool special, bt_ids *out);

/* As Hugging Face's CLIPTokenizer with padding="max_length", truncation=True:
 * bos, the text's ids, eos, then pads; ids holds max_length values. *used (may
 * be NULL) counts those before the padding. Only for bt_bpe_new_clip. */
bt_status bt_bpe_encode_clip(const bt_bpe *b, const char *text, size_t n, int32_t *ids,
                             size_t *used);
int bt_bpe_max_length(const bt_bpe *b); /* of the CLIP config, else 0 */
int32_t bt_bpe_clip_eos(const bt_bpe *b);

/* Appends the bytes that the ids stand for; they need not be whole characters
 * (see bt_utf8_stream). Control tokens give nothing unless `special`. Ids
 * outside the vocabulary give nothing. CLIP: "</w>" becomes a space. */
void bt_bpe_decode(const bt_bpe *b, const int32_t *ids, size_t n, bool special, bt_buf *out);

size_t bt_bpe_count(const bt_bpe *b);
/* The id of a token by its text as the file spells it, or -1. */
int32_t bt_bpe_find(const bt_bpe *b, const char *text, size_t n);
/* The text as the file spells it, and the bytes it stands for; NULL if there is
 * no such id. Both belong to b. */
const char *bt_bpe_text(const bt_bpe *b, int32_t id, size_t *n);
const char *bt_bpe_piece(const bt_bpe *b, int32_t id, size_t *n);
bt_token_type bt_bpe_type(const bt_bpe *b, int32_t id);

#endif
