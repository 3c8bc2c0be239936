/* SPDX-License-Identifier: MIT
 * The program's entry and the list of its commands.
 *
 * A command is a cli_command in its own file; to add one, write the file and
 * name it here. Flags, --help, engine and clean-up are the same for all.
 */
#include "cli.h"

#include <string.h>

extern const cli_command cmd_image, cmd_speak, cmd_text, cmd_chat, cmd_info, cmd_convert,
    cmd_tokenize, cmd_perplexity, cmd_bench, cmd_doctor, cmd_vocode, cmd_mel, cmd_upscale;

static const cli_command *const commands[] = {
    &cmd_image, &cmd_upscale, &cmd_speak,    &cmd_vocode,     &cmd_mel,   &cmd_text,   &cmd_chat,
    &cmd_info,  &cmd_convert, &cmd_tokenize, &cmd_perplexity, &cmd_bench, &cmd_doctor, NULL,
};

static const cli_command *find_command(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* Usage errors come before the engine that the flags describe is made. */
static int run_command(const cli_command *cmd, int argc, char **argv)
{
    cli c = { .command = cmd };
    int rc = cli_parse(&c, argc, argv);
    if (rc == EXIT_DONE && cli_has(&c, "help"))
        rc = cli_help(&c);
    else if (rc == EXIT_DONE && (rc = cli_engine_open(&c)) == EXIT_DONE)
        rc = cmd->run(&c);
    const int flushed = cli_flush();
    cli_close(&c);
    if (rc == EXIT_CANCELLED)
        return cli_fail(rc, "cancelled");
    return rc == EXIT_DONE ? flushed : rc;
}

int main(int argc, char **argv)
{
    cli_catch_signals();
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0) {
        printf("bottega %s\n", bt_version());
        return cli_flush();
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        cli_overview(commands, stdout);
        return cli_flush();
    }
    const cli_command *cmd = find_command(name);
    if (cmd)
        return run_command(cmd, argc - 2, argv + 2);
    if (!*name) {
        cli_overview(commands, stderr);
        return EXIT_USAGE;
    }
    return cli_fail(EXIT_USAGE, "no such command: %s (see bottega --help)", name);
}
