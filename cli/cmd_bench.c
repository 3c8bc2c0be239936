/* SPDX-License-Identifier: MIT
 * bottega bench: how fast this machine runs a model, and how fast it could.
 *
 * A model's measurement is one or two shots (a job with fixed options), each run
 * once to warm up, then --repeat times; the median counts. One more run, profiled,
 * tells the work of each part, from which come GFLOP/s, GB/s and the share of the
 * roofline: the least time that the work allows at the machine's peaks, which
 * the engine measures here and now, divided by the time measured.
 *
 *     text   shot "prompt": n_prompt tokens; shot "decode": n_predict tokens
 *     image  one picture         audio  one sound
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MAX_RUNS = 100, MAX_METRICS = 8 };

static const cli_flag flags[] = {
    { "prompt-tokens", "p", "n-prompt", "N", NULL, "text: tokens of the prompt; 0: no prompt (512)",
      0 },
    { "n-predict", "n", "n-gen,predict", "N", NULL, "text: tokens to decode; 0: none (128)", 0 },
    { "depth", "d", NULL, "N", NULL, "text: tokens in the context before those decoded (1)", 0 },
    { "width", "W", NULL, "N", NULL, "image: width (the model's own)", 0 },
    { "height", "H", NULL, "N", NULL, "image: height (the model's own)", 0 },
    { "steps", NULL, NULL, "N", NULL, "image: calls of the UNet (4)", 0 },
    { "cfg-scale", NULL, "cfg", "X", NULL, "image: above 1 the UNet's batch is 2 (1)", 0 },
    { "batch", "b", NULL, "N", NULL, "image: pictures at once (1)", 0 },
    { "text", NULL, NULL, "TEXT", NULL, "audio: what to say (two sentences as phonemes)", 0 },
    { "repeat", "r", NULL, "N", NULL, "runs after the first, 1 to 100; the median counts (5)", 0 },
    { "profile", NULL, NULL, "FILE", NULL,
      "write a Chrome/Perfetto trace of the last shot; list the ops of all by time", 0 },
    { 0 }
};

/* "The quick brown fox jumps over the lazy dog, and it is seven o'clock." twice
 * over in other words; phonemes, so that no other program is measured along. */
static const char phonemes[] = "ðə kwˈɪk bɹˈaʊn fˈɑːks dʒˈʌmps ˌoʊvɚ ðə lˈeɪzi dˈɑːɡ.\n"
                               "ænd ɪt ɪz sˈɛvən əklˈɑːk ɪn ðə mˈɔːɹnɪŋ.\n";

/* One figure of a shot: its name, its values, and the part of the network that is
 * behind it. Work is that of one run of the part, over `seconds` of the figure. */
typedef struct metric {
    const char *key, *unit, *part; /* part "": all of them together */
    double per;                    /* part's runs per second = value * per; 0: it is 1 / value */
    double first, v[MAX_RUNS];
    int n;
    double flops, bytes, roofline; /* of one run of the part; 0: not known */
} metric;

typedef struct bench {
    cli *c;
    int repeat;
    double started;     /* the run, by cli_now */
    double first_sound; /* seconds after that; 0: none yet */
    metric m[MAX_METRICS];
    int n_metrics;
    double first_run, run[MAX_RUNS]; /* of the first shot */
    double peak_mib, load;
    char *parts; /* JSON, comma-separated */
    char *done;  /* JSON of the models so far */
    char *flat;  /* the same as keys and values of one object */
    double all_load, all_peak;
} bench;

static bench *running; /* for the callback: its user pointer is the cli */

/* ---- figures --------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *v, int n)
{
    double s[MAX_RUNS];
    if (n == 0)
        return 0;
    memcpy(s, v, (size_t)n * sizeof *s);
    qsort(s, (size_t)n, sizeof *s, by_value);
    return n % 2 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

static double extreme(const metric *m, double sign)
{
    double x = m->v[0];
    for (int i = 1; i < m->n; i++)
        x = sign * m->v[i] > sign * x ? m->v[i] : x;
    return x;
}

/* A fact of the last run as a number; NAN: not reported. */
static double fact(const bench *b, const char *name)
{
    const char *text = bt_job_get(b->c->job, name);
    char *end;
    const double v = text ? strtod(text, &end) : NAN;
    return text && end != text && isfinite(v) ? v : NAN;
}

