/* SPDX-License-Identifier: MIT
 * From flags to an engine, a model and a job;
 * runs, and the JSON of --json.
 *
 * All state is in the `cli` that main owns, and cli_close frees whatever is
 * there: no function here cleans up after a failure.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli.h"

enum { PROFILE_LINES = 40 };

/* ---- engine and model ---------------------------------------------------- */

/* "500M" in bytes; K, M, G, T are powers of 1024. */
static bool parse_size(const char *s, uint64_t *out)
{
    static const char units[] = "kmgt";
    char *end;
    const double v = strtod(s, &end);
    double scale = 1;
    const char *u = *end ? strchr(units, *end | 0x20) : NULL;
    for (const char *p = units; u && p <= u; p++)
        scale *= 1024;
    if (end == s || v < 0 || v * scale > 1e18 || (*end && (!u || end[1])))
        return false;
    *out = (uint64_t)(v * scale);
    return true;
}

static int read_options(cli *c, bt_engine_options *o)
{
    const char *threads = cli_get(c, "threads"), *memory = cli_get(c, "memory");
    const char *cache = cli_get(c, "cache-size");
    char *end = NULL;
    if (threads)
        o->threads = (int)strtol(threads, &end, 10);
    if (threads && (*end || end == threads || o->threads < 0 || o->threads > 1024))
        return cli_fail(EXIT_USAGE, "threads: \"%s\" is not a number from 0 to 1024", threads);
    if (memory && !parse_size(memory, &o->memory))
        return cli_fail(EXIT_USAGE, "memory: \"%s\" is not a size such as 500M or 2G", memory);
    if (cache && !parse_size(cache, &o->cache_size))
        return cli_fail(EXIT_USAGE, "cache-size: \"%s\" is not a size such as 500M or 2G", cache);
    o->peaks = c->command->peaks || cli_get(c, "profile");
    o->isa = cli_get(c, "isa");
    o->precision = cli_get(c, "precision");
    return EXIT_DONE;
}

/* The engine that knew the options goes last: their names lie in its plug-ins. */
int cli_engine_open(cli *c)
{
    bt_engine_options o = { .struct_size = sizeof o };
    bt_engine *first = c->engine;
    const char *cache = cli_get(c, "cache-dir");
    int rc = read_options(c, &o);
    if (rc != EXIT_DONE)
        return rc;
    char *own = cache ? NULL : cli_cache_dir();
    o.cache_dir = !cache ? own : strcmp(cache, "none") == 0 ? NULL : cache;
    const bt_status st = bt_engine_create(&o, &c->engine);
    free(own);
    if (st != BT_OK)
        rc = cli_fail(EXIT_FAILED, "no engine: %s", bt_status_text(st));
    for (size_t i = 0; i < c->n_given && rc == EXIT_DONE; i++)
        if (strcmp(c->given[i].name, "module") == 0 && !c->given[i].option &&
            bt_engine_load_module(c->engine, c->given[i].value) != BT_OK)
            rc = cli_fail(EXIT_INPUT, "%s", bt_engine_message(c->engine));
    bt_engine_free(first);
    return rc;
}

int cli_fail_read(const cli *c, bt_status st)
{
    const int rc = st == BT_EIO ? EXIT_INPUT : cli_exit_of(st);
    return cli_fail(rc, "%s", bt_engine_message(c->engine));
}

static int open_model(cli *c)
{
    const double start = cli_now();
    const bt_status st = bt_model_open(c->engine, c->model_path, &c->model);
    c->load_seconds = cli_now() - start;
    if (st != BT_OK)
        return cli_fail_read(c, st);
    const bt_kind kind = bt_model_kind(c->model);
    if (c->command->kind && kind != c->command->kind)
        return cli_fail(EXIT_INPUT, "%s: %s needs a model of kind %s, this one makes %s",
                        c->model_path, c->command->name, bt_kind_name(c->command->kind),
                        bt_kind_name(kind));
    return EXIT_DONE;
}

int cli_model_open(cli *c)
{
    c->model_path = cli_find_model(cli_get(c, "model"), c->command->kind, cli_get(c, "data-dir"));
    return c->model_path ? open_model(c) : EXIT_INPUT;
}

