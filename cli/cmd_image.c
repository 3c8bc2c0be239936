/* SPDX-License-Identifier: MIT
 * bottega image: prompts to PNG files.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_flag flags[] = {
    { "output", "o", NULL, "FILE", NULL,
      "PNG file; a %03d in it is the picture's number (default out.png)", 0 },
    { "prompts-file", NULL, NULL, "FILE", NULL, "one prompt per line; the model is loaded once",
      0 },
    { "skip-existing", NULL, NULL, NULL, NULL, "make only files that are not there yet", 0 },
    { "init", "i", "init-img,init-image", "FILE", NULL, "PNG to start from", 0 },
    { "mask", NULL, NULL, "FILE", NULL, "PNG that is white where the picture may change", 0 },
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

static int set_picture(cli *c, const char *name)
{
    const char *path = cli_get(c, name);
    bt_image img = { .struct_size = sizeof img };
    if (!path)
        return EXIT_DONE;
    if (bt_image_load(c->engine, path, &img, NULL) != BT_OK)
        return cli_fail(EXIT_INPUT, "%s", bt_engine_message(c->engine));
    const bt_status st = bt_job_set_image(c->job, name, &img);
    bt_free(img.pixels);
    return st == BT_OK ? EXIT_DONE : cli_fail(EXIT_FAILED, "%s", bt_job_message(c->job));
}

static int save(cli *c, size_t i, const char *path)
{
    bt_image img = { .struct_size = sizeof img };
    bt_status st = bt_job_image(c->job, i, &img);
    if (st == BT_OK)
        st = bt_image_save(c->engine, path, &img, bt_job_text(c->job, i));
    if (st != BT_OK)
        return cli_fail(EXIT_FAILED, "%s", bt_engine_message(c->engine));
    cli_note(c, "%s: %d x %d", path, img.width, img.height);
    cli_wrote(c, path);
    return EXIT_DONE;
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
    const char *pattern = cli_get(c, "output") ? cli_get(c, "output") : "out.png";
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

static int check(cli *c)
{
    const char *out = cli_get(c, "output");
    if (out && cli_name_check(out) != EXIT_DONE)
        return EXIT_USAGE;
    const int from = !!cli_get(c, "prompts-file") + cli_option_given(c, "prompt") + (c->n_args > 0);
    if (from > 1)
        return cli_fail(EXIT_USAGE, "give -p, --prompts-file or words, not two of them");
    if (from == 0)
        return cli_fail(EXIT_USAGE, "no prompt: give one with -p, or many with --prompts-file");
    return EXIT_DONE;
}

static int run(cli *c)
{
    size_t n = 1;
    char **prompts = NULL;
    if (cli_get(c, "list"))
        return cli_list(c, cli_get(c, "list"));
    int rc = check(c);
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
        rc = cli_job_open(c, NULL);
    if (rc == EXIT_DONE)
        rc = set_picture(c, "init");
    if (rc == EXIT_DONE)
        rc = set_picture(c, "mask");
    if (rc == EXIT_DONE && prompts && n > 0)
        rc = cli_job_set(c, "prompt", prompts[0]);
    if (rc == EXIT_DONE && cli_has(c, "dry-run"))
        rc = cli_dry_run(c);
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
