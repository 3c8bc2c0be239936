/* SPDX-License-Identifier: MIT
 * bottega image: prompts to picture files.
 */
#include <stdlib.h>
#include <string.h>

#include "image.h"

enum { PREVIEW_INTERVAL = 5 };

static const cli_flag flags[] = {
    { "output", "o", NULL, "FILE", NULL,
      ".png, .jpg or .webp; a %03d in it is the picture's number (default out.png)", 0 },
    { "quality", NULL, NULL, "N", NULL,
      "of JPEG and WebP, 1..100 (default 90; WebP at 100 is lossless)", 0 },
    { "from", NULL, NULL, "FILE", NULL,
      "make this picture again, by its own text; flags change what they name", 0 },
    { "preview", NULL, NULL, "FILE", NULL,
      "picture on its way, written again and again; a %03d in it is its number", 0 },
    { "preview-interval", NULL, NULL, "N", NULL, "steps from one preview to the next (default 5)",
      0 },
    { "grid", NULL, "xyz", "AXES", NULL,
      "one labelled picture of all combinations: \"steps=10,20;cfg_scale=3,7\" (any option; a "
      "value with a comma in it in double quotes)",
      0 },
    { "prompts-file", NULL, "prompts", "FILE", NULL,
      "one prompt per line; the model is loaded once", 0 },
    { "skip-existing", NULL, NULL, NULL, NULL, "make only files that are not there yet", 0 },
    { "init", "i", "init-img,init-image", "FILE", NULL, "picture to start from", 0 },
    { "mask", NULL, NULL, "FILE", NULL, "picture that is white where the other may change", 0 },
    { "control-image", NULL, NULL, "FILE,...", NULL,
      "picture that a ControlNet (--control) reads: one for each, in their order", 0 },
    { "list", NULL, NULL, "OPTION", NULL,
      "print what an option may be, with all spellings: samplers, schedulers", 0 },
    { 0 }
};

/* Pictures per prompt: the module's option, if it has one. */
static int per_prompt(const cli *c)
{
    const char *n = bt_job_get(c->job, "batch");
    return n && atoi(n) > 0 ? atoi(n) : 1;
}

/* "control", "control2", ... */
static int set_control_pictures(cli *c)
{
    char *all = cli_get_all(c, "control-image"), *next = all;
    int rc = EXIT_DONE;
    for (int i = 1; next && rc == EXIT_DONE; i++) {
        char name[24] = "control", *path = next;
        next = strchr(path, ',');
        if (next)
            *next++ = 0;
        if (i > 1)
            snprintf(name, sizeof name, "control%d", i);
        rc = image_set(c, name, path);
    }
    free(all);
    return rc;
}

static int save(cli *c, size_t i, const char *path)
{
    bt_image img = { .struct_size = sizeof img };
    if (bt_job_image(c->job, i, &img) != BT_OK)
        return cli_fail(EXIT_FAILED, "%s", bt_job_message(c->job));
    char *settings = image_settings(c, i);
    const int rc = image_save(c, &img, path, bt_job_text(c->job, i), settings);
    free(settings);
    return rc;
}

/* A preview that cannot be written is no reason to stop. */
static int on_preview(void *user, size_t index, const bt_image *img)
{
    cli *c = user;
    char *path = cli_name(cli_get(c, "preview"), (int)index + 1, false);
    if (bt_image_save(c->engine, path, img, NULL) != BT_OK)
        cli_note(c, "no preview: %s", bt_engine_message(c->engine));
    free(path);
    return cli_stop;
}

/* Previews are asked for as part of opening the job. */
static int open_job(cli *c)
{
    bt_callbacks cb = { .struct_size = sizeof cb, .preview_interval = PREVIEW_INTERVAL };
    const char *path = cli_get(c, "preview"), *interval = cli_get(c, "preview-interval");
    char *end = NULL;
    if (interval)
        cb.preview_interval = (int)strtol(interval, &end, 10);
    if (interval && (end == interval || *end || cb.preview_interval < 1))
        return cli_fail(EXIT_USAGE, "preview-interval: \"%s\" is not a number of steps", interval);
    if (path && cli_name_check(path) != EXIT_DONE)
        return EXIT_USAGE;
    if (path && bt_image_save(c->engine, path, NULL, NULL) != BT_OK)
        return cli_fail(EXIT_USAGE, "%s", bt_engine_message(c->engine));
    if (path)
        cb.preview = on_preview;
    return cli_job_open(c, &cb);
}

/* Files appear only when whole: one that is there need not be made again. */
static bool all_there(const char *pattern, int first, int n, bool many)
{
    bool there = true;
    for (int i = 0; i < n && there; i++) {
        char *path = cli_name(pattern, first + i, many);
        there = cli_exists(path);
        free(path);
    }
    return there;
}

