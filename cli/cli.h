/* SPDX-License-Identifier: MIT
 * The `bottega` program: what its commands share.
 *
 *     main.c      the list of commands; picks one
 *     cmd_*.c     one command each: a table of flags and a function
 *     image_*.c   parts of bottega image (image.h)
 *     speak_*.c   what bottega speak does with its texts and its sound (speak.h)
 *     session.c   from flags to an engine, a model, a job; runs it; --json
 *     help.c      --help, from the tables
 *     models.c    where models are found
 *     times.c     when what was said: JSON, subtitles
 *     show.c      progress, notes, JSON for people
 *     flags.c     the command line, and the text it names
 *     files.c     texts in, names of outputs, whole files out
 *     player.c    sound through a program that plays it
 *     signals.c   Ctrl-C
 *     base.c      errors, memory, strings
 *
 * Each uses only what stands below it, and bottega.h. A function that can fail
 * prints its one line itself and returns an exit status, so that callers only
 * pass it on: EXIT_DONE goes on, all else goes back to main.
 */
#ifndef BT_CLI_H
#define BT_CLI_H

#include <bottega.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

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
    const char *name, *short_name, *aliases; /* the last two: comma-separated */
    const char *value;   /* "FILE"; "FILE,...": may be given several times; NULL: a switch */
    const char *choices; /* comma-separated, or NULL */
    const char *help;
    unsigned group;
} cli_flag;

typedef struct cli cli;

typedef struct cli_command {
    const char *name, *usage, *summary;
    bt_kind kind; /* of its model; 0: any, or none */
    bool options; /* the options of the kind's modules are flags */
    bool peaks;   /* wants to know what the machine can do at most */
    unsigned groups;
    const cli_flag *flags; /* its own; ends with a zeroed entry */
    int (*run)(cli *c);
} cli_command;

/* A flag as given. `option`: it belongs to a module. */
typedef struct cli_given {
    const char *name, *value;
    bool option, list; /* list: it may be given several times */
} cli_given;

typedef struct cli_progress {
    bool on, tty, open;
    char stage[64];
    int tenth;
    double since;   /* when the stage began, */
    int from;       /* and with how much done */
    char label[48]; /* "[2/10] " */
    /* Of a text that is spoken in sections, in bytes; whole 0: it is not. */
    size_t whole, at, size; /* the one being spoken: `size` bytes from `at` */
    size_t skipped;         /* spoken by an earlier run */
    double start;           /* seconds */
} cli_progress;

/* An output that is whole or not at all. */
typedef struct cli_file {
    FILE *f;
    char *path, *tmp;
} cli_file;

/* What cli_on_timing heard; its texts are its own. Of a text that is spoken in sections, the
 * rest says where the one begins that is being spoken. */
typedef struct cli_times {
    bt_timing *at;
    const char **who; /* for each: who says it; NULL: nobody in particular */
    size_t n, cap;
    const char *text;    /* what places count in; NULL: the job's option */
    size_t length;       /* of it */
    size_t from;         /* bytes */
    uint64_t begin;      /* samples at `rate` */
    int rate;            /* 0: the voice's own */
    const char *speaker; /* NULL: there is no cast */
    cli_file file;
    int number; /* sentences in the file */
} cli_times;

/* aplay, paplay or ffplay, whichever comes first on PATH, as a process of its own. */
typedef struct cli_player {
    int program; /* which of them */
    char *path;
    pid_t pid;
} cli_player;

/* The sound of bottega speak on its way. */
typedef struct cli_out {
    bt_audio_writer *writer; /* NULL: no samples came yet */
    const char *path;        /* of the file; NULL: none */
    bt_audio form;           /* its format, bits and tags */
    bool streams, failed;    /* --raw or --play; the file took no more */
    bool quiet;              /* the file is not one that the user asked for */
    uint64_t gap;            /* samples of silence before the next sound */
    int rate;                /* Hz of what came */
    uint64_t n;              /* samples that came */
} cli_out;

struct cli {
    const cli_command *command;
    cli_given *given;
    size_t n_given;
    char **kept; /* texts that `given` points to */
    size_t n_kept;
    char **args;
    size_t n_args;
    bool quiet, json;
    bool several; /* voices: an option need not be known to each */
    bt_engine *engine;
    bt_model *model;
    char *model_path;
    double load_seconds;
    bt_job *job;
    cli_progress progress;
    cli_times times;
    cli_out out;
    char *explained; /* JSON objects of --explain, comma-separated */
    FILE *sink;      /* takes raw samples: stdout or a player; NULL: none yet */
    bool sink_gone;  /* it took no more */
    cli_player player;
    char where[32]; /* "line 3: ", for messages on one input of many */
    char *reports;  /* JSON of the runs so far, comma-separated */
    char *files;    /* JSON strings of the files written, comma-separated */
};

/* ---- base.c ---- */

