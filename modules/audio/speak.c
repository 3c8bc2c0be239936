/* SPDX-License-Identifier: MIT
 * A run: text to sentences, one after the other to sound, so that a book's
 * first words are there before its last ones are read.
 */
#include "base/rng.h"
#include "speak.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "clauses.h"

/* ---- text -------------------------------------------------------------- */

static void drop_espeak(bt_module_job *job)
{
    bt_espeak_close(job->espeak);
    bt_release(job->program);
    job->espeak = NULL;
    job->program = NULL;
}

/* The process stays for the job's next texts. */
static bt_status need_espeak(bt_module_job *job, const char *program, bt_error *err)
{
    if (job->espeak && strcmp(job->program, program) == 0)
        return BT_OK;
    drop_espeak(job);
    job->program = bt_strdup(program);
    if (!job->program)
        return bt_no_memory(err, "the job");
    return bt_espeak_open(program, job->voice->espeak_voice, &job->espeak, err);
}

/* The text and how it is taken: a line or a sentence at a time. */
typedef struct source {
    const char *text;
    size_t n, at;
    bool lines; /* phonemes: a sentence per line */
    bool whole; /* [[phonemes]] may join sentences */
} source;

static source source_of(const bt_module_job *job, const bt_speak_options *o)
{
    source s = { .text = o->phonemes[0] ? o->phonemes : o->text };
    s.n = strlen(s.text);
    s.lines = o->phonemes[0] || job->voice->is_text;
    s.whole = !s.lines && strstr(s.text, "[[");
    return s;
}

/* Where the piece that begins at s->at ends. */
static size_t piece_end(const source *s)
{
    bt_clause c = { .end = s->at };
    if (s->whole)
        return s->n;
    if (s->lines) {
        const char *end = memchr(s->text + s->at, '\n', s->n - s->at);
        return end ? (size_t)(end - s->text) + 1 : s->n;
    }
    while (bt_clause_next(s->text, s->n, c.end, &c))
        if (c.ends_sentence)
            return c.end + strspn(s->text + c.end, " \t\r\n");
    return s->n;
}

static int count_pieces(source s)
{
    int n = 0;
    for (; s.at < s.n; s.at = piece_end(&s))
        n++;
    return n;
}

/* The next piece's sentences into u. */
static bt_status utter(bt_module_job *job, const bt_run *r, source *s, bt_utterances *u)
{
    const bt_speak_options *o = r->options;
    const char *text = s->text + s->at;
    size_t end = piece_end(s), n = end - s->at;
    s->at = end;
    if (s->lines)
        return bt_utter_phonemes(job->voice, text, n, u, r->error);
    bt_status st = need_espeak(job, o->espeak, r->error);
    if (st == BT_OK)
        st = bt_utter_text(job->voice, job->espeak, text, n, r->cancel, u, r->error);
    if (st != BT_OK)
        drop_espeak(job); /* its next answer might be this one's */
    return st;
}

/* ---- samples ----------------------------------------------------------- */

/* From the decoder to the engine, by way of volume and normalizing. */
typedef struct sink {
    const bt_run *r;
    int rate;
    float volume;
    bool whole; /* keep a sentence until its peak is known */
    float *held;
    size_t n, cap;
    double total; /* samples given on */
} sink;

static bt_status give(sink *k, const float *x, size_t n)
{
    k->total += (double)n;
    return k->r->samples(k->r->host, k->rate, x, n);
}

/* Clipped only where a factor may have made it necessary. */
static bt_status give_scaled(sink *k, const float *x, size_t n, float factor)
{
    float part[4096];
    bt_status st = BT_OK;
    for (size_t i = 0; st == BT_OK && i < n;) {
        size_t m = n - i < 4096 ? n - i : 4096;
        for (size_t j = 0; j < m; j++)
            part[j] = fminf(fmaxf(x[i + j] * factor, -1), 1);
        st = give(k, part, m);
        i += m;
    }
    return st;
}

/* Samples as the decoder has them ready. */
static bt_status take(void *user, const float *x, size_t n)
{
    sink *k = user;
    if (!k->whole)
        return k->volume == 1 ? give(k, x, n) : give_scaled(k, x, n, k->volume);
    if (k->n + n > k->cap) {
        size_t cap = 2 * k->cap + n;
        float *held = bt_realloc_array(k->held, k->cap, cap, sizeof *held);
        if (!held)
            return bt_no_memory(k->r->error, "a sentence");
        k->held = held;
        k->cap = cap;
    }
    memcpy(k->held + k->n, x, n * sizeof *x);
    k->n += n;
    return BT_OK;
}

/* With `normalize` the sentence was held back: its peak becomes `volume`. */
static bt_status end_sentence(sink *k)
{
    float peak = 0;
    for (size_t i = 0; i < k->n; i++)
        peak = fmaxf(peak, fabsf(k->held[i]));
    size_t n = k->n;
    k->n = 0;
    return give_scaled(k, k->held, n, peak > 1e-8f ? k->volume / peak : 0);
}

