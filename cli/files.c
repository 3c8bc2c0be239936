/* SPDX-License-Identifier: MIT
 * Files: texts read whole, names of outputs, outputs that are whole or absent.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

enum { MAX_INPUT = 256 << 20, MAX_INDEX_WIDTH = 9 };

/* ---- reading ------------------------------------------------------------- */

/* Complains of what keeps n bytes from being a text; true if something does. */
static bool not_text(const char *s, size_t n, const char *name)
{
    const size_t end = n < MAX_INPUT ? cli_utf8(s) : 0;
    if (n >= MAX_INPUT)
        cli_fail(EXIT_INPUT, "%s: too large", name);
    else if (end < n && !s[end])
        cli_fail(EXIT_INPUT, "%s: holds a zero byte", name);
    else if (end < n)
        cli_fail(EXIT_INPUT, "%s: invalid UTF-8 at byte %zu", name, end);
    return end < n;
}

/* Whole, up to MAX_INPUT; well-formed UTF-8 without a zero byte, as texts end
 * with one. NULL after a complaint. */
static char *read_all(FILE *f, const char *name)
{
    size_t n = 0, cap = 1 << 16;
    char *s = cli_alloc(cap + 1);
    for (;;) {
        n += fread(s + n, 1, cap - n, f);
        if (n < cap || n >= MAX_INPUT)
            break;
        cap *= 2;
        char *more = realloc(s, cap + 1);
        if (!more)
            exit(cli_fail(EXIT_FAILED, "out of memory for %s", name));
        s = more;
    }
    s[n] = 0;
    if (ferror(f))
        cli_fail(EXIT_INPUT, "%s: %s", name, strerror(errno));
    else if (!not_text(s, n, name))
        return s;
    free(s);
    return NULL;
}

char *cli_read(const char *path)
{
    if (strcmp(path, "-") == 0)
        return read_all(stdin, "standard input");
    FILE *f = fopen(path, "re");
    if (!f) {
        cli_fail(EXIT_INPUT, "%s: %s", path, strerror(errno));
        return NULL;
    }
    char *s = read_all(f, path);
    fclose(f);
    return s;
}

char **cli_read_lines(const char *path, size_t *n)
{
    char *text = cli_read(path);
    *n = 0;
    if (!text)
        return NULL;
    size_t count = 1;
    for (const char *p = text; *p; p++)
        count += *p == '\n';
    char **lines = cli_alloc((count + 1) * sizeof *lines);
    char *save = NULL;
    for (char *p = strtok_r(text, "\r\n", &save); p; p = strtok_r(NULL, "\r\n", &save))
        if (p[strspn(p, " \t")] && *p != '#')
            lines[(*n)++] = cli_text("%s", p);
    free(text);
    return lines;
}

/* ---- names of outputs ---------------------------------------------------- */

/* Length of the placeholder at p ("%d", "%3d", "%03d"), 0 if it is none. */
static size_t placeholder(const char *p)
{
    const size_t digits = strspn(p + 1, "0123456789");
    if (digits > 2 || p[1 + digits] != 'd' || atoi(p + 1) > MAX_INDEX_WIDTH)
        return 0;
    return digits + 2;
}

static int count_placeholders(const char *pattern)
{
    int n = 0;
    for (const char *p = pattern; (p = strchr(p, '%'));) {
        const size_t len = p[1] == '%' ? 2 : placeholder(p);
        if (len == 0)
            return -1;
        n += p[1] != '%';
        p += len;
    }
    return n;
}

int cli_name_check(const char *pattern)
{
    const int n = count_placeholders(pattern);
    if (n == 0 || n == 1)
        return EXIT_DONE;
    return cli_fail(EXIT_USAGE, "output: \"%s\": only one %%d or %%03d may stand in it", pattern);
}

/* Where "_001" goes: before the suffix of the last part of the path. */
static const char *suffix_of(const char *pattern)
{
    const char *slash = strrchr(pattern, '/'), *dot = strrchr(pattern, '.');
    return dot && dot > (slash ? slash + 1 : pattern) ? dot : pattern + strlen(pattern);
}

