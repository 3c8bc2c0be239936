/* SPDX-License-Identifier: MIT
 * How a picture was made, in its file: Bottega's own JSON, which tells all, and
 * A1111's text, which any program's pictures may have.
 *
 *     {"bottega": "0.1.0", "model": "as given with -m", "init": "cat.png", ...,
 *      "options": {"prompt": "a red apple", "seed": "7", ...}}
 *
 * A picture may come from a stranger. So only the flags in `flags` are taken from
 * it, none that loads code or writes files.
 */
#include "image.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "infotext.h"

static const char *const flags[] = { "model", "precision",     "isa",     "init",
                                     "mask",  "control-image", "quality", "grid" };
enum { FLAGS = sizeof flags / sizeof *flags };

/* The option's own name, which lives as long as the program; NULL: there is none. */
static const char *option_named(const cli *c, const char *name)
{
    bt_option_info o = { .struct_size = sizeof o };
    for (size_t i = 0; bt_option_at(c->engine, c->command->kind, i, &o) == BT_OK; i++)
        if (cli_same(name, strlen(name), o.name))
            return o.name;
    return NULL;
}

static void take_option(cli *c, const char *name, const char *value, const char *called)
{
    const char *option = option_named(c, name);
    if (option)
        cli_give(c, option, value, true);
    else
        cli_note(c, "not taken over: %s %s", called, value);
}

/* ---- our own text --------------------------------------------------------- */

char *image_settings(cli *c, size_t i)
{
    bt_option_info o = { .struct_size = sizeof o };
    char *list = NULL, *quoted;
    for (size_t k = 0; k < FLAGS; k++) {
        char *given = cli_get_all(c, flags[k]);
        if (!given)
            continue;
        quoted = cli_json(given);
        free(given);
        char *item = cli_text("\"%s\":%s", flags[k], quoted);
        cli_join(&list, item);
        free(item);
        free(quoted);
    }
    /* Of a batch's pictures each has the next seed, or the next variation of one. */
    const char *variation = bt_job_get(c->job, "variation_strength");
    const char *counts = variation && atof(variation) > 0 ? "variation_seed" : "seed";
    char *options = NULL;
    for (size_t k = 0; bt_option_at(c->engine, c->command->kind, k, &o) == BT_OK; k++) {
        const char *value = bt_job_get(c->job, o.name);
        if (!value || !*value || strcmp(o.name, "profile") == 0 || strcmp(o.name, "batch") == 0 ||
            strcmp(o.name, "preview_vae") == 0) /* changes nothing of the picture */
            continue;
        char *own = strcmp(o.name, counts) == 0
                        ? cli_text("%llu", strtoull(value, NULL, 10) + (unsigned long long)i)
                        : cli_text("%s", value);
        quoted = cli_json(own);
        char *item = cli_text("\"%s\":%s", o.name, quoted);
        cli_join(&options, item);
        free(item);
        free(quoted);
        free(own);
    }
    char *all = cli_text("{\"bottega\":\"%s\"%s%s,\"options\":{%s}}", bt_version(), list ? "," : "",
                         list ? list : "", options ? options : "");
    free(options);
    free(list);
    return all;
}

static int from_settings(cli *c, const char *path, const char *json)
{
    cJSON *all = cJSON_Parse(json), *options = cJSON_GetObjectItemCaseSensitive(all, "options");
    const cJSON *v;
    if (!cJSON_IsObject(options)) {
        cJSON_Delete(all);
        return cli_fail(EXIT_INPUT, "%s: its settings are damaged", path);
    }
    for (size_t k = 0; k < FLAGS; k++) {
        v = cJSON_GetObjectItemCaseSensitive(all, flags[k]);
        if (cJSON_IsString(v))
            cli_give(c, flags[k], v->valuestring, false);
    }
    cJSON_ArrayForEach(v, options) if (cJSON_IsString(v))
        take_option(c, v->string, v->valuestring, v->string);
    cJSON_Delete(all);
    return EXIT_DONE;
}

/* ---- A1111's text --------------------------------------------------------- */