/* Prints "bottega: ..." on stderr; returns `code`. */
int cli_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_exit_of(bt_status st); /* of a failure whose cause is a model or an input */
void *cli_alloc(size_t n);     /* zeroed; never NULL: ends the program */
char *cli_text(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* free */
size_t cli_utf8(const char *s); /* where it stops being well-formed UTF-8; else its length */
char *cli_json(const char *s);  /* quoted, as well-formed UTF-8; free */
void cli_join(char **list, const char *item); /* appends, with a comma between */
double cli_now(void);                         /* seconds */

/* ---- signals.c ---- */

extern volatile sig_atomic_t cli_stop; /* SIGINT or SIGTERM, once it came */
void cli_catch_signals(void);
void cli_running(bt_job *j); /* the job that a signal cancels; NULL: none */

/* ---- files.c ---- */

char *cli_read(const char *path); /* "-": stdin; NULL after a message; free */
/* Without blank lines and #comments; NULL after a message. Each and all: free. */
char **cli_read_lines(const char *path, size_t *n);
/* An output name holds at most one %d, %3d or %03d, and %% for a percent sign. */
int cli_name_check(const char *pattern);
/* The name of output i (free); `many` without a placeholder get "_%03d". */
char *cli_name(const char *pattern, int i, bool many);
bool cli_exists(const char *path);
int cli_create(const char *path, cli_file *out);   /* on failure there is nothing to commit */
int cli_commit(cli_file *out, bool keep);          /* it appears; or nothing is left of it */
int cli_write(const char *path, const char *data); /* whole or not at all */
void cli_wrote(cli *c, const char *path);          /* a file, for --json */
int cli_flush(void);                               /* EXIT_FAILED if stdout could not be written */

char *cli_find_program(const char *name); /* where the shell would find it; free */
bool cli_make_dirs(const char *path);     /* false, with errno, if it is not there then */

/* ---- player.c ---- */

int cli_player_find(cli_player *p); /* on PATH; a message if there is none */
/* A stream for mono samples of 16 bits, little end first; NULL after a message. */
FILE *cli_player_start(cli_player *p, int rate);
/* Closes f (NULL: none was started) and waits for the last sound. */
int cli_player_end(cli_player *p, FILE *f);

/* ---- flags.c ---- */

extern const cli_flag cli_common[]; /* of every command; ends with a zeroed entry */
/* Fills c->given and c->args; c->engine then knows all options and plug-ins. */
int cli_parse(cli *c, int argc, char **argv);
const char *cli_get(const cli *c, const char *name); /* the last value given, or NULL */
/* The same; of a flag that may be given several times all values, with commas between, and of a
 * picture's own (image_from) only if there are no others. free; NULL: none. */
char *cli_get_all(const cli *c, const char *name);
bool cli_has(const cli *c, const char *name);
bool cli_option_given(const cli *c, const char *name); /* of a module */
/* As if it stood before all that was given. `name` stays the caller's; value is copied. */
void cli_give(cli *c, const char *name, const char *value, bool option);
bool cli_same(const char *a, size_t n, const char *b); /* '-' and '_' are one */
/* The words of the command line, -f FILE, or stdin; *text: free. */
int cli_input(cli *c, char **text);

/* ---- show.c ---- */

int cli_on_progress(void *user, const char *stage, int done, int total);
/* Prints text as it comes, unless --json or -o FILE takes it. */
int cli_on_token(void *user, int32_t id, const char *text, size_t len);
void cli_progress_end(cli *c);
void cli_note(cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_show(const cli *c, const char *json); /* as it is with --json, else for people */
/* The value of a JSON object's key, inside its text; NULL: there is none. */
const char *cli_member(const char *object, const char *key);
/* Member i of a JSON array; NULL: there is none. */
const char *cli_item(const char *array, size_t i);
/* A JSON array of objects as a table of at most so many lines. */
void cli_table(const char *array, int most, FILE *f);

/* ---- times.c ---- */

int cli_on_timing(void *user, const bt_timing *t); /* user: the cli */
void cli_times_clear(cli *c);
void cli_times_drop(cli *c);           /* what was heard, nothing else */
int cli_times_check(const char *path); /* a name that tells the form of the file */
int cli_times_begin(cli *c, const char *path);
void cli_times_put(cli *c);                   /* what was heard since; it is forgotten then */
int cli_times_end(cli *c, bool keep);         /* with the rate and length of c->out */
int cli_times_save(cli *c, const char *path); /* all of that at once */
/* What was heard, as lines; and back. False: those are damaged. */
void cli_times_store(const cli *c, FILE *f);
bool cli_times_load(cli *c, const char *path); /* needs c->times.text */
int cli_times_explain(cli *c);                 /* on stdout; with --json: kept for cli_finish */

/* ---- models.c ---- */

/* The path of the model that -m or the kind means; NULL after a message; free. */
char *cli_find_model(const char *given, bt_kind kind, const char *first);
char *cli_default_model(bt_kind kind); /* NULL: not installed; free */
bool cli_installed(const char *name);
/* Every installed model file or folder, in the order in which names are looked up. */
void cli_each_model(void (*each)(void *user, const char *path), void *user);
char *cli_data_dir(void);  /* where models are put; free */
char *cli_cache_dir(void); /* where packed weights are kept; NULL: no home; free */

/* ---- help.c ---- */

int cli_help(cli *c);
/* What the module's option `name` (or its plural) may be, with all spellings. */
int cli_list(cli *c, const char *name);
int cli_overview(const cli_command *const *commands, FILE *f);

/* ---- session.c ---- */

int cli_engine_open(cli *c); /* with the flags; after cli_parse */
int cli_model_open(cli *c);  /* that -m means, of the command's kind */
int cli_model_open_path(cli *c, const char *path);
/* The default model of a kind; c->model stays NULL if it is not installed. */
int cli_default_open(cli *c, bt_kind kind);
void cli_model_close(cli *c); /* with its job, so that another can be opened */
/* After a call on the engine that reads a model: its message and exit status. */
int cli_fail_read(const cli *c, bt_status st);
/* A job with the options given and these callbacks' samples, token and timing. */
int cli_job_open(cli *c, const bt_callbacks *cb);
int cli_job_set(cli *c, const char *name, const char *value);
int cli_run(cli *c);           /* runs the job, keeps its report */
bt_status cli_run_job(cli *c); /* the two halves of that */
int cli_run_result(cli *c, bt_status st);
int cli_dry_run(cli *c);       /* prints what the run would need */
void cli_show_profile(cli *c); /* where the last run's time went, on stderr */
int cli_finish(cli *c);        /* the profile; and the JSON object of --json */
void cli_close(cli *c);

#endif
