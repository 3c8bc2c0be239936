/* SPDX-License-Identifier: MIT
 * The block of Exif data that JPEG and WebP pictures carry: which way up they
 * are, and texts. (CIPA DC-008, "Exif 2.32", and TIFF 6.0, section 2.)
 *
 * A1111's text is the UserComment, as "UNICODE\0" and UTF-16 with the high byte
 * first. What only Bottega reads stands in MakerNote, the place for a maker's
 * own data, behind "bottega\0".
 */
#ifndef BT_MEDIA_EXIF_H
#define BT_MEDIA_EXIF_H

#include "letters.h"
#include "picture.h"

/* Appends the TIFF structure, without the "Exif\0\0" that JPEG puts before it;
 * nothing if there is neither text. */
void bt_exif_make(bt_buf *out, const char *parameters, const char *settings);

/* Reads such a block, with or without "Exif\0\0". Returns the orientation, 1..8
 * (1: as it is; also of a block that is damaged). Texts that are there and not
 * yet in `texts` (may be NULL) are added. False: no memory. */
bool bt_exif_read(const uint8_t *p, size_t n, int *orientation, bt_texts *texts);

/* Turns a picture as its orientation asks. BT_ENOMEM only. */
bool bt_exif_turn(bt_image *img, int orientation);

#endif
