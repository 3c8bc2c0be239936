/* SPDX-License-Identifier: MIT
 * Parts of `bottega image` (and `bottega upscale`).
 *
 *     cmd_image.c      the command: prompts, files, runs
 *     image_from.c     flags out of a picture's texts, and the text that holds them
 *     infotext.c       A1111's text
 *     image_file.c     pictures in and out
 *     image_grid.c     one labelled picture of many
 *     image_font.c     its letters
 */
#ifndef BT_CLI_IMAGE_H
#define BT_CLI_IMAGE_H

#include "cli.h"

/* ---- image_from.c ---- */

/* Flags and options by which the picture `path` was made, as if they stood before those
 * given; what was given before stays in force. */
int image_from(cli *c, const char *path);
/* The JSON by which image_from makes picture i of the last run again; free. */
char *image_settings(cli *c, size_t i);
/* A1111's name of an option, or its own. */
const char *image_field(const char *option);

/* ---- image_file.c ---- */

/* The job's picture `name` becomes that of the file. */
int image_set(cli *c, const char *name, const char *path);
/* -o, or out.png. */
const char *image_output(const cli *c);
/* Before anything is made: that a file can have this name and quality. */
int image_check_output(cli *c);
/* Writes a picture with its texts (NULL: none). */
int image_save(cli *c, const bt_image *img, const char *path, const char *text,
               const char *settings);

/* ---- image_grid.c ---- */

/* Runs the job for every combination of "steps=10,20;cfg_scale=3,7" and writes one picture:
 * the first option goes across, the second down, the third makes blocks below each other. */
int image_grid(cli *c, const char *spec, const char *path);

/* ---- image_font.c ---- */

enum {
    LETTER_WIDTH = 5,
    LETTER_HEIGHT = 7,
    LETTER_STEP = 6,
    LETTER_LEADING = 10,
    LETTER_LINES = 6
};

typedef struct image_area {
    int x, y, w, h;
} image_area;

/* Lines that a text takes at `most` letters each; there are at most LETTER_LINES. */
int image_lines(const char *text, int most);
/* Black, in the middle of an area of a picture of 3 channels. */
void image_letters(bt_image *to, image_area area, int scale, const char *text);

#endif
