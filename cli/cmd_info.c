/* SPDX-License-Identifier: MIT
 * bottega info: looks into a model file or folder, or a picture's texts.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "infotext.h"

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

/* ---- pictures ------------------------------------------------------------ */

static cJSON *fields_of(const infotext *t)
{
    cJSON *fields = cJSON_CreateObject();
    for (size_t i = 0; i < t->n; i++)
        if (infotext_get(t, t->fields[i].name) == t->fields[i].value) /* the last of its name */
            cJSON_AddStringToObject(fields, t->fields[i].name, t->fields[i].value);
    return fields;
}

/* What A1111's text says, and our own. */
static int show_texts(cli *c, const char *text, const char *settings)
{
    cJSON *all = cJSON_CreateObject();
    cJSON *own = settings ? cJSON_Parse(settings) : NULL;
    infotext t = { 0 };
    cJSON_AddStringToObject(all, "kind", "picture");
    if (text) {
        infotext_read(text, &t);
        cJSON_AddStringToObject(all, "prompt", t.prompt);
        cJSON_AddStringToObject(all, "negative", t.negative);
        cJSON_AddItemToObject(all, "fields", fields_of(&t));
        infotext_free(&t);
    }
    if (own)
        cJSON_AddItemToObject(all, "settings", own);
    char *json = cJSON_PrintUnformatted(all);
    const int rc = json ? cli_show(c, json) : cli_fail(EXIT_FAILED, "out of memory");
    cJSON_free(json);
    cJSON_Delete(all);
    return rc;
}

/* ---- models -------------------------------------------------------------- */

static int run_model(cli *c, const char *path)
{
    char *file = NULL, *model = NULL;
    const bt_status st = bt_file_describe(c->engine, path, &file);
    /* A file that no module can use is still worth a look. */
    if (st == BT_OK && bt_model_open(c->engine, path, &c->model) == BT_OK)
        bt_model_describe(c->model, &model);
    const int rc = st == BT_OK ? show(c, file, model) : cli_fail_read(c, st);
    bt_free(file);
    bt_free(model);
    return rc;
}

static int run(cli *c)
{
    char *text, *settings;
    if (c->n_args != 1)
        return cli_fail(EXIT_USAGE, "info needs one file or folder");
    char *path = cli_find_model(c->args[0], 0, NULL);
    if (!path)
        return EXIT_INPUT;
    const bool picture = bt_image_load(c->engine, path, NULL, &text, &settings) == BT_OK;
    const int rc = picture ? show_texts(c, text, settings) : run_model(c, path);
    bt_free(text);
    bt_free(settings);
    free(path);
    return rc;
}

const cli_command cmd_info = {
    .name = "info",
    .usage = "PATH [--json]",
    .summary = "Shows what is in a model, or how a picture was made.",
    .groups = TAKES_SEED,
    .run = run,
};
