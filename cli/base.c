/* SPDX-License-Identifier: MIT
 * The ground of the program: one-line errors, exit statuses, memory, strings, time.
 *
 * Nothing here returns NULL. A command that runs out of memory for a file name
 * has nothing to save, so it says so and ends; the library never does that.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

/* ---- errors -------------------------------------------------------------- */

int cli_fail(int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fflush(stdout);
    fputs("bottega: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

int cli_exit_of(bt_status st)
{
    switch (st) {
    case BT_OK: return EXIT_DONE;
    case BT_EBUDGET: return EXIT_BUDGET;
    case BT_ECANCELLED: return EXIT_CANCELLED;
    case BT_EINVAL:
    case BT_EFORMAT:
    case BT_EUNSUPPORTED:
    case BT_ENOTFOUND: return EXIT_INPUT;
    default: return EXIT_FAILED;
    }
}

/* ---- memory and strings -------------------------------------------------- */

void *cli_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        exit(cli_fail(EXIT_FAILED, "out of memory"));
    return p;
}

char *cli_text(const char *fmt, ...)
{
    va_list ap;
    char *s;
    va_start(ap, fmt);
    if (vasprintf(&s, fmt, ap) < 0)
        exit(cli_fail(EXIT_FAILED, "out of memory"));
    va_end(ap);
    return s;
}

/* Bytes of a well-formed UTF-8 character at s, 0 if there is none. */
static size_t utf8_len(const unsigned char *s)
{
    const size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return s[0] > 0xf4 ? 0 : n;
}

size_t cli_utf8(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    for (size_t n; *u && (n = utf8_len(u)) > 0;)
        u += n;
    return (size_t)(u - (const unsigned char *)s);
}

char *cli_json(const char *s)
{
    char *out = cli_alloc(strlen(s) * 6 + 3), *p = out;
    *p++ = '"';
    for (const unsigned char *u = (const unsigned char *)s; *u;) {
        const size_t n = utf8_len(u);
        if (*u == '"' || *u == '\\') {
            p += sprintf(p, "\\%c", *u);
        } else if (*u < 0x20 || *u == 0x7f) {
            p += sprintf(p, "\\u%04x", *u);
        } else if (n == 0) {
            p = stpcpy(p, "\xef\xbf\xbd");
        } else {
            memcpy(p, u, n);
            p += n;
        }
        u += n ? n : 1;
    }
    strcpy(p, "\"");
    return out;
}

void cli_join(char **list, const char *item)
{
    char *all = cli_text("%s%s%s", *list ? *list : "", *list ? "," : "", item);
    free(*list);
    *list = all;
}

double cli_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
