/* SPDX-License-Identifier: MIT
 * bottega mel: a sound file to the mel spectrogram that a vocoder takes.
 */
#include <stdlib.h>

#include "cli.h"

static const cli_flag flags[] = {
    { "output", "o", NULL, "FILE", NULL, "the .npy file (default mel.npy)", 0 },
    { "form", NULL, NULL, "NAME", "hifigan,vocos",
      "without -m: HiFi-GAN's of 22.05 kHz and 80 bands (default), or Vocos's of 24 kHz and 100",
      0 },
    { 0 }
};

static int run(cli *c)
{
    const char *out = cli_get(c, "output") ? cli_get(c, "output") : "mel.npy";
    const char *form = cli_get(c, "form");
    int rc = EXIT_DONE;
    if (c->n_args != 1)
        return cli_fail(EXIT_USAGE, "mel needs one sound file");
    if (form && cli_get(c, "model"))
        return cli_fail(EXIT_USAGE, "give -m or --form, not both");
    if (cli_get(c, "model"))
        rc = cli_model_open(c);
    if (rc != EXIT_DONE)
        return rc;
    const bt_status st = bt_mel(c->engine, c->model, form, c->args[0], out);
    if (st != BT_OK)
        return cli_fail(cli_exit_of(st), "%s", bt_engine_message(c->engine));
    cli_note(c, "%s: the mel spectrogram of %s", out, c->args[0]);
    if (!c->json)
        return EXIT_DONE;
    char *name = cli_json(out);
    printf("{\"command\":\"mel\",\"files\":[%s]}\n", name);
    free(name);
    return cli_flush();
}

const cli_command cmd_mel = {
    .name = "mel",
    .usage = "SOUND [-o FILE.npy] [-m VOCODER] [flags]",
    .summary = "Makes the mel spectrogram of a sound file.",
    .kind = BT_KIND_AUDIO,
    .groups = TAKES_MODEL | TAKES_SEED,
    .flags = flags,
    .run = run,
};
