/* SPDX-License-Identifier: MIT
 * What people see: progress on stderr, and JSON laid out as text.
 *
 * The JSON comes from the library and is well-formed, so a walk over its text
 * is enough: nothing is parsed into a tree. Whatever it is given, the walk stays
 * inside the string and ends.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

enum { BAR = 24, MAX_COLUMNS = 16, MAX_DEPTH = 16, MAX_CELL = 60 };

/* ---- progress ------------------------------------------------------------ */

/* "1:02:03", as long as it needs to be. */
static void clock_text(double seconds, char out[24])
{
    const int s = seconds < 3e6 ? (int)seconds : 3000000;
    if (s >= 3600)
        snprintf(out, 24, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 24, "%d:%02d", s / 60, s % 60);
}

/* Of the stage, by what it took so far; nothing while that is too little to tell. */
static void left_text(const cli_progress *p, int done, int total, char out[40])
{
    const double spent = cli_now() - p->since;
    char left[24];
    *out = 0;
    if (done <= p->from || done >= total || spent < 1)
        return;
    clock_text(spent / (done - p->from) * (total - done), left);
    snprintf(out, 40, ", %s left", left);
}

/* One line that is drawn over again; on a terminal only. */
static void draw_bar(const cli_progress *p, const char *stage, int done, int total)
{
    const int full = total > 0 ? (int)((long long)done * BAR / total) : 0;
    char left[40];
    fprintf(stderr, "\r\033[K%s%s [", p->label, stage);
    for (int i = 0; i < BAR; i++)
        fputc(i < full ? '#' : '.', stderr);
    left_text(p, done, total, left);
    if (total > 0)
        fprintf(stderr, "] %d/%d%s", done, total, left);
    else
        fprintf(stderr, "] %d", done);
    fflush(stderr);
}

/* Lines: one when a stage starts, and one for every further tenth of it. */
static void print_line(cli_progress *p, const char *stage, int done, int total, bool same)
{
    const int tenth = total > 0 ? (int)((long long)done * 10 / total) : 0;
    char left[40];
    if (same && tenth == p->tenth)
        return;
    p->tenth = tenth;
    left_text(p, done, total, left);
    if (total > 0)
        fprintf(stderr, "%s%s: %d/%d%s\n", p->label, stage, done, total, left);
    else
        fprintf(stderr, "%s%s\n", p->label, stage);
}

/* Of a long text: how much of it, and the time left by what this run has done so far. */
static void show_whole(cli_progress *p, int done, int total)
{
    char left[24], text[64];
    const double part = total > 0 ? (double)done / total : 0;
    const double at = (double)p->at + part * (double)p->size, whole = (double)p->whole;
    const double mine = at - (double)p->skipped, spent = cli_now() - p->start;
    const int percent = (int)(at * 100 / whole);
    if (!p->tty && percent / 10 == p->tenth)
        return;
    p->tenth = percent / 10;
    clock_text(mine > 0 ? spent / mine * (whole - at) : 0, left);
    snprintf(text, sizeof text, mine > 0 && spent > 1 ? "%d%%, %s left" : "%d%%", percent, left);
    if (p->tty)
        fprintf(stderr, "\r\033[K%s%s", p->label, text);
    else
        fprintf(stderr, "%s%s\n", p->label, text);
    fflush(stderr);
    p->open = p->tty;
}

int cli_on_progress(void *user, const char *stage, int done, int total)
{
    cli *c = user;
    cli_progress *p = &c->progress;
    const bool same = strncmp(p->stage, stage, sizeof p->stage - 1) == 0;
    if (!same) {
        p->since = cli_now();
        p->from = done;
    }
    snprintf(p->stage, sizeof p->stage, "%s", stage);
    if (p->on && p->whole) {
        show_whole(p, done, total);
    } else if (p->on && p->tty) {
        draw_bar(p, stage, done, total);
        p->open = true;
    } else if (p->on) {
        print_line(p, stage, done, total, same);
    }
    return cli_stop;
}

void cli_progress_end(cli *c)
{
    if (c->progress.open)
        fputs("\r\033[K", stderr);
    c->progress.open = false;
    c->progress.stage[0] = 0;
}

int cli_on_token(void *user, int32_t id, const char *text, size_t len)
{
    const cli *c = user;
    (void)id;
    if (c->json || cli_get(c, "output"))
        return cli_stop;
    fwrite(text, 1, len, stdout);
    return fflush(stdout) != 0 || ferror(stdout) || cli_stop;
}

void cli_note(cli *c, const char *fmt, ...)
{
    va_list ap;
    if (c->quiet)
        return;
    cli_progress_end(c);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

/* ---- JSON ---------------------------------------------------------------- */

static const char *blank(const char *p) { return p + strspn(p, " \t\r\n"); }

static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1])
            p++;
    return p + (*p == '"');
}

