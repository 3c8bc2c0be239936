/* SPDX-License-Identifier: MIT
 * Pictures as floats in 0..1, rows from the top, channels last; masks have one
 * channel. Results: bt_release; NULL: no memory.
 */
#ifndef BT_IMAGE_PICTURE_H
#define BT_IMAGE_PICTURE_H

#include "module.h"

typedef struct sd_box {
    int x, y, w, h;
} sd_box;

typedef struct sd_margins {
    int left, right, top, bottom;
} sd_margins;

/* ---- picture.c ------------------------------------------------------------- */

/* img as floats; grey from colours as ITU-R BT.601 has it. */
float *sd_picture_floats(const bt_image *img, int channels);
typedef enum sd_filter { SD_TRIANGLE, SD_NEAREST, SD_LANCZOS } sd_filter;
/* x [h_in][w_in][c] at w x h; filters are as wide as the coarser grid asks. */
float *sd_picture_scale(const float *x, int w_in, int h_in, int w, int h, int c, sd_filter f);
/* Both: img at w x h, by triangles. */
float *sd_picture_resize(const bt_image *img, int w, int h, int channels);
/* The part of x [..][w][c] inside the box. */
float *sd_picture_crop(const float *x, int w, sd_box box, int c);
/* With margins around it, filled with the nearest pixels if `edges`, else with `value`. */
float *sd_picture_extend(const float *x, int w, int h, sd_margins m, int c, bool edges,
                         float value);
/* 8-bit pixels of a decoded picture [n][3], -1..1: round(x * 127.5 + 127.5). */
void sd_picture_bytes(const float *x, size_t n, uint8_t *rgb);

/* ---- canny.c --------------------------------------------------------------- */

/* The edges of img [h][w][channels], 1 or 3 channels: [h][w], 255 on them, else 0. Lengths of
 * gradients: `high` makes an edge, `low` goes on with one. */
uint8_t *sd_picture_canny(const uint8_t *img, int w, int h, int channels, double low, double high);

/* ---- mask.c ---------------------------------------------------------------- */

/* In place: Gaussian of this standard deviation in pixels. False: no memory. */
bool sd_mask_blur(float *mask, int w, int h, double sigma);
/* The box around all that is above 0, with `padding` around it and as nearly of the
 * proportion w : h as the picture allows (A1111's "only masked"). False: nothing is. */
bool sd_mask_box(const float *mask, int mask_w, int mask_h, int padding, int w, int h, sd_box *box);
/* In place: what the mask marks takes colours from around it. False: no memory. */
bool sd_mask_fill(float *x, const float *mask, int w, int h);

#endif
