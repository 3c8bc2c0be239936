/* SPDX-License-Identifier: MIT
 * Resizing with Lanczos's filter.
 */
#ifndef BT_IMAGE_RESAMPLE_H
#define BT_IMAGE_RESAMPLE_H

#include <bottega.h>

/* img's pixels at w x h, as many channels, windowed sinc of three lobes, rounded. bt_release;
 * NULL: no memory. */
uint8_t *sd_picture_resample(const bt_image *img, int w, int h);

#endif
