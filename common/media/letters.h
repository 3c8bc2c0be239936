/* SPDX-License-Identifier: MIT
 * Texts of pictures, whatever their bytes: in files they are Latin-1, UTF-8 or
 * UTF-16; here they are well-formed UTF-8. What is ill-formed becomes '?'.
 */
#ifndef BT_MEDIA_LETTERS_H
#define BT_MEDIA_LETTERS_H

#include "base/alloc.h"

/* Appends s[0..n) up to its first zero byte. */
void bt_letters_clean(bt_buf *out, const uint8_t *s, size_t n);
bool bt_letters_ascii(const char *s);
/* Appends a PNG's tEXt: UTF-8 if it is well-formed so, else Latin-1. */
void bt_letters_latin1(bt_buf *out, const uint8_t *s, size_t n);
/* Appends UTF-8 as UTF-16, high byte first; and back, in either order of bytes. */
void bt_letters_to_utf16(bt_buf *out, const char *s);
void bt_letters_utf16(bt_buf *out, const uint8_t *s, size_t n, bool low_first);

#endif
