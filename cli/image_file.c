/* SPDX-License-Identifier: MIT
 * Picture files of the commands: in, and out with the texts that belong to them.
 */
#include <stdlib.h>
#include <string.h>

#include "image.h"

int image_set(cli *c, const char *name, const char *path)
{
    bt_image img = { .struct_size = sizeof img };
    if (bt_image_load(c->engine, path, &img, NULL, NULL) != BT_OK)
        return cli_fail(EXIT_INPUT, "%s", bt_engine_message(c->engine));
    const bt_status st = bt_job_set_image(c->job, name, &img);
    bt_free(img.pixels);
    if (st == BT_OK)
        return EXIT_DONE;
    return cli_fail(st == BT_ENOTFOUND ? EXIT_USAGE : EXIT_FAILED, "%s", bt_job_message(c->job));
}

const char *image_output(const cli *c)
{
    return cli_get(c, "output") ? cli_get(c, "output") : "out.png";
}

/* 0: as the format's default; -1: no number. */
static int quality(const cli *c)
{
    const char *text = cli_get(c, "quality");
    char *end;
    const long n = text ? strtol(text, &end, 10) : 0;
    return text && (end == text || *end || n < 1 || n > 100) ? -1 : (int)n;
}

int image_check_output(cli *c)
{
    const bt_image_file file = { .struct_size = sizeof file, .quality = quality(c) };
    if (cli_name_check(image_output(c)) != EXIT_DONE)
        return EXIT_USAGE;
    if (file.quality < 0)
        return cli_fail(EXIT_USAGE, "quality: \"%s\" is not a number from 1 to 100",
                        cli_get(c, "quality"));
    if (bt_image_save(c->engine, image_output(c), NULL, &file) != BT_OK)
        return cli_fail(EXIT_USAGE, "%s", bt_engine_message(c->engine));
    return EXIT_DONE;
}

/* Models draw in steps of some pixels: sides between two of them are rounded. */
static const char *size_note(const cli *c)
{
    static const char *const sides[] = { "width", "height" };
    for (int i = 0; i < 2; i++)
        for (size_t k = c->n_given; k-- > 0;)
            if (c->given[k].option && strcmp(c->given[k].name, sides[i]) == 0) {
                if (atol(c->given[k].value) != atol(bt_job_get(c->job, sides[i])))
                    return " (sides rounded to what this model can make)";
                break;
            }
    return "";
}

int image_save(cli *c, const bt_image *img, const char *path, const char *text,
               const char *settings)
{
    const bt_image_file file = {
        .struct_size = sizeof file, .quality = quality(c), .text = text, .settings = settings
    };
    if (bt_image_save(c->engine, path, img, &file) != BT_OK)
        return cli_fail(EXIT_FAILED, "%s", bt_engine_message(c->engine));
    cli_note(c, "%s: %d x %d%s", path, img->width, img->height, size_note(c));
    cli_wrote(c, path);
    return EXIT_DONE;
}
