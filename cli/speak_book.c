/* SPDX-License-Identifier: MIT
 * A text in sections: a script with a cast, spoken as it goes; or a book, whose sections are
 * kept in a folder until the last one is there and then joined. Neither takes more memory
 * when the text is longer.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "speak.h"

enum { CHUNK = 4096 };

typedef struct book {
    cli *c;
    speak_cast cast;
    speak_cutter start; /* at the text's begin */
    speak_store store;
    const char *output;           /* a name; with --chapters a pattern */
    bool each, timed;             /* a file for each chapter; --timings is asked for */
    double turn_gap, chapter_gap; /* seconds; turn_gap < 0: as between sentences */
    char *title;
    int sections, chapters; /* of the text */
    int done, spoken;       /* sections that are there; of them, spoken by this run */
    uint64_t samples;       /* of what was joined */
} book;

/* ---- one section ---------------------------------------------------------- */

static int set_seed(cli *c, const speak_voice *v, const speak_section *x)
{
    char text[24];
    if (v->seed < 0)
        return EXIT_DONE; /* drawn anew for each */
    const uint64_t seed =
        (uint64_t)v->seed + ((uint64_t)x->chapter << 32) + ((uint64_t)x->number << 16);
    snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
    return cli_job_set(c, "seed", text);
}

/* Where the sound goes is set by then. *silent: there was nothing to say. */
static int say(book *b, const speak_section *x, bool *silent)
{
    cli *c = b->c;
    const speak_voice *v = &b->cast.at[x->speaker];
    const uint64_t before = c->out.n;
    char *text = speak_section_text(&b->start, x);
    int rc = speak_cast_use(c, v);
    c->progress.at = x->whole.from;
    c->progress.size = x->whole.to - x->whole.from;
    if (rc == EXIT_DONE)
        rc = set_seed(c, v, x);
    if (rc == EXIT_DONE)
        rc = cli_job_set(c, "text", text);
    if (rc == EXIT_DONE) {
        const bt_status st = cli_run_job(c);
        *silent = st == BT_ENOTFOUND || (st == BT_OK && c->out.n == before);
        rc = *silent ? EXIT_DONE : cli_run_result(c, st);
    }
    free(text);
    free(c->reports); /* one for each section would be a book of its own */
    c->reports = NULL;
    c->job = NULL;
    return rc;
}

static double option_of(const speak_voice *v, const char *name)
{
    const char *value = bt_job_get(v->job, name);
    return value ? atof(value) : 0;
}

/* Samples of silence between two sections. */
static uint64_t gap_of(const book *b, const speak_section *last, const speak_section *x)
{
    const speak_voice *v = &b->cast.at[x->speaker];
    double seconds = option_of(v, "sentence_silence");
    if (last->paragraph)
        seconds += option_of(v, "paragraph_silence");
    if (x->turn && b->turn_gap >= 0)
        seconds = b->turn_gap;
    if (x->chapter != last->chapter)
        seconds = b->chapter_gap;
    return (uint64_t)(seconds * b->cast.rate);
}

static void place_times(book *b, uint64_t begin, size_t from, const speak_section *x)
{
    cli_times *t = &b->c->times;
    t->text = b->start.text;
    t->length = b->start.n;
    t->rate = b->cast.rate;
    t->begin = begin;
    t->from = from;
    t->speaker = b->cast.n > 1 ? b->cast.at[x->speaker].name : NULL;
}

/* ---- a script, as it goes -------------------------------------------------- */

static int perform(book *b, const char *path)
{
    cli *c = b->c;
    speak_cutter k = b->start;
    speak_section x, last = { 0 };
    int rc = EXIT_DONE;
    speak_out_begin(c, path);
    while (rc == EXIT_DONE && speak_cut(&k, &x)) {
        bool silent = false;
        c->out.gap = c->out.n ? gap_of(b, &last, &x) : 0;
        place_times(b, c->out.n + c->out.gap, x.said.from, &x);
        rc = say(b, &x, &silent);
        last = silent ? last : x;
    }
    const int ended = speak_out_end(c, rc == EXIT_DONE);
    rc = rc == EXIT_DONE ? ended : rc;
    if (rc == EXIT_DONE && b->timed)
        rc = cli_times_save(c, cli_get(c, "timings"));
    return rc;
}

