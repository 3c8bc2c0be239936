/* SPDX-License-Identifier: MIT
 * The folder of the pack cache (names: pack_cache.h).
 *
 * Several processes work in it at once without a common lock: packs appear by
 * renaming and are never written afterwards, deleting one that another process
 * has mapped does no harm, and a temporary file belongs to who has locked it.
 */
#include "graph/pack_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "graph/pack_cache.h"

enum { KEY_LEN = 32, TICK_NS = 50 * 1000 * 1000, SPARE = 64 << 20 };

/* "<name>.pack" to "<name>.used". */
static void used_name(const char *file, char out[BT_SEGMENT_NAME])
{
    const size_t n = strlen(file) - strlen(".pack");
    memcpy(out, file, n);
    strcpy(out + n, ".used");
}

/* ---- the folder ---------------------------------------------------------- */

static void make_folders(char *path)
{
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            mkdir(path, 0700);
            *p = '/';
        }
    mkdir(path, 0700);
}

int bt_packs_open(const char *dir, bool make)
{
    bt_buf b = { 0 };
    bt_buf_printf(&b, "%s/packs", dir);
    char *path = bt_buf_take(&b);
    if (!path)
        return -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && make) {
        make_folders(path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    bt_release(path);
    return fd;
}

/* One file of the folder. */
typedef struct pack {
    char file[BT_SEGMENT_NAME];
    uint64_t bytes;
    int64_t used_ns;
} pack;

typedef struct packs {
    pack *at;
    size_t n, cap;
} packs;

static int64_t ns_of(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static bool add_pack(packs *all, int dir, const char *file)
{
    struct stat sb, used;
    char stamp[BT_SEGMENT_NAME];
    if (strlen(file) >= sizeof stamp || fstatat(dir, file, &sb, AT_SYMLINK_NOFOLLOW) != 0)
        return true; /* somebody has deleted it meanwhile */
    if (all->n == all->cap) {
        const size_t cap = all->cap ? all->cap * 2 : 64;
        pack *more = bt_realloc_array(all->at, all->n, cap, sizeof *more);
        if (!more)
            return false;
        all->at = more;
        all->cap = cap;
    }
    pack *p = &all->at[all->n++];
    strcpy(p->file, file);
    p->bytes = (uint64_t)sb.st_size;
    used_name(file, stamp);
    if (fstatat(dir, stamp, &used, AT_SYMLINK_NOFOLLOW) != 0)
        used = sb;
    p->used_ns = ns_of(used.st_mtim);
    return true;
}

/* What a killed writer left, and stamps of packs that are gone. */
static void sweep(int dir, const char *file)
{
    if (bt_ends_with(file, ".tmp")) {
        const int fd = openat(dir, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            unlinkat(dir, file, 0);
        if (fd >= 0)
            close(fd);
    } else if (bt_ends_with(file, ".used") && strlen(file) < BT_SEGMENT_NAME) {
        char name[BT_SEGMENT_NAME];
        strcpy(name, file);
        memcpy(name + strlen(name) - 4, "pack", 4);
        if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
            unlinkat(dir, file, 0);
    }
}

/* All packs; with `clean`, removes what is left over. False: no memory. */
static bool list(int dir, bool clean, packs *all)
{
    const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    bool ok = d != NULL;
    *all = (packs){ 0 };
    if (!d && fd >= 0)
        close(fd);
    for (struct dirent *e; ok && (e = readdir(d));) {
        if (bt_ends_with(e->d_name, ".pack"))
            ok = add_pack(all, dir, e->d_name);
        else if (clean)
            sweep(dir, e->d_name);
    }
    if (d)
        closedir(d);
    return ok;
}

bt_packs_sum bt_packs_measure(int dir)
{
    packs all;
    bt_packs_sum sum = { 0 };
    list(dir, false, &all);
    for (size_t i = 0; i < all.n; i++) {
        bool first = true;
        for (size_t k = 0; k < i && first; k++)
            first = strncmp(all.at[k].file, all.at[i].file, KEY_LEN) != 0;
        sum.bytes += all.at[i].bytes;
        sum.models += first;
        sum.files++;
    }
    bt_release(all.at);
    return sum;
}

static uint64_t free_bytes(int dir)
{
    struct statvfs v;
    return fstatvfs(dir, &v) == 0 ? (uint64_t)v.f_bavail * v.f_frsize : 0;
}

uint64_t bt_packs_limit(int dir, uint64_t limit)
{
    if (limit)
        return limit;
    const uint64_t share = (free_bytes(dir) + bt_packs_measure(dir).bytes) / 4;
    return share < BT_PACK_CACHE_MOST ? share : BT_PACK_CACHE_MOST;
}

/* ---- room ---------------------------------------------------------------- */

static int by_age(const void *a, const void *b)
{
    const pack *x = a, *y = b;
    return (x->used_ns > y->used_ns) - (x->used_ns < y->used_ns);
}

/* Of a file: a process may have a bound of its own, and writing beyond it would
 * be a signal. */
static bool may_write(uint64_t bytes)
{
    struct rlimit r;
    return getrlimit(RLIMIT_FSIZE, &r) != 0 || r.rlim_cur == RLIM_INFINITY || bytes <= r.rlim_cur;
}

bool bt_packs_make_room(int dir, uint64_t limit, uint64_t need, const char *keep)
{
    packs all;
    uint64_t total = 0, kept = 0, free = free_bytes(dir);
    limit = bt_packs_limit(dir, limit);
    bool ok = list(dir, true, &all) && may_write(need);
    for (size_t i = 0; i < all.n; i++) {
        total += all.at[i].bytes;
        if (strncmp(all.at[i].file, keep, KEY_LEN) == 0)
            kept += all.at[i].bytes;
    }
    /* What could be deleted counts as free; some room on the disk stays. */
    ok = ok && need <= limit && kept <= limit - need && need + SPARE <= free + (total - kept);
    if (all.n)
        qsort(all.at, all.n, sizeof *all.at, by_age);
    for (size_t i = 0; ok && i < all.n && (total + need > limit || need + SPARE > free); i++) {
        if (strncmp(all.at[i].file, keep, KEY_LEN) == 0)
            continue;
        bt_packs_delete(dir, all.at[i].file);
        total -= all.at[i].bytes;
        free += all.at[i].bytes;
    }
    bt_release(all.at);
    return ok;
}

void bt_packs_delete(int dir, const char *file)
{
    char stamp[BT_SEGMENT_NAME];
    used_name(file, stamp);
    unlinkat(dir, stamp, 0);
    unlinkat(dir, file, 0);
}

/* ---- the writer's file --------------------------------------------------- */

/* A lock lasts as long as its file is open, and the file that was locked may
 * since have been renamed by who had it: then the name is not its any more, and
 * to touch it would spoil a finished pack. */
int bt_packs_begin(int dir, const char *tmp, bool *busy)
{
    struct stat mine, named;
    *busy = false;
    const int fd = openat(dir, tmp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &mine) != 0 ||
        fstatat(dir, tmp, &named, AT_SYMLINK_NOFOLLOW) != 0 || mine.st_ino != named.st_ino ||
        mine.st_nlink != 1) {
        close(fd);
        *busy = true;
        return -1;
    }
    if (ftruncate(fd, 0) == 0 && fchmod(fd, 0600) == 0)
        return fd;
    close(fd);
    return -1;
}

/* ---- stamps -------------------------------------------------------------- */

typedef struct stamp {
    char boot[40]; /* of the system's start: after a crash pages may be missing */
    bt_file_id id;
    uint64_t hash; /* of the rest */
} stamp;

static bool make_stamp(const bt_file_id *id, stamp *s)
{
    *s = (stamp){ .id = *id };
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? read(fd, s->boot, sizeof s->boot) : -1;
    if (fd >= 0)
        close(fd);
    s->hash = bt_hash_data(0, s, offsetof(stamp, hash));
    return n > 0;
}

bool bt_packs_trusted(int dir, const char *file, const bt_file_id *id)
{
    char name[BT_SEGMENT_NAME];
    stamp want, got;
    struct stat sb;
    used_name(file, name);
    const int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    const bool ok = fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) &&
                    (sb.st_uid == geteuid() || sb.st_uid == 0) && (sb.st_mode & 022) == 0 &&
                    read(fd, &got, sizeof got) == (ssize_t)sizeof got && make_stamp(id, &want) &&
                    memcmp(&got, &want, sizeof got) == 0;
    close(fd);
    return ok;
}

void bt_packs_stamp(int dir, const char *file, const bt_file_id *id)
{
    char name[BT_SEGMENT_NAME];
    stamp s;
    struct stat sb;
    used_name(file, name);
    if (!make_stamp(id, &s))
        return;
    const int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    /* Both times are the file system's own, which need not have this clock. */
    const bool ok = pwrite(fd, &s, sizeof s, 0) == (ssize_t)sizeof s && fstat(fd, &sb) == 0 &&
                    ns_of(sb.st_mtim) - id->ctime_ns >= TICK_NS;
    if (!ok)
        unlinkat(dir, name, 0);
    close(fd);
}

void bt_packs_touch(int dir, const char *file)
{
    char name[BT_SEGMENT_NAME];
    used_name(file, name);
    utimensat(dir, name, NULL, AT_SYMLINK_NOFOLLOW);
}
