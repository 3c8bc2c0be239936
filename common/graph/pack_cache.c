/* SPDX-License-Identifier: MIT
 * The pack cache of one model (files and promises: pack_cache.h).
 *
 * Why a file for each call of save: packs are immutable, so that a process can
 * map them without ever locking; a model has a few, one for each network that
 * was first run on its own.
 */
#include "graph/pack_cache.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "graph/pack_folder.h"

enum { MAX_SEGMENTS = 64, MAX_CANDIDATES = 4 };

/* An entry of a segment, to be found by its hash. */
typedef struct ref {
    uint64_t hash;
    bt_segment *segment;
    uint32_t i;
} ref;

/* A pack that this process wrote: it gets its stamp when it is old enough. */
typedef struct written {
    char file[BT_SEGMENT_NAME];
    bt_file_id id;
} written;

struct bt_pack_cache {
    const bt_store *store;
    char *dir;
    uint64_t limit, key[2];
    char name[40];        /* the key in hexadecimal digits */
    int folder;           /* -1: not there yet */
    bool off;             /* nothing can be saved */
    pthread_mutex_t lock; /* of what follows */
    bt_segment *segments; /* list */
    ref *refs;            /* sorted by hash */
    size_t n_refs;
    written written[MAX_SEGMENTS];
    int n_written;
};

/* ---- segments ------------------------------------------------------------ */

static bt_segment *segment_of(const bt_pack_cache *c, const char *file)
{
    bt_segment *s = c->segments;
    while (s && strcmp(s->file, file) != 0)
        s = s->next;
    return s;
}

static int by_hash(const void *a, const void *b)
{
    const ref *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Takes s over; without memory it is as if it was not there. */
static void add_segment(bt_pack_cache *c, bt_segment *s)
{
    ref *all = bt_realloc_array(c->refs, c->n_refs, c->n_refs + s->n + 1, sizeof *all);
    if (!all) {
        bt_segment_close(s);
        return;
    }
    for (uint32_t i = 0; i < s->n; i++)
        all[c->n_refs++] = (ref){ bt_segment_hash(s, i), s, i };
    qsort(all, c->n_refs, sizeof *all, by_hash);
    c->refs = all;
    s->next = c->segments;
    c->segments = s;
}

static void file_name(const bt_pack_cache *c, int number, char out[BT_SEGMENT_NAME])
{
    snprintf(out, BT_SEGMENT_NAME, "%s-%d.pack", c->name, number);
}

/* Opens the packs of this key that are not open yet. Returns the first number
 * that is free. */
static int scan(bt_pack_cache *c)
{
    int unused = MAX_SEGMENTS;
    for (int i = MAX_SEGMENTS - 1; i >= 0; i--) {
        char file[BT_SEGMENT_NAME];
        file_name(c, i, file);
        if (faccessat(c->folder, file, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
            unused = i;
            continue;
        }
        if (segment_of(c, file))
            continue;
        bt_segment *s = bt_segment_open(c->folder, file, c->key, bt_packs_trusted);
        if (s) {
            add_segment(c, s);
            bt_packs_touch(c->folder, file);
        }
    }
    return unused;
}

/* ---- life ---------------------------------------------------------------- */

bt_pack_cache *bt_pack_cache_open(const bt_store *s, const char *dir, uint64_t limit)
{
    bt_pack_cache *c = bt_calloc(1, sizeof *c);
    if (!c || !(c->dir = bt_strdup(dir)) || !bt_store_key(s, c->key)) {
        if (c)
            bt_release(c->dir);
        bt_release(c);
        return NULL;
    }
    for (int i = 0; i < 2; i++)
        c->key[i] = bt_hash_data(c->key[i], BT_PACK_VERSION, strlen(BT_PACK_VERSION));
    snprintf(c->name, sizeof c->name, "%016llx%016llx", (unsigned long long)c->key[0],
             (unsigned long long)c->key[1]);
    c->store = s;
    c->limit = limit;
    pthread_mutex_init(&c->lock, NULL);
    c->folder = bt_packs_open(dir, false);
    if (c->folder >= 0)
        scan(c);
    return c;
}

/* Checked entry by entry in this process, and none was bad. */
static bool checked_in_full(bt_segment *s)
{
    return s->n > 0 && !atomic_load(&s->damaged) && atomic_load(&s->checked) == s->n;
}

void bt_pack_cache_close(bt_pack_cache *c)
{
    if (!c)
        return;
    for (bt_segment *s = c->segments, *next; s; s = next) {
        next = s->next;
        if (checked_in_full(s))
            bt_packs_stamp(c->folder, s->file, &s->map.id);
        bt_segment_close(s);
    }
    for (int i = 0; i < c->n_written; i++)
        bt_packs_stamp(c->folder, c->written[i].file, &c->written[i].id);
    if (c->folder >= 0)
        close(c->folder);
    pthread_mutex_destroy(&c->lock);
    bt_release(c->refs);
    bt_release(c->dir);
    bt_release(c);
}

/* ---- finding ------------------------------------------------------------- */

/* Entries that match, at most MAX_CANDIDATES. The caller has the lock. */
static int candidates(const bt_pack_cache *c, const bt_pack_item *want, ref found[MAX_CANDIDATES])
{
    const uint64_t h = bt_pack_item_hash(want);
    size_t lo = 0, hi = c->n_refs;
    int n = 0;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (c->refs[mid].hash < h)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < c->n_refs && c->refs[lo].hash == h && n < MAX_CANDIDATES; lo++)
        if (bt_segment_matches(c->refs[lo].segment, c->refs[lo].i, want))
            found[n++] = c->refs[lo];
    return n;
}

const uint8_t *bt_pack_cache_find(bt_pack_cache *c, const bt_pack_item *want)
{
    ref found[MAX_CANDIDATES];
    pthread_mutex_lock(&c->lock);
    const int n = candidates(c, want, found);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < n; i++) {
        const uint8_t *panels = bt_segment_panels(found[i].segment, found[i].i);
        if (panels)
            return panels;
        bt_packs_delete(c->folder, found[i].segment->file);
    }
    return NULL;
}