/* ---- a book: every section has its part ------------------------------------ */

static uint64_t hash_of(const book *b, const speak_section *x)
{
    const speak_voice *v = &b->cast.at[x->speaker];
    const char *bits = cli_get(b->c, "bits");
    char *text = speak_section_text(&b->start, x);
    char *key = cli_text("%d %d %lld %d %s %s", x->chapter, x->number, (long long)v->seed,
                         b->cast.rate, bits ? bits : "16", v->speaker ? v->speaker : "");
    uint64_t h = speak_hash(v->hash, key, strlen(key) + 1);
    h = speak_hash(h, text, strlen(text));
    free(text);
    free(key);
    return h;
}

typedef struct names {
    char *sound, *times, *none;
} names;

static names names_of(const book *b, const speak_section *x)
{
    const uint64_t h = hash_of(b, x);
    return (names){ speak_part_name(&b->store, x, h, "wav"),
                    speak_part_name(&b->store, x, h, "times"),
                    speak_part_name(&b->store, x, h, "none") };
}

static void free_names(names *n)
{
    free(n->sound);
    free(n->times);
    free(n->none);
}

static bool is_there(const book *b, const names *n)
{
    return cli_exists(n->none) || (cli_exists(n->sound) && (!b->timed || cli_exists(n->times)));
}

static int store_times(cli *c, const char *path)
{
    cli_file f;
    const int rc = cli_create(path, &f);
    if (rc != EXIT_DONE)
        return rc;
    cli_times_store(c, f.f);
    return cli_commit(&f, true);
}

/* The sound comes last: when it is there, so is all else. */
static int make_part(book *b, const speak_section *x, const names *n)
{
    cli *c = b->c;
    bool silent = false;
    speak_out_begin(c, n->sound);
    c->out.quiet = true;
    c->out.form.format = "wav";
    c->out.form.bits = cli_get(c, "bits") ? cli_get(c, "bits") : "16";
    cli_times_drop(c);
    place_times(b, 0, 0, x);
    int rc = say(b, x, &silent);
    if (rc == EXIT_DONE && silent)
        rc = cli_write(n->none, "");
    else if (rc == EXIT_DONE && b->timed)
        rc = store_times(c, n->times);
    const int ended = speak_out_end(c, rc == EXIT_DONE && !silent);
    cli_times_drop(c);
    b->spoken += rc == EXIT_DONE;
    return rc == EXIT_DONE ? ended : rc;
}

static int make_parts(book *b)
{
    cli *c = b->c;
    speak_cutter k = b->start;
    speak_section x;
    int rc = EXIT_DONE;
    while (rc == EXIT_DONE && speak_cut(&k, &x)) {
        names n = names_of(b, &x);
        snprintf(c->progress.label, sizeof c->progress.label, "chapter %d of %d: ", x.chapter + 1,
                 b->chapters);
        if (is_there(b, &n))
            c->progress.skipped += x.whole.to - x.whole.from;
        else
            rc = make_part(b, &x, &n);
        b->done += rc == EXIT_DONE;
        free_names(&n);
    }
    cli_progress_end(c);
    return rc;
}

/* ---- a book: the parts become one ------------------------------------------ */

/* What the join is at. */
typedef struct joining {
    char *path; /* of the file that grows; NULL: none yet */
    cli_file marks;
    char *mark; /* title of the chapter that is not ended in `marks` */
    uint64_t since;
    speak_section last;
} joining;

/* ffmpeg's metadata: = ; # \ and ends of lines are escaped. */
static void put_escaped(FILE *f, const char *s)
{
    for (; *s; s++) {
        if (strchr("=;#\\\n", *s))
            putc('\\', f);
        putc(*s, f);
    }
}

