/* SPDX-License-Identifier: MIT
 * Ogg streams with a serial number that does not change from run to run.
 */
#ifndef BT_MEDIA_OGG_H
#define BT_MEDIA_OGG_H

#include <stdint.h>
#include <stdio.h>

/* A page on its way: 27 bytes, up to 255 lengths, up to 255 bytes for each. */
typedef struct bt_ogg {
    size_t n;
    uint8_t page[27 + 255 + 255 * 255];
} bt_ogg;

/* Passes a stream of pages on to f, each under serial number 1. What libsndfile
 * draws for it would make every file differ. */
void bt_ogg_write(bt_ogg *o, const uint8_t *p, size_t n, FILE *f);

#endif
