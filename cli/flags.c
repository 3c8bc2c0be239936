/* SPDX-License-Identifier: MIT
 * The command line: flags of the program, of the command and of the modules.
 *
 * Nothing is known of a module's options here but what bt_option_at tells; so a
 * plug-in's options are flags like all others. Values are kept as text: the
 * library reads and checks them (cli_job_open), this file only those with a
 * list of choices.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

const cli_flag cli_common[] = {
    { "model", "m", NULL, "MODEL", NULL, "a file, a folder, or the name of an installed model",
      TAKES_MODEL },
    { "threads", "t", NULL, "N", NULL, "threads; 0: as many as this process may use", 0 },
    { "seed", NULL, NULL, "N", NULL, "accepted by every command; matters where noise is made",
      TAKES_SEED },
    { "isa", NULL, NULL, "NAME", "auto,scalar,avx2,avxvnni,avx512,avx512vnni,avx512bf16,amx",
      "highest instruction set to use", 0 },
    { "precision", NULL, NULL, "NAME", "auto,int8,bf16,f32", "numbers to compute with", 0 },
    { "memory", NULL, NULL, "SIZE", NULL, "most memory of a run, e.g. 500M or 2G", 0 },
    { "cache-dir", NULL, NULL, "DIR", NULL,
      "where packed weights are kept for the next start; none: nowhere", 0 },
    { "cache-size", NULL, NULL, "SIZE", NULL, "most they may take, e.g. 4G", 0 },
    { "module", NULL, NULL, "FILE", NULL, "load a plug-in module (may be repeated)", 0 },
    { "profile", NULL, NULL, "FILE", NULL, "write a Chrome/Perfetto trace of the run", TAKES_RUN },
    { "dry-run", NULL, NULL, NULL, NULL, "tell what the run would need; run nothing", TAKES_RUN },
    { "json", NULL, NULL, NULL, NULL, "print one JSON object on stdout", 0 },
    { "quiet", "q", NULL, NULL, NULL, "no progress and no notes", 0 },
    { "help", "h", NULL, NULL, NULL, "show this page", 0 },
    { 0 }
};

/* What a word of the command line turned out to be. */
typedef struct found {
    const char *name;
    const char *choices;
    bool option, is_switch, negated, list;
} found;

static char fold(char c) { return c == '_' ? '-' : c; }

bool cli_same(const char *a, size_t n, const char *b)
{
    for (size_t i = 0; i < n; i++)
        if (!b[i] || fold(a[i]) != fold(b[i]))
            return false;
    return b[n] == 0;
}

/* Whether the word is one of a comma-separated list. */
static bool in_list(const char *word, size_t n, const char *list)
{
    for (const char *p = list; p && *p;) {
        const size_t k = strcspn(p, ",");
        size_t same = 0;
        while (k == n && same < n && fold(p[same]) == fold(word[same]))
            same++;
        if (k == n && same == n)
            return true;
        p += k + (p[k] == ',');
    }
    return false;
}

static bool matches(const char *word, size_t n, bool is_short, const char *name,
                    const char *short_name, const char *aliases)
{
    if (is_short)
        return in_list(word, n, short_name);
    return cli_same(word, n, name) || in_list(word, n, aliases);
}

static bool find_in(const cli_flag *flags, unsigned groups, const char *word, size_t n,
                    bool is_short, found *f)
{
    for (; flags && flags->name; flags++) {
        if (flags->group && !(flags->group & groups))
            continue;
        if (!matches(word, n, is_short, flags->name, flags->short_name, flags->aliases))
            continue;
        const bool list = flags->value && strstr(flags->value, ",...");
        *f = (found){ flags->name, flags->choices, false, !flags->value, false, list };
        return true;
    }
    return false;
}

static bool find_option(cli *c, const char *word, size_t n, bool is_short, found *f)
{
    bt_option_info o = { .struct_size = sizeof o };
    for (size_t i = 0; bt_option_at(c->engine, c->command->kind, i, &o) == BT_OK; i++) {
        if (!matches(word, n, is_short, o.name, o.short_name, o.aliases))
            continue;
        *f = (found){ o.name, NULL, true, o.type == BT_OPT_BOOL, false, o.type == BT_OPT_LIST };
        return true;
    }
    return false;
}

/* The command's own flags come first, then everybody's, then the modules'. */
static bool find_flag(cli *c, const char *word, size_t n, bool is_short, found *f)
{
    const cli_command *cmd = c->command;
    if (find_in(cmd->flags, cmd->groups, word, n, is_short, f))
        return true;
    if (find_in(cli_common, cmd->groups, word, n, is_short, f))
        return true;
    return cmd->options && find_option(c, word, n, is_short, f);
}

/* Switches have an opposite: --no-invert. */
static bool find_word(cli *c, const char *word, size_t n, bool is_short, found *f)
{
    if (find_flag(c, word, n, is_short, f))
        return true;
    if (is_short || n < 4 || strncmp(word, "no-", 3) != 0)
        return false;
    if (!find_flag(c, word + 3, n - 3, false, f) || !f->is_switch)
        return false;
    f->negated = true;
    return true;
}

static void *grown(void *list, size_t n, size_t size)
{
    void *all = realloc(list, (n + 1) * size);
    if (!all)
        exit(cli_fail(EXIT_FAILED, "out of memory"));
    return all;
}

/* In the order given: the last one counts, but --module and lists count every time. */
static void keep(cli *c, const found *f, const char *value)
{
    c->given = grown(c->given, c->n_given, sizeof *c->given);
    c->given[c->n_given++] = (cli_given){ f->name, value, f->option, f->list };
}

