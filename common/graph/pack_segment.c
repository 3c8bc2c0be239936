/* SPDX-License-Identifier: MIT
 * Files of packed weights (layout: pack_segment.h): writing, opening, checking.
 */
#include "graph/pack_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"

#define MAGIC UINT64_C(0x316b636150746f42) /* "BotPack1" */

enum { PAGE = 4096, MAX_ENTRIES = 1 << 20, WRITE_BYTES = 8 << 20 };

enum { UNKNOWN, SOUND, DAMAGED }; /* state of an entry */

typedef struct header {
    uint64_t magic, key[2];
    uint64_t file_bytes;
    uint32_t n, name_bytes;
    uint64_t hash; /* of header (with hash 0), entries and names */
} header;

typedef struct entry {
    uint64_t offset, bytes, hash; /* of the panels */
    uint32_t name;                /* in the names, zero-terminated */
    int32_t form, type, n, k, taps;
} entry;

size_t bt_packed_bytes(const bt_packed *p) { return (size_t)p->panels * p->taps * p->panel_bytes; }

static size_t whole_pages(size_t n) { return (n + PAGE - 1) / PAGE * PAGE; }

static const entry *entry_at(const bt_segment *s, uint32_t i)
{
    return (const entry *)(const void *)(s->map.data + sizeof(header)) + i;
}

static const char *name_at(const bt_segment *s, uint32_t i)
{
    return (const char *)(entry_at(s, s->n)) + entry_at(s, i)->name;
}

static size_t index_bytes(const header *h)
{
    return sizeof *h + h->n * sizeof(entry) + h->name_bytes;
}

static uint64_t index_hash(const header *h, const void *rest)
{
    header zero = *h;
    zero.hash = 0;
    const uint64_t sum = bt_hash_data(0, &zero, sizeof zero);
    return bt_hash_data(sum, rest, index_bytes(h) - sizeof *h);
}

/* ---- opening ------------------------------------------------------------- */

static bool sound_header(const bt_map *m, const uint64_t key[2])
{
    const header *h = (const header *)(const void *)m->data;
    if (m->size < sizeof *h || h->magic != MAGIC || memcmp(h->key, key, sizeof h->key) != 0 ||
        h->file_bytes != m->size || h->n > MAX_ENTRIES || h->name_bytes > m->size ||
        index_bytes(h) > m->size)
        return false;
    return h->hash == index_hash(h, h + 1);
}

static bool sound_entries(const bt_segment *s)
{
    const header *h = (const header *)(const void *)s->map.data;
    const char *names = (const char *)(entry_at(s, s->n));
    if (h->name_bytes == 0 || names[h->name_bytes - 1] != 0)
        return s->n == 0;
    for (uint32_t i = 0; i < s->n; i++) {
        const entry *e = entry_at(s, i);
        if (e->name >= h->name_bytes || e->offset % PAGE || e->offset > s->map.size ||
            e->bytes > s->map.size - e->offset)
            return false;
    }
    return true;
}

/* Panels decide what a model says, so nobody else may have written them. */
static bool ours(const struct stat *sb)
{
    return S_ISREG(sb->st_mode) && (sb->st_uid == geteuid() || sb->st_uid == 0) &&
           (sb->st_mode & (S_IWGRP | S_IWOTH)) == 0 && sb->st_size > 0;
}

static bool map_file(int fd, bt_map *m)
{
    struct stat sb;
    if (fstat(fd, &sb) != 0 || !ours(&sb) || !bt_file_id_of(fd, &m->id))
        return false;
    void *p = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return false;
    m->data = p;
    m->size = (size_t)sb.st_size;
    return true;
}

bt_segment *bt_segment_open(int dir, const char *file, const uint64_t key[2],
                            bool (*trusted)(int dir, const char *file, const bt_file_id *id))
{
    bt_segment *s = bt_calloc(1, sizeof *s);
    const int fd = s ? openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    bool ok = fd >= 0 && strlen(file) < sizeof s->file && map_file(fd, &s->map) &&
              sound_header(&s->map, key);
    if (ok) {
        strcpy(s->file, file);
        s->n = ((const header *)(const void *)s->map.data)->n;
        s->state = bt_calloc(s->n + 1, sizeof *s->state);
        ok = s->state && sound_entries(s);
    }
    if (fd >= 0)
        close(fd);
    if (!ok) {
        bt_segment_close(s);
        return NULL;
    }
    if (trusted(dir, file, &s->map.id))
        memset((void *)s->state, SOUND, s->n);
    return s;
}

void bt_segment_close(bt_segment *s)
{
    if (!s)
        return;
    bt_map_close(&s->map);
    bt_release((void *)s->state);
    bt_release(s);
}

/* ---- looking up ---------------------------------------------------------- */

static uint64_t hash_of(const char *name, int form, int type)
{
    const int what[] = { form, type };
    return bt_hash_data(bt_hash_data(0, what, sizeof what), name, strlen(name));
}

