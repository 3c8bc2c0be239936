/* SPDX-License-Identifier: MIT
 * bottega convert: any readable model to one GGUF of another weight type.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const cli_flag flags[] = { { "type", NULL, "outtype", "TYPE", NULL,
                                    "f32, f16, bf16, q8_0 (default), q6_k, q5_k, q5_1, q5_0, "
                                    "q4_k, q4_1 or q4_0",
                                    0 },
                                  { "type-rule", NULL, "tensor-type-rules", "REGEX=TYPE", NULL,
                                    "weights whose names match have this type, whatever suits "
                                    "them; several: commas between, the first that matches counts",
                                    0 },
                                  { 0 } };

typedef struct totals {
    cli *c;
    uint64_t in, out;
    size_t n;
    char *list; /* JSON of the tensors */
} totals;

/* A line or a JSON object per tensor, as it is written. */
static int on_tensor(void *user, const char *name, const char *from, const char *to,
                     uint64_t bytes_in, uint64_t bytes_out)
{
    totals *t = user;
    t->in += bytes_in;
    t->out += bytes_out;
    if (t->c->json) {
        char *quoted = cli_json(name);
        char *item =
            cli_text("{\"name\":%s,\"from\":\"%s\",\"to\":\"%s\",\"bytes_in\":%llu,"
                     "\"bytes_out\":%llu}",
                     quoted, from, to, (unsigned long long)bytes_in, (unsigned long long)bytes_out);
        cli_join(&t->list, item);
        free(item);
        free(quoted);
    } else if (!t->c->quiet) {
        printf("%-60s %6s -> %-6s %12llu %12llu\n", name, from, to, (unsigned long long)bytes_in,
               (unsigned long long)bytes_out);
    }
    t->n++;
    return cli_stop || ferror(stdout);
}

static void print_totals(const cli *c, const totals *t, const char *type)
{
    if (c->json) {
        char *out = cli_json(c->args[1]);
        printf("{\"output\":%s,\"type\":\"%s\",\"bytes_in\":%llu,\"bytes_out\":%llu,"
               "\"tensors\":[%s]}\n",
               out, type, (unsigned long long)t->in, (unsigned long long)t->out,
               t->list ? t->list : "");
        free(out);
    } else if (!c->quiet) {
        printf("%zu tensors, %.1f MB before, %.1f MB after\n", t->n, (double)t->in * 1e-6,
               (double)t->out * 1e-6);
    }
}

static int run(cli *c)
{
    const char *type = cli_get(c, "type") ? cli_get(c, "type") : "q8_0";
    totals t = { .c = c };
    if (c->n_args != 2)
        return cli_fail(EXIT_USAGE, "convert needs an input and an output");
    const bt_status st =
        bt_convert(c->engine, c->args[0], c->args[1], type, cli_get(c, "type-rule"), on_tensor, &t);
    if (ferror(stdout)) {
        free(t.list);
        return cli_flush();
    }
    if (st == BT_OK)
        print_totals(c, &t, type);
    free(t.list);
    if (st == BT_OK)
        return EXIT_DONE;
    if (st == BT_ECANCELLED)
        return EXIT_CANCELLED;
    return cli_fail(st == BT_EINVAL ? EXIT_USAGE : cli_exit_of(st), "%s",
                    bt_engine_message(c->engine));
}

const cli_command cmd_convert = {
    .name = "convert",
    .usage = "IN OUT.gguf [--type TYPE] [--type-rule REGEX=TYPE,...]",
    .summary = "Writes a model as one GGUF file, quantized.",
    .groups = TAKES_SEED,
    .flags = flags,
    .run = run,
};
