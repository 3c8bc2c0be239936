/* SPDX-License-Identifier: MIT
 * bottega tokenize: a text's token ids and pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_flag flags[] = {
    { "file", "f", NULL, "FILE", NULL, "read the text from a file; -: standard input", 0 },
    { "special", NULL, "parse-special", NULL, NULL, "read special tokens in the text as such", 0 },
    { 0 }
};

/* The ids, and the pieces as JSON strings, comma-separated each. */
static int print(cli *c, const int32_t *ids, size_t n)
{
    if (c->json)
        printf("{\"count\":%zu,\"tokens\":[", n);
    for (size_t i = 0; c->json && i < n; i++)
        printf("%s%d", i ? "," : "", ids[i]);
    if (c->json)
        printf("],\"pieces\":[");
    for (size_t i = 0; i < n; i++) {
        char *piece = NULL;
        if (bt_detokenize(c->model, &ids[i], 1, &piece, NULL) != BT_OK)
            return cli_fail(EXIT_FAILED, "%s", bt_engine_message(c->engine));
        char *quoted = cli_json(piece);
        if (c->json)
            printf("%s%s", i ? "," : "", quoted);
        else
            printf("%8d  %s\n", ids[i], quoted);
        free(quoted);
        bt_free(piece);
    }
    if (c->json)
        puts("]}");
    return EXIT_DONE;
}

static int run(cli *c)
{
    int32_t *ids;
    size_t n;
    char *text;
    int rc = cli_input(c, &text);
    if (rc == EXIT_DONE)
        rc = cli_model_open(c);
    if (rc == EXIT_DONE) {
        const bt_status st =
            bt_tokenize(c->model, text, strlen(text), cli_has(c, "special"), &ids, &n);
        if (st != BT_OK)
            rc = cli_fail(cli_exit_of(st), "%s", bt_engine_message(c->engine));
        else
            rc = print(c, ids, n);
        bt_free(ids);
    }
    free(text);
    return rc;
}

const cli_command cmd_tokenize = {
    .name = "tokenize",
    .usage = "[-m MODEL] TEXT",
    .summary = "Shows a text's tokens.",
    .groups = TAKES_MODEL | TAKES_SEED,
    .flags = flags,
    .run = run,
};