static void end_mark(book *b, joining *j)
{
    if (!j->mark || !j->marks.f)
        return;
    fprintf(j->marks.f, "\n[CHAPTER]\nTIMEBASE=1/%d\nSTART=%llu\nEND=%llu\ntitle=", b->cast.rate,
            (unsigned long long)j->since, (unsigned long long)b->c->out.n);
    put_escaped(j->marks.f, j->mark);
    putc('\n', j->marks.f);
    free(j->mark);
    j->mark = NULL;
}

static int end_file(book *b, joining *j, bool keep)
{
    cli *c = b->c;
    if (!j->path)
        return EXIT_DONE;
    b->samples += c->out.n;
    int rc = speak_out_end(c, keep);
    keep = keep && rc == EXIT_DONE;
    const int times = b->timed ? cli_times_end(c, keep) : EXIT_DONE;
    rc = rc == EXIT_DONE ? times : rc;
    if (j->marks.f) {
        end_mark(b, j);
        char *path = cli_text("%s", j->marks.path);
        const int marks = cli_commit(&j->marks, keep && rc == EXIT_DONE);
        if (keep && rc == EXIT_DONE && marks == EXIT_DONE)
            cli_wrote(c, path);
        rc = rc == EXIT_DONE ? marks : rc;
        free(path);
    }
    free(j->path);
    j->path = NULL;
    return rc;
}

static int begin_marks(book *b, joining *j)
{
    char *path = cli_text("%s.chapters.txt", j->path);
    const int rc = cli_create(path, &j->marks);
    free(path);
    if (rc != EXIT_DONE)
        return rc;
    fputs(";FFMETADATA1\ntitle=", j->marks.f);
    put_escaped(j->marks.f, b->title);
    putc('\n', j->marks.f);
    return rc;
}

static int begin_file(book *b, joining *j, const speak_section *x, char *title)
{
    cli *c = b->c;
    int rc = EXIT_DONE;
    j->path = speak_name(c, x->chapter + 1, b->each);
    speak_out_begin(c, j->path);
    c->out.form.title = b->each ? title : b->title;
    c->out.form.album = b->each ? b->title : NULL;
    c->out.form.track = b->each ? x->chapter + 1 : 0;
    if (b->timed) {
        char *times = cli_name(cli_get(c, "timings"), x->chapter + 1, b->each);
        place_times(b, 0, 0, x);
        rc = cli_times_begin(c, times);
        free(times);
    }
    return rc == EXIT_DONE && !b->each && b->chapters > 1 ? begin_marks(b, j) : rc;
}

static int damaged(const char *path)
{
    unlink(path);
    return cli_fail(EXIT_FAILED, "%s was damaged and is removed: run it again", path);
}

/* The samples of a part, then its times. */
static int copy_part(book *b, const speak_section *x, const names *n)
{
    cli *c = b->c;
    float buf[CHUNK];
    speak_part p;
    if (!speak_part_open(&p, n->sound) || p.rate != b->cast.rate) {
        speak_part_close(&p);
        return damaged(n->sound);
    }
    place_times(b, c->out.n + c->out.gap, x->said.from, x);
    bt_audio chunk = { .struct_size = sizeof chunk, .sample_rate = p.rate, .channels = 1 };
    chunk.samples = buf;
    int stop = 0;
    while (!stop && (chunk.n = speak_part_read(&p, buf, CHUNK)) > 0)
        stop = speak_on_samples(c, &chunk);
    const bool whole = stop || p.n == 0;
    speak_part_close(&p);
    if (cli_stop)
        return EXIT_CANCELLED;
    if (stop)
        return EXIT_FAILED; /* told when it happened */
    if (!whole)
        return damaged(n->sound);
    if (b->timed && !cli_times_load(c, n->times))
        return damaged(n->times);
    if (b->timed)
        cli_times_put(c);
    return EXIT_DONE;
}

