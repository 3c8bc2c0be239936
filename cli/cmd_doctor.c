/* SPDX-License-Identifier: MIT
 * bottega doctor: this machine, as the engine sees it, and what is installed.
 *
 * What it says is one JSON object, laid out for people without --json. The cache
 * of packed weights is part of what the engine says.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

enum { MAX_DEPTH = 8 };

/* Of a file, or of all files in a folder. */
static long long bytes_of(const char *path, int depth)
{
    struct stat sb;
    if (stat(path, &sb) != 0)
        return 0;
    DIR *d = S_ISDIR(sb.st_mode) && depth < MAX_DEPTH ? opendir(path) : NULL;
    if (!d)
        return S_ISREG(sb.st_mode) ? (long long)sb.st_size : 0;
    long long sum = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        char *inside = cli_text("%s/%s", path, e->d_name);
        sum += bytes_of(inside, depth + 1);
        free(inside);
    }
    closedir(d);
    return sum;
}

static void add_model(void *user, const char *path)
{
    char **list = user;
    const long long bytes = bytes_of(path, 0);
    char *quoted = cli_json(path);
    char *item =
        cli_text("{\"path\":%s,\"bytes\":%lld,\"MB\":%.1f}", quoted, bytes, (double)bytes * 1e-6);
    cli_join(list, item);
    free(item);
    free(quoted);
}

/* The first line that a command prints; free. */
static char *first_line(const char *command)
{
    char line[256] = "";
    FILE *f = popen(command, "re");
    if (!f)
        return cli_text("unknown");
    if (!fgets(line, sizeof line, f))
        line[0] = 0;
    while (fgetc(f) != EOF) /* so that it ends in peace */
        ;
    const bool ok = pclose(f) == 0;
    line[strcspn(line, "\r\n")] = 0;
    return cli_text("%s", ok && *line ? line : "unknown");
}

/* {"path", "version"}, or null; free. */
static char *describe_espeak(void)
{
    char *path = cli_find_program("espeak-ng");
    if (!path)
        return cli_text("null");
    char *line = first_line("espeak-ng --version 2>/dev/null </dev/null");
    char *where = cli_json(path), *version = cli_json(line);
    char *json = cli_text("{\"path\":%s,\"version\":%s}", where, version);
    free(path);
    free(line);
    free(where);
    free(version);
    return json;
}

static int run(cli *c)
{
    char *engine, *models = NULL;
    if (c->n_args > 0)
        return cli_fail(EXIT_USAGE, "doctor takes no arguments");
    if (bt_engine_describe(c->engine, &engine) != BT_OK)
        return cli_fail(EXIT_FAILED, "%s", bt_engine_message(c->engine));
    cli_each_model(add_model, &models);
    char *data = cli_data_dir(), *where = cli_json(data);
    char *espeak = describe_espeak();
    char *json =
        cli_text("{\"engine\":%s,\"processors_online\":%ld,\"data_folder\":%s,"
                 "\"models\":[%s],\"programs\":{\"espeak-ng\":%s}}",
                 engine, sysconf(_SC_NPROCESSORS_ONLN), where, models ? models : "", espeak);
    const int rc = cli_show(c, json);
    if (!c->json && strcmp(espeak, "null") == 0)
        puts("espeak-ng is missing: `speak` needs it for text (apt install espeak-ng)");
    free(json);
    free(espeak);
    free(where);
    free(data);
    free(models);
    bt_free(engine);
    return rc;
}

const cli_command cmd_doctor = {
    .name = "doctor",
    .usage = "[--json]",
    .summary = "Checks this machine and what is installed.",
    .groups = TAKES_SEED,
    .run = run,
};
