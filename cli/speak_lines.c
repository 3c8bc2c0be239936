/* SPDX-License-Identifier: MIT
 * Many texts for one voice: a text a line, or piper's lines of JSON.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "speak.h"

int speak_lines(cli *c)
{
    size_t n;
    int rc = EXIT_DONE;
    char **lines = cli_read_lines(cli_get(c, "prompts-file"), &n);
    if (!lines)
        return EXIT_INPUT;
    for (size_t i = 0; i < n; i++) {
        char *path = speak_name(c, (int)i + 1, true);
        snprintf(c->progress.label, sizeof c->progress.label, "[%zu/%zu] ", i + 1, n);
        if (rc == EXIT_DONE && !(cli_has(c, "skip-existing") && cli_exists(path)))
            rc = speak_say(c, lines[i], path, speak_writes_files(c), (int)i + 1);
        free(path);
        free(lines[i]);
    }
    free(lines);
    return rc;
}

/* A member that is a string or, if `number`, a whole number, as text (free). False
 * after a message: it is something else. */
static bool member(const cli *c, const cJSON *o, const char *key, bool number, char **text)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, key);
    if (cJSON_IsString(m)) {
        *text = cli_text("%s", m->valuestring);
    } else if (number && cJSON_IsNumber(m) && m->valuedouble == m->valueint) {
        *text = cli_text("%d", m->valueint);
    } else if (m && !cJSON_IsNull(m)) {
        cli_fail(EXIT_INPUT, "%s\"%s\" is no %s", c->where, key,
                 number ? "string or whole number" : "string");
        return false;
    }
    return true;
}

typedef struct request {
    char *text, *speaker, *file;
} request;

static int read_request(const cli *c, const cJSON *o, request *r)
{
    if (!cJSON_IsObject(o))
        return cli_fail(EXIT_INPUT, "%snot a JSON object", c->where);
    if (!member(c, o, "text", false, &r->text) || !member(c, o, "speaker_id", true, &r->speaker) ||
        (!r->speaker && !member(c, o, "speaker", true, &r->speaker)) ||
        !member(c, o, "output_file", false, &r->file))
        return EXIT_INPUT;
    if (!r->text)
        return cli_fail(EXIT_INPUT, "%s\"text\" is missing", c->where);
    return EXIT_DONE;
}

/* Says what a line asks for; `speaker`: the one of lines that name none. */
static int say_request(cli *c, const request *r, const char *speaker, int number)
{
    char *path = r->file ? cli_text("%s", r->file) : speak_name(c, number, true);
    const bool to_file = speak_writes_files(c) || (r->file && cli_has(c, "play"));
    int rc = speak_check_name(c, path, EXIT_INPUT);
    if (rc == EXIT_DONE && r->speaker)
        rc = cli_job_set(c, "speaker", r->speaker);
    if (rc == EXIT_DONE && !(to_file && cli_has(c, "skip-existing") && cli_exists(path))) {
        rc = speak_say(c, r->text, path, to_file, number);
        if (rc == EXIT_DONE && to_file && !c->json && !cli_has(c, "dry-run")) {
            puts(path);
            rc = cli_flush();
        }
    }
    if (r->speaker)
        bt_job_set(c->job, "speaker", speaker);
    free(path);
    return rc;
}

static int say_json(cli *c, const char *line, size_t n, const char *speaker, int number)
{
    request r = { 0 };
    snprintf(c->where, sizeof c->where, "line %d: ", number);
    snprintf(c->progress.label, sizeof c->progress.label, "[%d] ", number);
    const size_t end = cli_utf8(line);
    if (end < n && line[end])
        return cli_fail(EXIT_INPUT, "%sinvalid UTF-8 at byte %zu", c->where, end);
    cJSON *o = end < n ? NULL : cJSON_ParseWithLengthOpts(line, n + 1, NULL, true);
    int rc = read_request(c, o, &r);
    cJSON_Delete(o);
    if (rc == EXIT_DONE)
        rc = say_request(c, &r, speaker, number);
    free(r.text);
    free(r.speaker);
    free(r.file);
    return rc;
}

int speak_json_lines(cli *c)
{
    const char *path = cli_get(c, "file");
    const bool from_stdin = !path || strcmp(path, "-") == 0;
    FILE *f = from_stdin ? stdin : fopen(path, "re");
    if (!f)
        return cli_fail(EXIT_INPUT, "%s: %s", path, strerror(errno));
    const char *given = bt_job_get(c->job, "speaker");
    char *speaker = given && *given ? cli_text("%s", given) : NULL, *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int worst = EXIT_DONE, number = 0;
    while (!cli_stop && !c->sink_gone && (n = getline(&line, &cap, f)) >= 0) {
        number++;
        if (line[strspn(line, " \t\r\n")] || strlen(line) < (size_t)n)
            if (say_json(c, line, (size_t)n, speaker, number) != EXIT_DONE)
                worst = EXIT_FAILED;
    }
    if (!cli_stop && !c->sink_gone && !feof(f))
        worst =
            cli_fail(EXIT_FAILED, "%s: %s", from_stdin ? "standard input" : path, strerror(errno));
    c->where[0] = 0;
    if (!from_stdin)
        fclose(f);
    free(speaker);
    free(line);
    return cli_stop ? EXIT_CANCELLED : worst;
}
