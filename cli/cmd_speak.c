/* SPDX-License-Identifier: MIT
 * bottega speak: text to sound files, raw samples as they come, or a player.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "speak.h"

static const cli_flag flags[] = {
    { "output", "o", "output-file", "FILE", NULL,
      "a .wav, .flac, .ogg, .opus or .mp3 file; a %03d in it is the line's number (default "
      "out.wav)",
      0 },
    { "output-dir", "d", NULL, "DIR", NULL, "the folder for it; is made", 0 },
    { "format", NULL, NULL, "NAME", "wav,flac,ogg,opus,mp3", "of the file, whatever its suffix",
      0 },
    { "bits", NULL, NULL, "N", "16,24,float", "of a WAV (all three) or FLAC (16, 24) file", 0 },
    { "file", "f,i", "input-file", "FILE", NULL,
      "read the text from a file; -: standard input. A name that ends as sound files do is the "
      "output, as with piper",
      0 },
    { "config", "c", NULL, "FILE", NULL, "as piper has it; must be the voice's own, MODEL.json",
      0 },
    { "data-dir", NULL, NULL, "DIR", NULL, "look for the voice here first", 0 },
    { "debug", NULL, NULL, NULL, NULL, "tell the run's report on standard error", 0 },
    { "prompts-file", NULL, "texts-file", "FILE", NULL,
      "one text per line, one file each; the voice is loaded once", 0 },
    { "json-input", NULL, NULL, NULL, NULL,
      "read lines like {\"text\": ..., \"speaker\" or \"speaker_id\": ..., \"output_file\": ...} "
      "as they come, from standard input or -f; print each file's name",
      0 },
    { "skip-existing", NULL, NULL, NULL, NULL, "make only files that are not there yet", 0 },
    { "raw", NULL, "output-raw", NULL, NULL,
      "stream 16-bit little-endian samples to standard output", 0 },
    { "timings", NULL, NULL, "FILE", NULL,
      "when each sentence and word is said: a .json (phonemes too), .srt or .vtt file", 0 },
    { "book", NULL, NULL, NULL, NULL,
      "chapter by chapter, through a folder FILE.parts that a later run goes on from", 0 },
    { "chapters", NULL, NULL, NULL, NULL, "of a book: a file each, as out_001.wav", 0 },
    { "title", NULL, NULL, "TEXT", NULL, "of the book, for its tags (default: the input's name)",
      0 },
    { "chapter-silence", NULL, NULL, "S", NULL, "seconds between chapters (default 2)", 0 },
    { "keep-parts", NULL, NULL, NULL, NULL, "of a book that is finished as well", 0 },
    { "cast", NULL, NULL, "LIST", NULL,
      "who speaks lines like \"ALICE: Hello\": \"ALICE=hibari,BOB=kokoro:jm_kumo\", or a file of "
      "such entries, a line each; NARRATOR has the rest",
      0 },
    { "cast-silence", NULL, NULL, "S", NULL,
      "seconds between turns (default: as between sentences)", 0 },
    { "explain", NULL, NULL, NULL, NULL,
      "print words, phonemes, ids and durations (sound only with -o); fail at unknown phonemes",
      0 },
    { "play", NULL, NULL, NULL, NULL,
      "play through aplay, paplay or ffplay; writes a file only with -o or -d", 0 },
    { 0 }
};

static int say_one(cli *c, const char *text)
{
    char *path = speak_name(c, 1, false);
    const int rc = speak_say(c, text, path, speak_writes_files(c), 0);
    free(path);
    return rc;
}

/* ---- the command ---------------------------------------------------------- */

static int check_streams(const cli *c)
{
    if (cli_has(c, "raw") && c->json)
        return cli_fail(EXIT_USAGE, "--raw and --json both want standard output");
    if (cli_has(c, "raw") && cli_has(c, "explain"))
        return cli_fail(EXIT_USAGE, "--raw and --explain both want standard output");
    if (cli_get(c, "timings") && cli_times_check(cli_get(c, "timings")) != EXIT_DONE)
        return EXIT_USAGE;
    if (cli_has(c, "raw") && cli_has(c, "play"))
        return cli_fail(EXIT_USAGE, "--raw and --play both want the samples");
    return EXIT_DONE;
}

/* What is spoken in sections has no single run to explain or to trace. */
static int check_sections(const cli *c)
{
    static const char *const others[] = { "explain", "profile", "prompts-file", "json-input",
                                          "config" };
    static const char *const own[] = { "chapters", "title", "chapter-silence", "keep-parts" };
    const char *why = cli_has(c, "book") ? "book" : "cast";
    for (int i = 0; i < 5 && speak_in_sections(c); i++)
        if (cli_get(c, others[i]))
            return cli_fail(EXIT_USAGE, "--%s does not go with --%s", others[i], why);
    if (speak_in_sections(c) && (cli_option_given(c, "phonemes") || cli_option_given(c, "text") ||
                                 cli_option_given(c, "ssml")))
        return cli_fail(EXIT_USAGE, "--%s reads plain words, -f or standard input", why);
    if (cli_has(c, "book") && speak_streams(c))
        return cli_fail(EXIT_USAGE, "--book makes files: neither --raw nor --play");
    for (int i = 0; i < 4 && !cli_has(c, "book"); i++)
        if (cli_get(c, own[i]))
            return cli_fail(EXIT_USAGE, "--%s is for --book", own[i]);
    if (cli_get(c, "cast-silence") && !cli_get(c, "cast"))
        return cli_fail(EXIT_USAGE, "--cast-silence is for --cast");
    return EXIT_DONE;
}

