/* SPDX-License-Identifier: MIT
 * A file of packed weights: written once, whole, then only mapped; for
 * pack_cache.c.
 *
 *     header | entries | names | (to 4096) panels of entry 0 | (to 4096) ...
 *
 * All in the machine's own byte order: another's does not show the magic number.
 * Header, entries and names have one checksum, checked at opening together with
 * every offset; the panels of each entry have their own, checked before the entry
 * is used the first time.
 */
#ifndef BT_GRAPH_PACK_SEGMENT_H
#define BT_GRAPH_PACK_SEGMENT_H

#include <stdatomic.h>

#include "base/file.h"
#include "graph/pack.h"

enum { BT_SEGMENT_NAME = 64 };

/* A weight to look for or to write: its tensor's name and its packed form, of
 * which `data` and `next` do not matter when looking. */
typedef struct bt_pack_item {
    const char *name;
    const bt_packed *packed;
} bt_pack_item;

size_t bt_packed_bytes(const bt_packed *p);

typedef struct bt_segment {
    char file[BT_SEGMENT_NAME];
    bt_map map;
    uint32_t n;
    atomic_uchar *state; /* of n entries: see pack_segment.c */
    atomic_uint checked; /* entries found sound */
    atomic_bool damaged; /* an entry was not */
    struct bt_segment *next;
} bt_segment;

/* NULL: not there, not ours (another's, or writable by others), damaged, of
 * another key, or no memory. `trusted`: called with the file's identity; true
 * means that the panels need no check. */
bt_segment *bt_segment_open(int dir, const char *file, const uint64_t key[2],
                            bool (*trusted)(int dir, const char *file, const bt_file_id *id));
void bt_segment_close(bt_segment *s);

/* A hash of what entry i is, equal to that of the items it matches. */
uint64_t bt_segment_hash(const bt_segment *s, uint32_t i);
uint64_t bt_pack_item_hash(const bt_pack_item *want);
bool bt_segment_matches(const bt_segment *s, uint32_t i, const bt_pack_item *want);
/* The panels, 4096-aligned, once they are known to be sound; else NULL. Any
 * number of threads. */
const uint8_t *bt_segment_panels(bt_segment *s, uint32_t i);

/* Bytes of a file of these items; 0: more than can be. */
size_t bt_segment_bytes(const bt_pack_item *items, uint32_t n);
/* Fills an empty file. False: it could not be written, or there is no memory. */
bool bt_segment_write(int fd, const uint64_t key[2], const bt_pack_item *items, uint32_t n,
                      int threads);

#endif