/* The pattern never reaches printf: its one placeholder is read here. */
char *cli_name(const char *pattern, int i, bool many)
{
    const bool insert = many && count_placeholders(pattern) == 0;
    const char *at = insert ? suffix_of(pattern) : NULL;
    char *out = cli_alloc(strlen(pattern) + 32), *o = out;
    for (const char *p = pattern;; p++) {
        if (p == at)
            o += sprintf(o, "_%03d", i);
        if (!*p)
            break;
        if (*p != '%') {
            *o++ = *p;
        } else if (p[1] == '%') {
            *o++ = *p++;
        } else {
            const int width = atoi(p + 1);
            o += p[1] == '0' ? sprintf(o, "%0*d", width, i) : sprintf(o, "%*d", width, i);
            p += placeholder(p) - 1;
        }
    }
    *o = 0;
    return out;
}

bool cli_make_dirs(const char *path)
{
    char *s = cli_text("%s", path);
    for (char *p = s; *p; p++)
        if (*p == '/' && p > s) {
            *p = 0;
            mkdir(s, 0777); /* the last one tells whether all went well */
            *p = '/';
        }
    struct stat sb;
    bool ok = mkdir(s, 0777) == 0 || (errno == EEXIST && stat(s, &sb) == 0);
    if (ok && stat(s, &sb) == 0 && !S_ISDIR(sb.st_mode)) {
        errno = ENOTDIR;
        ok = false;
    }
    free(s);
    return ok;
}

char *cli_find_program(const char *name)
{
    const char *path = getenv("PATH");
    for (const char *p = path ? path : ""; *p;) {
        const int n = (int)strcspn(p, ":");
        char *full = cli_text("%.*s/%s", n, p, name);
        if (access(full, X_OK) == 0)
            return full;
        free(full);
        p += n + (p[n] == ':');
    }
    return NULL;
}

bool cli_exists(const char *path) { return access(path, F_OK) == 0; }

/* ---- writing ------------------------------------------------------------- */

/* Pipes and devices cannot be renamed onto: they are written in place. */
int cli_create(const char *path, cli_file *out)
{
    struct stat sb;
    const bool direct = stat(path, &sb) == 0 && !S_ISREG(sb.st_mode);
    *out = (cli_file){ .path = cli_text("%s", path) };
    if (!direct)
        out->tmp = cli_text("%s.%ld.tmp", path, (long)getpid());
    out->f = fopen(direct ? path : out->tmp, direct ? "we" : "wxe");
    return out->f ? EXIT_DONE : cli_commit(out, true);
}

int cli_commit(cli_file *o, bool keep)
{
    bool ok = o->f && !ferror(o->f);
    const bool made = o->f;
    int e = ok ? 0 : errno;
    if (o->f && (fflush(o->f) != 0 || (keep && o->tmp && fsync(fileno(o->f)) != 0)) && ok) {
        ok = false;
        e = errno;
    }
    if (o->f && fclose(o->f) != 0 && ok) {
        ok = false;
        e = errno;
    }
    if (ok && keep && o->tmp && rename(o->tmp, o->path) != 0) {
        ok = false;
        e = errno;
    }
    if (o->tmp && made && !(ok && keep))
        unlink(o->tmp);
    const int rc =
        ok || !keep ? EXIT_DONE
                    : cli_fail(EXIT_FAILED, "cannot write %s: %s", o->path, strerror(e ? e : EIO));
    free(o->tmp);
    free(o->path);
    *o = (cli_file){ 0 };
    return rc;
}

int cli_write(const char *path, const char *data)
{
    cli_file out;
    const int rc = cli_create(path, &out);
    if (rc != EXIT_DONE)
        return rc;
    fputs(data, out.f);
    return cli_commit(&out, true);
}

void cli_wrote(cli *c, const char *path)
{
    char *quoted = cli_json(path);
    cli_join(&c->files, quoted);
    free(quoted);
}

int cli_flush(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_DONE;
    const int e = errno;
    clearerr(stdout);
    return cli_fail(EXIT_FAILED, "cannot write standard output: %s", strerror(e ? e : EIO));
}