/* Adds a value of run i (0: the first one); what is not a positive number is none. */
static void add(bench *b, int i, const char *key, const char *unit, const char *part, double per,
                double value)
{
    int k = 0;
    if (!(value > 0) || !isfinite(value))
        return;
    while (k < b->n_metrics && strcmp(b->m[k].key, key) != 0)
        k++;
    metric *m = &b->m[k];
    if (k == b->n_metrics) {
        *m = (metric){ .key = key, .unit = unit, .part = part };
        b->n_metrics++;
    }
    m->per = per;
    if (i == 0)
        m->first = value;
    else
        m->v[m->n++] = value;
}

static double audio_seconds(const bench *b)
{
    bt_audio a = { .struct_size = sizeof a };
    return bt_job_audio(b->c->job, &a) == BT_OK ? (double)a.n / a.sample_rate : NAN;
}

/* What run i of a shot of so many seconds tells. */
static void take(bench *b, int i, double seconds)
{
    switch (bt_model_kind(b->c->model)) {
    case BT_KIND_TEXT:
        if (isnan(fact(b, "decode_tps")))
            add(b, i, "prompt_tps", "tokens/s", "prompt", 1 / fact(b, "prompt_tokens"),
                fact(b, "prompt_tps"));
        add(b, i, "decode_tps", "tokens/s", "decode", 1, fact(b, "decode_tps"));
        return;
    case BT_KIND_IMAGE:
        add(b, i, "clip_s", "s", "text encoder", 0, fact(b, "encode_seconds"));
        add(b, i, "unet_s", "s", "unet", 0, fact(b, "denoise_seconds") / fact(b, "steps"));
        add(b, i, "vae_s", "s", "decoder", 0, fact(b, "decode_seconds") / fact(b, "batch"));
        add(b, i, "image_s", "s", NULL, 0, seconds);
        return;
    default:
        add(b, i, "rtf", "s/s", "", 0, seconds / audio_seconds(b));
        add(b, i, "first_sound_s", "s", NULL, 0, b->first_sound);
    }
}

/* ---- runs -------------------------------------------------------------------- */

static int on_samples(void *user, const bt_audio *chunk)
{
    (void)user;
    if (chunk->n && running->first_sound == 0)
        running->first_sound = cli_now() - running->started;
    return cli_stop;
}

/* The first samples soon, or all of them. */
static void set_patience(const bench *b, int patient)
{
    const bt_callbacks cb = { .struct_size = sizeof cb,
                              .user = b->c,
                              .progress = cli_on_progress,
                              .samples = on_samples,
                              .patient = patient };
    bt_job_set_callbacks(b->c->job, &cb);
}

/* What was just spoken for somebody who waits, once more for nobody. */
static int speak_again(bench *b)
{
    set_patience(b, 1);
    b->started = cli_now();
    const int rc = cli_run(b->c);
    set_patience(b, 0);
    return rc;
}

/* Run i, seconds of it; pictures get another prompt each, so that none is found
 * encoded. */
static int run_once(bench *b, int i, double *seconds)
{
    char prompt[64];
    const bool image = bt_model_kind(b->c->model) == BT_KIND_IMAGE;
    snprintf(prompt, sizeof prompt, "a red apple, number %d", i);
    snprintf(b->c->progress.label, sizeof b->c->progress.label, "[%d/%d] ", i + 1, b->repeat + 2);
    int rc = image ? cli_job_set(b->c, "prompt", prompt) : EXIT_DONE;
    b->first_sound = 0;
    b->started = cli_now();
    if (rc == EXIT_DONE)
        rc = cli_run(b->c);
    if (rc == EXIT_DONE && i > 0 && bt_model_kind(b->c->model) == BT_KIND_AUDIO)
        rc = speak_again(b);
    *seconds = cli_now() - b->started;
    return rc;
}

static double member(const char *object, const char *key)
{
    const char *v = cli_member(object, key);
    return v ? strtod(v, NULL) : 0;
}

/* Keeps the work of the parts behind the figures, per run of the part. */
static void take_parts(bench *b, const char *parts)
{
    const char *p;
    for (size_t i = 0; (p = cli_item(parts, i)); i++) {
        const char *name = cli_member(p, "part");
        for (int k = 0; name && k < b->n_metrics; k++) {
            metric *m = &b->m[k];
            const size_t n = m->part ? strlen(m->part) : 0;
            const bool all = m->part && n == 0;
            if (!all && (!m->part || strncmp(name + 1, m->part, n) != 0 || name[n + 1] != '"'))
                continue;
            const double runs = all ? audio_seconds(b) : member(p, "runs");
            m->flops += member(p, "flops") / runs;
            m->bytes += member(p, "bytes") / runs;
            m->roofline += member(p, "roofline_seconds") / runs;
        }
        const char *next = cli_item(parts, i + 1);
        char *item = cli_text("%.*s", next ? (int)(next - p) - 1 : (int)strcspn(p, "}") + 1, p);
        cli_join(&b->parts, item);
        free(item);
    }
}