static bt_status silence(sink *k, double seconds)
{
    static const float zeros[1024];
    bt_status st = BT_OK;
    for (size_t n = (size_t)(seconds * k->rate); st == BT_OK && n;) {
        size_t m = n < 1024 ? n : 1024;
        st = give(k, zeros, m);
        n -= m;
    }
    return st;
}

/* ---- run --------------------------------------------------------------- */

static bt_status report(const bt_run *r, const char *name, double value)
{
    char json[40];
    snprintf(json, sizeof json, "%.9g", value);
    return r->report(r->host, name, json);
}

/* What the options leave open is the voice's own; what was taken is reported. */
static bt_status settings_of(const bt_module_job *job, const bt_run *r, bt_vits_settings *s)
{
    const bt_speak_options *o = r->options;
    const bt_voice *v = job->voice;
    int speaker = o->speaker[0] ? bt_voice_speaker(v, o->speaker) : v->default_speaker;
    if (speaker < 0)
        return bt_fail(r->error, BT_EINVAL, "the voice has no speaker \"%.60s\" (it has %d)",
                       o->speaker, v->n_speakers);
    double length = isnan(o->length_scale) ? v->length_scale : o->length_scale;
    double noise = isnan(o->noise_scale) ? v->noise_scale : o->noise_scale;
    double noise_w = isnan(o->noise_w) ? v->noise_w : o->noise_w;
    *s = (bt_vits_settings){
        .speaker = speaker,
        .length_scale = (float)length,
        .noise_scale = (float)noise,
        .noise_w = (float)noise_w,
        .cancel = r->cancel,
        .trace = r->trace,
        .samples = take,
    };
    bt_status st;
    BT_TRY(report(r, "length_scale", length));
    BT_TRY(report(r, "noise_scale", noise));
    BT_TRY(report(r, "noise_w", noise_w));
fail:
    return st;
}

/* What a run counts. */
typedef struct tally {
    uint64_t seed; /* of the first sentence */
    int sentences;
    double ids, text_seconds, model_seconds;
} tally;

static bt_status report_all(const bt_run *r, const bt_utterances *u, const tally *t, double audio)
{
    bt_buf json = { 0 };
    char seed[24];
    bt_status st;
    bt_buf_json(&json, u->phonemes.data ? u->phonemes.data : "", u->phonemes.len);
    if (json.failed) {
        st = bt_no_memory(r->error, "the report");
        goto fail;
    }
    BT_TRY(r->report(r->host, "spoken_phonemes", json.data));
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)t->seed);
    BT_TRY(r->report(r->host, "seed", seed));
    BT_TRY(report(r, "sentences", t->sentences));
    BT_TRY(report(r, "phoneme_ids", t->ids));
    BT_TRY(report(r, "missing_phonemes", (double)u->missing));
    BT_TRY(report(r, "phonemize_seconds", t->text_seconds));
    BT_TRY(report(r, "model_seconds", t->model_seconds));
    BT_TRY(report(r, "audio_seconds", audio));
fail:
    bt_buf_free(&json);
    return st;
}

/* The sentences in u, then empties it. */
static bt_status speak_piece(bt_module_job *job, const bt_run *r, bt_vits_settings *s, sink *k,
                             bt_utterances *u, tally *t)
{
    const bt_speak_options *o = r->options;
    bt_status st = BT_OK;
    for (size_t i = 0; i < u->n; i++) {
        const bt_utterance *x = &u->v[i];
        if (t->sentences && o->sentence_silence > 0)
            BT_TRY(silence(k, o->sentence_silence));
        s->seed = t->seed + (uint64_t)t->sentences;
        s->first = t->sentences == 0;
        BT_TRY(bt_vits_speak(&job->plans, x->ids, (size_t)x->n, s, NULL, r->error));
        BT_TRY(end_sentence(k));
        t->sentences++;
        t->ids += x->n;
    }
fail:
    bt_utterances_drop(u);
    return st;
}

bt_status bt_speak(bt_module_job *job, const bt_run *r)
{
    const bt_speak_options *o = r->options;
    source from = source_of(job, o);
    sink k = { .r = r, .rate = job->voice->sample_rate, .volume = (float)o->volume };
    bt_utterances u = { 0 };
    bt_vits_settings s;
    tally t = { 0 };
    int pieces = count_pieces(from);
    bt_status st;
    k.whole = o->normalize;
    BT_TRY(bt_seed_choose(o->seed, &t.seed, r->error));
    BT_TRY(settings_of(job, r, &s));
    s.user = &k;
    for (int i = 0; from.at < from.n; i++) {
        BT_TRY(r->progress(r->host, "speak", i, pieces));
        double begin = bt_now();
        BT_TRY(utter(job, r, &from, &u));
        double middle = bt_now();
        BT_TRY(speak_piece(job, r, &s, &k, &u, &t));
        t.text_seconds += middle - begin;
        t.model_seconds += bt_now() - middle;
    }
    if (t.sentences == 0) {
        st = bt_fail(r->error, BT_EINVAL, "there is nothing to say in the text");
        goto fail;
    }
    BT_TRY(r->progress(r->host, "speak", pieces, pieces));
    BT_TRY(report_all(r, &u, &t, k.total / k.rate));
fail:
    bt_utterances_free(&u);
    bt_release(k.held);
    return st;
}