int cli_model_open_path(cli *c, const char *path)
{
    free(c->model_path);
    c->model_path = cli_text("%s", path);
    return open_model(c);
}

int cli_default_open(cli *c, bt_kind kind)
{
    c->model_path = cli_default_model(kind);
    return c->model_path ? open_model(c) : EXIT_DONE;
}

void cli_model_close(cli *c)
{
    bt_job_free(c->job);
    bt_model_free(c->model);
    free(c->model_path);
    c->job = NULL;
    c->model = NULL;
    c->model_path = NULL;
}

/* ---- job ----------------------------------------------------------------- */

int cli_job_set(cli *c, const char *name, const char *value)
{
    const bt_status st = bt_job_set(c->job, name, value);
    if (st == BT_OK)
        return EXIT_DONE;
    /* a text that is no UTF-8 is bad input, all else is a flag used wrongly */
    return cli_fail(st == BT_EFORMAT ? EXIT_INPUT : EXIT_USAGE, "%s%s", c->where,
                    bt_job_message(c->job));
}

/* Option number i of those given; a list with all that was given for it so far. */
static int set_given(cli *c, size_t i)
{
    const cli_given *g = &c->given[i];
    char *all = cli_text("%s", g->value);
    for (size_t k = i; g->list && k-- > 0;)
        if (c->given[k].list && strcmp(c->given[k].name, g->name) == 0) {
            char *more = cli_text("%s,%s", c->given[k].value, all);
            free(all);
            all = more;
        }
    const int rc = cli_job_set(c, g->name, all);
    free(all);
    return rc;
}

int cli_job_open(cli *c, const bt_callbacks *cb)
{
    bt_callbacks all = { .struct_size = sizeof all, .user = c, .progress = cli_on_progress };
    if (cb) {
        all.samples = cb->samples;
        all.token = cb->token;
        all.timing = cb->timing;
        all.drop_samples = cb->drop_samples;
        all.patient = cb->patient;
        all.preview = cb->preview;
        all.preview_interval = cb->preview_interval;
    }
    if (bt_job_create(c->model, &c->job) != BT_OK)
        return cli_fail(EXIT_FAILED, "%s", bt_engine_message(c->engine));
    bt_job_set_callbacks(c->job, &all);
    c->progress.tty = isatty(STDERR_FILENO);
    /* Where the text itself appears on a terminal, it is the progress. */
    const bool shown = cb && cb->token && !c->json && !cli_get(c, "output");
    c->progress.on = !c->quiet && !(shown && isatty(STDOUT_FILENO));
    int rc = EXIT_DONE;
    for (size_t i = 0; i < c->n_given && rc == EXIT_DONE; i++)
        if (c->given[i].option && !(c->several && !bt_job_get(c->job, c->given[i].name)))
            rc = set_given(c, i);
    if (rc == EXIT_DONE && cli_get(c, "profile"))
        rc = cli_job_set(c, "profile", "true");
    return rc;
}

/* What a run had to leave out, by its report: text in there has its quotes
 * escaped, so a key is a key. */
static void note_losses(cli *c, const char *report)
{
    static const char missing[] = "\"missing_phonemes\":";
    const char *n = strstr(report, missing), *ignored = strstr(report, "\"ssml_ignored\":");
    if (n && n[sizeof missing - 1] != '0')
        cli_note(c, "left out: %d phonemes that the voice does not have",
                 atoi(n + sizeof missing - 1));
    if (ignored)
        cli_note(c, "not done: %.*s", (int)strcspn(ignored + 15, "]") + 1, ignored + 15);
}

/* A signal may come before the job is the running one: cli_stop is looked at in
 * between. */
bt_status cli_run_job(cli *c)
{
    bt_status st = BT_ECANCELLED;
    cli_running(c->job);
    if (!cli_stop)
        st = bt_job_run(c->job);
    cli_running(NULL);
    cli_progress_end(c);
    return st;
}

