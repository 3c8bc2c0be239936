/* SPDX-License-Identifier: MIT
 * bottega info: looks into a model file or folder.
 */
#include <stdlib.h>

#include "cli.h"

/* {"kind", "model", "file"}: what the module says, and what the file says. */
static int show(cli *c, const char *file, const char *model)
{
    const char *kind = c->model ? bt_kind_name(bt_model_kind(c->model)) : NULL;
    const char *quote = kind ? "\"" : "";
    char *json = cli_text("{\"kind\":%s%s%s,\"model\":%s,\"file\":%s}", quote, kind ? kind : "null",
                          quote, model ? model : "null", file);
    const int rc = cli_show(c, json);
    free(json);
    return rc;
}

static int run(cli *c)
{
    char *file = NULL, *model = NULL;
    if (c->n_args != 1)
        return cli_fail(EXIT_USAGE, "info needs one file or folder");
    char *path = cli_find_model(c->args[0], 0, NULL);
    if (!path)
        return EXIT_INPUT;
    const bt_status st = bt_file_describe(c->engine, path, &file);
    /* A file that no module can use is still worth a look. */
    if (st == BT_OK && bt_model_open(c->engine, path, &c->model) == BT_OK)
        bt_model_describe(c->model, &model);
    const int rc = st == BT_OK ? show(c, file, model) : cli_fail_read(c, st);
    bt_free(file);
    bt_free(model);
    free(path);
    return rc;
}

const cli_command cmd_info = {
    .name = "info",
    .usage = "PATH [--json]",
    .summary = "Shows what is in a model.",
    .groups = TAKES_SEED,
    .run = run,
};
