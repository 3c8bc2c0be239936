/* SPDX-License-Identifier: MIT
 * The work folder of a book: a WAV file for each section that is spoken, under a name that
 * follows from its place, its text, its voice and its settings. So a file that is there is
 * finished and still right, and nothing else has to be written down.
 *
 *     lock
 *     0003-0012-9f3a77d2c01b45e8.wav     chapter 3, section 12
 *     0003-0012-9f3a77d2c01b45e8.times   when it is said, if --timings was asked for
 *     0003-0013-55cf09a1be7723d4.none    nothing to say there
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "speak.h"

/* FNV-1a. */
uint64_t speak_hash(uint64_t h, const void *p, size_t n)
{
    const unsigned char *s = p;
    h ^= 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ s[i]) * 0x100000001b3u;
    return h;
}

uint64_t speak_hash_file(uint64_t h, const char *path)
{
    static const size_t size = 1 << 16;
    struct stat sb;
    FILE *f = stat(path, &sb) == 0 && S_ISREG(sb.st_mode) ? fopen(path, "re") : NULL;
    if (!f)
        return h;
    char *buf = cli_alloc(size);
    for (size_t n; (n = fread(buf, 1, size, f)) > 0;)
        h = speak_hash(h, buf, n);
    free(buf);
    fclose(f);
    return h;
}

/* ---- the folder ----------------------------------------------------------- */

char *speak_part_name(const speak_store *s, const speak_section *x, uint64_t hash,
                      const char *suffix)
{
    return cli_text("%s/%04d-%04d-%016llx.%s", s->dir, x->chapter + 1, x->number + 1,
                    (unsigned long long)hash, suffix);
}

/* One of those names, or a temporary one behind it. */
static bool is_ours(const char *name, bool temporary)
{
    static const char *const suffixes[] = { ".wav", ".times", ".none" };
    const size_t head = strspn(name, "0123456789");
    const size_t middle =
        head >= 4 && name[head] == '-' ? strspn(name + head + 1, "0123456789") : 0;
    if (middle < 4 || name[head + 1 + middle] != '-')
        return false;
    const char *hash = name + head + middle + 2;
    if (strspn(hash, "0123456789abcdef") != 16)
        return false;
    const size_t n = strlen(hash);
    if (n > 20 && strcmp(hash + n - 4, ".tmp") == 0)
        return true;
    for (int i = 0; i < 3 && !temporary; i++)
        if (strcmp(hash + 16, suffixes[i]) == 0)
            return true;
    return false;
}

static void sweep(const speak_store *s, bool temporary)
{
    DIR *d = opendir(s->dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!is_ours(e->d_name, temporary))
            continue;
        char *path = cli_text("%s/%s", s->dir, e->d_name);
        unlink(path);
        free(path);
    }
    if (d)
        closedir(d);
}

/* Held by one program at a time. A folder that its last user is taking down is made again. */
static int take_lock(speak_store *s)
{
    struct stat sb;
    char *path = cli_text("%s/lock", s->dir);
    int e = 0;
    for (int tries = 0; tries < 10 && s->lock < 0; tries++) {
        e = cli_make_dirs(s->dir) ? 0 : errno;
        s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (s->lock < 0) {
            e = errno;
            continue;
        }
        if (flock(s->lock, LOCK_EX | LOCK_NB) == 0 && fstat(s->lock, &sb) == 0 && sb.st_nlink > 0)
            break;
        e = errno;
        close(s->lock);
        s->lock = -1;
        if (e == EWOULDBLOCK)
            break;
    }
    free(path);
    if (s->lock >= 0)
        return EXIT_DONE;
    if (e == EWOULDBLOCK)
        return cli_fail(EXIT_FAILED, "%s: another run works on this book", s->dir);
    return cli_fail(EXIT_FAILED, "cannot work in %s: %s", s->dir, strerror(e ? e : EIO));
}

int speak_store_open(speak_store *s, const char *output)
{
    *s = (speak_store){ .dir = cli_text("%s.parts", output), .lock = -1 };
    const int rc = take_lock(s);
    if (rc == EXIT_DONE)
        sweep(s, true);
    return rc;
}

void speak_store_close(speak_store *s, bool keep)
{
    if (!keep && s->lock >= 0) {
        char *lock = cli_text("%s/lock", s->dir);
        sweep(s, false);
        unlink(lock);
        rmdir(s->dir); /* stays if somebody put anything else into it */
        free(lock);
    }
    if (s->lock >= 0)
        close(s->lock);
    free(s->dir);
    *s = (speak_store){ .lock = -1 };
}

/* ---- reading a section back ------------------------------------------------ */

static uint32_t little(const unsigned char *p, int bytes)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint32_t)p[i] << 8 * i;
    return v;
}

/* One channel of 16 or 24 bits, or float. */
static bool read_format(speak_part *p, const unsigned char *fmt)
{
    const uint32_t tag = little(fmt, 2), channels = little(fmt + 2, 2);
    p->rate = (int)(little(fmt + 4, 4) & INT32_MAX);
    p->bytes = (int)little(fmt + 14, 2) / 8;
    return channels == 1 && p->rate > 0 &&
           ((tag == 1 && (p->bytes == 2 || p->bytes == 3)) || (tag == 3 && p->bytes == 4));
}

/* Up to the samples: p->n of them, all there. */
static bool find_samples(speak_part *p)
{
    unsigned char head[16];
    struct stat sb;
    bool format = false;
    if (fstat(fileno(p->f), &sb) != 0 || fread(head, 1, 12, p->f) != 12 ||
        memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0)
        return false;
    for (int chunks = 0; chunks < 16 && fread(head, 1, 8, p->f) == 8; chunks++) {
        const uint32_t size = little(head + 4, 4);
        if (memcmp(head, "data", 4) == 0) {
            p->n = format ? size / (uint32_t)p->bytes : 0;
            return format && ftello(p->f) + (off_t)size <= sb.st_size;
        }
        const off_t next = ftello(p->f) + (off_t)size + (off_t)(size & 1);
        if (memcmp(head, "fmt ", 4) == 0 && size >= 16)
            format = fread(head, 1, 16, p->f) == 16 && read_format(p, head);
        if (fseeko(p->f, next, SEEK_SET) != 0)
            return false;
    }
    return false;
}

bool speak_part_open(speak_part *p, const char *path)
{
    *p = (speak_part){ .f = fopen(path, "re") };
    if (p->f && find_samples(p))
        return true;
    speak_part_close(p);
    return false;
}

/* The value that was rounded, or the float itself. */
static float sample_of(const unsigned char *s, int bytes)
{
    float x;
    const uint32_t v = little(s, bytes);
    if (bytes == 2)
        return (float)(int16_t)v / 32768.0f;
    if (bytes == 3)
        return (float)((int32_t)(v << 8) / 256) / 8388608.0f;
    memcpy(&x, &v, sizeof x);
    return x;
}

size_t speak_part_read(speak_part *p, float *x, size_t most)
{
    unsigned char s[4];
    size_t n = 0;
    const size_t width = (size_t)p->bytes;
    for (; n < most && p->n > 0 && fread(s, 1, width, p->f) == width; n++, p->n--)
        x[n] = sample_of(s, p->bytes);
    return n;
}

void speak_part_close(speak_part *p)
{
    if (p->f)
        fclose(p->f);
    p->f = NULL;
}
