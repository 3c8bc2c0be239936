/* SPDX-License-Identifier: MIT
 * Text to clauses, as espeak-ng cuts it: its output names neither their ends
 * nor their punctuation, and Piper's voices were trained with both.
 */
#ifndef BT_AUDIO_CLAUSES_H
#define BT_AUDIO_CLAUSES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct bt_clause {
    size_t begin, end; /* bytes of the text, punctuation included */
    const char *mark;  /* what Piper adds after the phonemes: ".", ", ", ... or "" */
    bool ends_sentence;
} bt_clause;

/* A clause of more bytes ends at the next space, a sentence at the next clause: nobody says so
 * much in one breath, and what a text of one clause costs must not grow with its square. */
enum { BT_CLAUSE_MAX = 2000 };

/* The clause that begins at `from`; false: only white space is left. */
bool bt_clause_next(const char *text, size_t n, size_t from, bt_clause *c);

#endif
