/* SPDX-License-Identifier: MIT
 * bottega text: continues a prompt, printing as it goes.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_flag flags[] = {
    { "file", "f", NULL, "FILE", NULL, "read the prompt from a file; -: standard input", 0 },
    { "output", "o", NULL, "FILE", NULL, "write the text to a file instead", 0 },
    { 0 }
};

/* What remains to be said once the text is there. */
static int deliver(cli *c)
{
    const char *text = bt_job_text(c->job, 0), *out = cli_get(c, "output");
    const size_t n = strlen(text);
    if (out) {
        const int rc = cli_write(out, text);
        if (rc != EXIT_DONE)
            return rc;
        cli_wrote(c, out);
        cli_note(c, "%s: %zu bytes", out, n);
        return EXIT_DONE;
    }
    if (!c->json && (n == 0 || text[n - 1] != '\n'))
        putchar('\n');
    return cli_flush();
}

/* The text goes to stdout as it comes, to -o FILE when whole, into --json at the end. */
static int run(cli *c)
{
    const bt_callbacks cb = { .token = cli_on_token };
    char *prompt = NULL;
    if (cli_option_given(c, "prompt") && (c->n_args > 0 || cli_get(c, "file")))
        return cli_fail(EXIT_USAGE, "give -p, -f or words, not two of them");
    int rc = cli_option_given(c, "prompt") ? EXIT_DONE : cli_input(c, &prompt);
    if (rc == EXIT_DONE)
        rc = cli_model_open(c);
    if (rc == EXIT_DONE)
        rc = cli_job_open(c, &cb);
    if (rc == EXIT_DONE && prompt)
        rc = cli_job_set(c, "prompt", prompt);
    if (rc == EXIT_DONE && cli_has(c, "dry-run")) {
        rc = cli_dry_run(c);
    } else if (rc == EXIT_DONE) {
        rc = cli_run(c);
        if (rc == EXIT_DONE)
            rc = deliver(c);
        if (rc == EXIT_DONE)
            rc = cli_finish(c);
    }
    free(prompt);
    return rc;
}

const cli_command cmd_text = {
    .name = "text",
    .usage = "-p PROMPT [flags]",
    .summary = "Continues a text.",
    .kind = BT_KIND_TEXT,
    .options = true,
    .groups = TAKES_MODEL | TAKES_RUN,
    .flags = flags,
    .run = run,
};
