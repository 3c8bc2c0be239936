/* SPDX-License-Identifier: MIT
 * PNG pictures with a `parameters` text, as A1111 and ComfyUI readers expect.
 */
#ifndef BT_MEDIA_PNG_H
#define BT_MEDIA_PNG_H

#include "base/status.h"

/* 1 or 3 channels of 8 bits. `text` (may be NULL) becomes a tEXt chunk if it
 * is ASCII, else iTXt; its ill-formed UTF-8 becomes '?'. Whole or not at all. */
bt_status bt_png_write(const char *path, const bt_image *img, const char *text, bt_error *err);

/* Any PNG up to 16384 a side and 64 Mi pixels: grey becomes 1 channel, all else 3, 16 bits
 * become 8, transparency is laid over white. out->pixels and *text (NULL if
 * the file has none; `text` itself may be NULL): bt_release. */
bt_status bt_png_read(const char *path, bt_image *out, char **text, bt_error *err);
/* The same of a file's bytes; `name` is for messages. */
bt_status bt_png_decode(const char *name, const uint8_t *data, size_t n, bt_image *out, char **text,
                        bt_error *err);

#endif
