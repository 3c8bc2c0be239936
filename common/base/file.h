/* SPDX-License-Identifier: MIT
 * Files: read-only maps, and outputs that appear whole or not at all.
 *
 * Failures are BT_ENOTFOUND (there is no such file), BT_EIO or BT_ENOMEM, with a
 * text that names the path and the system's reason.
 */
#ifndef BT_BASE_FILE_H
#define BT_BASE_FILE_H

#include <stdio.h>

#include "alloc.h"
#include "status.h"

/* Tells a file from its other versions: whoever writes to one changes ctime_ns,
 * which cannot be set back (mtime_ns can). */
typedef struct bt_file_id {
    uint64_t inode, size;
    int64_t mtime_ns, ctime_ns;
} bt_file_id;

/* What is behind an open file, or behind a path. False: nobody knows. */
bool bt_file_id_of(int fd, bt_file_id *id);
bool bt_file_id_at(const char *path, bt_file_id *id);
static inline bool bt_file_id_same(const bt_file_id *a, const bt_file_id *b)
{
    return a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

typedef struct bt_map {
    const uint8_t *data; /* NULL if size is 0 */
    size_t size;
    bt_file_id id; /* of the file when it was mapped */
} bt_map;

/* Maps a regular file. The file must not be cut while it is mapped: reading
 * past its new end kills the process (SIGBUS), as with every mapped file. */
bt_status bt_map_open(const char *path, bt_map *out, bt_error *err);
void bt_map_close(bt_map *m);
/* Lets the kernel drop these pages of the map; later reads fetch them again. */
void bt_map_drop(const void *p, size_t n);

/* n > 0 bytes of a file without a name in the open folder `dir`, to write and read: memory of which
 * bt_map_drop loses nothing. NULL: there is no room. */
uint8_t *bt_scratch_open(int dir, size_t n);
void bt_scratch_close(uint8_t *p, size_t n);

/* Whole file as a zero-terminated string (bt_release); n (may be NULL) gets its
 * bytes. More than `max` of them: BT_EFORMAT. */
bt_status bt_file_read(const char *path, size_t max, char **data, size_t *n, bt_error *err);
bool bt_is_dir(const char *path);

/* An output under a temporary name beside `path`; commit renames it, abort
 * removes it. After either the struct is empty. */
typedef struct bt_out {
    FILE *f;
    char *path, *tmp;
} bt_out;

/* A link is followed, so that its target is replaced; pipes and devices are
 * written in place. On failure there is nothing to abort. */
bt_status bt_out_open(const char *path, bt_out *out, bt_error *err);
/* Flushes, syncs, renames. Write errors of out->f show here: callers need not
 * check every fwrite. Aborts on failure. */
bt_status bt_out_commit(bt_out *out, bt_error *err);
void bt_out_abort(bt_out *out); /* of an empty struct: nothing */

#endif
