/* SPDX-License-Identifier: MIT
 * bottega info: looks into a model file or folder.
 */
#include <stdlib.h>

#include "cli.h"

static int run(cli *c)
{
    char *file = NULL, *model = NULL;
    if (c->n_args != 1)
        return cli_fail(EXIT_USAGE, "info needs one file or folder");
    char *path = cli_find_model(c->args[0], 0);
    if (!path)
        return EXIT_INPUT;
    const bt_status st = bt_file_describe(c->engine, path, &file);
    int rc = EXIT_DONE;
    if (st != BT_OK)
        rc = cli_fail(st == BT_EIO ? EXIT_INPUT : cli_exit_of(st), "%s",
                      bt_engine_message(c->engine));
    /* A file that no module can use is still worth a look. */
    else if (bt_model_open(c->engine, path, &c->model) == BT_OK)
        bt_model_describe(c->model, &model);
    if (file) {
        char *kind =
            c->model ? cli_text("\"%s\"", bt_kind_name(bt_model_kind(c->model))) : cli_text("null");
        char *json =
            cli_text("{\"kind\":%s,\"model\":%s,\"file\":%s}", kind, model ? model : "null", file);
        if (c->json)
            puts(json);
        else
            cli_show_json(json, stdout);
        free(json);
        free(kind);
    }
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
