/* SPDX-License-Identifier: MIT
 * Pre-tokenizers: how a text is cut into the words that BPE works on. A model was
 * trained with one rule; another one gives other tokens, and worse answers.
 */
#ifndef BT_TEXT_PRETOK_H
#define BT_TEXT_PRETOK_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the first word of s[0..n), n >= 1, well-formed UTF-8. At least 1, and
 * in total linear over a text: each byte is looked at a bounded number of times. */
typedef size_t (*bt_pretok_fn)(const char *s, size_t n);

typedef struct bt_pretok {
    const char *name; /* of tokenizer.ggml.pre */
    bt_pretok_fn next;
    bool nfc;         /* the text is put into NFC first */
    bool whole_words; /* a word that is a token is not split ("ignore_merges") */
} bt_pretok;

const bt_pretok *bt_pretok_find(const char *name); /* NULL: unknown */

/* CLIP's rule, on lower-cased text. A word may be white space, which CLIP drops;
 * CLIPTokenizer then cuts each word again by the rule of "gpt-2". */
size_t bt_pretok_clip(const char *s, size_t n);

#endif
