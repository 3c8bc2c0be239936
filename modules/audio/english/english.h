/* SPDX-License-Identifier: MIT
 * English text to phonemes, for voices that speak misaki's alphabet (hibari,
 * Kokoro): sentences, normal spelling, words, parts of speech, lexicons, and a
 * small network for words that no lexicon has.
 *
 *     bt_english_open(folder, false, compute, &e, err);     once for a voice
 *     bt_english_job_open(e, &j, err);                      once for a job
 *     while (bt_english_sentence(e, text, n, &at, &from, &to)) {
 *         bt_english_phonemize(j, text + from, to - from, &out, err);
 *         ...out.phonemes.data, out.words; offsets count from text + from...
 *     }
 *
 * The rules follow hibari-tts 0.2.1 (its g2p package, which follows misaki 0.9.4
 * and spaCy's tokenizer), whose data files are read as they are.
 */
#ifndef BT_AUDIO_ENGLISH_H
#define BT_AUDIO_ENGLISH_H

#include "base/alloc.h"
#include "graph/graph.h"

/* What is read from a folder: immutable, for any number of threads. */
typedef struct bt_english bt_english;
/* What one job needs on top; one thread at a time. */
typedef struct bt_english_job bt_english_job;

/* `folder` holds lexicon_us_gold.json, lexicon_us_silver.json (british: _gb_),
 * tagger.json, each plain (fast) or with .gz, tokenizer_exceptions.json,
 * normalize.json, oov.onnx and oov.json (british: oov_gb). `c` must outlive *out. */
bt_status bt_english_open(const char *folder, bool british, const bt_compute *c, bt_english **out,
                          bt_error *err);
void bt_english_close(bt_english *e); /* NULL is fine */

/* `e` must outlive the job. */
bt_status bt_english_job_open(const bt_english *e, bt_english_job **out, bt_error *err);
void bt_english_job_close(bt_english_job *j); /* NULL is fine */
/* Words of the user's own, which win over all others: UTF-8, a line each, "word
 * phonemes" with a tab or spaces between (phonemes may hold spaces).
 * Lines that begin with # say nothing.
 * A word in lower case is also found capitalized. Several files: the later wins. */
bt_status bt_english_job_lexicon(bt_english_job *j, const char *path, bt_error *err);

/* The next sentence of text[0..n) from *at on, as [*from, *to) without the white space
 * around it; *at moves on. Start with *at = 0; false: none is left. What has no end
 * in sight is cut after some thousand bytes, at a clause or a space if there is one. */
bool bt_english_sentence(const bt_english *e, const char *text, size_t n, size_t *at, size_t *from,
                         size_t *to);

/* A word or a mark of punctuation, in the order of the text. Ranges are bytes. */
typedef struct bt_english_word {
    size_t from, to;                   /* of the source text */
    size_t spelling_from, spelling_to; /* of out.spelling: normalised ("3rd" "March" ...) */
    size_t phonemes_from, phonemes_to; /* of out.phonemes; empty: silent */
    char tag[8];                       /* Penn Treebank part of speech */
    int rating; /* 5: given in the text or by the user, 4, 3: lexicons, rules; 2: the network */
} bt_english_word;

typedef struct bt_english_out {
    bt_buf phonemes; /* UTF-8, misaki's alphabet, spaces between words; may be empty */
    bt_buf spelling; /* the text as it is read out, before words are looked up */
    bt_english_word *words;
    size_t n_words, cap;
} bt_english_out;

/* Start with {0}; what was in it goes, its memory is used again. */
void bt_english_out_free(bt_english_out *o);

/* One sentence. Ill-formed UTF-8 is read as U+FFFD. `[word](/phonemes/)` and
 * `[[ phonemes ]]` go through as they are. The same text gives the same phonemes,
 * whatever came before. Failures: BT_ENOMEM, and what a plan's run may say. */
bt_status bt_english_phonemize(bt_english_job *j, const char *text, size_t n, bt_english_out *out,
                               bt_error *err);

#endif
