/* SPDX-License-Identifier: MIT
 * bottega speak: text to WAV or FLAC files, or raw samples as they come.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"

static const cli_flag flags[] = {
    { "output", "o", "output-file", "FILE", NULL,
      "a .wav or .flac file; a %03d in it is the line's number (default out.wav)", 0 },
    { "file", "f", "input-file", "FILE", NULL, "read the text from a file; -: standard input", 0 },
    { "prompts-file", NULL, "texts-file", "FILE", NULL,
      "one text per line, one file each; the voice is loaded once", 0 },
    { "skip-existing", NULL, NULL, NULL, NULL, "make only files that are not there yet", 0 },
    { "raw", NULL, "output-raw", NULL, NULL,
      "stream 16-bit little-endian samples to standard output", 0 },
    { "timings", NULL, NULL, "FILE", NULL,
      "when each sentence and word is said: a .json (phonemes too), .srt or .vtt file", 0 },
    { "explain", NULL, NULL, NULL, NULL,
      "print words, phonemes, ids and durations (sound only with -o); fail at unknown phonemes",
      0 },
    { 0 }
};

/* --raw: 16 bits, little end first, whatever this machine's order is. */
static int on_samples(void *user, const bt_audio *chunk)
{
    (void)user;
    for (size_t i = 0; i < chunk->n * (size_t)chunk->channels; i++) {
        const float x = fmaxf(-1.0f, fminf(1.0f, chunk->samples[i]));
        const int v = (int)fminf(rintf(x * 32768.0f), 32767.0f);
        putchar(v & 0xff);
        putchar((v >> 8) & 0xff);
    }
    return fflush(stdout) != 0 || ferror(stdout) || cli_stop;
}

static bool is_sound(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcasecmp(dot, ".wav") == 0 || strcasecmp(dot, ".flac") == 0);
}

static int save(cli *c, const char *path)
{
    bt_audio audio = { .struct_size = sizeof audio };
    if (bt_job_audio(c->job, &audio) != BT_OK)
        return cli_fail(EXIT_INPUT, "there is nothing to say in this text");
    if (bt_audio_save(c->engine, path, &audio) != BT_OK)
        return cli_fail(EXIT_FAILED, "%s", bt_engine_message(c->engine));
    cli_note(c, "%s: %.2f s at %d Hz", path, (double)audio.n / audio.sample_rate,
             audio.sample_rate);
    cli_wrote(c, path);
    return EXIT_DONE;
}

/* Times of text `number`, one of `many`. */
static int tell_times(cli *c, int number, bool many)
{
    const char *pattern = cli_get(c, "timings");
    int rc = cli_has(c, "explain") ? cli_times_explain(c) : EXIT_DONE;
    if (!pattern || rc != EXIT_DONE)
        return rc;
    char *path = cli_name(pattern, number, many);
    rc = cli_times_save(c, path);
    free(path);
    return rc;
}

/* One text to one file, or to stdout; `text` NULL: given by --text or --phonemes. */
static int say(cli *c, const char *text, const char *path, int number, bool many)
{
    int rc = text ? cli_job_set(c, "text", text) : EXIT_DONE;
    cli_times_clear(c);
    if (rc == EXIT_DONE && cli_has(c, "dry-run"))
        return cli_dry_run(c);
    if (rc == EXIT_DONE)
        rc = cli_run(c);
    if (rc == EXIT_DONE && cli_has(c, "raw"))
        rc = cli_flush();
    else if (rc == EXIT_DONE && (!cli_has(c, "explain") || cli_get(c, "output")))
        rc = save(c, path);
    return rc == EXIT_DONE ? tell_times(c, number, many) : rc;
}

static int say_lines(cli *c, const char *pattern)
{
    size_t n;
    int rc = EXIT_DONE;
    char **lines = cli_read_lines(cli_get(c, "prompts-file"), &n);
    if (!lines)
        return EXIT_INPUT;
    for (size_t i = 0; i < n; i++) {
        char *path = cli_name(pattern, (int)i + 1, true);
        snprintf(c->progress.label, sizeof c->progress.label, "[%zu/%zu] ", i + 1, n);
        if (rc == EXIT_DONE && !(cli_has(c, "skip-existing") && cli_exists(path)))
            rc = say(c, lines[i], path, (int)i + 1, true);
        free(path);
        free(lines[i]);
    }
    free(lines);
    return rc;
}

static int check(cli *c, const char *out)
{
    if (cli_name_check(out) != EXIT_DONE)
        return EXIT_USAGE;
    if (!is_sound(out) && !cli_has(c, "raw"))
        return cli_fail(EXIT_USAGE, "output: \"%s\": sound files end in .wav or .flac", out);
    if (cli_has(c, "raw") && c->json)
        return cli_fail(EXIT_USAGE, "--raw and --json both want standard output");
    if (cli_has(c, "raw") && cli_has(c, "explain"))
        return cli_fail(EXIT_USAGE, "--raw and --explain both want standard output");
    if (cli_get(c, "timings") && cli_times_check(cli_get(c, "timings")) != EXIT_DONE)
        return EXIT_USAGE;
    const int from = !!cli_get(c, "prompts-file") + !!cli_get(c, "file") + (c->n_args > 0) +
                     (cli_option_given(c, "text") || cli_option_given(c, "phonemes"));
    if (from > 1)
        return cli_fail(EXIT_USAGE, "give one text: words, -f, --phonemes or --prompts-file");
    return EXIT_DONE;
}

static int run(cli *c)
{
    const char *out = cli_get(c, "output") ? cli_get(c, "output") : "out.wav";
    const bool times = cli_get(c, "timings") || cli_has(c, "explain");
    const bt_callbacks cb = {
        .samples = cli_has(c, "raw") ? on_samples : NULL,
        .timing = times ? cli_on_timing : NULL,
    };
    const bool given = cli_option_given(c, "phonemes") || cli_option_given(c, "text");
    char *text = NULL;
    int rc = check(c, out);
    if (rc != EXIT_DONE)
        return rc;
    if (!cli_get(c, "prompts-file") && !given)
        rc = cli_input(c, &text);
    if (rc == EXIT_DONE)
        rc = cli_model_open(c);
    if (rc == EXIT_DONE)
        rc = cli_job_open(c, &cb);
    if (rc == EXIT_DONE && cli_has(c, "explain"))
        rc = cli_job_set(c, "strict", "true");
    char *path = cli_name(out, 1, false);
    if (rc == EXIT_DONE)
        rc = cli_get(c, "prompts-file") ? say_lines(c, out) : say(c, text, path, 1, false);
    if (rc == EXIT_DONE && !cli_has(c, "dry-run"))
        rc = cli_finish(c);
    free(path);
    free(text);
    return rc;
}

const cli_command cmd_speak = {
    .name = "speak",
    .usage = "TEXT [-o FILE.wav] [flags]",
    .summary = "Speaks a text.",
    .kind = BT_KIND_AUDIO,
    .options = true,
    .groups = TAKES_MODEL | TAKES_RUN,
    .flags = flags,
    .run = run,
};