/* The first sound of a chapter. */
static int begin_chapter(book *b, joining *j, const speak_section *x)
{
    int rc = EXIT_DONE;
    if (b->each)
        rc = end_file(b, j, true);
    char *title = speak_title(&b->start, x);
    if (rc == EXIT_DONE && !j->path) {
        free(j->mark);
        j->mark = title;
        return begin_file(b, j, x, title);
    }
    end_mark(b, j);
    free(j->mark);
    j->mark = title;
    j->since = b->c->out.n + gap_of(b, &j->last, x);
    return rc;
}

static int join(book *b, joining *j)
{
    speak_cutter k = b->start;
    speak_section x;
    int rc = EXIT_DONE;
    cli_note(b->c, "%d sections, %d of them spoken now: joining", b->sections, b->spoken);
    while (rc == EXIT_DONE && speak_cut(&k, &x)) {
        names n = names_of(b, &x);
        if (!cli_exists(n.none)) {
            if (!j->path || x.chapter != j->last.chapter)
                rc = begin_chapter(b, j, &x);
            b->c->out.gap = b->c->out.n ? gap_of(b, &j->last, &x) : 0;
            if (rc == EXIT_DONE)
                rc = copy_part(b, &x, &n);
            j->last = x;
        }
        free_names(&n);
    }
    if (rc == EXIT_DONE && !j->path)
        rc = cli_fail(EXIT_INPUT, "there is nothing to say in this text");
    const int ended = end_file(b, j, rc == EXIT_DONE);
    free(j->mark);
    return rc == EXIT_DONE ? ended : rc;
}

/* ---- the whole ------------------------------------------------------------- */

static void count(book *b)
{
    speak_cutter k = b->start;
    speak_section x;
    while (speak_cut(&k, &x)) {
        b->sections++;
        b->chapters = x.chapter + 1;
    }
}

static int list_chapters(const book *b)
{
    const bool json = b->c->json;
    speak_cutter k = b->start;
    speak_section x;
    bool more = speak_cut(&k, &x);
    fputs(json ? "{\"chapters\":[" : "", stdout);
    while (more) {
        const speak_section first = x;
        int sections = 0;
        size_t to = 0;
        for (; more && x.chapter == first.chapter; more = speak_cut(&k, &x)) {
            sections++;
            to = x.whole.to;
        }
        char *title = speak_title(&b->start, &first), *quoted = cli_json(title);
        if (json)
            printf("%s{\"title\":%s,\"from\":%zu,\"to\":%zu,\"sections\":%d}",
                   first.chapter ? "," : "", quoted, first.whole.from, to, sections);
        else
            printf("%4d  %8zu bytes  %4d sections  %s\n", first.chapter + 1, to - first.whole.from,
                   sections, title);
        free(title);
        free(quoted);
    }
    fputs(json ? "]}\n" : "", stdout);
    return cli_flush();
}

static int make_book(book *b)
{
    cli *c = b->c;
    joining j = { 0 };
    int rc = speak_store_open(&b->store, b->output);
    if (rc == EXIT_DONE) {
        c->progress.whole = b->start.n;
        c->progress.start = cli_now();
        c->progress.tenth = -1;
        rc = make_parts(b);
        c->progress.whole = 0;
        if (rc != EXIT_DONE)
            cli_note(c, "%d of %d sections are kept in %s: run it again to go on", b->done,
                     b->sections, b->store.dir);
    }
    if (rc == EXIT_DONE)
        rc = join(b, &j);
    speak_store_close(&b->store, rc != EXIT_DONE || cli_has(c, "keep-parts"));
    if (rc == EXIT_DONE && c->json) {
        char *report = cli_text("{\"chapters\":%d,\"sections\":%d,\"spoken\":%d,\"audio\":"
                                "{\"sample_rate\":%d,\"samples\":%llu}}",
                                b->chapters, b->sections, b->spoken, b->cast.rate,
                                (unsigned long long)b->samples);
        cli_join(&c->reports, report);
        free(report);
    }
    return rc;
}

