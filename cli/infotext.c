/* SPDX-License-Identifier: MIT
 * The rule by which A1111 reads its text back: the last line holds fields if at
 * least three stand in it, a field being a match of
 *
 *     \s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)
 *
 * and a value in quotes a JSON string. What comes before is the prompt, and from
 * "Negative prompt:" on the negative one, line by line without blanks around.
 * Each further "Negative prompt:" is left out as well.
 */
#include "infotext.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { LEAST_FIELDS = 3, MOST_FIELDS = 1024 /* what follows is left out */ };

static bool is_space(char c) { return c && strchr(" \t\r\n\v\f", c); }

/* Beyond ASCII everything counts as a letter. */
static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c & 0x80);
}

static const char *skip_spaces(const char *p, const char *end)
{
    while (p < end && is_space(*p))
        p++;
    return p;
}

/* Behind the quoted value that stands at p and ends a field; NULL: there is none. */
static const char *quoted_end(const char *p, const char *end)
{
    const char *q = p + 1;
    while (q < end && *q != '"')
        q += *q == '\\' && q + 1 < end ? 2 : 1;
    if (q >= end || q == p + 1)
        return NULL;
    q++;
    return q == end || *q == ',' ? q : NULL;
}

static char *copy(const char *from, const char *to)
{
    return cli_text("%.*s", (int)(to - from), from);
}

/* A value as it is meant: quoted ones without their quotes, if that is JSON. */
static char *value_of(const char *from, const char *to)
{
    char *s = copy(from, to);
    cJSON *json = *s == '"' ? cJSON_ParseWithOpts(s, NULL, 1) : NULL;
    if (cJSON_IsString(json)) {
        free(s);
        s = cli_text("%s", json->valuestring);
    }
    cJSON_Delete(json);
    return s;
}

static void add(infotext *t, char *name, char *value)
{
    infotext_field *all = realloc(t->fields, (t->n + 1) * sizeof *all);
    if (!all)
        exit(cli_fail(EXIT_FAILED, "out of memory"));
    t->fields = all;
    t->fields[t->n++] = (infotext_field){ name, value };
}

static void read_fields(const char *p, const char *end, infotext *t)
{
    while (p < end && t->n < MOST_FIELDS) {
        const char *name = p, *colon;
        if (!is_word(*p)) {
            p++;
            continue;
        }
        for (colon = p; colon < end && (is_word(*colon) || strchr(" -/", *colon)); colon++)
            ;
        if (colon == end || *colon != ':' || colon < name + 2) {
            p = colon < end ? colon + 1 : end; /* no later start finds a colon before this place */
            continue;
        }
        const char *value = skip_spaces(colon + 1, end);
        const char *stop = value < end && *value == '"' ? quoted_end(value, end) : NULL;
        if (!stop)
            for (stop = value; stop < end && *stop != ','; stop++)
                ;
        add(t, copy(name, colon), value_of(value, stop));
        p = stop + (stop < end);
    }
}

static void strip(const char **from, const char **to)
{
    *from = skip_spaces(*from, *to);
    while (*to > *from && is_space((*to)[-1]))
        --*to;
}

/* Appends to a text that has room for it. */
static void add_line(char *text, size_t *n, const char *from, const char *to)
{
    if (*n > 0)
        text[(*n)++] = '\n';
    memcpy(text + *n, from, (size_t)(to - from));
    *n += (size_t)(to - from);
}

/* Neither prompt gets longer than what is read. */
static void read_prompts(const char *p, const char *end, infotext *t)
{
    static const char mark[] = "Negative prompt:";
    char *text[2] = { cli_alloc((size_t)(end - p) + 1), cli_alloc((size_t)(end - p) + 1) };
    size_t n[2] = { 0 };
    int to = 0;
    for (const char *stop = p; stop < end; p = stop + 1) {
        const char *from = p, *last;
        stop = memchr(p, '\n', (size_t)(end - p));
        last = stop = stop ? stop : end;
        strip(&from, &last);
        if ((size_t)(last - from) >= sizeof mark - 1 && memcmp(from, mark, sizeof mark - 1) == 0) {
            to = 1;
            from += sizeof mark - 1;
            strip(&from, &last);
        }
        add_line(text[to], &n[to], from, last);
    }
    t->prompt = text[0];
    t->negative = text[1];
}

void infotext_free(infotext *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->fields[i].name);
        free(t->fields[i].value);
    }
    free(t->fields);
    free(t->prompt);
    free(t->negative);
    *t = (infotext){ 0 };
}

void infotext_read(const char *text, infotext *out)
{
    const char *end = text + strlen(text);
    strip(&text, &end);
    const char *last = end;
    while (last > text && last[-1] != '\n')
        last--;
    *out = (infotext){ 0 };
    read_fields(last, end, out);
    if (out->n >= LEAST_FIELDS)
        end = last - (last > text);
    else
        infotext_free(out);
    read_prompts(text, end, out);
}

const char *infotext_get(const infotext *t, const char *name)
{
    for (size_t i = t->n; i-- > 0;)
        if (strcmp(t->fields[i].name, name) == 0)
            return t->fields[i].value;
    return NULL;
}
