/* SPDX-License-Identifier: MIT
 * When what is said: as JSON, as subtitles (SubRip, WebVTT), and for people (--explain).
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"

/* ---- collecting ---------------------------------------------------------- */

static bt_timing *add_time(cli_times *all)
{
    if (all->n == all->cap) {
        all->cap = 2 * all->cap + 256;
        all->at = realloc(all->at, all->cap * sizeof *all->at);
        all->who = realloc(all->who, all->cap * sizeof *all->who);
        if (!all->at || !all->who)
            exit(cli_fail(EXIT_FAILED, "out of memory for the times"));
    }
    all->who[all->n] = all->speaker;
    return &all->at[all->n++];
}

/* A voice's sample in the whole sound, which may have another rate. */
static uint64_t sample_at(const cli_times *all, uint64_t sample, int rate)
{
    if (all->rate == 0 || all->rate == rate)
        return all->begin + sample;
    return all->begin + (sample * (uint64_t)all->rate + (uint64_t)rate / 2) / (uint64_t)rate;
}

int cli_on_timing(void *user, const bt_timing *t)
{
    cli_times *all = &((cli *)user)->times;
    bt_timing *mine = add_time(all);
    *mine = *t;
    mine->begin = sample_at(all, t->begin, t->sample_rate);
    mine->end = sample_at(all, t->end, t->sample_rate);
    mine->sample_rate = all->rate ? all->rate : t->sample_rate;
    mine->from += all->from;
    mine->to += all->from;
    mine->spelling = cli_text("%s", t->spelling);
    mine->phonemes = cli_text("%s", t->phonemes);
    return cli_stop;
}

void cli_times_drop(cli *c)
{
    cli_times *all = &c->times;
    for (size_t i = 0; i < all->n; i++) {
        free((char *)(uintptr_t)all->at[i].spelling);
        free((char *)(uintptr_t)all->at[i].phonemes);
    }
    all->n = 0;
}

void cli_times_clear(cli *c)
{
    cli_times_drop(c);
    free(c->times.at);
    free(c->times.who);
    c->times = (cli_times){ 0 };
}

/* The option that the ranges count in. */
static const char *source_name(const cli *c)
{
    const char *phonemes = c->times.text ? NULL : bt_job_get(c->job, "phonemes");
    return phonemes && *phonemes ? "phonemes" : "text";
}

/* Was the text read as a document of SSML? */
static bool has_tags(const cli *c)
{
    const char *ssml = c->times.text ? NULL : bt_job_get(c->job, "ssml");
    return ssml && strcmp(ssml, "true") == 0;
}

/* Takes tags out, puts characters for XML's own five entities, and white space is one space. */
static void drop_tags(char *s)
{
    static const char *const entities[] = { "&lt;", "&gt;", "&amp;", "&quot;", "&apos;" };
    char *out = s, *begin = s;
    for (size_t i; *s; s++) {
        const char *end = *s == '<' ? strchr(s, '>') : NULL;
        if (end) {
            s += end - s;
            continue;
        }
        for (i = 0; i < 5 && strncmp(s, entities[i], strlen(entities[i])) != 0; i++) {}
        const bool blank = strchr(" \t\r\n", *s);
        if (!blank || (out > begin && out[-1] != ' '))
            *out++ = i < 5 ? "<>&\"'"[i] : blank ? ' ' : *s;
        s += i < 5 ? strlen(entities[i]) - 1 : 0;
    }
    *out = 0;
}

/* What the range names, on one line; free. */
static char *quote(const cli *c, const bt_timing *t)
{
    const char *source = c->times.text ? c->times.text : bt_job_get(c->job, source_name(c));
    char *s = cli_text("%.*s", (int)(t->to - t->from), source ? source + t->from : "");
    if (has_tags(c))
        drop_tags(s);
    for (char *p = s; *p; p++)
        if (*p == '\n' || *p == '\r' || *p == '\t')
            *p = ' ';
    return s;
}

/* The entry behind the last one of the sentence at i. */
static size_t sentence_end(const cli_times *all, size_t i)
{
    for (i++; i < all->n && all->at[i].kind != BT_TIMING_SENTENCE;)
        i++;
    return i;
}

