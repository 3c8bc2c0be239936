/* SPDX-License-Identifier: MIT
 * What the files bpe*.c share: the tables of a tokenizer.
 *
 *     bpe_clip.c     reads CLIP's files
 *     bpe_encode.c   texts to ids and back
 *     bpe.c          makes the tables, looks tokens up
 */
#ifndef BT_TEXT_BPE_IMPL_H
#define BT_TEXT_BPE_IMPL_H

#include "bpe.h"
#include "pretok.h"

#define BPE_PROBES      4096 /* longest walk in a hash table, so that no file can make it slow */
#define BPE_SPECIAL_MAX 512  /* longer special tokens are not looked for in texts */

/* Bytes in the pool; not zero-terminated. */
typedef struct bpe_text {
    const char *s; /* NULL: no such id */
    size_t n;
} bpe_text;

/* left and right, side by side, become id; of all possible merges the one of the
 * lowest rank comes first. */
typedef struct bpe_merge {
    int32_t left, right; /* left < 0: empty slot */
    uint32_t rank;
    int32_t id;
} bpe_merge;

struct bt_bpe {
    size_t n;
    char *pool;       /* holds texts and pieces */
    bpe_text *text;   /* [n] as the file spells it */
    bpe_text *piece;  /* [n] the bytes that it stands for */
    uint8_t *type;    /* [n] bt_token_type */
    int32_t *by_text; /* hash table of ids, -1 = empty */
    size_t text_mask;
    bpe_merge *merges; /* hash table by (left, right) */
    size_t merge_mask;
    int32_t byte_id[256];  /* the token of a byte, -1 = none */
    int32_t byte_end[256]; /* the same at the end of a word: differs in CLIP */
    int32_t *special;      /* control and user-defined ids, sorted by text */
    size_t n_special;
    bool special_first[256]; /* bytes that start one */
    const bt_pretok *pre;
    int32_t unk; /* for bytes without a token; -1: they are dropped */
    bool clip;
    int32_t bos, eos, pad; /* CLIP */
    int max_length;
};

/* Makes the tables; what is left is pre, unk and the CLIP members. */
bt_status bt_bpe_build(bt_bpe *b, const bt_bpe_vocab *v, const char *end_of_word, bt_error *err);

/* The byte that this character stands for in vocabularies of bytes, -1: none. */
int bt_bpe_byte(uint32_t cp);

/* Fibonacci hashing of both ids: the multiplier is 2^64 over the golden ratio. */
static inline size_t bpe_pair_hash(int32_t left, int32_t right)
{
    const uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    return (size_t)((key * 0x9E3779B97F4A7C15u) >> 24);
}

/* The merge of two tokens, or NULL. */
static inline const bpe_merge *bpe_pair(const bt_bpe *b, int32_t left, int32_t right)
{
    size_t h = bpe_pair_hash(left, right);
    for (int i = 0; i < BPE_PROBES; i++, h++) {
        const bpe_merge *m = &b->merges[h & b->merge_mask];
        if (m->left < 0)
            return NULL;
        if (m->left == left && m->right == right)
            return m;
    }
    return NULL;
}

#endif