void cli_give(cli *c, const char *name, const char *value, bool option)
{
    c->kept = grown(c->kept, c->n_kept, sizeof *c->kept);
    c->kept[c->n_kept++] = cli_text("%s", value);
    c->given = grown(c->given, c->n_given, sizeof *c->given);
    memmove(c->given + 1, c->given, c->n_given++ * sizeof *c->given);
    c->given[0] = (cli_given){ name, c->kept[c->n_kept - 1], option, false };
}

/* One flag at argv[*i]; moves *i over its value. */
static int parse_flag(cli *c, int argc, char **argv, int *i)
{
    const char *arg = argv[*i];
    const bool is_short = arg[1] != '-';
    const char *word = arg + (is_short ? 1 : 2);
    const char *eq = is_short ? NULL : strchr(word, '=');
    const size_t n = eq ? (size_t)(eq - word) : strlen(word);
    const char *value = eq ? eq + 1 : NULL;
    found f = { 0 };
    if (!find_word(c, word, n, is_short, &f))
        return cli_fail(EXIT_USAGE, "%s: no such flag (see bottega %s --help)", arg,
                        c->command->name);
    if (f.is_switch && value && !f.option)
        return cli_fail(EXIT_USAGE, "--%s takes no value", f.name);
    if (f.is_switch && !value)
        value = f.negated ? "false" : "true";
    if (!value && *i + 1 >= argc)
        return cli_fail(EXIT_USAGE, "%s needs a value", arg);
    if (!value)
        value = argv[++*i];
    if (f.choices && !in_list(value, strlen(value), f.choices))
        return cli_fail(EXIT_USAGE, "%s: \"%s\" is none of %s", f.name, value, f.choices);
    keep(c, &f, value);
    return EXIT_DONE;
}

/* The options of a plug-in are flags as well, so plug-ins come first. */
static int load_modules(cli *c, int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *path = NULL;
        if (strcmp(argv[i], "--module") == 0 && i + 1 < argc)
            path = argv[++i];
        else if (strncmp(argv[i], "--module=", 9) == 0)
            path = argv[i] + 9;
        if (path && bt_engine_load_module(c->engine, path) != BT_OK)
            return cli_fail(EXIT_INPUT, "%s", bt_engine_message(c->engine));
    }
    return EXIT_DONE;
}

int cli_parse(cli *c, int argc, char **argv)
{
    /* This engine only knows the options; the one that works comes after. */
    if (bt_engine_create(NULL, &c->engine) != BT_OK)
        return cli_fail(EXIT_FAILED, "out of memory");
    int rc = load_modules(c, argc, argv);
    bool flags = true;
    c->args = cli_alloc(((size_t)argc + 1) * sizeof *c->args);
    for (int i = 0; i < argc && rc == EXIT_DONE; i++) {
        if (flags && strcmp(argv[i], "--") == 0)
            flags = false;
        else if (flags && argv[i][0] == '-' && argv[i][1])
            rc = parse_flag(c, argc, argv, &i);
        else
            c->args[c->n_args++] = argv[i];
    }
    c->json = cli_has(c, "json");
    c->quiet = cli_has(c, "quiet");
    return rc;
}

const char *cli_get(const cli *c, const char *name)
{
    for (size_t i = c->n_given; i-- > 0;)
        if (!c->given[i].option && strcmp(c->given[i].name, name) == 0)
            return c->given[i].value;
    return NULL;
}

char *cli_get_all(const cli *c, const char *name)
{
    char *all = NULL;
    bool list = false;
    for (size_t i = 0; i < c->n_given; i++) {
        const cli_given *g = &c->given[i];
        if (g->option || strcmp(g->name, name) != 0)
            continue;
        if (!g->list || !list) {
            free(all);
            all = NULL;
        }
        list = g->list;
        cli_join(&all, g->value);
    }
    return all;
}

bool cli_has(const cli *c, const char *name)
{
    return cli_get(c, name) != NULL && strcmp(cli_get(c, name), "false") != 0;
}

bool cli_option_given(const cli *c, const char *name)
{
    for (size_t i = 0; i < c->n_given; i++)
        if (c->given[i].option && strcmp(c->given[i].name, name) == 0)
            return true;
    return false;
}

/* ---- the text that a command works on ------------------------------------ */

static char *join_args(const cli *c)
{
    char *s = cli_text("%s", c->args[0]);
    for (size_t i = 1; i < c->n_args; i++) {
        char *t = cli_text("%s %s", s, c->args[i]);
        free(s);
        s = t;
    }
    return s;
}

/* Several words are a text; a single "-" is standard input, as is no word at
 * all when something is piped in. A terminal is not waited for. */
int cli_input(cli *c, char **text)
{
    const char *file = cli_get(c, "file");
    *text = NULL;
    if (c->n_args > 0 && file)
        return cli_fail(EXIT_USAGE, "give a text or -f FILE, not both");
    if (c->n_args > 1 || (c->n_args == 1 && strcmp(c->args[0], "-") != 0))
        *text = join_args(c);
    else if (file)
        *text = cli_read(file);
    else if (c->n_args == 1 || !isatty(STDIN_FILENO))
        *text = cli_read("-");
    else
        return cli_fail(EXIT_USAGE, "no text: give it as words, with -f, or on standard input");
    return *text ? EXIT_DONE : EXIT_INPUT;
}