static double seconds(const bt_timing *t, uint64_t sample)
{
    return (double)sample / t->sample_rate;
}

/* ---- JSON ---------------------------------------------------------------- */

static void put_text(FILE *f, const char *key, const char *value)
{
    char *json = cli_json(value);
    fprintf(f, "\"%s\":%s,", key, json);
    free(json);
}

static void put_span(FILE *f, const bt_timing *t)
{
    fprintf(f, "\"begin\":%.6f,\"end\":%.6f", seconds(t, t->begin), seconds(t, t->end));
}

static void put_place(FILE *f, const cli *c, const bt_timing *t)
{
    char *text = quote(c, t);
    put_text(f, "text", text);
    fprintf(f, "\"from\":%zu,\"to\":%zu,", t->from, t->to);
    put_text(f, "spelling", t->spelling);
    put_text(f, "phonemes", t->phonemes);
    put_span(f, t);
    free(text);
}

/* The entries of a kind among i..end as the members of an array. */
static void put_kind(FILE *f, const cli *c, bt_timing_kind kind, size_t i, size_t end)
{
    const char *comma = "";
    for (; i < end; i++) {
        const bt_timing *t = &c->times.at[i];
        if (t->kind != kind)
            continue;
        fprintf(f, "%s{", comma);
        comma = ",";
        if (kind == BT_TIMING_WORD) {
            put_place(f, c, t);
        } else {
            put_text(f, "phoneme", t->phonemes);
            fprintf(f, "\"id\":%d,", (int)t->id);
            put_span(f, t);
        }
        fputs("}", f);
    }
}

static void begin_json(FILE *f, const cli *c)
{
    fprintf(f, "{\"source\":\"%s\",\"sentences\":[", source_name(c));
}

static void put_json(FILE *f, cli *c)
{
    const cli_times *all = &c->times;
    for (size_t i = 0, end; i < all->n; i = end) {
        end = sentence_end(all, i);
        fputs(c->times.number++ ? ",{" : "{", f);
        if (all->who[i])
            put_text(f, "speaker", all->who[i]);
        put_place(f, c, &all->at[i]);
        fputs(",\"words\":[", f);
        put_kind(f, c, BT_TIMING_WORD, i, end);
        fputs("],\"phoneme_times\":[", f);
        put_kind(f, c, BT_TIMING_PHONEME, i, end);
        fputs("]}", f);
    }
}

static void end_json(FILE *f, const cli *c)
{
    fprintf(f, "],\"sample_rate\":%d,\"samples\":%llu}", c->out.rate, (unsigned long long)c->out.n);
}

/* ---- subtitles ----------------------------------------------------------- */

static uint64_t milliseconds(const bt_timing *t, uint64_t sample)
{
    const uint64_t rate = (uint64_t)t->sample_rate;
    return sample / rate * 1000 + (sample % rate * 1000 + rate / 2) / rate;
}

static void put_clock(FILE *f, uint64_t ms, char point)
{
    fprintf(f, "%02d:%02d:%02d%c%03d", (int)(ms / 3600000), (int)(ms / 60000 % 60),
            (int)(ms / 1000 % 60), point, (int)(ms % 1000));
}

static void put_cue_times(FILE *f, const bt_timing *t, char point)
{
    put_clock(f, milliseconds(t, t->begin), point);
    fputs(" --> ", f);
    put_clock(f, milliseconds(t, t->end), point);
    fputs("\n", f);
}

static void put_srt(FILE *f, cli *c)
{
    for (size_t i = 0; i < c->times.n; i++) {
        const bt_timing *t = &c->times.at[i];
        if (t->kind != BT_TIMING_SENTENCE || t->from == t->to)
            continue;
        char *text = quote(c, t);
        fprintf(f, "%d\n", ++c->times.number);
        put_cue_times(f, t, ',');
        fprintf(f, "%s\n\n", text);
        free(text);
    }
}

