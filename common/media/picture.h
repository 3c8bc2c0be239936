/* SPDX-License-Identifier: MIT
 * Picture files: PNG, JPEG, WebP, with the texts that say how they were made.
 *
 * A file that is read is what its first bytes say, whatever its name. Pictures
 * may come from a stranger: sides and pixels are bounded before memory is taken.
 */
#ifndef BT_MEDIA_PICTURE_H
#define BT_MEDIA_PICTURE_H

#include "base/alloc.h"
#include "base/status.h"

enum { BT_MAX_SIDE = 16384, BT_MAX_PIXELS = 1 << 26 };

/* Well-formed UTF-8; NULL: none. bt_texts_free frees them. */
typedef struct bt_texts {
    char *parameters; /* A1111's */
    char *settings;   /* Bottega's own, JSON */
} bt_texts;

typedef struct bt_picture_form {
    const char *format; /* "png", "jpeg" (or "jpg"), "webp"; NULL: by the suffix, PNG without one */
    int quality;        /* of JPEG and WebP, 1..100; 0: 90; WebP at 100 loses nothing */
    const char *parameters, *settings; /* NULL: none */
} bt_picture_form;

/* Whether path and form make sense; no file is touched. */
bt_status bt_picture_check(const char *path, const bt_picture_form *f, bt_error *err);
/* 1 or 3 channels of 8 bits; whole or not at all. Texts that do not fit into
 * the format (64 KiB in JPEG) are left out, `settings` first. */
bt_status bt_picture_write(const char *path, const bt_image *img, const bt_picture_form *f,
                           bt_error *err);

/* Grey becomes 1 channel, all else 3; 16 bits become 8, transparency is laid
 * over white, the right side is up. out->pixels: bt_release; `texts` may be NULL. */
bt_status bt_picture_read(const char *path, bt_image *out, bt_texts *texts, bt_error *err);
/* The same of a file's bytes; `name` is for messages. */
bt_status bt_picture_decode(const char *name, const uint8_t *data, size_t n, bt_image *out,
                            bt_texts *texts, bt_error *err);
void bt_texts_free(bt_texts *t);

#endif
