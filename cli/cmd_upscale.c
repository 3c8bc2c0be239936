/* SPDX-License-Identifier: MIT
 * bottega upscale: pictures made larger.
 */
#include <stdlib.h>

#include "image.h"

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

static int make(cli *c, const char *from, const char *to)
{
    bt_image img = { .struct_size = sizeof img };
    int rc = image_set(c, "init", from);
    if (rc == EXIT_DONE)
        rc = cli_run(c);
    if (rc != EXIT_DONE)
        return rc;
    if (bt_job_image(c->job, 0, &img) != BT_OK)
        return cli_fail(EXIT_FAILED, "%s", bt_job_message(c->job));
    return image_save(c, &img, to, NULL, NULL);
}

static int make_all(cli *c)
{
    int rc = EXIT_DONE;
    for (size_t i = 0; i < c->n_args && rc == EXIT_DONE; i++) {
        char *path = cli_name(image_output(c), 1 + (int)i, c->n_args > 1);
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
    int rc = image_check_output(c);
    if (rc != EXIT_DONE)
        return rc;
    if (c->n_args == 0)
        return cli_fail(EXIT_USAGE, "upscale needs a picture, or several");
    if (!cli_get(c, "model"))
        return cli_fail(EXIT_USAGE, "upscale needs an upscaler: -m FILE");
    rc = open_upscaler(c);
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