static const struct {
    const char *field, *option;
} names[] = {
    { "Steps", "steps" },
    { "Sampler", "sampler" },
    { "Schedule type", "scheduler" },
    { "CFG scale", "cfg_scale" },
    { "Seed", "seed" },
    { "Clip skip", "clip_skip" },
    { "RNG", "rng" },
    { "Eta", "eta" },
    { "Eta DDIM", "eta" },
    { "ENSD", "ensd" },
    { "Variation seed", "variation_seed" },
    { "Variation seed strength", "variation_strength" },
    { "Hires upscale", "hires_scale" },
    { "Hires steps", "hires_steps" },
    { "Hires upscaler", "hires_upscaler" },
    { "Mask blur", "mask_blur" },
    { "Masked content", "inpaint_fill" },
    { "Inpaint area", "inpaint_area" },
    { "Masked area padding", "inpaint_padding" },
};

const char *image_field(const char *option)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cli_same(option, strlen(option), names[i].option))
            return names[i].field;
    return option;
}

static void take_field(cli *c, const infotext *t, const char *field, const char *option)
{
    const char *value = infotext_get(t, field);
    if (value && *value)
        take_option(c, option, value, field);
}

static void take_size(cli *c, const infotext *t)
{
    const char *size = infotext_get(t, "Size");
    const size_t n = size ? strspn(size, "0123456789") : 0;
    if (n == 0 || size[n] != 'x')
        return;
    char *width = cli_text("%.*s", (int)n, size);
    take_option(c, "width", width, "Size");
    take_option(c, "height", size + n + 1, "Size");
    free(width);
}

static void take_model(cli *c, const infotext *t)
{
    const char *name = infotext_get(t, "Model");
    if (!name || !*name || cli_get(c, "model"))
        return;
    if (!strchr(name, '/') && cli_installed(name))
        cli_give(c, "model", name, false);
    else
        cli_note(c, "model %s is not installed: the default one draws", name);
}

static bool ends_with(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);
    return n >= k && strcmp(s + n - k, end) == 0;
}

/* What A1111 takes for granted where nothing is written. Its old sampler names
 * say the schedule themselves. */
static void take_defaults(cli *c, const infotext *t)
{
    const char *sampler = infotext_get(t, "Sampler");
    const char *hires = infotext_get(t, "Hires upscale");
    const char *strength = infotext_get(t, "Denoising strength");
    if (sampler && !infotext_get(t, "Schedule type") && !ends_with(sampler, " Karras") &&
        !ends_with(sampler, " Exponential"))
        take_option(c, "scheduler", "automatic", "Schedule type");
    if (!infotext_get(t, "RNG"))
        take_option(c, "rng", "cuda", "RNG");
    if (infotext_get(t, "Mask mode")) /* the other mode is not written */
        take_option(c, "mask_invert", "true", "Mask mode");
    if (strength && *strength)
        take_option(c, hires ? "hires_strength" : "strength", strength, "Denoising strength");
    if (infotext_get(t, "ControlNet 0") && !cli_option_given(c, "control"))
        cli_note(c, "this picture was steered by a ControlNet: give that with --control and "
                    "--control-image");
    if (strength && !hires && !cli_get(c, "init"))
        cli_note(c, "this picture was made from another one: give that with --init");
}

static int from_infotext(cli *c, const char *path, const char *text)
{
    infotext t;
    infotext_read(text, &t);
    if (!infotext_get(&t, "Steps")) {
        infotext_free(&t);
        return cli_fail(EXIT_INPUT, "%s: its text does not say how it was made", path);
    }
    take_option(c, "prompt", t.prompt, "prompt");
    take_option(c, "negative", t.negative, "negative prompt");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        take_field(c, &t, names[i].field, names[i].option);
    take_size(c, &t);
    take_defaults(c, &t);
    take_model(c, &t);
    infotext_free(&t);
    return EXIT_DONE;
}

int image_from(cli *c, const char *path)
{
    char *text = NULL, *settings = NULL;
    const char *isa = cli_get(c, "isa"), *precision = cli_get(c, "precision");
    const bt_status st = bt_image_load(c->engine, path, NULL, &text, &settings);
    int rc = EXIT_DONE;
    if (st != BT_OK)
        rc = cli_fail(EXIT_INPUT, "%s", bt_engine_message(c->engine));
    else if (settings)
        rc = from_settings(c, path, settings);
    else if (text)
        rc = from_infotext(c, path, text);
    else
        rc = cli_fail(EXIT_INPUT, "%s: it holds no text that says how it was made", path);
    bt_free(text);
    bt_free(settings);
    /* These are the engine's, which is there already. */
    if (rc == EXIT_DONE && (cli_get(c, "isa") != isa || cli_get(c, "precision") != precision))
        rc = cli_engine_open(c);
    return rc;
}
