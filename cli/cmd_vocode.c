/* SPDX-License-Identifier: MIT
 * bottega vocode: a mel spectrogram to a sound file.
 */
#include "speak.h"

static const cli_flag flags[] = {
    { "output", "o", NULL, "FILE", NULL,
      "a .wav, .flac, .ogg, .opus or .mp3 file (default out.wav)", 0 },
    { "format", NULL, NULL, "NAME", "wav,flac,ogg,opus,mp3", "of the file, whatever its suffix",
      0 },
    { "bits", NULL, NULL, "N", "16,24,float", "of a WAV (all three) or FLAC (16, 24) file", 0 },
    { "rate", NULL, NULL, "HZ", NULL, "sample rate of the sound, when not the vocoder's own", 0 },
    { 0 }
};

static int make(cli *c, const char *path)
{
    int rc = cli_job_set(c, "mel", c->args[0]);
    if (rc == EXIT_DONE && cli_get(c, "rate"))
        rc = cli_job_set(c, "rate", cli_get(c, "rate"));
    if (rc == EXIT_DONE && cli_has(c, "dry-run"))
        return cli_dry_run(c);
    if (rc == EXIT_DONE) {
        speak_out_begin(c, path);
        rc = cli_run(c);
        const int ended = speak_out_end(c, rc == EXIT_DONE);
        rc = rc == EXIT_DONE ? ended : rc;
    }
    return rc == EXIT_DONE ? cli_finish(c) : rc;
}

static int run(cli *c)
{
    const bt_callbacks cb = { .samples = speak_on_samples, .drop_samples = 1, .patient = 1 };
    const char *path = cli_get(c, "output") ? cli_get(c, "output") : "out.wav";
    if (c->n_args != 1)
        return cli_fail(EXIT_USAGE, "vocode needs one .npy file with a mel spectrogram");
    if (!cli_get(c, "model"))
        return cli_fail(EXIT_USAGE, "vocode needs a vocoder: -m FILE");
    int rc = speak_check_name(c, path, EXIT_USAGE);
    if (rc == EXIT_DONE)
        rc = cli_model_open(c);
    if (rc == EXIT_DONE)
        rc = cli_job_open(c, &cb);
    if (rc == EXIT_DONE && !bt_job_get(c->job, "mel"))
        return cli_fail(EXIT_INPUT, "%s is no vocoder: it speaks texts (bottega speak)",
                        c->model_path);
    return rc == EXIT_DONE ? make(c, path) : rc;
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
