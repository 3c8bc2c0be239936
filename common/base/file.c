/* SPDX-License-Identifier: MIT
 * Files: maps, whole reads, and outputs that are renamed into place.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t ns_of(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static bt_file_id id_of(const struct stat *sb)
{
    return (bt_file_id){ sb->st_ino, (uint64_t)sb->st_size, ns_of(sb->st_mtim),
                         ns_of(sb->st_ctim) };
}

bool bt_file_id_of(int fd, bt_file_id *id)
{
    struct stat sb;
    if (fstat(fd, &sb) != 0)
        return false;
    *id = id_of(&sb);
    return true;
}

bool bt_file_id_at(const char *path, bt_file_id *id)
{
    struct stat sb;
    if (stat(path, &sb) != 0)
        return false;
    *id = id_of(&sb);
    return true;
}

/* Opens a regular file for reading and tells its size and identity (may be NULL). */
static bt_status open_regular(const char *path, int *fd, size_t *size, bt_file_id *id,
                              bt_error *err)
{
    struct stat sb;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return bt_fail(err, errno == ENOENT ? BT_ENOTFOUND : BT_EIO, "cannot open %s: %s", path,
                       strerror(errno));
    if (fstat(*fd, &sb) != 0 || !S_ISREG(sb.st_mode)) {
        close(*fd);
        return bt_fail(err, BT_EIO, "%s is not a file", path);
    }
    *size = (size_t)sb.st_size;
    if (id)
        *id = id_of(&sb);
    return BT_OK;
}

bt_status bt_map_open(const char *path, bt_map *out, bt_error *err)
{
    int fd;
    size_t size = 0;
    bt_file_id id;
    *out = (bt_map){ 0 };
    bt_status st = open_regular(path, &fd, &size, &id, err);
    if (st != BT_OK)
        return st;
    if (size > 0) {
        void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED)
            st = bt_fail(err, BT_EIO, "cannot map %s: %s", path, strerror(errno));
        else
            *out = (bt_map){ p, size, id };
    }
    close(fd);
    return st;
}

void bt_map_close(bt_map *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (bt_map){ 0 };
}

void bt_map_drop(const void *p, size_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t from = ((uintptr_t)p + page - 1) / page * page;
    const uintptr_t to = ((uintptr_t)p + n) / page * page;
    if (to > from)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

/* Its room is taken at once: a full disk would otherwise kill whoever writes to the map. */
uint8_t *bt_scratch_open(int dir, size_t n)
{
    void *p = MAP_FAILED;
    const int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return NULL;
    if (posix_fallocate(fd, 0, (off_t)n) == 0)
        p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? NULL : p;
}

void bt_scratch_close(uint8_t *p, size_t n) { munmap(p, n); }

bt_status bt_file_read(const char *path, size_t max, char **data, size_t *n, bt_error *err)
{
    int fd;
    size_t size = 0, got = 0;
    *data = NULL;
    bt_status st = open_regular(path, &fd, &size, NULL, err);
    if (st != BT_OK)
        return st;
    char *p = NULL;
    if (size > max)
        st = bt_fail(err, BT_EFORMAT, "%s is too large (%zu bytes, at most %zu)", path, size, max);
    else if (!(p = bt_alloc(size + 1)))
        st = bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    while (st == BT_OK && got < size) {
        const ssize_t r = read(fd, p + got, size - got);
        if (r == 0)
            break;
        if (r < 0 && errno != EINTR)
            st = bt_fail(err, BT_EIO, "cannot read %s: %s", path, strerror(errno));
        if (r > 0)
            got += (size_t)r;
    }
    close(fd);
    if (st != BT_OK) {
        bt_release(p);
        return st;
    }
    p[got] = 0;
    *data = p;
    if (n)
        *n = got;
    return BT_OK;
}

bool bt_is_dir(const char *path)
{
    struct stat sb;
    return stat(path, &sb) == 0 && S_ISDIR(sb.st_mode);
}

/* Where the bytes shall end up: a link's target, else the path itself. */
static char *resolve(const char *path)
{
    char *real = realpath(path, NULL);
    char *p = bt_strdup(real ? real : path);
    free(real);
    return p;
}

/* Creates a file of a name nobody uses. Why not mkstemp: its mode ignores the
 * umask, and the umask cannot be read without changing it for all threads. */
static int create_beside(const char *path, char **tmp)
{
    for (int k = 0; k < 10000; k++) {
        bt_buf b = { 0 };
        bt_buf_printf(&b, "%s.%ld-%d.tmp", path, (long)getpid(), k);
        *tmp = bt_buf_take(&b);
        if (!*tmp) {
            errno = ENOMEM;
            return -1;
        }
        const int fd = open(*tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        const int e = errno;
        bt_release(*tmp);
        *tmp = NULL;
        errno = e;
        if (e != EEXIST)
            return -1;
    }
    return -1;
}

bt_status bt_out_open(const char *path, bt_out *out, bt_error *err)
{
    struct stat sb;
    int fd;
    *out = (bt_out){ 0 };
    out->path = resolve(path);
    if (!out->path)
        return bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    /* Pipes and devices cannot be renamed onto: they are written in place. */
    if (stat(out->path, &sb) == 0 && !S_ISREG(sb.st_mode))
        fd = open(out->path, O_WRONLY | O_CLOEXEC);
    else
        fd = create_beside(out->path, &out->tmp);
    if (fd >= 0)
        out->f = fdopen(fd, "wb");
    if (out->f)
        return BT_OK;
    const int e = errno;
    if (fd >= 0)
        close(fd);
    bt_out_abort(out);
    return bt_fail(err, e == ENOMEM ? BT_ENOMEM : BT_EIO, "cannot create %s: %s", path,
                   strerror(e));
}

bt_status bt_out_commit(bt_out *out, bt_error *err)
{
    errno = 0;
    bool ok = fflush(out->f) == 0 && !ferror(out->f);
    if (ok && out->tmp)
        ok = fsync(fileno(out->f)) == 0;
    int e = errno;
    if (fclose(out->f) != 0 && ok) {
        ok = false;
        e = errno;
    }
    out->f = NULL;
    if (ok && out->tmp && rename(out->tmp, out->path) != 0) {
        ok = false;
        e = errno;
    }
    bt_status st = BT_OK;
    if (!ok)
        st = bt_fail(err, BT_EIO, "cannot write %s: %s", out->path, strerror(e ? e : EIO));
    if (ok) {
        bt_release(out->tmp);
        out->tmp = NULL;
    }
    bt_out_abort(out);
    return st;
}

void bt_out_abort(bt_out *out)
{
    if (out->f)
        fclose(out->f);
    if (out->tmp)
        unlink(out->tmp);
    bt_release(out->tmp);
    bt_release(out->path);
    *out = (bt_out){ 0 };
}