/* ---- saving -------------------------------------------------------------- */

/* Leaves out what another process has saved in the meantime. */
static uint32_t drop_saved(const bt_pack_cache *c, const bt_pack_item *items, uint32_t n,
                           bt_pack_item *left)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        ref found[MAX_CANDIDATES];
        bool there = false;
        const int same = candidates(c, &items[i], found);
        for (int j = 0; j < same; j++)
            there = there || !atomic_load(&found[j].segment->damaged);
        if (!there)
            left[k++] = items[i];
    }
    return k;
}

/* A file that changed while it was packed is neither its old self nor its new
 * one, so its panels must not be kept. */
static bool write_segment(bt_pack_cache *c, int fd, const bt_pack_item *items, uint32_t n,
                          int number, int threads)
{
    char tmp[BT_SEGMENT_NAME];
    const size_t bytes = bt_segment_bytes(items, n);
    snprintf(tmp, sizeof tmp, "%s.tmp", c->name);
    if (!bytes || number == MAX_SEGMENTS || c->n_written == MAX_SEGMENTS ||
        !bt_packs_make_room(c->folder, c->limit, bytes, c->name) ||
        !bt_segment_write(fd, c->key, items, n, threads) || !bt_store_unchanged(c->store))
        return false;
    written *w = &c->written[c->n_written];
    file_name(c, number, w->file);
    if (renameat(c->folder, tmp, c->folder, w->file) != 0)
        return false;
    if (bt_file_id_of(fd, &w->id))
        c->n_written++;
    return true;
}

/* With the writer's file open and ours alone. */
static bool save_locked(bt_pack_cache *c, int fd, const bt_pack_item *items, uint32_t n,
                        int threads)
{
    bt_pack_item *left = bt_calloc(n, sizeof *left);
    if (!left)
        return false;
    pthread_mutex_lock(&c->lock);
    const int number = scan(c);
    const uint32_t k = drop_saved(c, items, n, left);
    pthread_mutex_unlock(&c->lock);
    const bool ok = k == 0 || write_segment(c, fd, left, k, number, threads);
    bt_release(left);
    return ok;
}

/* The folder, made if need be; -1: there can be none. */
static int folder_of(bt_pack_cache *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->folder < 0)
        c->folder = bt_packs_open(c->dir, true);
    const int folder = c->folder;
    pthread_mutex_unlock(&c->lock);
    return folder;
}

bool bt_pack_cache_save(bt_pack_cache *c, const bt_pack_item *items, uint32_t n, int threads,
                        bool *again)
{
    char tmp[BT_SEGMENT_NAME];
    bool ok = false, busy = false;
    *again = false;
    if (c->off)
        return false;
    const int folder = folder_of(c);
    snprintf(tmp, sizeof tmp, "%s.tmp", c->name);
    const int fd = folder >= 0 ? bt_packs_begin(folder, tmp, &busy) : -1;
    if (fd >= 0) {
        const int before = c->n_written;
        ok = save_locked(c, fd, items, n, threads);
        if (c->n_written == before) /* else the name is free for another writer */
            unlinkat(c->folder, tmp, 0);
        close(fd);
    }
    *again = busy;
    c->off = !ok && !busy;
    return ok;
}

uint8_t *bt_pack_cache_scratch(bt_pack_cache *c, size_t n)
{
    const int folder = folder_of(c);
    return folder >= 0 ? bt_scratch_open(folder, n) : NULL;
}

/* ---- description --------------------------------------------------------- */

void bt_pack_cache_describe(const char *dir, uint64_t limit, bt_buf *json)
{
    bt_packs_sum sum = { 0 };
    const int folder = bt_packs_open(dir, false);
    if (folder >= 0) {
        sum = bt_packs_measure(folder);
        limit = bt_packs_limit(folder, limit);
        close(folder);
    }
    bt_buf_puts(json, "{\"folder\":");
    bt_buf_json(json, dir, strlen(dir));
    bt_buf_printf(json, ",\"models\":%zu,\"files\":%zu,\"bytes\":%llu,\"limit\":%llu}", sum.models,
                  sum.files, (unsigned long long)sum.bytes, (unsigned long long)limit);
}