/* A cancelled run whose output is gone was stopped by a closed pipe. */
int cli_run_result(cli *c, bt_status st)
{
    char *report = NULL;
    if (st == BT_ECANCELLED && ferror(stdout))
        return cli_flush();
    if (st == BT_ECANCELLED && c->sink_gone && !cli_stop)
        return EXIT_FAILED; /* cli_player_end tells which program did not take it */
    if (st == BT_ECANCELLED && c->out.failed)
        return EXIT_FAILED; /* told when it happened */
    if (st == BT_ECANCELLED)
        return EXIT_CANCELLED;
    if (st != BT_OK)
        return cli_fail(cli_exit_of(st), "%s%s", c->where, bt_job_message(c->job));
    if (bt_job_report(c->job, &report) != BT_OK)
        return cli_fail(EXIT_FAILED, "out of memory");
    note_losses(c, report);
    if (cli_has(c, "debug"))
        cli_note(c, "%s", report);
    if (c->json)
        cli_join(&c->reports, report);
    bt_free(report);
    return EXIT_DONE;
}

int cli_run(cli *c) { return cli_run_result(c, cli_run_job(c)); }

static double mib(uint64_t bytes) { return (double)bytes / (1 << 20); }

/* Bytes that the process has had at once until now, besides what a run takes. */
static uint64_t own_memory(void)
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? (uint64_t)u.ru_maxrss << 10 : 0;
}

int cli_dry_run(cli *c)
{
    bt_estimate e = { .struct_size = sizeof e };
    const bt_status st = bt_job_estimate(c->job, &e);
    if (st != BT_OK)
        return cli_fail(cli_exit_of(st), "%s", bt_job_message(c->job));
    const uint64_t peak = e.weights + e.arena + e.caches + own_memory();
    if (c->json)
        printf("{\"weights\":%llu,\"arena\":%llu,\"caches\":%llu,\"peak\":%llu,\"flops\":%.6g}\n",
               (unsigned long long)e.weights, (unsigned long long)e.arena,
               (unsigned long long)e.caches, (unsigned long long)peak, e.flops);
    else
        printf("weights  %10.1f MiB\narena    %10.1f MiB\ncaches   %10.1f MiB\n"
               "peak     %10.1f MiB\nwork     %10.1f GFLOP\n",
               mib(e.weights), mib(e.arena), mib(e.caches), mib(peak), e.flops * 1e-9);
    return cli_flush();
}

void cli_show_profile(cli *c)
{
    char *report = NULL;
    if (c->quiet || bt_job_report(c->job, &report) != BT_OK)
        return;
    const char *profile = cli_member(report, "profile");
    const char *parts = profile ? cli_member(profile, "parts") : NULL;
    const char *ops = profile ? cli_member(profile, "ops") : NULL;
    if (parts && ops) {
        cli_table(parts, INT_MAX, stderr);
        cli_table(ops, PROFILE_LINES, stderr);
    }
    bt_free(report);
}

int cli_finish(cli *c)
{
    const char *profile = cli_get(c, "profile");
    char *trace = NULL;
    int rc = EXIT_DONE;
    if (profile && bt_job_trace(c->job, &trace) == BT_OK) {
        rc = cli_write(profile, trace);
        if (rc == EXIT_DONE)
            cli_note(c, "%s: profile", profile);
        cli_show_profile(c);
    }
    bt_free(trace);
    if (rc != EXIT_DONE || !c->json)
        return rc;
    printf("{\"command\":\"%s\",\"files\":[%s],\"load_seconds\":%.6f,\"jobs\":[%s]",
           c->command->name, c->files ? c->files : "", c->load_seconds,
           c->reports ? c->reports : "");
    if (c->explained)
        printf(",\"explained\":[%s]", c->explained);
    puts("}");
    return cli_flush();
}

void cli_close(cli *c)
{
    cli_model_close(c);
    bt_engine_free(c->engine);
    free(c->reports);
    free(c->files);
    free(c->explained);
    cli_times_clear(c);
    free(c->given);
    for (size_t i = 0; i < c->n_kept; i++)
        free(c->kept[i]);
    free(c->kept);
    free(c->args);
}
