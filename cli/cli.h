/* SPDX-License-Identifier: MIT
 * The `bottega` program: what its commands share.
 *
 *     main.c     the list of commands       flags.c   command line to flags
 *     help.c     --help from the tables     models.c  where models are found
 *     io.c       inputs, output names       show.c    progress, JSON for people
 *     session.c  engine, model, job         cmd_*.c   one command each
 */
#ifndef BT_CLI_H
#define BT_CLI_H

#include <bottega.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_INPUT = 3,
    EXIT_BUDGET = 4,
    EXIT_CANCELLED = 130,
};

/* Flags that only some commands take; 0: all of them. */
enum { TAKES_MODEL = 1, TAKES_RUN = 2, TAKES_SEED = 4 };

typedef struct cli_flag {
    const char *name, *short_name, *aliases; /* aliases: comma-separated */
    const char *value;                       /* "FILE"; NULL: a switch */
    const char *choices;                     /* comma-separated, or NULL */
    const char *help;
    unsigned group;
} cli_flag;

typedef struct cli cli;

typedef struct cli_command {
    const char *name, *usage, *summary;
    bt_kind kind; /* of its model; 0: any, or none */
    bool options; /* the options of the kind's modules are flags */
    unsigned groups;
    const cli_flag *flags; /* its own; ends with a zeroed entry */
    int (*run)(cli *c);
} cli_command;

/* A flag as given. `option`: it belongs to a module. */
typedef struct cli_given {
    const char *name, *value;
    bool option;
} cli_given;

typedef struct cli_progress {
    bool on, tty, open;
    char stage[64];
    int tenth;
    char label[48]; /* "[2/10] " */
} cli_progress;

struct cli {
    const cli_command *command;
    cli_given *given;
    size_t n_given;
    char **args;
    size_t n_args;
    bool quiet, json;
    bt_engine *engine;
    bt_model *model;
    char *model_path;
    double load_seconds;
    bt_job *job;
    cli_progress progress;
    char *reports; /* JSON of the runs so far, comma-separated */
    char *files;   /* JSON strings of the files written, comma-separated */
};

/* ---- main.c ---- */
extern const cli_command *const cli_commands[];
int cli_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_exit_of(bt_status st); /* of a failure whose cause is a model or an input */

/* ---- flags.c ---- */
extern const cli_flag cli_common[];
int cli_parse(cli *c, int argc, char **argv);        /* EXIT_DONE, or the exit status */
const char *cli_get(const cli *c, const char *name); /* the last value given, or NULL */
bool cli_has(const cli *c, const char *name);
bool cli_option_given(const cli *c, const char *name);
bool cli_same(const char *a, size_t n, const char *b); /* '-' and '_' are one */

/* ---- help.c ---- */
int cli_help(cli *c);
int cli_overview(FILE *f);

/* ---- models.c ---- */
/* The path of the model that -m or the kind means; NULL after a message. */
char *cli_find_model(const char *given, bt_kind kind);
int cli_each_model(void (*each)(void *user, const char *path), void *user);
char *cli_data_dir(void); /* where models are put; free */

/* ---- io.c ---- */
void *cli_alloc(size_t n); /* never NULL: ends the program */
char *cli_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *cli_json(const char *s);                      /* quoted; free */
void cli_join(char **list, const char *item);       /* appends, with a comma between */
char *cli_read(const char *path);                   /* "-": stdin; NULL after a message */
char **cli_read_lines(const char *path, size_t *n); /* without blanks and #comments */
/* The words of the command line, -f FILE, or stdin; *text: free. */
int cli_input(cli *c, char **text);
bool cli_name_ok(const char *pattern);                 /* at most one %d, %3d, %03d; %% */
char *cli_name(const char *pattern, int i, bool many); /* "_%03d" is put in if `many` need it */
bool cli_exists(const char *path);
int cli_write(const char *path, const char *data); /* whole or not at all */
int cli_print(const char *json_or_text);           /* a line on stdout */
int cli_flush(void);                               /* EXIT_FAILED if stdout could not be written */

/* ---- show.c ---- */
int cli_on_progress(void *user, const char *stage, int done, int total);
void cli_progress_end(cli *c);
void cli_note(cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_show_json(const char *json, FILE *f); /* for people to read */

/* ---- session.c ---- */
extern volatile sig_atomic_t cli_stop; /* SIGINT or SIGTERM came */
void cli_catch_signals(void);
int cli_engine_open(cli *c);
int cli_model_open(cli *c);
/* A job with the options given and these callbacks' samples and token. */
int cli_job_open(cli *c, const bt_callbacks *cb);
int cli_job_set(cli *c, const char *name, const char *value);
int cli_run(cli *c);     /* runs the job, reports failures, keeps its report */
int cli_dry_run(cli *c); /* prints what the run would need */
int cli_finish(cli *c);  /* the profile; and the JSON object of --json */
void cli_close(cli *c);

#endif