/* s[0..n) of a cue, where & and < begin something and --> may not stand. */
static void put_escaped(FILE *f, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '&')
            fputs("&amp;", f);
        else if (s[i] == '<')
            fputs("&lt;", f);
        else if (s[i] == '>')
            fputs("&gt;", f);
        else
            putc(s[i], f);
    }
}

/* The text of the sentence at i, before each word but the first the time at which it comes:
 * later than all before it in the cue. */
static void put_vtt_text(FILE *f, const cli *c, size_t i)
{
    const bt_timing *whole = &c->times.at[i];
    const size_t end = sentence_end(&c->times, i);
    char *text = quote(c, whole);
    size_t done = whole->from;
    uint64_t last = milliseconds(whole, whole->begin);
    for (size_t k = i + 1; k < end; k++) {
        const bt_timing *t = &c->times.at[k];
        const uint64_t ms = milliseconds(t, t->begin);
        if (t->kind != BT_TIMING_WORD || t->from <= done || t->to > whole->to || ms <= last)
            continue;
        put_escaped(f, text + (done - whole->from), t->from - done);
        fputs("<", f);
        put_clock(f, ms, '.');
        fputs(">", f);
        done = t->from;
        last = ms;
    }
    put_escaped(f, text + (done - whole->from), whole->to - done);
    free(text);
}

static void begin_vtt(FILE *f, const cli *c)
{
    (void)c;
    fputs("WEBVTT\n\n", f);
}

static void put_vtt(FILE *f, cli *c)
{
    for (size_t i = 0; i < c->times.n; i++) {
        const bt_timing *t = &c->times.at[i];
        if (t->kind != BT_TIMING_SENTENCE || t->from == t->to)
            continue;
        put_cue_times(f, t, '.');
        put_vtt_text(f, c, i);
        fputs("\n\n", f);
    }
}

/* ---- files --------------------------------------------------------------- */

typedef struct form {
    const char *suffix;
    void (*begin)(FILE *f, const cli *c); /* NULL: nothing */
    void (*put)(FILE *f, cli *c);
    void (*end)(FILE *f, const cli *c); /* NULL: nothing */
} form;

static const form forms[] = { { ".json", begin_json, put_json, end_json },
                              { ".srt", NULL, put_srt, NULL },
                              { ".vtt", begin_vtt, put_vtt, NULL } };

static const form *form_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof forms / sizeof *forms; i++)
        if (strcasecmp(dot, forms[i].suffix) == 0)
            return &forms[i];
    return NULL;
}

int cli_times_check(const char *path)
{
    if (form_of(path))
        return cli_name_check(path);
    return cli_fail(EXIT_USAGE, "timings: \"%s\": files of times end in .json, .srt or .vtt", path);
}

int cli_times_begin(cli *c, const char *path)
{
    const int rc = cli_create(path, &c->times.file);
    const form *form = form_of(path);
    c->times.number = 0;
    if (rc == EXIT_DONE && form->begin)
        form->begin(c->times.file.f, c);
    return rc;
}

void cli_times_put(cli *c)
{
    form_of(c->times.file.path)->put(c->times.file.f, c);
    cli_times_drop(c);
}

int cli_times_end(cli *c, bool keep)
{
    cli_file *file = &c->times.file;
    if (!file->f)
        return EXIT_DONE;
    char *path = cli_text("%s", file->path);
    const form *form = form_of(path);
    if (keep && form->end)
        form->end(file->f, c);
    const int rc = cli_commit(file, keep);
    if (rc == EXIT_DONE && keep) {
        cli_note(c, "%s: times", path);
        cli_wrote(c, path);
    }
    free(path);
    return rc;
}

int cli_times_save(cli *c, const char *path)
{
    const int rc = cli_times_begin(c, path);
    if (rc != EXIT_DONE)
        return rc;
    cli_times_put(c);
    return cli_times_end(c, true);
}

/* ---- kept for later -------------------------------------------------------- */

