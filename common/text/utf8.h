/* SPDX-License-Identifier: MIT
 * UTF-8: decoding, cleaning, whole characters out of a stream, normal forms.
 *
 * Ill-formed bytes become U+FFFD, one for each maximal ill-formed piece
 * (Unicode 15, section 3.9, as Python's errors="replace" and WHATWG do).
 */
#ifndef BT_TEXT_UTF8_H
#define BT_TEXT_UTF8_H

#include "base/alloc.h"
#include "base/status.h"

/* Reads one character of s[0..n), n >= 1; returns the bytes used, 1..4. When
 * they are ill-formed *cp is 0xFFFD; bt_utf8_valid tells that from a real one. */
size_t bt_utf8_next(const char *s, size_t n, uint32_t *cp);
/* Writes a code point (0..0x10FFFF, no surrogate); returns its bytes, 1..4. */
size_t bt_utf8_put(char out[4], uint32_t cp);
bool bt_utf8_valid(const char *s, size_t n);
/* Appends s[0..n) with ill-formed pieces replaced. */
void bt_utf8_clean(bt_buf *out, const char *s, size_t n);

/* Bytes at the end of s[0..n) that begin a character but do not finish it, 0..3. */
size_t bt_utf8_partial(const char *s, size_t n);

/* For streams of tokens, whose borders may lie inside a character: start with
 * {0}; push appends the whole characters so far to `out` (ill-formed pieces
 * replaced) and holds an unfinished one back; end appends what was held. */
typedef struct bt_utf8_stream {
    char held[4];
    size_t n;
} bt_utf8_stream;

void bt_utf8_push(bt_utf8_stream *s, const char *data, size_t n, bt_buf *out);
void bt_utf8_end(bt_utf8_stream *s, bt_buf *out);

/* Appends the normal form of s[0..n), ill-formed pieces replaced first. The
 * only failure is BT_ENOMEM. */
typedef enum bt_utf8_form { BT_NFC, BT_NFD, BT_NFKC, BT_NFKD } bt_utf8_form;
bt_status bt_utf8_normalize(bt_buf *out, const char *s, size_t n, bt_utf8_form form);

/* Classes that tokenizers ask for. */
bool bt_is_letter(uint32_t cp); /* \p{L} */
bool bt_is_number(uint32_t cp); /* \p{N} */
bool bt_is_lower(uint32_t cp);  /* \p{Ll} */
bool bt_is_punct(uint32_t cp);  /* \p{P} */
bool bt_is_space(uint32_t cp);  /* White_Space, \s */
/* Appends the full lower case of one character (no context rules). */
void bt_utf8_lower(bt_buf *out, uint32_t cp);
void bt_utf8_upper(bt_buf *out, uint32_t cp); /* simple mapping */

#endif
