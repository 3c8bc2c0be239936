/* SPDX-License-Identifier: MIT
 * Help pages, from the tables of flags and of the modules' options.
 */
#include <string.h>

#include "cli.h"

enum { COLUMN = 30, WIDTH = 78 };

/* Words from `column` on, in lines that begin at COLUMN; a long list of choices
 * may also break after a comma. */
static void print_wrapped(const char *text, int column)
{
    const char *gap = "";
    while (*text) {
        int n = (int)strcspn(text, " ,");
        n += text[n] == ',';
        if (column + (int)strlen(gap) + n > WIDTH && column > COLUMN) {
            printf("\n%*s", COLUMN, "");
            column = COLUMN;
            gap = "";
        }
        column += printf("%s%.*s", gap, n, text);
        text += n;
        gap = *text == ' ' ? " " : "";
        text += *text == ' ';
    }
    printf("\n");
}

/* "  -p, --prompt TEXT" padded to the column, then the help. */
static void print_entry(const char *short_name, const char *name, const char *value,
                        const char *help, const char *tail)
{
    char left[128], text[2048];
    char dashed[64];
    snprintf(dashed, sizeof dashed, "%s", name);
    for (char *p = dashed; *p; p++)
        if (*p == '_')
            *p = '-';
    const int first = short_name ? (int)strcspn(short_name, ",") : 4;
    snprintf(left, sizeof left, "  %s%.*s%s--%s%s%s", short_name ? "-" : "", first,
             short_name ? short_name : "    ", short_name ? ", " : "", dashed, value ? " " : "",
             value ? value : "");
    snprintf(text, sizeof text, "%s%s", help ? help : "", tail);
    int column = printf("%s", left);
    if (column >= COLUMN - 1) {
        printf("\n");
        column = 0;
    }
    column += printf("%*s", COLUMN - column, "");
    print_wrapped(text, column);
}

static void print_flags(const cli_flag *f, unsigned groups)
{
    for (; f && f->name; f++) {
        char tail[160] = "";
        if (f->group && !(f->group & groups))
            continue;
        if (f->choices)
            snprintf(tail, sizeof tail, " (%s)", f->choices);
        print_entry(f->short_name, f->name, f->value, f->help, tail);
    }
}

static const char *value_of(const bt_option_info *o)
{
    switch (o->type) {
    case BT_OPT_BOOL: return NULL;
    case BT_OPT_INT:
    case BT_OPT_UINT64: return "N";
    case BT_OPT_FLOAT: return "X";
    case BT_OPT_CHOICE: return "NAME";
    default: return "TEXT";
    }
}

/* " (pixels, 64..2048, default 512)" */
static void facts_of(const bt_option_info *o, char *out, size_t size)
{
    char range[640] = "", def[160] = "";
    const bool number = o->type >= BT_OPT_INT && o->type <= BT_OPT_FLOAT;
    if (number && o->min < o->max)
        snprintf(range, sizeof range, "%.6g..%.6g", o->min, o->max);
    if (o->type == BT_OPT_CHOICE)
        snprintf(range, sizeof range, "%s", o->choices);
    if (*o->default_value && o->type != BT_OPT_BOOL)
        snprintf(def, sizeof def, "default %s", o->default_value);
    const char *part[] = { o->unit ? o->unit : "", range, def };
    size_t n = 0;
    *out = 0;
    for (int i = 0; i < 3; i++)
        if (*part[i] && n < size)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : " (", part[i]);
    if (n && n < size)
        snprintf(out + n, size - n, ")");
}

static bool shadowed(const cli_command *cmd, const char *name)
{
    for (const cli_flag *f = cli_common; f->name; f++)
        if ((!f->group || (f->group & cmd->groups)) && cli_same(f->name, strlen(f->name), name))
            return true;
    for (const cli_flag *f = cmd->flags; f && f->name; f++)
        if (cli_same(f->name, strlen(f->name), name))
            return true;
    return false;
}

static void print_options(cli *c)
{
    bt_option_info o = { .struct_size = sizeof o };
    printf("\nOptions of the %s modules:\n", bt_kind_name(c->command->kind));
    for (size_t i = 0; bt_option_at(c->engine, c->command->kind, i, &o) == BT_OK; i++) {
        char tail[960];
        if (shadowed(c->command, o.name))
            continue;
        facts_of(&o, tail, sizeof tail);
        print_entry(o.short_name, o.name, value_of(&o), o.help, tail);
    }
}

int cli_help(cli *c)
{
    const cli_command *cmd = c->command;
    printf("Usage: bottega %s %s\n\n%s\n", cmd->name, cmd->usage, cmd->summary);
    if (cmd->flags && cmd->flags->name) {
        printf("\nFlags of this command:\n");
        print_flags(cmd->flags, cmd->groups);
    }
    if (cmd->options)
        print_options(c);
    printf("\nFlags of every command:\n");
    print_flags(cli_common, cmd->groups);
    printf("\nExit status: 0 done, 1 failed, 2 wrong usage, 3 bad model or input, "
           "4 over the\nmemory budget, 130 cancelled.\n");
    return EXIT_DONE;
}

/* ---- --list ---------------------------------------------------------------- */

static bool find_choices(cli *c, const char *name, bt_option_info *o)
{
    size_t n = strlen(name);
    *o = (bt_option_info){ .struct_size = sizeof *o };
    for (size_t i = 0; bt_option_at(c->engine, c->command->kind, i, o) == BT_OK; i++)
        if (o->spellings && (cli_same(name, n, o->name) ||
                             (n > 1 && name[n - 1] == 's' && cli_same(name, n - 1, o->name))))
            return true;
    return false;
}

/* One choice: its first spelling, then the others. */
static void print_choice(const char *p, size_t n, bool json, const char *gap)
{
    const char *end = p + n;
    p += *p == '=';
    size_t k = strcspn(p, ",=");
    printf(json ? "%s{\"name\":\"%.*s\",\"spellings\":[" : "%s%.*s", json ? gap : "", (int)k, p);
    int column = (int)k;
    gap = "";
    for (p += k; p < end; p += k, gap = json ? "," : ", ") {
        k = strcspn(++p, ",=");
        if (!json)
            printf("%*s", column < COLUMN ? COLUMN - column : 0, "");
        printf(json ? "%s\"%.*s\"" : "%s%.*s", gap, (int)k, p);
        column = COLUMN;
    }
    printf(json ? "]}" : "\n");
}

int cli_list(cli *c, const char *name)
{
    bt_option_info o;
    const char *gap = "[";
    if (!find_choices(c, name, &o))
        return cli_fail(EXIT_USAGE, "--list %s: no option with a list of choices", name);
    for (const char *p = o.spellings; *p; gap = ",") {
        const size_t n = strcspn(p, ",");
        print_choice(p, n, c->json, gap);
        p += n + (p[n] == ',');
    }
    printf(c->json ? "]\n" : "");
    return cli_flush();
}

int cli_overview(const cli_command *const *commands, FILE *f)
{
    fprintf(f,
            "bottega %s: pictures, speech and text from quantized weights, offline.\n\n"
            "Usage: bottega COMMAND [flags]\n\n",
            bt_version());
    for (size_t i = 0; commands[i]; i++)
        fprintf(f, "  %-12s%s\n", commands[i]->name, commands[i]->summary);
    fprintf(f, "\nbottega COMMAND --help tells more of a command.\n");
    return EXIT_DONE;
}