/* One more run, to see where its time goes; its figures do not count. */
static int profile(bench *b)
{
    char *report = NULL;
    double unused;
    int rc = cli_job_set(b->c, "profile", "true");
    if (rc == EXIT_DONE)
        rc = run_once(b, b->repeat + 1, &unused);
    if (rc == EXIT_DONE)
        rc = cli_job_set(b->c, "profile", "false");
    if (rc == EXIT_DONE && bt_job_report(b->c->job, &report) != BT_OK)
        rc = cli_fail(EXIT_FAILED, "out of memory");
    const char *where = report ? cli_member(report, "profile") : NULL;
    const char *parts = where ? cli_member(where, "parts") : NULL;
    if (parts)
        take_parts(b, parts);
    bt_free(report);
    if (rc == EXIT_DONE && cli_get(b->c, "profile")) {
        cli_show_profile(b->c);
        char *trace = NULL;
        if (bt_job_trace(b->c->job, &trace) == BT_OK)
            rc = cli_write(cli_get(b->c, "profile"), trace);
        bt_free(trace);
    }
    return rc;
}

/* ---- shots --------------------------------------------------------------------- */

/* Options of a shot: name, the flag it comes from (NULL: fixed), else its value. */
typedef struct setting {
    const char *name, *flag, *value;
} setting;

static const setting prompt_shot[] = { { "task", NULL, "bench" },
                                       { "n_prompt", "prompt-tokens", "512" },
                                       { "n_predict", NULL, "0" },
                                       { 0 } };
static const setting decode_shot[] = { { "task", NULL, "bench" },
                                       { "n_prompt", "depth", "1" },
                                       { "n_predict", "n-predict", "128" },
                                       { 0 } };
static const setting image_shot[] = { { "width", "width", NULL }, { "height", "height", NULL },
                                      { "steps", "steps", "4" },  { "cfg_scale", "cfg-scale", "1" },
                                      { "batch", "batch", "1" },  { 0 } };
static const setting phonemes_shot[] = { { "phonemes", NULL, phonemes }, { 0 } };
static const setting text_shot[] = { { "text", "text", NULL }, { 0 } };

static int set_all(bench *b, const setting *s)
{
    int rc = EXIT_DONE;
    for (; s->name && rc == EXIT_DONE; s++) {
        const char *value = s->flag ? cli_get(b->c, s->flag) : NULL;
        value = value ? value : s->value;
        if (value)
            rc = cli_job_set(b->c, s->name, value);
    }
    return rc;
}

static double peak_memory(const bench *b)
{
    char *report = NULL;
    if (bt_job_report(b->c->job, &report) != BT_OK)
        return 0;
    const double bytes = member(report, "peak_memory");
    bt_free(report);
    return bytes / (1 << 20);
}

static int shoot(bench *b, const setting *s)
{
    const bool first_shot = b->n_metrics == 0;
    int rc = set_all(b, s);
    for (int i = 0; i <= b->repeat && rc == EXIT_DONE; i++) {
        double seconds;
        rc = run_once(b, i, &seconds);
        if (rc != EXIT_DONE)
            break;
        if (first_shot && i == 0)
            b->first_run = seconds;
        else if (first_shot)
            b->run[i - 1] = seconds;
        take(b, i, seconds);
    }
    if (rc == EXIT_DONE)
        b->peak_mib = fmax(b->peak_mib, peak_memory(b));
    return rc;
}

static bool wanted(const bench *b, const char *flag)
{
    const char *v = cli_get(b->c, flag);
    return !v || strcmp(v, "0") != 0;
}

/* All timings come before all profiles, which take memory of their own. */
static int shoot_all(bench *b)
{
    const setting *shots[2] = { NULL, NULL };
    int n = 0, rc = EXIT_DONE;
    switch (bt_model_kind(b->c->model)) {
    case BT_KIND_TEXT:
        if (wanted(b, "prompt-tokens"))
            shots[n++] = prompt_shot;
        if (wanted(b, "n-predict"))
            shots[n++] = decode_shot;
        break;
    case BT_KIND_IMAGE: shots[n++] = image_shot; break;
    default: shots[n++] = cli_get(b->c, "text") ? text_shot : phonemes_shot;
    }
    for (int i = 0; i < n && rc == EXIT_DONE; i++)
        rc = shoot(b, shots[i]);
    for (int i = 0; i < n && rc == EXIT_DONE; i++) {
        rc = set_all(b, shots[i]);
        if (rc == EXIT_DONE)
            rc = profile(b);
    }
    return rc;
}

