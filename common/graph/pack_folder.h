/* SPDX-License-Identifier: MIT
 * The folder of the pack cache: its files' names, ages and total, the lock of a
 * writer, the stamps; for pack_cache.c.
 */
#ifndef BT_GRAPH_PACK_FOLDER_H
#define BT_GRAPH_PACK_FOLDER_H

#include "base/file.h"

/* The open folder, or -1; `make`: creates it and what is missing above it, for
 * this user alone. */
int bt_packs_open(const char *dir, bool make);

/* What all packs take. */
typedef struct bt_packs_sum {
    uint64_t bytes;
    size_t files, models;
} bt_packs_sum;
bt_packs_sum bt_packs_measure(int dir);
/* The bound in force: `limit`, or if that is 0 what the disk allows. */
uint64_t bt_packs_limit(int dir, uint64_t limit);

/* Makes room for `need` more bytes: deletes the packs that were not used for the
 * longest time, other than those whose names begin with `keep`. False: there is
 * no way, and nothing was deleted. */
bool bt_packs_make_room(int dir, uint64_t limit, uint64_t need, const char *keep);

/* The file to write, empty and locked, or -1: another process writes it, or the
 * folder cannot be written; *busy tells. */
int bt_packs_begin(int dir, const char *tmp, bool *busy);

/* Stamps. A pack whose panels were checked in full since the system's start, and
 * that nobody wrote to since, need not be checked again. The stamp is believed
 * only if the file's identity is still the same. */
bool bt_packs_trusted(int dir, const char *file, const bt_file_id *id);
/* Not right after the file was written: its time would not tell a change in the
 * same tick of the clock. Then no stamp is made. */
void bt_packs_stamp(int dir, const char *file, const bt_file_id *id);
void bt_packs_touch(int dir, const char *file);  /* says that it is in use */
void bt_packs_delete(int dir, const char *file); /* and its stamp */

#endif
