/* SPDX-License-Identifier: MIT
 * One picture format each. Encoders append the whole file to `out`, whose
 * failure the caller looks at; they get a sound picture and form->quality set.
 * Decoders may leave pixels and texts behind when they fail: the caller frees.
 */
#ifndef BT_MEDIA_CODECS_H
#define BT_MEDIA_CODECS_H

#include "picture.h"

#define BT_CODEC(name)                                                                             \
    bt_status bt_##name##_encode(const char *path, const bt_image *img, const bt_picture_form *f,  \
                                 bt_buf *out, bt_error *err);                                      \
    bt_status bt_##name##_decode(const char *path, const uint8_t *data, size_t n, bt_image *out,   \
                                 bt_texts *texts, bt_error *err)

BT_CODEC(png); /* texts are tEXt chunks if they are ASCII, else iTXt */
BT_CODEC(jpeg);
BT_CODEC(webp);

#endif
