/* SPDX-License-Identifier: MIT
 * Files as packages carry them: plain, or compressed by gzip.
 */
#ifndef BT_FORMATS_GZIP_H
#define BT_FORMATS_GZIP_H

#include "base/file.h"

/* A whole file in memory: a map of `path`, or what `path`.gz unpacks to. */
typedef struct bt_packed_file {
    const char *data; /* not terminated */
    size_t size;
    bt_map map;  /* of a plain file */
    char *owned; /* of an unpacked one */
} bt_packed_file;

/* What the gzip stream data[0..n) unpacks to; `name` is for messages. More than `max`
 * bytes, a damaged or a cut stream: BT_EFORMAT. */
bt_status bt_packed_read(const char *name, const uint8_t *data, size_t n, size_t max,
                         bt_packed_file *out, bt_error *err);
/* The plain file if there is one, since it costs nothing to unpack. */
bt_status bt_packed_open(const char *path, size_t max, bt_packed_file *out, bt_error *err);
void bt_packed_close(bt_packed_file *f);

#endif