void cli_times_store(const cli *c, FILE *f)
{
    for (size_t i = 0; i < c->times.n; i++) {
        const bt_timing *t = &c->times.at[i];
        char *spelling = cli_json(t->spelling), *phonemes = cli_json(t->phonemes);
        fprintf(f, "[%d,%llu,%llu,%zu,%zu,%d,%s,%s]\n", (int)t->kind, (unsigned long long)t->begin,
                (unsigned long long)t->end, t->from, t->to, (int)t->id, spelling, phonemes);
        free(spelling);
        free(phonemes);
    }
}

/* One line; the places lie in the text, whatever the line says. */
static bool load_line(cli_times *all, const char *line, size_t length)
{
    cJSON *a = cJSON_ParseWithLength(line, length), *x = a ? a->child : NULL;
    double v[6] = { 0 };
    bool ok = cJSON_GetArraySize(a) == 8;
    for (int i = 0; i < 6 && ok; i++, x = x->next) {
        ok = cJSON_IsNumber(x) && x->valuedouble >= -1 && x->valuedouble < 1e15;
        v[i] = x->valuedouble;
    }
    ok = ok && cJSON_IsString(x) && cJSON_IsString(x->next) && v[0] >= BT_TIMING_SENTENCE &&
         v[0] <= BT_TIMING_PHONEME && v[1] >= 0 && v[2] >= v[1] && v[3] >= 0 && v[4] >= v[3] &&
         v[4] + (double)all->from <= (double)all->length && v[5] < INT32_MAX;
    if (ok)
        *add_time(all) = (bt_timing){ .struct_size = sizeof(bt_timing),
                                      .kind = (bt_timing_kind)v[0],
                                      .sample_rate = all->rate,
                                      .begin = all->begin + (uint64_t)v[1],
                                      .end = all->begin + (uint64_t)v[2],
                                      .from = all->from + (size_t)v[3],
                                      .to = all->from + (size_t)v[4],
                                      .id = (int32_t)v[5],
                                      .spelling = cli_text("%s", x->valuestring),
                                      .phonemes = cli_text("%s", x->next->valuestring) };
    cJSON_Delete(a);
    return ok;
}

bool cli_times_load(cli *c, const char *path)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    bool ok = f;
    while (ok && (n = getline(&line, &cap, f)) >= 0)
        ok = load_line(&c->times, line, (size_t)n);
    ok = ok && !ferror(f);
    if (f)
        fclose(f);
    free(line);
    return ok;
}

/* ---- for people ------------------------------------------------------------ */

static void put_explained(FILE *f, cli *c)
{
    for (size_t i = 0; i < c->times.n; i++) {
        const bt_timing *t = &c->times.at[i];
        char *text = quote(c, t);
        if (t->kind == BT_TIMING_SENTENCE)
            fprintf(f, "%8.3f %8.3f  %s\n         read as  %s\n        phonemes  %s\n",
                    seconds(t, t->begin), seconds(t, t->end), text,
                    *t->spelling ? t->spelling : "-", t->phonemes);
        else if (t->kind == BT_TIMING_WORD)
            fprintf(f, "%8.3f %8.3f    %s  %s  %s\n", seconds(t, t->begin), seconds(t, t->end),
                    text, *t->spelling ? t->spelling : "-", t->phonemes);
        else
            fprintf(f, "%8.3f %8.3f      id %3d  %.3f s  %s\n", seconds(t, t->begin),
                    seconds(t, t->end), (int)t->id, seconds(t, t->end - t->begin), t->phonemes);
        free(text);
    }
}

static char *explanation(cli *c)
{
    char *s = NULL;
    size_t n;
    FILE *f = open_memstream(&s, &n);
    c->times.number = 0;
    if (f && c->json)
        begin_json(f, c);
    if (f)
        (c->json ? put_json : put_explained)(f, c);
    if (f && c->json)
        end_json(f, c);
    if (!f || fclose(f) != 0 || !s)
        exit(cli_fail(EXIT_FAILED, "out of memory for the times"));
    return s;
}

int cli_times_explain(cli *c)
{
    char *s = explanation(c);
    if (c->json)
        cli_join(&c->explained, s);
    else
        fputs(s, stdout);
    free(s);
    return cli_flush();
}