/* A flag's seconds. */
static int seconds(const cli *c, const char *name, double *out)
{
    const char *s = cli_get(c, name);
    char *end = NULL;
    if (!s)
        return EXIT_DONE;
    *out = strtod(s, &end);
    if (end == s || *end || !(*out >= 0 && *out <= 60))
        return cli_fail(EXIT_USAGE, "%s: \"%s\" is not a number of seconds from 0 to 60", name, s);
    return EXIT_DONE;
}

/* A draw would make another book at every run. */
static int check_seeds(const book *b)
{
    for (int i = 0; i < b->cast.n; i++)
        if (b->cast.at[i].job && b->cast.at[i].seed < 0)
            return cli_fail(EXIT_USAGE, "seed: -1 draws one at every run: a book needs its own");
    return EXIT_DONE;
}

/* The name of the input without its folder and suffix, if none is given. */
static char *title_of(const cli *c)
{
    const char *given = cli_get(c, "title"), *file = cli_get(c, "file");
    if (given || !file || strcmp(file, "-") == 0)
        return cli_text("%s", given ? given : "Book");
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    const char *dot = strrchr(name, '.');
    return cli_text("%.*s", (int)(dot && dot > name ? (size_t)(dot - name) : strlen(name)), name);
}

static int prepare(book *b, const char *text)
{
    cli *c = b->c;
    const bt_callbacks cb = { .samples = speak_on_samples,
                              .timing = b->timed ? cli_on_timing : NULL,
                              .drop_samples = 1,
                              .patient = !speak_streams(c) };
    int rc = seconds(c, "cast-silence", &b->turn_gap);
    if (rc == EXIT_DONE)
        rc = seconds(c, "chapter-silence", &b->chapter_gap);
    if (rc == EXIT_DONE)
        rc = speak_cast_read(&b->cast, cli_get(c, "cast"));
    b->start = (speak_cutter){ .text = text, .n = strlen(text), .chapters = cli_has(c, "book") };
    b->start.cast = b->cast.n > 1 ? &b->cast : NULL;
    if (rc == EXIT_DONE && b->start.cast)
        rc = speak_cast_check(&b->cast, text, b->start.n);
    if (rc != EXIT_DONE || cli_has(c, "dry-run"))
        return rc;
    count(b);
    return speak_cast_open(c, &b->cast, b->start, &cb);
}

/* As the option "ssml" tells documents by their begin; sections of one are none. */
static bool is_document(const char *text)
{
    text += strspn(text, " \t\r\n");
    const bool speak = strncmp(text, "<speak", 6) == 0, xml = strncmp(text, "<?xml", 5) == 0;
    const char end = speak ? text[6] : xml ? text[5] : 0;
    return end && strchr(speak ? " \t\r\n>/" : " \t\r\n", end);
}

int speak_sections(cli *c, const char *text)
{
    book b = { .c = c,
               .each = cli_has(c, "chapters"),
               .timed = cli_get(c, "timings"),
               .turn_gap = -1,
               .chapter_gap = 2,
               .title = title_of(c) };
    char *output = speak_name(c, 1, false);
    b.output = output;
    int rc = is_document(text) ? cli_fail(EXIT_INPUT, "--%s reads plain words, not SSML",
                                          cli_has(c, "book") ? "book" : "cast")
                               : prepare(&b, text);
    if (rc == EXIT_DONE && cli_has(c, "dry-run"))
        rc = list_chapters(&b);
    else if (rc == EXIT_DONE && !cli_has(c, "book"))
        rc = perform(&b, speak_writes_files(c) ? output : NULL);
    else if (rc == EXIT_DONE && (rc = check_seeds(&b)) == EXIT_DONE)
        rc = make_book(&b);
    cli_times_clear(c);
    speak_cast_close(&b.cast);
    free(b.title);
    free(output);
    return rc;
}
