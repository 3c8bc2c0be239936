/* SPDX-License-Identifier: MIT
 * A cast and its script: nobody may be missing; voices are opened. A model is opened once,
 * however many speakers of it there are, and only if somebody with a turn has it.
 */
#include <stdlib.h>
#include <string.h>

#include "speak.h"

enum { MAX_STRANGERS = 8 };

/* ---- the script against the cast ------------------------------------------- */

static bool told_before(const char *list, const char *name)
{
    for (const char *p = list; p && (p = strstr(p, name)); p++)
        if ((p == list || p[-1] == ' ') && strncmp(p + strlen(name), " (", 2) == 0)
            return true;
    return false;
}

int speak_cast_check(const speak_cast *all, const char *text, size_t n)
{
    const speak_cutter k = { .text = text, .n = n, .cast = all };
    char *list = NULL;
    int found = 0, line = 1;
    for (size_t at = 0; at < n && found <= MAX_STRANGERS; line++) {
        speak_span name;
        if (speak_stranger(&k, at, &name)) {
            char *s = cli_text("%.*s", (int)(name.to - name.from), text + name.from);
            if (!told_before(list, s)) {
                char *more =
                    found == MAX_STRANGERS ? cli_text("...") : cli_text("%s (line %d)", s, line);
                char *all_of = cli_text("%s%s%s", list ? list : "", list ? ", " : "", more);
                free(more);
                free(list);
                list = all_of;
                found++;
            }
            free(s);
        }
        const char *end = memchr(text + at, '\n', n - at);
        at = end ? (size_t)(end - text) + 1 : n;
    }
    if (!list)
        return EXIT_DONE;
    cli_fail(EXIT_INPUT, "no voice in the cast for %s; NAME= makes a name plain text", list);
    free(list);
    return EXIT_INPUT;
}

/* ---- voices --------------------------------------------------------------- */

/* The voice that has the same model open already, or NULL. */
static const speak_voice *same_model(const speak_cast *all, const char *path)
{
    for (int i = 0; i < all->n; i++)
        if (all->at[i].job && all->at[i].owner && strcmp(all->at[i].path, path) == 0)
            return &all->at[i];
    return NULL;
}

/* The model's own sample rate; 0: it does not tell. */
static int rate_of(bt_model *m, uint64_t *hash)
{
    char *json = NULL;
    if (bt_model_describe(m, &json) != BT_OK)
        return 0;
    const char *rate = cli_member(json, "sample_rate");
    const int hz = rate ? atoi(rate) : 0;
    *hash = speak_hash(*hash, json, strlen(json));
    bt_free(json);
    return hz;
}

/* Whatever else changes the samples: the options and the files that they name. */
static uint64_t hash_of(const cli *c, const char *path)
{
    uint64_t h = speak_hash_file(speak_hash(0, BT_VERSION, sizeof BT_VERSION), path);
    const char *const general[] = { "isa", "precision" };
    for (int i = 0; i < 2; i++) {
        const char *value = cli_get(c, general[i]) ? cli_get(c, general[i]) : "auto";
        h = speak_hash(h, value, strlen(value) + 1);
    }
    for (size_t i = 0; i < c->n_given; i++) {
        if (!c->given[i].option)
            continue;
        h = speak_hash(h, c->given[i].name, strlen(c->given[i].name) + 1);
        h = speak_hash(h, c->given[i].value, strlen(c->given[i].value) + 1);
        h = speak_hash_file(h, c->given[i].value);
    }
    return h;
}