/* ---- results --------------------------------------------------------------------- */

/* Seconds of one run of the figure's part. */
static double part_seconds(const metric *m)
{
    const double v = median(m->v, m->n);
    return m->per > 0 ? 1 / (v * m->per) : v;
}

static void print_metric(const metric *m)
{
    const double s = part_seconds(m);
    printf("  %-14s %12.5g %-8s  %.5g..%.5g, first %.5g", m->key, median(m->v, m->n), m->unit,
           extreme(m, -1), extreme(m, 1), m->first);
    if (m->flops > 0)
        printf("; %.1f GFLOP/s, %.2f GB/s, %.0f %% of the roofline", m->flops / s * 1e-9,
               m->bytes / s * 1e-9, 100 * m->roofline / s);
    printf("\n");
}

static char *metric_json(const metric *m)
{
    const double s = part_seconds(m);
    char *work = m->flops > 0 ? cli_text(",\"flops\":%.6g,\"bytes\":%.6g,\"gflops\":%.6g,"
                                         "\"gbps\":%.6g,\"roofline\":%.6g",
                                         m->flops, m->bytes, m->flops / s * 1e-9,
                                         m->bytes / s * 1e-9, m->roofline / s)
                              : cli_text("%s", "");
    char *json = cli_text("{\"key\":\"%s\",\"unit\":\"%s\",\"median\":%.6g,\"min\":%.6g,"
                          "\"max\":%.6g,\"first\":%.6g%s}",
                          m->key, m->unit, median(m->v, m->n), extreme(m, -1), extreme(m, 1),
                          m->first, work);
    free(work);
    return json;
}

static void keep(char **list, char *item)
{
    cli_join(list, item);
    free(item);
}

/* The model's results: printed at once, or kept for --json. */
static void finish_model(bench *b)
{
    const cli *c = b->c;
    const double usual = median(b->run, b->repeat);
    char *metrics = NULL, *flat = NULL;
    b->load = c->load_seconds + fmax(0, b->first_run - usual);
    for (int i = 0; i < b->n_metrics; i++) {
        keep(&metrics, metric_json(&b->m[i]));
        keep(&flat, cli_text("\"%s\":%.6g", b->m[i].key, median(b->m[i].v, b->m[i].n)));
    }
    b->all_load += b->load;
    b->all_peak = fmax(b->all_peak, b->peak_mib);
    if (flat)
        cli_join(&b->flat, flat);
    char *path = cli_json(c->model_path);
    keep(&b->done,
         cli_text("{\"model\":%s,\"kind\":\"%s\",\"load_s\":%.6g,\"open_s\":%.6g,"
                  "\"first_run_s\":%.6g,\"peak_rss_mib\":%.1f,\"metrics\":[%s],"
                  "\"parts\":[%s]}",
                  path, bt_kind_name(bt_model_kind(c->model)), b->load, c->load_seconds,
                  b->first_run, b->peak_mib, metrics ? metrics : "", b->parts ? b->parts : ""));
    if (!c->json) {
        printf("%s (%s): loaded in %.3f s, peak memory %.1f MiB\n", c->model_path,
               bt_kind_name(bt_model_kind(c->model)), b->load, b->peak_mib);
        for (int i = 0; i < b->n_metrics; i++)
            print_metric(&b->m[i]);
        fflush(stdout);
    }
    free(path);
    free(metrics);
    free(flat);
    free(b->parts);
    b->parts = NULL;
}

/* What Linux keeps as the most memory so far starts anew, for the next model. */
static void forget_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "we");
    if (!f)
        return;
    fputs("5", f);
    fclose(f);
}

/* Opens nothing itself: c->model is there. */
static int bench_model(bench *b)
{
    const bt_callbacks cb = { .samples = on_samples };
    b->n_metrics = 0;
    b->peak_mib = 0;
    running = b;
    int rc = cli_job_open(b->c, &cb);
    if (rc == EXIT_DONE)
        rc = cli_job_set(b->c, "profile", "false");
    if (rc == EXIT_DONE)
        rc = shoot_all(b);
    if (rc == EXIT_DONE)
        finish_model(b);
    cli_model_close(b->c);
    return rc;
}

/* ---- command ----------------------------------------------------------------------- */

