/* SPDX-License-Identifier: MIT
 * A module for tests: a tone of 0.1 s for every letter of the text; a "%" is no phoneme. Its
 * models: metadata "demo": "sine".
 */
#include <math.h>
#include <string.h>

#include "module.h"

enum { RATE = 8000, PIECE = RATE / 10 };

typedef struct sine_options {
    const char *text, *phonemes;
    double noise_scale, length_scale;
    uint64_t seed;
    int strict;
} sine_options;

#define OFF(field) offsetof(sine_options, field)

static const bt_option options[] = {
    { "text", NULL, NULL, BT_OPT_STRING, OFF(text), "", 0, 0, NULL, NULL, "what to say" },
    { "phonemes", NULL, NULL, BT_OPT_STRING, OFF(phonemes), "", 0, 0, NULL, NULL, "in its place" },
    { "noise_scale", NULL, NULL, BT_OPT_FLOAT, OFF(noise_scale), "", 0, 10, NULL, NULL, "unused" },
    { "length_scale", NULL, NULL, BT_OPT_FLOAT, OFF(length_scale), "1", 0.1, 10, NULL, NULL,
      "slower" },
    { "seed", NULL, NULL, BT_OPT_UINT64, OFF(seed), "0", 0, 0, NULL, NULL, "unused" },
    { "strict", NULL, NULL, BT_OPT_BOOL, OFF(strict), "0", 0, 1, NULL, NULL, "fail at a %" },
    { 0 }
};

struct bt_module_job {
    int unused;
};

static int sine_probe(const bt_store *s)
{
    const char *demo = bt_store_str(s, "demo", NULL);
    return demo && strcmp(demo, "sine") == 0 ? 100 : 0;
}

static bt_status sine_open(bt_store *s, const bt_compute *c, void **model, bt_error *err)
{
    (void)c;
    (void)err;
    *model = s;
    return BT_OK;
}

static void sine_close(void *model) { bt_store_close(model); }

static bt_status sine_describe(void *model, bt_buf *json)
{
    (void)model;
    bt_buf_puts(json, "{\"architecture\":\"sine\",\"sample_rate\":8000}");
    return BT_OK;
}

static bt_status sine_job_open(void *model, bt_module_job **job, bt_error *err)
{
    (void)model;
    *job = bt_calloc(1, sizeof **job);
    return *job ? BT_OK : bt_fail(err, BT_ENOMEM, "out of memory");
}

static void sine_job_close(bt_module_job *job) { bt_release(job); }

static bt_status sine_estimate(bt_module_job *job, const bt_run *r, bt_estimate *out)
{
    (void)job;
    (void)r;
    out->arena = PIECE * sizeof(float);
    return BT_OK;
}

/* One of text[from..to). */
static bt_status tell(const bt_run *r, bt_timing_kind kind, const char *text, size_t from,
                      size_t to)
{
    char said[256] = { 0 };
    memcpy(said, text + from, to - from < 255 ? to - from : 255);
    const bt_timing t = {
        .kind = kind,
        .sample_rate = RATE,
        .begin = from * PIECE,
        .end = to * PIECE,
        .from = from,
        .to = to,
        .spelling = said,
        .phonemes = said,
        .id = kind == BT_TIMING_PHONEME ? text[from] : -1,
    };
    return r->timing(r->host, &t);
}

/* Sentences end with a full stop, words with a space. */
static bt_status tell_all(const bt_run *r, const char *text, size_t n)
{
    bt_status st = BT_OK;
    for (size_t at = 0; at < n && st == BT_OK;) {
        const size_t from = at + (text[at] == ' '), end = from + strcspn(text + from, ".") + 1;
        const size_t to = end < n ? end : n;
        st = tell(r, BT_TIMING_SENTENCE, text, from, to);
        for (size_t w = from; w < to && st == BT_OK; w++) {
            const size_t len = strcspn(text + w, " .");
            st = tell(r, BT_TIMING_WORD, text, w, w + len);
            w += len;
        }
        for (size_t i = from; i < to && st == BT_OK; i++)
            st = tell(r, BT_TIMING_PHONEME, text, i, i + 1);
        at = to;
    }
    return st;
}

static bt_status sine_run(bt_module_job *job, const bt_run *r)
{
    const sine_options *o = r->options;
    const char *text = *o->phonemes ? o->phonemes : o->text;
    const size_t n = strlen(text);
    float piece[PIECE];
    bt_status st = BT_OK;
    (void)job;
    if (o->strict && strchr(text, '%'))
        return bt_fail(r->error, BT_EINVAL, "the voice has no phoneme \"%%\"");
    if (r->timing)
        st = tell_all(r, text, n);
    for (size_t i = 0; i < n && st == BT_OK; i++) {
        for (int k = 0; k < PIECE; k++)
            piece[k] = 0.5f * (float)sin(6.283185307 * (200 + 10 * (text[i] & 31)) * k / RATE);
        st = r->progress(r->host, "tone", (int)i, (int)n);
        if (st == BT_OK)
            st = r->samples(r->host, RATE, piece, PIECE);
    }
    return st;
}

static const bt_module sine = {
    .abi = BT_MODULE_ABI,
    .version = BT_VERSION,
    .name = "sine",
    .kind = BT_KIND_AUDIO,
    .options = options,
    .options_size = sizeof(sine_options),
    .probe = sine_probe,
    .open = sine_open,
    .close = sine_close,
    .describe = sine_describe,
    .job_open = sine_job_open,
    .job_close = sine_job_close,
    .estimate = sine_estimate,
    .run = sine_run,
};

BT_API const bt_module *bt_module_entry(void);

const bt_module *bt_module_entry(void) { return &sine; }
