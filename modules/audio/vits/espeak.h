/* SPDX-License-Identifier: MIT
 * espeak-ng as a separate process that stays alive: a line of text in, lines of
 * phonemes out. It is never linked: no headers, no data, argv instead of a shell.
 */
#ifndef BT_AUDIO_ESPEAK_H
#define BT_AUDIO_ESPEAK_H

#include "base/alloc.h"
#include "base/status.h"

typedef struct bt_espeak bt_espeak;

enum { BT_ESPEAK_MAX = 900 }; /* bytes of one line; the program cuts at 1000 */

/* Starts `program` (looked up on PATH) with a voice such as "en-us".
 * BT_EMISSING: it cannot be run. */
bt_status bt_espeak_open(const char *program, const char *voice, bt_espeak **out, bt_error *err);
void bt_espeak_close(bt_espeak *e); /* ends and reaps the process; NULL is fine */

/* Phonemes (IPA, words separated by spaces) of text[0..n), n <= BT_ESPEAK_MAX,
 * one line per clause that the program saw, joined by spaces. After a failure
 * the answers are out of step: close it. */
bt_status bt_espeak_ask(bt_espeak *e, const char *text, size_t n, bt_buf *phonemes, bt_error *err);

#endif
