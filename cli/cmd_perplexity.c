/* SPDX-License-Identifier: MIT
 * bottega perplexity: how well a language model foresees a text.
 *
 * nll is the mean of -log p of tokens 2..N in one window, ppl = exp(nll).
 * Special tokens in the text are read as plain text, as in llama-perplexity.
 */
#include <stdlib.h>

#include "cli.h"

static const cli_flag flags[] = {
    { "file", "f", NULL, "FILE", NULL, "the text; -: standard input", 0 }, { 0 }
};

static int print(const cli *c)
{
    const char *tokens = bt_job_get(c->job, "tokens"), *nll = bt_job_get(c->job, "nll");
    const char *ppl = bt_job_get(c->job, "ppl");
    if (!tokens || !nll || !ppl)
        return cli_fail(EXIT_INPUT, "%s: this model cannot score a text", c->model_path);
    printf(c->json ? "{\"tokens\":%s,\"nll\":%s,\"ppl\":%s}\n" : "tokens %s, nll %s, ppl %s\n",
           tokens, nll, ppl);
    return cli_flush();
}

static int run(cli *c)
{
    char *text;
    int rc = cli_input(c, &text);
    if (rc == EXIT_DONE)
        rc = cli_model_open(c);
    if (rc == EXIT_DONE)
        rc = cli_job_open(c, NULL);
    if (rc == EXIT_DONE)
        rc = cli_job_set(c, "task", "score");
    if (rc == EXIT_DONE)
        rc = cli_job_set(c, "special", "false");
    if (rc == EXIT_DONE)
        rc = cli_job_set(c, "prompt", text);
    if (rc == EXIT_DONE && cli_has(c, "dry-run")) {
        rc = cli_dry_run(c);
    } else if (rc == EXIT_DONE && (rc = cli_run(c)) == EXIT_DONE) {
        rc = print(c);
        c->json = false; /* printed */
        if (rc == EXIT_DONE)
            rc = cli_finish(c);
    }
    free(text);
    return rc;
}

const cli_command cmd_perplexity = {
    .name = "perplexity",
    .usage = "-m MODEL -f FILE",
    .summary = "Measures how well a model foresees a text.",
    .kind = BT_KIND_TEXT,
    .groups = TAKES_MODEL | TAKES_RUN | TAKES_SEED,
    .flags = flags,
    .run = run,
};
