/* SPDX-License-Identifier: MIT
 * bottega upscale: pictures made larger.
 */
#include <stdlib.h>

#include "cli.h"

static const cli_flag flags[] = {
    { "output", "o", NULL, "FILE", NULL,
      "PNG, JPEG or WebP file, by its suffix; a %03d in it is the picture's number (default "
      "out.png)",
      0 },
    { "scale", NULL, "outscale", "X", NULL,
      "how many times as large the result is (default: as the model makes it)", 0 },
    { "tile", NULL, "tile-size", "N", NULL,
      "sides in pixels of the pieces that a picture is cut into, 0 = none (default: by memory)",
      0 },
    { 0 }
};

static int save(cli *c, const char *path)
{
    bt_image img = { .struct_size = sizeof img };
    bt_status st = bt_job_image(c->job, 0, &img);
    if (st == BT_OK)
        st = bt_image_save(c->engine, path, &img, NULL);
    if (st != BT_OK)
        return cli_fail(EXIT_FAILED, "%s", bt_engine_message(c->engine));
    cli_note(c, "%s: %d x %d", path, img.width, img.height);
    cli_wrote(c, path);
    return EXIT_DONE;
}

static int make(cli *c, const char *from, const char *to)
{
    bt_image img = { .struct_size = sizeof img };
    if (bt_image_load(c->engine, from, &img, NULL, NULL) != BT_OK)
        return cli_fail(EXIT_INPUT, "%s", bt_engine_message(c->engine));
    const bt_status st = bt_job_set_image(c->job, "init", &img);
    bt_free(img.pixels);
    if (st != BT_OK)
        return cli_fail(EXIT_FAILED, "%s", bt_job_message(c->job));
    const int rc = cli_run(c);
    return rc == EXIT_DONE ? save(c, to) : rc;
}

static int make_all(cli *c)
{
    const char *pattern = cli_get(c, "output") ? cli_get(c, "output") : "out.png";
    int rc = EXIT_DONE;
    for (size_t i = 0; i < c->n_args && rc == EXIT_DONE; i++) {
        char *path = cli_name(pattern, 1 + (int)i, c->n_args > 1);
        if (c->n_args > 1)
            snprintf(c->progress.label, sizeof c->progress.label, "[%zu/%zu] ", i + 1, c->n_args);
        rc = make(c, c->args[i], path);
        free(path);
    }
    return rc;
}

static int open_upscaler(cli *c)
{
    static const char *const options[] = { "scale", "tile" };
    int rc = cli_model_open(c);
    if (rc == EXIT_DONE)
        rc = cli_job_open(c, NULL);
    if (rc == EXIT_DONE && !bt_job_get(c->job, "tile"))
        return cli_fail(EXIT_INPUT, "%s is no upscaler: it makes pictures (bottega image)",
                        c->model_path);
    for (int i = 0; i < 2 && rc == EXIT_DONE; i++)
        if (cli_get(c, options[i]))
            rc = cli_job_set(c, options[i], cli_get(c, options[i]));
    return rc;
}

static int run(cli *c)
{
    const char *out = cli_get(c, "output");
    if (out && cli_name_check(out) != EXIT_DONE)
        return EXIT_USAGE;
    if (out && bt_image_save(c->engine, out, NULL, NULL) != BT_OK)
        return cli_fail(EXIT_USAGE, "%s", bt_engine_message(c->engine));
    if (c->n_args == 0)
        return cli_fail(EXIT_USAGE, "upscale needs a picture, or several");
    if (!cli_get(c, "model"))
        return cli_fail(EXIT_USAGE, "upscale needs an upscaler: -m FILE");
    int rc = open_upscaler(c);
    if (rc == EXIT_DONE && cli_has(c, "dry-run"))
        return cli_dry_run(c);
    if (rc == EXIT_DONE)
        rc = make_all(c);
    return rc == EXIT_DONE ? cli_finish(c) : rc;
}

const cli_command cmd_upscale = {
    .name = "upscale",
    .usage = "PICTURE... -m UPSCALER [-o FILE.png] [flags]",
    .summary = "Makes pictures larger.",
    .kind = BT_KIND_IMAGE,
    .groups = TAKES_MODEL | TAKES_RUN,
    .flags = flags,
    .run = run,
};