/* piper's -f names the sound file, ours the text: the suffix tells which is meant. */
static void take_piper_f(cli *c)
{
    const bt_audio ask = { .struct_size = sizeof ask };
    for (size_t i = 0; i < c->n_given; i++) {
        cli_given *g = &c->given[i];
        if (!g->option && strcmp(g->name, "file") == 0 &&
            bt_audio_save(c->engine, g->value, &ask) == BT_OK)
            g->name = "output";
    }
}

/* piper's --config: a voice finds its own beside it, so another one is not obeyed in silence. */
static int check_config(const cli *c)
{
    const char *given = cli_get(c, "config");
    char *own = cli_text("%s.json", c->model_path);
    struct stat a, b;
    const bool same = !given || (stat(given, &a) == 0 && stat(own, &b) == 0 &&
                                 a.st_dev == b.st_dev && a.st_ino == b.st_ino);
    const int rc = same ? EXIT_DONE
                        : cli_fail(EXIT_USAGE, "--config %s: the configuration of this voice is %s",
                                   given, own);
    free(own);
    return rc;
}

static int open_voice(cli *c, const bt_callbacks *cb)
{
    int rc = cli_model_open(c);
    if (rc == EXIT_DONE)
        rc = check_config(c);
    if (rc == EXIT_DONE)
        rc = cli_job_open(c, cb);
    if (rc == EXIT_DONE && bt_job_get(c->job, "mel"))
        rc = cli_fail(EXIT_INPUT, "%s is a vocoder: it takes spectrograms (bottega vocode)",
                      c->model_path);
    return rc;
}

static int check(cli *c)
{
    char *own;
    const char *out = speak_pattern(c, &own);
    int rc = cli_name_check(out) == EXIT_DONE ? speak_check_name(c, out, EXIT_USAGE) : EXIT_USAGE;
    free(own);
    if (rc == EXIT_DONE)
        rc = check_streams(c);
    if (rc == EXIT_DONE)
        rc = check_sections(c);
    const bool lines = cli_has(c, "json-input"), words = c->n_args > 0;
    const bool option = cli_option_given(c, "text") || cli_option_given(c, "phonemes");
    const int from = !!cli_get(c, "prompts-file") + (lines || cli_get(c, "file")) + words + option;
    if (rc == EXIT_DONE && from > 1)
        return cli_fail(EXIT_USAGE, "give one text: words, -f, --phonemes, --prompts-file or "
                                    "--json-input");
    return rc;
}

/* A player and a folder, so that their lack is known before anything is spoken. */
static int prepare(cli *c)
{
    const char *dir = cli_get(c, "output-dir");
    if (cli_has(c, "dry-run"))
        return EXIT_DONE;
    if (cli_has(c, "raw"))
        c->sink = stdout;
    if (cli_has(c, "play") && cli_player_find(&c->player) != EXIT_DONE)
        return EXIT_FAILED;
    if (dir && speak_writes_files(c) && !cli_make_dirs(dir))
        return cli_fail(EXIT_FAILED, "cannot make %s: %s", dir, strerror(errno));
    return EXIT_DONE;
}

/* The texts, one after another; then the player's end. */
static int say_all(cli *c, const char *text)
{
    int rc = cli_has(c, "explain") ? cli_job_set(c, "strict", "true") : EXIT_DONE;
    if (rc == EXIT_DONE && speak_in_sections(c))
        rc = speak_sections(c, text);
    else if (rc == EXIT_DONE && cli_has(c, "json-input"))
        rc = speak_json_lines(c);
    else if (rc == EXIT_DONE)
        rc = cli_get(c, "prompts-file") ? speak_lines(c) : say_one(c, text);
    if (cli_has(c, "play")) {
        const int played = cli_player_end(&c->player, c->sink);
        rc = rc == EXIT_DONE ? played : rc;
    }
    return rc;
}

static int run(cli *c)
{
    const bool times = cli_get(c, "timings") || cli_has(c, "explain");
    const bt_callbacks cb = {
        .samples = speak_on_samples,
        .timing = times ? cli_on_timing : NULL,
        .drop_samples = 1,
        .patient = !speak_streams(c),
    };
    const bool given = cli_option_given(c, "phonemes") || cli_option_given(c, "text");
    const bool many = cli_get(c, "prompts-file") || cli_has(c, "json-input");
    char *text = NULL;
    take_piper_f(c);
    int rc = check(c);
    if (rc == EXIT_DONE && !many && !given)
        rc = cli_input(c, &text);
    if (rc == EXIT_DONE)
        rc = prepare(c);
    if (rc == EXIT_DONE && !speak_in_sections(c))
        rc = open_voice(c, &cb);
    if (rc == EXIT_DONE)
        rc = say_all(c, text);
    if (rc == EXIT_DONE && !cli_has(c, "dry-run"))
        rc = cli_finish(c);
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