static int bench_defaults(bench *b)
{
    static const bt_kind kinds[] = { BT_KIND_TEXT, BT_KIND_IMAGE, BT_KIND_AUDIO };
    int rc = EXIT_DONE;
    for (size_t i = 0; i < 3 && rc == EXIT_DONE; i++) {
        forget_peak();
        rc = cli_default_open(b->c, kinds[i]);
        if (rc == EXIT_DONE && b->c->model)
            rc = bench_model(b);
    }
    if (rc == EXIT_DONE && !b->done)
        return cli_fail(EXIT_INPUT, "no model is installed: run scripts/quickstart, or give -m");
    return rc;
}

static const char *string_of(const char *object, const char *key, char *out, size_t size)
{
    const char *v = object ? cli_member(object, key) : NULL;
    snprintf(out, size, "%.*s", v && *v == '"' ? (int)strcspn(v + 1, "\"") : 0, v ? v + 1 : "");
    return out;
}

static void print_peaks(const char *peaks)
{
    static const char *const names[] = { "one", "all" };
    for (int i = 0; i < 2; i++) {
        const char *r = cli_member(peaks, names[i]);
        printf("  %d threads:", i ? (int)member(peaks, "threads") : 1);
        static const char *const rates[] = { "f32", "bf16", "int8", "amx_bf16", "amx_int8" };
        for (size_t k = 0; r && k < sizeof rates / sizeof *rates; k++) {
            char key[32];
            snprintf(key, sizeof key, "%s_gflops", rates[k]);
            if (member(r, key) > 0)
                printf(" %s %.0f", rates[k], member(r, key));
        }
        printf(" GFLOP/s, memory %.1f GB/s\n", r ? member(r, "read_gbps") : 0);
    }
}

static int finish(bench *b)
{
    char *engine = NULL, isa[32], precision[32];
    if (bt_engine_describe(b->c->engine, &engine) != BT_OK)
        return cli_fail(EXIT_FAILED, "%s", bt_engine_message(b->c->engine));
    const char *kernels = cli_member(engine, "kernels"), *peaks = cli_member(engine, "peaks");
    string_of(kernels, "isa", isa, sizeof isa);
    string_of(engine, "precision", precision, sizeof precision);
    const int threads = (int)member(engine, "threads");
    const int length = peaks ? (int)(strstr(peaks, "}}") + 2 - peaks) : 0;
    if (b->c->json)
        printf("{\"command\":\"bench\",\"isa\":\"%s\",\"precision\":\"%s\",\"threads\":%d,"
               "\"repeat\":%d,%s%s\"load_s\":%.6g,\"peak_rss_mib\":%.1f,\"peaks\":%.*s,"
               "\"models\":[%s]}\n",
               isa, precision, threads, b->repeat, b->flat ? b->flat : "", b->flat ? "," : "",
               b->all_load, b->all_peak, length, peaks ? peaks : "null", b->done);
    else
        printf("%s, precision %s, %d threads; the machine's peaks, measured just now:\n", isa,
               precision, threads);
    if (!b->c->json && peaks)
        print_peaks(peaks);
    bt_free(engine);
    return cli_flush();
}

static int read_repeat(const cli *c, int *repeat)
{
    const char *text = cli_get(c, "repeat");
    char *end = NULL;
    const long n = text ? strtol(text, &end, 10) : 5;
    if (n < 1 || n > MAX_RUNS || (text && (*end || end == text)))
        return cli_fail(EXIT_USAGE, "repeat: \"%s\" is not a number from 1 to %d", text, MAX_RUNS);
    *repeat = (int)n;
    return EXIT_DONE;
}

static int run(cli *c)
{
    bench b = { .c = c };
    if (c->n_args > 0)
        return cli_fail(EXIT_USAGE, "bench takes flags only");
    int rc = read_repeat(c, &b.repeat);
    if (rc == EXIT_DONE && cli_get(c, "model")) {
        rc = cli_model_open(c);
        if (rc == EXIT_DONE)
            rc = bench_model(&b);
    } else if (rc == EXIT_DONE) {
        rc = bench_defaults(&b);
    }
    if (rc == EXIT_DONE)
        rc = finish(&b);
    free(b.parts);
    free(b.done);
    free(b.flat);
    return rc;
}

const cli_command cmd_bench = {
    .name = "bench",
    .usage = "[-m MODEL] [flags]",
    .summary = "Measures the speed of a model, and of this machine.",
    .peaks = true,
    .groups = TAKES_MODEL | TAKES_SEED,
    .flags = flags,
    .run = run,
};
