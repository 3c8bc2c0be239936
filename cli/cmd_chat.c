/* SPDX-License-Identifier: MIT
 * bottega chat: a conversation on the terminal.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const cli_flag flags[] = { { 0 } };

/* A new job is a new conversation: the job is what remembers the turns. */
static int start(cli *c)
{
    const bt_callbacks cb = { .token = cli_on_token };
    bt_job_free(c->job);
    c->job = NULL;
    int rc = cli_job_open(c, &cb);
    c->progress.on = false;
    return rc == EXIT_DONE ? cli_job_set(c, "chat", "true") : rc;
}

/* A line without its end, or NULL when the conversation is over: at the end of
 * the input, or when Ctrl-C comes twice. */
static char *ask(bool tty)
{
    char *line = NULL;
    size_t cap = 0;
    for (int interrupts = 0; interrupts < 2;) {
        if (tty) {
            fputs("> ", stdout);
            fflush(stdout);
        }
        cli_stop = 0;
        errno = 0;
        const ssize_t n = getline(&line, &cap, stdin);
        if (n >= 0) {
            line[strcspn(line, "\r\n")] = 0;
            return line;
        }
        if (errno != EINTR || cli_stop == SIGTERM)
            break;
        clearerr(stdin);
        interrupts++;
        if (interrupts < 2 && tty)
            puts("\n(Ctrl-C again, Ctrl-D or /exit leaves)");
        if (!tty)
            break;
    }
    free(line);
    return NULL;
}

/* One turn. A reply that is stopped counts as said as far as it came; a turn
 * that the model cannot take ends a conversation only where nobody can /reset. */
static int reply(cli *c, const char *line)
{
    int rc = cli_job_set(c, "prompt", line);
    if (rc != EXIT_DONE)
        return rc;
    const bool tty = isatty(STDIN_FILENO);
    rc = cli_run(c);
    if (tty && ((rc == EXIT_CANCELLED && cli_stop != SIGTERM) || rc == EXIT_INPUT))
        rc = EXIT_DONE;
    if (rc == EXIT_DONE && !c->json)
        puts("");
    return rc == EXIT_DONE ? cli_flush() : rc;
}

/* Lines from a terminal or a pipe. On a terminal Ctrl-C only stops a reply; from
 * a pipe it ends the program, as everywhere else. */
static int run(cli *c)
{
    const bool tty = isatty(STDIN_FILENO);
    if (c->n_args > 0)
        return cli_fail(EXIT_USAGE, "chat reads from the terminal; see --system");
    int rc = cli_model_open(c);
    if (rc == EXIT_DONE)
        rc = start(c);
    if (rc == EXIT_DONE && cli_has(c, "dry-run"))
        return cli_dry_run(c);
    if (rc == EXIT_DONE && tty)
        cli_note(c, "%s: /exit leaves, /reset starts anew, Ctrl-C stops a reply", c->model_path);
    char *line;
    while (rc == EXIT_DONE && (line = ask(tty))) {
        const bool leave = strcmp(line, "/exit") == 0;
        if (strcmp(line, "/reset") == 0)
            rc = start(c);
        else if (!leave && *line)
            rc = reply(c, line);
        free(line);
        if (leave)
            break;
    }
    if (rc == EXIT_DONE && (cli_stop == SIGTERM || (cli_stop && !tty)))
        rc = EXIT_CANCELLED;
    return rc == EXIT_DONE ? cli_finish(c) : rc;
}

const cli_command cmd_chat = {
    .name = "chat",
    .usage = "[--system TEXT] [flags]",
    .summary = "Talks with a language model.",
    .kind = BT_KIND_TEXT,
    .options = true,
    .groups = TAKES_MODEL | TAKES_RUN,
    .flags = flags,
    .run = run,
};