/* The end of the value at p. */
static const char *skip_value(const char *p)
{
    int depth = 0;
    do {
        p = blank(p);
        if (*p == '"') {
            p = skip_string(p);
        } else if (*p == '{' || *p == '[') {
            depth++;
            p++;
        } else if (*p == '}' || *p == ']') {
            depth--;
            p++;
        } else if (*p == ',' || *p == ':') {
            p++;
        } else {
            p += strcspn(p, ",]} \t\r\n");
        }
    } while (depth > 0 && *p);
    return p;
}

/* Steps through an object's or array's members: key (NULL in an array) and
 * value; p starts behind the bracket. NULL: no more. */
static const char *next_member(const char *p, bool object, const char **key, const char **value)
{
    p = blank(p);
    if (*p == ',')
        p = blank(p + 1);
    if (!*p || *p == '}' || *p == ']')
        return NULL;
    *key = NULL;
    if (object) {
        *key = p;
        p = blank(skip_string(p));
        if (*p == ':')
            p++;
    }
    *value = blank(p);
    const char *end = skip_value(*value);
    return end > p ? end : NULL;
}

/* A scalar without its quotes and escapes, or a nested value as it stands. */
static char *plain(const char *p)
{
    const char *end = skip_value(p);
    const bool quoted = *p == '"';
    char *out = cli_alloc((size_t)(end - p) + 1), *o = out;
    for (p += quoted; p < end - quoted; p++) {
        if (quoted && *p == '\\') {
            p++;
            *o++ = *p == 'n' || *p == 't' ? ' ' : *p;
        } else {
            *o++ = *p;
        }
    }
    return out;
}

static int cell_width(const char *value)
{
    char *s = plain(value);
    const size_t n = strlen(s);
    free(s);
    return n > MAX_CELL ? MAX_CELL : (int)n;
}

/* An array of objects as a table: a line of keys, then a line for each. */
static void show_table(const char *array, int indent, int most, FILE *f)
{
    int width[MAX_COLUMNS] = { 0 };
    const char *key, *value, *k, *v;
    for (const char *p = array + 1; (p = next_member(p, false, &key, &value));) {
        const char *q = value + 1;
        for (int i = 0; i < MAX_COLUMNS && (q = next_member(q, true, &k, &v)); i++) {
            const int n = cell_width(v), head = cell_width(k);
            if (n > width[i])
                width[i] = n;
            if (head > width[i])
                width[i] = head;
        }
    }
    bool header = true;
    for (const char *p = array + 1; most-- > 0 && (p = next_member(p, false, &key, &value));) {
        for (int line = header ? 0 : 1; line < 2; line++) {
            const char *q = value + 1;
            fprintf(f, "%*s", indent, "");
            for (int i = 0; i < MAX_COLUMNS && (q = next_member(q, true, &k, &v)); i++) {
                char *s = plain(line ? v : k);
                fprintf(f, "%-*.*s  ", width[i], MAX_CELL, s);
                free(s);
            }
            fputc('\n', f);
        }
        header = false;
    }
}

/* "key: value" per line; nested objects indented, lists of objects as tables. */
static void show_object(const char *object, int indent, int depth, FILE *f)
{
    const char *key, *value;
    for (const char *p = object + 1; (p = next_member(p, true, &key, &value));) {
        char *name = plain(key);
        const char *inner = blank(value + 1);
        fprintf(f, "%*s%s:", indent, "", name);
        free(name);
        if (*value == '{' && depth < MAX_DEPTH) {
            fputc('\n', f);
            show_object(value, indent + 2, depth + 1, f);
        } else if (*value == '[' && *inner == '{') {
            fputc('\n', f);
            show_table(value, indent + 2, INT_MAX, f);
        } else {
            char *s = plain(value);
            fprintf(f, " %s\n", s);
            free(s);
        }
    }
}

void cli_table(const char *array, int most, FILE *f) { show_table(array, 0, most, f); }

const char *cli_item(const char *array, size_t i)
{
    const char *key, *value;
    for (const char *p = array + 1; (p = next_member(p, false, &key, &value));)
        if (i-- == 0)
            return value;
    return NULL;
}

const char *cli_member(const char *object, const char *key)
{
    const char *k, *value;
    for (const char *p = object + 1; (p = next_member(p, true, &k, &value));) {
        char *name = plain(k);
        const bool same = strcmp(name, key) == 0;
        free(name);
        if (same)
            return value;
    }
    return NULL;
}

int cli_show(const cli *c, const char *json)
{
    json = blank(json);
    if (c->json || *json != '{')
        puts(json);
    else
        show_object(json, 0, 0, stdout);
    return cli_flush();
}
