/* SPDX-License-Identifier: MIT
 * Parts of `bottega image`.
 *
 *     cmd_image.c      the command: prompts, files, runs
 *     image_from.c     flags out of a picture's texts, and the text that holds them
 *     infotext.c       A1111's text
 */
#ifndef BT_CLI_IMAGE_H
#define BT_CLI_IMAGE_H

#include "cli.h"

/* Flags and options by which the picture `path` was made, as if they stood before those
 * given; what was given before stays in force. */
int image_from(cli *c, const char *path);
/* The JSON by which image_from makes picture i of the last run again; free. */
char *image_settings(cli *c, size_t i);

#endif
