/* SPDX-License-Identifier: MIT
 * Who speaks: the voice of -m, or a cast of several, as given.
 */
#include <stdlib.h>
#include <string.h>

#include "speak.h"

enum { MAX_VOICES = 256 };

int speak_cast_find(const speak_cast *all, const char *name, size_t n)
{
    for (int i = 1; i < all->n; i++) {
        const speak_voice *v = &all->at[i];
        if (v->spec && strlen(v->name) == n && memcmp(v->name, name, n) == 0)
            return i;
    }
    return -1;
}

bool speak_cast_knows(const speak_cast *all, const char *name, size_t n)
{
    for (int i = 1; i < all->n; i++)
        if (strlen(all->at[i].name) == n && memcmp(all->at[i].name, name, n) == 0)
            return true;
    return false;
}

/* "MODEL[:SPEAKER]"; the colon behind the last slash. */
static void read_spec(speak_voice *v, const char *spec)
{
    const char *slash = strrchr(spec, '/'), *colon = strchr(slash ? slash : spec, ':');
    v->spec = colon ? cli_text("%.*s", (int)(colon - spec), spec) : cli_text("%s", spec);
    v->speaker = colon ? cli_text("%s", colon + 1) : NULL;
}

/* "NAME=VOICE"; without a voice: no speaker, whatever it looks like. */
static int add_voice(speak_cast *all, const char *entry)
{
    const char *equals = strchr(entry, '=');
    const int n = equals ? (int)(equals - entry) : 0;
    if (n < 1 || n > SPEAK_NAME)
        return cli_fail(EXIT_USAGE, "cast: \"%s\" is not NAME=VOICE or NAME=VOICE:SPEAKER", entry);
    if (speak_cast_knows(all, entry, (size_t)n))
        return cli_fail(EXIT_USAGE, "cast: %.*s is there twice", n, entry);
    if (all->n == MAX_VOICES)
        return cli_fail(EXIT_USAGE, "cast: more than %d names", MAX_VOICES - 1);
    speak_voice *v = &all->at[all->n++];
    v->name = cli_text("%.*s", n, entry);
    if (equals[1])
        read_spec(v, equals + 1);
    return EXIT_DONE;
}

/* Entries end with a comma, but a comma with no "=" behind it belongs to the voice
 * ("kokoro:jf_alpha:0.7,jm_kumo:0.3"). */
static int read_list(speak_cast *all, const char *list)
{
    int rc = EXIT_DONE;
    while (*list && rc == EXIT_DONE) {
        size_t n = strcspn(list, ",");
        while (list[n]) {
            const char *next = list + n + 1;
            if (strcspn(next, "=") < strcspn(next, ","))
                break;
            n += 1 + strcspn(next, ",");
        }
        char *entry = cli_text("%.*s", (int)n, list);
        rc = add_voice(all, entry);
        free(entry);
        list += n + (list[n] == ',');
    }
    return rc;
}

static int read_file(speak_cast *all, const char *path)
{
    size_t n;
    int rc = EXIT_DONE;
    char **lines = cli_read_lines(path, &n);
    if (!lines)
        return EXIT_INPUT;
    for (size_t i = 0; i < n; i++) {
        if (rc == EXIT_DONE)
            rc = add_voice(all, lines[i]);
        free(lines[i]);
    }
    free(lines);
    return rc;
}

int speak_cast_read(speak_cast *all, const char *given)
{
    *all = (speak_cast){ .n = 1 };
    all->at = cli_alloc(MAX_VOICES * sizeof *all->at);
    all->at[0].name = cli_text("NARRATOR");
    if (!given)
        return EXIT_DONE;
    const int rc = strchr(given, '=') ? read_list(all, given) : read_file(all, given);
    const int narrator = speak_cast_find(all, "NARRATOR", 8);
    if (rc == EXIT_DONE && narrator > 0) {
        speak_voice *v = &all->at[narrator];
        all->at[0].spec = cli_text("%s", v->spec);
        all->at[0].speaker = v->speaker ? cli_text("%s", v->speaker) : NULL;
    }
    return rc;
}

void speak_cast_close(speak_cast *all)
{
    for (int i = 0; i < all->n; i++) {
        speak_voice *v = &all->at[i];
        if (v->owner) {
            bt_job_free(v->job);
            bt_model_free(v->model);
        }
        free(v->name);
        free(v->spec);
        free(v->speaker);
        free(v->path);
    }
    free(all->at);
    *all = (speak_cast){ 0 };
}
