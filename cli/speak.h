/* SPDX-License-Identifier: MIT
 * What the ways of giving bottega speak its texts share: one text, lines, lines of JSON.
 */
#ifndef BT_CLI_SPEAK_H
#define BT_CLI_SPEAK_H

#include "cli.h"

/* The name of output i; free. */
char *speak_name(const cli *c, int i, bool many);
/* Whether sound goes into files at all. */
bool speak_writes_files(const cli *c);
/* Before anything is spoken: could a file of that name be written? Else `code`, after a message. */
int speak_check_name(const cli *c, const char *path, int code);
/* One text to one file, or to the stream; `text` NULL: given by --text or --phonemes.
 * number: of the text, for its times; 0: the only one. */
int speak_say(cli *c, const char *text, const char *path, bool to_file, int number);

/* --prompts-file: a text a line. */
int speak_lines(cli *c);
/* --json-input: each line as it comes: whoever asks may wait for one answer before the next
 * line. A line that fails does not stop the others; a signal or a lost stream does. */
int speak_json_lines(cli *c);

#endif