uint64_t bt_segment_hash(const bt_segment *s, uint32_t i)
{
    return hash_of(name_at(s, i), entry_at(s, i)->form, entry_at(s, i)->type);
}

uint64_t bt_pack_item_hash(const bt_pack_item *want)
{
    return hash_of(want->name, (int)want->packed->form, (int)want->packed->type);
}

bool bt_segment_matches(const bt_segment *s, uint32_t i, const bt_pack_item *want)
{
    const entry *e = entry_at(s, i);
    const bt_packed *p = want->packed;
    return e->form == (int32_t)p->form && e->type == (int32_t)p->type && e->n == p->n &&
           e->k == p->k && e->taps == p->taps && e->bytes == bt_packed_bytes(p) &&
           atomic_load(&s->state[i]) != DAMAGED && strcmp(name_at(s, i), want->name) == 0;
}

/* Two threads may check one entry: they come to the same end. */
const uint8_t *bt_segment_panels(bt_segment *s, uint32_t i)
{
    const entry *e = entry_at(s, i);
    const uint8_t *data = s->map.data + e->offset;
    unsigned char seen = atomic_load(&s->state[i]);
    if (seen == UNKNOWN) {
        const unsigned char now = bt_hash_data(0, data, e->bytes) == e->hash ? SOUND : DAMAGED;
        if (atomic_compare_exchange_strong(&s->state[i], &seen, now)) {
            atomic_fetch_add(&s->checked, now == SOUND);
            seen = now;
        }
        if (now == DAMAGED)
            atomic_store(&s->damaged, true);
    }
    return seen == SOUND ? data : NULL;
}

/* ---- writing ------------------------------------------------------------- */

static bool write_at(int fd, const uint8_t *data, size_t n, size_t at)
{
    while (n > 0) {
        const ssize_t k = pwrite(fd, data, n < WRITE_BYTES ? n : WRITE_BYTES, (off_t)at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        data += k, at += (size_t)k, n -= (size_t)k;
    }
    return true;
}

/* Header and sizes; names and offsets follow from the items alone. */
static bool measure(const bt_pack_item *items, uint32_t n, header *h)
{
    size_t names = 0, total = 0, bytes;
    for (uint32_t i = 0; i < n; i++) {
        names += strlen(items[i].name) + 1;
        bytes = bt_packed_bytes(items[i].packed);
        if (bytes > SIZE_MAX / 4 || !bt_add_ok(total, whole_pages(bytes), &total))
            return false;
    }
    *h = (header){ .magic = MAGIC, .n = n, .name_bytes = (uint32_t)names };
    if (n > MAX_ENTRIES || names > UINT32_MAX || total > SIZE_MAX / 2)
        return false;
    h->file_bytes = whole_pages(index_bytes(h)) + total;
    return true;
}

size_t bt_segment_bytes(const bt_pack_item *items, uint32_t n)
{
    header h;
    return measure(items, n, &h) ? h.file_bytes : 0;
}

/* Entries and names, ready but for the panels' checksums. */
static void fill_index(const header *h, const bt_pack_item *items, entry *e)
{
    char *names = (char *)(e + h->n);
    size_t offset = whole_pages(index_bytes(h)), at = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        const bt_packed *p = items[i].packed;
        e[i] = (entry){ .offset = offset, .bytes = bt_packed_bytes(p), .name = (uint32_t)at };
        e[i].form = (int32_t)p->form, e[i].type = (int32_t)p->type;
        e[i].n = p->n, e[i].k = p->k, e[i].taps = p->taps;
        offset += whole_pages(e[i].bytes);
        strcpy(names + at, items[i].name);
        at += strlen(items[i].name) + 1;
    }
}

/* The header goes last: a file without one is no segment. */
bool bt_segment_write(int fd, const uint64_t key[2], const bt_pack_item *items, uint32_t n,
                      int threads)
{
    header h;
    if (!measure(items, n, &h))
        return false;
    h.key[0] = key[0], h.key[1] = key[1];
    entry *e = bt_calloc(1, index_bytes(&h) - sizeof h);
    if (!e)
        return false;
    fill_index(&h, items, e);
    /* Asks for the room at once where the file system can; others find out later. */
    bool ok = fallocate(fd, 0, 0, (off_t)h.file_bytes) == 0 || errno == EOPNOTSUPP;
    ok = ok && ftruncate(fd, (off_t)h.file_bytes) == 0;
    atomic_bool failed = !ok;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *data = items[i].packed->data;
        if (atomic_load(&failed))
            continue;
        e[i].hash = bt_hash_data(0, data, e[i].bytes);
        if (!write_at(fd, data, e[i].bytes, e[i].offset))
            atomic_store(&failed, true);
        bt_packed_rest(items[i].packed);
    }
    h.hash = index_hash(&h, e);
    ok = !atomic_load(&failed) &&
         write_at(fd, (const uint8_t *)e, index_bytes(&h) - sizeof h, sizeof h) &&
         write_at(fd, (const uint8_t *)&h, sizeof h, 0);
    bt_release(e);
    return ok;
}