/* One prompt's pictures; the first of them has number `first`. */
static int make(cli *c, const char *pattern, int first, bool many)
{
    int rc = cli_run(c);
    const size_t n = bt_job_image_count(c->job);
    for (size_t i = 0; i < n && rc == EXIT_DONE; i++) {
        char *path = cli_name(pattern, first + (int)i, many);
        rc = save(c, i, path);
        free(path);
    }
    return rc;
}

/* Numbers follow from the prompt's place in the file, so that a run that was
 * killed goes on with --skip-existing where it stopped. `prompts` NULL: -p. */
static int make_all(cli *c, char **prompts, size_t n)
{
    const char *pattern = image_output(c);
    const int each = per_prompt(c);
    const bool many = n > 1 || each > 1 || cli_get(c, "prompts-file");
    int rc = EXIT_DONE;
    for (size_t i = 0; i < n && rc == EXIT_DONE; i++) {
        const int first = 1 + (int)i * each;
        if (cli_has(c, "skip-existing") && all_there(pattern, first, each, many))
            continue;
        if (n > 1)
            snprintf(c->progress.label, sizeof c->progress.label, "[%zu/%zu] ", i + 1, n);
        if (prompts)
            rc = cli_job_set(c, "prompt", prompts[i]);
        if (rc == EXIT_DONE)
            rc = make(c, pattern, first, many);
    }
    return rc;
}

static int make_grid(cli *c)
{
    char *path = cli_name(image_output(c), 1, false);
    const bool there = cli_has(c, "skip-existing") && cli_exists(path);
    const int rc = there ? EXIT_DONE : image_grid(c, cli_get(c, "grid"), path);
    free(path);
    return rc == EXIT_DONE ? cli_finish(c) : rc;
}

static int check_prompt(cli *c)
{
    if (cli_get(c, "grid") && cli_get(c, "prompts-file"))
        return cli_fail(EXIT_USAGE,
                        "a grid takes its prompts as an axis: --grid 'prompt=a cat,a dog'");
    const int from = !!cli_get(c, "prompts-file") + cli_option_given(c, "prompt") + (c->n_args > 0);
    if (from > 1)
        return cli_fail(EXIT_USAGE, "give -p, --prompts-file or words, not two of them");
    const char *grid = cli_get(c, "grid");
    if (from == 0 && !cli_get(c, "from") && !(grid && strstr(grid, "prompt=")))
        return cli_fail(EXIT_USAGE, "no prompt: give one with -p, or many with --prompts-file");
    return EXIT_DONE;
}

static int run(cli *c)
{
    size_t n = 1;
    char **prompts = NULL;
    if (cli_get(c, "list"))
        return cli_list(c, cli_get(c, "list"));
    int rc = check_prompt(c);
    if (rc == EXIT_DONE && cli_get(c, "from"))
        rc = image_from(c, cli_get(c, "from"));
    if (rc == EXIT_DONE)
        rc = image_check_output(c);
    if (rc != EXIT_DONE)
        return rc;
    const char *file = cli_get(c, "prompts-file");
    if (file && !(prompts = cli_read_lines(file, &n)))
        return EXIT_INPUT;
    if (!file && c->n_args > 0) {
        prompts = cli_alloc(sizeof *prompts);
        rc = cli_input(c, &prompts[0]);
    }
    if (rc == EXIT_DONE)
        rc = cli_model_open(c);
    if (rc == EXIT_DONE)
        rc = open_job(c);
    if (rc == EXIT_DONE && cli_get(c, "init"))
        rc = image_set(c, "init", cli_get(c, "init"));
    if (rc == EXIT_DONE && cli_get(c, "mask"))
        rc = image_set(c, "mask", cli_get(c, "mask"));
    if (rc == EXIT_DONE)
        rc = set_control_pictures(c);
    if (rc == EXIT_DONE && prompts && n > 0)
        rc = cli_job_set(c, "prompt", prompts[0]);
    if (rc == EXIT_DONE && cli_has(c, "dry-run"))
        rc = cli_dry_run(c);
    else if (rc == EXIT_DONE && cli_get(c, "grid"))
        rc = make_grid(c);
    else if (rc == EXIT_DONE && (rc = make_all(c, prompts, n)) == EXIT_DONE)
        rc = cli_finish(c);
    for (size_t i = 0; prompts && i < n; i++)
        free(prompts[i]);
    free(prompts);
    return rc;
}

const cli_command cmd_image = {
    .name = "image",
    .usage = "-p PROMPT [-o FILE.png] [flags]",
    .summary = "Makes a picture from a description.",
    .kind = BT_KIND_IMAGE,
    .options = true,
    .groups = TAKES_MODEL | TAKES_RUN,
    .flags = flags,
    .run = run,
};
