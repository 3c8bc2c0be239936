/* SPDX-License-Identifier: MIT
 * bottega vocode: a mel spectrogram to a sound file.
 */
#include "cli.h"

static const cli_flag flags[] = {
    { "output", "o", NULL, "FILE", NULL,
      "a .wav, .flac, .ogg, .opus or .mp3 file (default out.wav)", 0 },
    { "format", NULL, NULL, "NAME", "wav,flac,ogg,opus,mp3", "of the file, whatever its suffix",
      0 },
    { "bits", NULL, NULL, "N", "16,24,float", "of a WAV (all three) or FLAC (16, 24) file", 0 },
    { "rate", NULL, NULL, "HZ", NULL, "sample rate of the sound, when not the vocoder's own", 0 },
    { 0 }
};

static int save(cli *c, const char *path, bt_audio form)
{
    bt_audio audio = form;
    if (bt_job_audio(c->job, &audio) != BT_OK)
        return cli_fail(EXIT_FAILED, "the vocoder made no sound");
    audio.format = form.format;
    audio.bits = form.bits;
    if (bt_audio_save(c->engine, path, &audio) != BT_OK)
        return cli_fail(EXIT_FAILED, "%s", bt_engine_message(c->engine));
    cli_note(c, "%s: %.2f s at %d Hz", path, (double)audio.n / audio.sample_rate,
             audio.sample_rate);
    cli_wrote(c, path);
    return EXIT_DONE;
}

static int make(cli *c, const char *path, bt_audio form)
{
    int rc = cli_job_set(c, "mel", c->args[0]);
    if (rc == EXIT_DONE && cli_get(c, "rate"))
        rc = cli_job_set(c, "rate", cli_get(c, "rate"));
    if (rc == EXIT_DONE && cli_has(c, "dry-run"))
        return cli_dry_run(c);
    if (rc == EXIT_DONE)
        rc = cli_run(c);
    if (rc == EXIT_DONE)
        rc = save(c, path, form);
    return rc == EXIT_DONE ? cli_finish(c) : rc;
}

static int run(cli *c)
{
    const bt_audio form = { .struct_size = sizeof form,
                            .format = cli_get(c, "format"),
                            .bits = cli_get(c, "bits") };
    const char *path = cli_get(c, "output") ? cli_get(c, "output") : "out.wav";
    if (c->n_args != 1)
        return cli_fail(EXIT_USAGE, "vocode needs one .npy file with a mel spectrogram");
    if (!cli_get(c, "model"))
        return cli_fail(EXIT_USAGE, "vocode needs a vocoder: -m FILE");
    if (bt_audio_save(c->engine, path, &form) != BT_OK) /* only asks */
        return cli_fail(EXIT_USAGE, "%s", bt_engine_message(c->engine));
    int rc = cli_model_open(c);
    if (rc == EXIT_DONE)
        rc = cli_job_open(c, NULL);
    if (rc == EXIT_DONE && !bt_job_get(c->job, "mel"))
        return cli_fail(EXIT_INPUT, "%s is no vocoder: it speaks texts (bottega speak)",
                        c->model_path);
    return rc == EXIT_DONE ? make(c, path, form) : rc;
}

const cli_command cmd_vocode = {
    .name = "vocode",
    .usage = "MEL.npy -m VOCODER [-o FILE.wav] [flags]",
    .summary = "Turns a mel spectrogram into sound.",
    .kind = BT_KIND_AUDIO,
    .groups = TAKES_MODEL | TAKES_RUN | TAKES_SEED,
    .flags = flags,
    .run = run,
};
