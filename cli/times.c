/* SPDX-License-Identifier: MIT
 * When what is said: as JSON, as subtitles (SubRip, WebVTT), and for people (--explain).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"

/* ---- collecting ---------------------------------------------------------- */

int cli_on_timing(void *user, const bt_timing *t)
{
    cli_times *all = &((cli *)user)->times;
    if (all->n == all->cap) {
        all->cap = 2 * all->cap + 256;
        bt_timing *more = realloc(all->at, all->cap * sizeof *more);
        if (!more)
            exit(cli_fail(EXIT_FAILED, "out of memory for the times"));
        all->at = more;
    }
    bt_timing *mine = &all->at[all->n++];
    *mine = *t;
    mine->spelling = cli_text("%s", t->spelling);
    mine->phonemes = cli_text("%s", t->phonemes);
    return cli_stop;
}

void cli_times_clear(cli *c)
{
    for (size_t i = 0; i < c->times.n; i++) {
        free((char *)(uintptr_t)c->times.at[i].spelling);
        free((char *)(uintptr_t)c->times.at[i].phonemes);
    }
    free(c->times.at);
    c->times = (cli_times){ 0 };
}

/* The option that the ranges count in. */
static const char *source_name(const cli *c)
{
    const char *phonemes = bt_job_get(c->job, "phonemes");
    return phonemes && *phonemes ? "phonemes" : "text";
}

/* Is the text a document of SSML? As the library decides it. */
static bool has_tags(const cli *c, const char *text)
{
    const char *ssml = bt_job_get(c->job, "ssml");
    text += strspn(text, " \t\r\n");
    if (ssml && *ssml)
        return strcmp(ssml, "true") == 0;
    return strncmp(text, "<speak", 6) == 0 || strncmp(text, "<?xml", 5) == 0;
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
    const char *source = bt_job_get(c->job, source_name(c));
    char *s = cli_text("%.*s", (int)(t->to - t->from), source ? source + t->from : "");
    if (source && has_tags(c, source))
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

static void put_json(FILE *f, const cli *c)
{
    const cli_times *all = &c->times;
    bt_audio audio = { .struct_size = sizeof audio };
    if (bt_job_audio(c->job, &audio) != BT_OK)
        audio = (bt_audio){ 0 };
    fprintf(f, "{\"sample_rate\":%d,\"samples\":%zu,\"source\":\"%s\",\"sentences\":[",
            audio.sample_rate, audio.n, source_name(c));
    for (size_t i = 0, end; i < all->n; i = end) {
        end = sentence_end(all, i);
        fputs(i ? ",{" : "{", f);
        put_place(f, c, &all->at[i]);
        fputs(",\"words\":[", f);
        put_kind(f, c, BT_TIMING_WORD, i, end);
        fputs("],\"phoneme_times\":[", f);
        put_kind(f, c, BT_TIMING_PHONEME, i, end);
        fputs("]}", f);
    }
    fputs("]}", f);
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

static void put_srt(FILE *f, const cli *c)
{
    int number = 0;
    for (size_t i = 0; i < c->times.n; i++) {
        const bt_timing *t = &c->times.at[i];
        if (t->kind != BT_TIMING_SENTENCE || t->from == t->to)
            continue;
        char *text = quote(c, t);
        fprintf(f, "%d\n", ++number);
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

static void put_vtt(FILE *f, const cli *c)
{
    fputs("WEBVTT\n\n", f);
    for (size_t i = 0; i < c->times.n; i++) {
        const bt_timing *t = &c->times.at[i];
        if (t->kind != BT_TIMING_SENTENCE || t->from == t->to)
            continue;
        put_cue_times(f, t, '.');
        put_vtt_text(f, c, i);
        fputs("\n\n", f);
    }
}

/* ---- files, people ------------------------------------------------------- */

typedef void (*writer)(FILE *f, const cli *c);

static writer writer_of(const char *path)
{
    static const struct {
        const char *suffix;
        writer put;
    } all[] = { { ".json", put_json }, { ".srt", put_srt }, { ".vtt", put_vtt } };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof all / sizeof *all; i++)
        if (strcasecmp(dot, all[i].suffix) == 0)
            return all[i].put;
    return NULL;
}

/* What a writer puts; free. */
static char *written(const cli *c, writer put)
{
    char *s = NULL;
    size_t n;
    FILE *f = open_memstream(&s, &n);
    if (f)
        put(f, c);
    if (!f || fclose(f) != 0 || !s)
        exit(cli_fail(EXIT_FAILED, "out of memory for the times"));
    return s;
}

int cli_times_check(const char *path)
{
    if (writer_of(path))
        return cli_name_check(path);
    return cli_fail(EXIT_USAGE, "timings: \"%s\": files of times end in .json, .srt or .vtt", path);
}

int cli_times_save(cli *c, const char *path)
{
    char *s = written(c, writer_of(path));
    const int rc = cli_write(path, s);
    free(s);
    if (rc == EXIT_DONE) {
        cli_note(c, "%s: times", path);
        cli_wrote(c, path);
    }
    return rc;
}

static void put_explained(FILE *f, const cli *c)
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

int cli_times_explain(cli *c)
{
    char *s = written(c, c->json ? put_json : put_explained);
    if (c->json)
        cli_join(&c->explained, s);
    else
        fputs(s, stdout);
    free(s);
    return cli_flush();
}
