/* SPDX-License-Identifier: MIT
 * The pack cache: packed weights in files that are mapped the next time, so that
 * a second start neither reads the model's data nor packs it, and processes
 * share one copy.
 *
 *     <dir>/packs/<key>-<number>.pack   panels (pack_segment.h); immutable
 *     <dir>/packs/<key>-<number>.used   its date: the last use; inside: a stamp
 *     <dir>/packs/<key>.tmp             being written, locked by its writer
 *
 * The key stands for the model's content (bt_store_key) and for the sources that
 * define the packed layouts (BT_PACK_VERSION); a file of another key is never
 * looked at. Nothing here is ever an error: without a cache, or with a damaged
 * one, weights are packed. Everything may be deleted at any time.
 */
#ifndef BT_GRAPH_PACK_CACHE_H
#define BT_GRAPH_PACK_CACHE_H

#include "graph/pack_segment.h"

typedef struct bt_pack_cache bt_pack_cache;

/* The cache of this model, which must outlive it. limit: of all models, bytes;
 * 0: BT_PACK_CACHE_MOST, or a quarter of what the disk has to spare if that is
 * less. NULL: there can be none. */
bt_pack_cache *bt_pack_cache_open(const bt_store *s, const char *dir, uint64_t limit);
void bt_pack_cache_close(bt_pack_cache *c); /* NULL is fine; panels found are gone */

#define BT_PACK_CACHE_MOST (UINT64_C(16) << 30)

/* Panels of the same weight in the same form and type; NULL: not there. They
 * live until the cache is closed. Any number of threads. */
const uint8_t *bt_pack_cache_find(bt_pack_cache *c, const bt_pack_item *want);
/* Keeps these (n >= 1) for later. One call at a time. False: not kept; `again`
 * says whether another call may have more luck. */
bool bt_pack_cache_save(bt_pack_cache *c, const bt_pack_item *items, uint32_t n, int threads,
                        bool *again);

/* Room for panels in the cache's folder, for bt_scratch_close; NULL: there is none. Any number of
 * threads. */
uint8_t *bt_pack_cache_scratch(bt_pack_cache *c, size_t n);

/* Adds a JSON object: folder, files, models, bytes, limit. */
void bt_pack_cache_describe(const char *dir, uint64_t limit, bt_buf *json);

#endif
