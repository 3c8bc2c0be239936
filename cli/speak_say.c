/* SPDX-License-Identifier: MIT
 * One text to one file or to the stream, and what the file is called.
 */
#include <stdlib.h>

#include "speak.h"

/* ---- names ---------------------------------------------------------------- */

const char *speak_pattern(const cli *c, char **own)
{
    const char *given = cli_get(c, "output"), *format = cli_get(c, "format");
    *own = given ? NULL : cli_text("out.%s", format ? format : "wav");
    return given ? given : *own;
}

char *speak_name(const cli *c, int i, bool many)
{
    const char *dir = cli_get(c, "output-dir");
    char *own, *name = cli_name(speak_pattern(c, &own), i, many);
    free(own);
    if (!dir || *name == '/')
        return name;
    char *path = cli_text("%s/%s", dir, name);
    free(name);
    return path;
}

bool speak_in_sections(const cli *c) { return cli_has(c, "book") || cli_get(c, "cast"); }

bool speak_writes_files(const cli *c)
{
    if (cli_has(c, "play") || cli_has(c, "explain"))
        return cli_get(c, "output") || cli_get(c, "output-dir");
    return !cli_has(c, "raw");
}

int speak_check_name(const cli *c, const char *path, int code)
{
    const bt_audio ask = speak_form(c);
    if (!speak_writes_files(c) || bt_audio_save(c->engine, path, &ask) == BT_OK)
        return EXIT_DONE;
    return cli_fail(code, "%s%s", c->where, bt_engine_message(c->engine));
}

/* ---- one text ------------------------------------------------------------- */

/* Times of text `number`; 0: the only one. */
static int tell_times(cli *c, int number)
{
    const char *pattern = cli_get(c, "timings");
    int rc = cli_has(c, "explain") ? cli_times_explain(c) : EXIT_DONE;
    if (!pattern || rc != EXIT_DONE)
        return rc;
    char *path = cli_name(pattern, number ? number : 1, number > 0);
    rc = cli_times_save(c, path);
    free(path);
    return rc;
}

int speak_say(cli *c, const char *text, const char *path, bool to_file, int number)
{
    int rc = text ? cli_job_set(c, "text", text) : EXIT_DONE;
    cli_times_clear(c);
    if (rc == EXIT_DONE && cli_has(c, "dry-run"))
        return cli_dry_run(c);
    if (rc == EXIT_DONE) {
        speak_out_begin(c, to_file ? path : NULL);
        rc = cli_run(c);
        const int ended = speak_out_end(c, rc == EXIT_DONE);
        rc = rc == EXIT_DONE ? ended : rc;
    }
    return rc == EXIT_DONE ? tell_times(c, number) : rc;
}
