/* SPDX-License-Identifier: MIT
 * bottega doctor: this machine, as the engine sees it, and what is installed.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static void add_model(void *user, const char *path)
{
    char **list = user;
    struct stat sb;
    char *quoted = cli_json(path);
    char *item = cli_text("{\"path\":%s,\"bytes\":%lld}", quoted,
                          stat(path, &sb) == 0 ? (long long)sb.st_size : 0LL);
    cli_join(list, item);
    free(item);
    free(quoted);
}

/* The program's path as a JSON string, or "null"; free. */
static char *find_program(const char *name)
{
    const char *path = getenv("PATH");
    for (const char *p = path ? path : ""; *p;) {
        const int n = (int)strcspn(p, ":");
        char *full = cli_text("%.*s/%s", n, p, name);
        char *quoted = access(full, X_OK) == 0 ? cli_json(full) : NULL;
        free(full);
        if (quoted)
            return quoted;
        p += n + (p[n] == ':');
    }
    return cli_text("null");
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
    char *espeak = find_program("espeak-ng");
    char *json = cli_text("{\"engine\":%s,\"data_folder\":%s,\"models\":[%s],"
                          "\"programs\":{\"espeak-ng\":%s}}",
                          engine, where, models ? models : "", espeak);
    if (c->json)
        puts(json);
    else
        cli_show_json(json, stdout);
    if (!c->json && strcmp(espeak, "null") == 0)
        puts("espeak-ng is missing: `speak` needs it for text (apt install espeak-ng)");
    free(json);
    free(espeak);
    free(where);
    free(data);
    free(models);
    bt_free(engine);
    return EXIT_DONE;
}

const cli_command cmd_doctor = {
    .name = "doctor",
    .usage = "[--json]",
    .summary = "Checks this machine and what is installed.",
    .groups = TAKES_SEED,
    .run = run,
};