static int open_voice(cli *c, speak_cast *all, speak_voice *v, const bt_callbacks *cb)
{
    char *path = cli_find_model(v->spec ? v->spec : cli_get(c, "model"), BT_KIND_AUDIO,
                                cli_get(c, "data-dir"));
    if (!path)
        return EXIT_INPUT;
    const speak_voice *same = same_model(all, path);
    v->path = path;
    if (same) {
        v->model = same->model;
        v->job = same->job;
        v->rate = same->rate;
        v->hash = same->hash;
        v->seed = same->seed;
        return EXIT_DONE;
    }
    int rc = cli_model_open_path(c, path);
    if (rc == EXIT_DONE)
        rc = cli_job_open(c, cb);
    v->owner = true;
    v->model = c->model;
    v->job = c->job;
    c->model = NULL;
    c->job = NULL;
    v->hash = cli_has(c, "book") ? hash_of(c, path) : 0;
    if (rc == EXIT_DONE) {
        const char *seed = bt_job_get(v->job, "seed");
        v->seed = seed ? strtoll(seed, NULL, 10) : 0;
        v->rate = rate_of(v->model, &v->hash);
    }
    return rc;
}

/* Its options are tried with nothing to say, so that a speaker that does not exist is
 * known before anything is spoken. */
static int try_voice(cli *c, const speak_voice *v)
{
    int rc = speak_cast_use(c, v);
    if (rc == EXIT_DONE)
        rc = cli_job_set(c, "text", "");
    const bt_status st = rc == EXIT_DONE ? bt_job_run(c->job) : BT_OK;
    if (st != BT_OK && st != BT_ENOTFOUND)
        rc = cli_fail(cli_exit_of(st), "%s: %s", v->name, bt_job_message(c->job));
    c->job = NULL;
    return rc;
}

/* An option that no voice has would be lost without a word. */
static int check_options(const cli *c, const speak_cast *all)
{
    for (size_t i = 0; i < c->n_given; i++) {
        bool known = !c->given[i].option;
        for (int k = 0; k < all->n && !known; k++)
            known = all->at[k].job && bt_job_get(all->at[k].job, c->given[i].name);
        if (!known)
            return cli_fail(EXIT_USAGE, "%s: no voice of this cast has such an option",
                            c->given[i].name);
    }
    return EXIT_DONE;
}

/* --rate, or that of the voice that speaks first. */
static int one_rate(speak_cast *all, const speak_voice *first)
{
    char hz[16];
    const char *given = bt_job_get(first->job, "rate");
    all->rate = given && *given ? atoi(given) : first->rate;
    if (all->rate == 0)
        return cli_fail(EXIT_INPUT, "%s does not tell its sample rate: give --rate", first->path);
    snprintf(hz, sizeof hz, "%d", all->rate);
    for (int i = 0; i < all->n; i++)
        if (all->at[i].owner && all->at[i].rate != all->rate)
            bt_job_set(all->at[i].job, "rate", hz);
    return EXIT_DONE;
}

int speak_cast_open(cli *c, speak_cast *all, speak_cutter k, const bt_callbacks *cb)
{
    speak_section x;
    int rc = EXIT_DONE, first = -1;
    c->several = all->n > 1;
    while (rc == EXIT_DONE && speak_cut(&k, &x)) {
        speak_voice *v = &all->at[x.speaker];
        if (v->job)
            continue;
        rc = open_voice(c, all, v, cb);
        if (rc == EXIT_DONE)
            rc = try_voice(c, v);
        first = first < 0 ? x.speaker : first;
    }
    if (rc == EXIT_DONE && first < 0)
        rc = cli_fail(EXIT_INPUT, "there is nothing to say in this text");
    if (rc == EXIT_DONE)
        rc = check_options(c, all);
    if (rc != EXIT_DONE)
        return rc;
    return one_rate(all, &all->at[first]);
}

int speak_cast_use(cli *c, const speak_voice *v)
{
    const char *given = NULL;
    for (size_t i = 0; !v->spec && i < c->n_given; i++)
        if (c->given[i].option && strcmp(c->given[i].name, "speaker") == 0)
            given = c->given[i].value;
    c->job = v->job;
    if (!bt_job_get(c->job, "speaker"))
        return !v->speaker ? EXIT_DONE
                           : cli_fail(EXIT_USAGE, "cast: %s: %s has no speakers to choose from",
                                      v->name, v->path);
    return cli_job_set(c, "speaker", v->speaker ? v->speaker : given);
}
