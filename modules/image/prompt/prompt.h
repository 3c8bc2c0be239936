/* SPDX-License-Identifier: MIT
 * What prompts mean, as in A1111's program (modules/prompt_parser.py, sd_hijack_clip.py,
 * extra_networks.py), stage by stage:
 *
 *     "{red|blue} <lora:x:1> [cat:dog:.5] AND a (tree:1.2) :0.7"
 *     choose   {a|b} and __wildcard__ by the seed
 *     tags     <lora:...> out of the text
 *     clauses  what AND joins, each with a weight
 *     turns    [from:to:when] and [a|b]: the text of every step
 *     weigh    ( ) [ ] (x:1.2) and BREAK: pieces with weights
 *     chunks   pieces to rows of token ids
 *
 * All of it is given text by strangers: every stage is linear in it, or bounded.
 */
#ifndef BT_IMAGE_PROMPT_H
#define BT_IMAGE_PROMPT_H

#include "image/adapters/learned.h"

enum {
    SD_MAX_PROMPT = 1 << 20, /* bytes of a prompt, also of one made by wildcards */
    SD_MAX_CLAUSES = 16,     /* joined by AND */
    SD_MAX_CHUNKS = 256,     /* of one prompt */
    SD_MAX_OPEN = 256,       /* brackets open at once */
};

/* ---- choose.c ---------------------------------------------------------------- */

/* The text with every {a|b|c}, {2::a|b}, {2$$a|b|c}, {1-2$$ and $$a|b} and __name__ (a
 * line of FOLDER/name.txt) replaced by what the seed chooses; what was chosen may hold more
 * of them. folder "": no wildcards. `stream` tells prompts of one seed apart. */
bt_status sd_prompt_choose(const char *text, const char *folder, uint64_t seed, int stream,
                           char **out, bt_error *err);

/* ---- tags.c ------------------------------------------------------------------ */

typedef struct sd_tag {
    char *name;
    double text, unet; /* weights of the LoRA's two parts */
} sd_tag;

typedef struct sd_tags {
    sd_tag *v;
    size_t n, cap;
} sd_tags;

/* Takes <word:...> out of the text; lora and lyco become tags, other words nothing (A1111
 * does the same), but hypernet is BT_EUNSUPPORTED. */
bt_status sd_prompt_tags(const char *text, char **rest, sd_tags *tags, bt_error *err);
void sd_tags_free(sd_tags *t);

/* ---- clauses.c --------------------------------------------------------------- */

typedef struct sd_clause {
    char *text;
    double weight;
} sd_clause;

typedef struct sd_clauses {
    sd_clause v[SD_MAX_CLAUSES];
    int n;
} sd_clauses;

/* "a cat :1.2 AND a dog" */
bt_status sd_prompt_clauses(const char *text, sd_clauses *out, bt_error *err);
void sd_clauses_free(sd_clauses *c);

/* ---- turns.c ----------------------------------------------------------------- */

/* Turn i has the text texts[which[i]], and ends after call until[i] of the network. */
typedef struct sd_turns {
    char **texts; /* different ones */
    int n_texts;
    int *until, *which;
    int n;
} sd_turns;

/* steps: calls of the network that the picture takes; before: those of a pass before this
 * one (0: there was none), from which whole numbers count, and shares of the steps from 1. */
bt_status sd_prompt_turns(const char *text, int steps, int before, sd_turns *out, bt_error *err);
/* The text of this call, counted from 0 (A1111's counting: the one that ends with `until`
 * is also call `until`'s, so that the first turn has one call more). */
int sd_turns_at(const sd_turns *t, int call);
void sd_turns_free(sd_turns *t);

/* ---- weigh.c ----------------------------------------------------------------- */

typedef struct sd_piece {
    size_t from, n; /* in the text of sd_pieces */
    double weight;  /* "BREAK" with exactly -1: the next chunk begins */
} sd_piece;

typedef struct sd_pieces {
    bt_buf text; /* without brackets and escapes */
    sd_piece *v; /* at least one */
    size_t n, cap;
} sd_pieces;

bt_status sd_prompt_weigh(const char *text, sd_pieces *out, bt_error *err);
/* The same for a text without syntax. */
bt_status sd_prompt_whole(const char *text, sd_pieces *out, bt_error *err);
void sd_pieces_free(sd_pieces *p);

/* ---- chunks.c ---------------------------------------------------------------- */

/* What the text encoder reads at once: bos, up to `tokens` - 2 ids, eos, padding. */
typedef struct sd_chunks {
    int n, tokens;
    int32_t *ids;   /* [n][tokens] */
    float *weights; /* [n][tokens] */
    size_t words;   /* ids that come from the text */
    bool weighted;  /* a weight is not 1 */
} sd_chunks;

/* words: NULL for none. A learned word is not torn at a chunk's end. */
bt_status sd_prompt_chunks(const bt_bpe *b, const sd_learned *words, const sd_pieces *p, int tokens,
                           sd_chunks *out, bt_error *err);
/* Both at once, weigh and chunks; plain: a text without syntax. */
bt_status sd_prompt_read(const bt_bpe *b, const sd_learned *words, const char *text, bool plain,
                         int tokens, sd_chunks *out, bt_error *err);
void sd_chunks_free(sd_chunks *c);

/* ---- shared: Python's \s and \w ------------------------------------------------ */

bool sd_is_space(uint32_t cp);
bool sd_is_word(uint32_t cp);
/* Bytes of white space that s[0..n) begins with. */
size_t sd_skip_space(const char *s, size_t n);
/* `word` stands at s[at..n) and no letter, number or _ touches it; before: the character
 * in front of it, 0 at the start. */
bool sd_word_at(const char *s, size_t n, size_t at, const char *word, uint32_t before);
/* Digits with at most one point, and a sign if there is one: its bytes; 0: none. */
size_t sd_decimal(const char *s, size_t n);

#endif
