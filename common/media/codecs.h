/* SPDX-License-Identifier: MIT
 * One picture format each. Encoders append the whole file to `out`, whose
 * failure the caller looks at; they get a sound picture and form->quality set.
 * Decoders may leave pixels and texts behind when they fail: the caller frees.
 */
#ifndef BT_MEDIA_CODECS_H
#define BT_MEDIA_CODECS_H

#include "picture.h"

/* Asked before memory is taken for pixels. */
#define BT_TOO_LARGE "too large: more than 16384 pixels a side, or 2^26 in all"
static inline bool bt_picture_fits(uint64_t width, uint64_t height)
{
    return width <= BT_MAX_SIDE && height <= BT_MAX_SIDE && width * height <= BT_MAX_PIXELS;
}

#define BT_CODEC(name)                                                                             \
    bt_status bt_##name##_encode(const char *path, const bt_image *img, const bt_picture_form *f,  \
                                 bt_buf *out, bt_error *err);                                      \
    bt_status bt_##name##_decode(const char *path, const uint8_t *data, size_t n, bt_image *out,   \
                                 bt_texts *texts, bt_error *err)

BT_CODEC(png); /* texts are tEXt chunks if they are ASCII, else iTXt */
BT_CODEC(jpeg);
BT_CODEC(webp);

#endif
