/* SPDX-License-Identifier: MIT
 * Files: read-only maps, and outputs that appear whole or not at all.
 */
#ifndef BT_BASE_FILE_H
#define BT_BASE_FILE_H

#include <stdio.h>

#include "alloc.h"
#include "status.h"

typedef struct bt_map {
    const uint8_t *data; /* NULL if size is 0 */
    size_t size;
} bt_map;

bt_status bt_map_open(const char *path, bt_map *out, bt_error *err);
void bt_map_close(bt_map *m);
/* Lets the kernel drop these pages of the map; later reads fetch them again. */
void bt_map_drop(const void *p, size_t n);

/* Whole file as a zero-terminated string (bt_release), at most `max` bytes. */
bt_status bt_file_read(const char *path, size_t max, char **data, size_t *n, bt_error *err);
bool bt_is_dir(const char *path);

/* An output under a temporary name beside `path`; commit renames it, abort
 * removes it. After either the struct is empty. */
typedef struct bt_out {
    FILE *f;
    char *path, *tmp;
} bt_out;

bt_status bt_out_open(const char *path, bt_out *out, bt_error *err);
bt_status bt_out_commit(bt_out *out,
                        bt_error *err); /* flushes, syncs, renames; aborts on failure */
void bt_out_abort(bt_out *out);

#endif
