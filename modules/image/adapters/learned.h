/* SPDX-License-Identifier: MIT
 * Words learned by textual inversion (Gal et al. 2022): a name in a prompt stands for a
 * few rows of the text encoders' input that no token of the vocabulary has.
 */
#ifndef BT_IMAGE_LEARNED_H
#define BT_IMAGE_LEARNED_H

#include "graph/graph.h"
#include "text/bpe.h"

enum { SD_ENCODERS = 2 };

typedef struct sd_word {
    char *name;
    int32_t id; /* of its first row */
    int n;      /* rows */
} sd_word;

typedef struct sd_learned {
    sd_word *words;
    size_t n;
    int rows, first;           /* of all words; id of the first: the vocabulary's size */
    float *table[SD_ENCODERS]; /* [rows][width] */
    int width[SD_ENCODERS];    /* 0: the model has no such encoder */
} sd_learned;

/* Reads "FILE[:NAME],..." for a model's weights; NAME is the file's name without its suffix
 * unless given. sd_learned_release it, also after a failure. */
bt_status sd_learned_read(sd_learned *l, bt_weights *ws, const char *files, bt_error *err);
void sd_learned_release(sd_learned *l);
bool sd_learned_same(const sd_learned *a, const sd_learned *b);
/* Makes the tables in a set of weights, where each text encoder looks for ids beyond its
 * own table: "<encoder>/text_model.embeddings.learned.weight". */
bt_status sd_learned_add(const sd_learned *l, bt_weights *ws, bt_error *err);
/* Rows of the word whose first id this is; 0: it is none. l may be NULL. */
int sd_learned_rows(const sd_learned *l, int32_t id);
/* bt_bpe_encode, but names become ids. l may be NULL. */
bt_status sd_learned_encode(const sd_learned *l, const bt_bpe *b, const char *text, size_t n,
                            bool special, bt_ids *out);

#endif
