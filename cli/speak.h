/* SPDX-License-Identifier: MIT
 * What the ways of giving bottega speak its texts share: one text, lines, lines of JSON.
 */
#ifndef BT_CLI_SPEAK_H
#define BT_CLI_SPEAK_H

#include "cli.h"

/* ---- cmd_speak.c ---- */

/* The name of output i; free. */
char *speak_name(const cli *c, int i, bool many);
/* Whether sound goes into files at all. */
bool speak_writes_files(const cli *c);
/* Before anything is spoken: could a file of that name be written? Else `code`, after a message. */
int speak_check_name(const cli *c, const char *path, int code);
/* One text to one file, or to the stream; `text` NULL: given by --text or --phonemes.
 * number: of the text, for its times; 0: the only one. */
int speak_say(cli *c, const char *text, const char *path, bool to_file, int number);

/* ---- speak_out.c ---- */

bt_audio speak_form(const cli *c); /* format and bits that are asked for */
/* Sound from now on goes to the file `path` (NULL: none; kept until the end) and to the stream. */
void speak_out_begin(cli *c, const char *path);
int speak_on_samples(void *user, const bt_audio *chunk); /* user: the cli */
/* The file appears, or with `keep` false nothing is left of it. */
int speak_out_end(cli *c, bool keep);

/* ---- speak_lines.c ---- */

/* --prompts-file: a text a line. */
int speak_lines(cli *c);
/* --json-input: each line as it comes: whoever asks may wait for one answer before the next
 * line. A line that fails does not stop the others; a signal or a lost stream does. */
int speak_json_lines(cli *c);

#endif
