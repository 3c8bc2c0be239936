/* SPDX-License-Identifier: MIT
 * A run: text to sentences, one after the other to sound, so that a book's
 * first words are there before its last ones are read.
 */
#include "audio/speak/sink.h"
#include "audio/speak/speak.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/threads.h"
#include "text/utf8.h"

/* ---- jobs -------------------------------------------------------------- */

bt_status bt_speak_job_open(const bt_speak_family *f, int rate, void *own, bt_module_job **out,
                            bt_error *err)
{
    bt_module_job *job = own ? bt_calloc(1, sizeof *job) : NULL;
    *out = job;
    if (!job) {
        f->close(own);
        return bt_no_memory(err, "the job");
    }
    *job = (bt_module_job){ .family = f, .rate = rate, .own = own };
    return BT_OK;
}

void bt_speak_job_close(bt_module_job *job)
{
    if (!job)
        return;
    job->family->close(job->own);
    bt_release(job);
}

/* ---- text -------------------------------------------------------------- */

size_t bt_speak_line_end(const char *text, size_t n, size_t at)
{
    const char *end = memchr(text + at, '\n', n - at);
    return end ? (size_t)(end - text) + 1 : n;
}

typedef struct source {
    bt_module_job *job;
    const char *text;
    size_t n, at;
    bool phonemes;
} source;

static source source_of(bt_module_job *job, const bt_speak_options *o)
{
    source s = { .job = job, .phonemes = o->phonemes[0] };
    s.text = s.phonemes ? o->phonemes : o->text;
    s.n = strlen(s.text);
    return s;
}

static size_t piece_end(const source *s)
{
    if (s->phonemes)
        return bt_speak_line_end(s->text, s->n, s->at);
    return s->job->family->piece_end(s->job->own, s->text, s->n, s->at);
}

static int count_pieces(source s)
{
    int n = 0;
    for (; s.at < s.n; s.at = piece_end(&s))
        n++;
    return n;
}

/* The next piece's sentences into u. */
static bt_status utter(const bt_run *r, source *s, bt_utterances *u)
{
    const bt_speak_family *f = s->job->family;
    const char *text = s->text + s->at;
    size_t end = piece_end(s), n = end - s->at;
    s->at = end;
    return (s->phonemes ? f->utter_phonemes : f->utter)(s->job->own, r, text, n, u);
}

/* ---- run --------------------------------------------------------------- */

bt_status bt_speak_report(const bt_run *r, const char *name, double value)
{
    char json[40];
    snprintf(json, sizeof json, "%.9g", value);
    return r->report(r->host, name, json);
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
    BT_TRY(bt_speak_report(r, "sentences", t->sentences));
    BT_TRY(bt_speak_report(r, "phoneme_ids", t->ids));
    BT_TRY(bt_speak_report(r, "missing_phonemes", (double)u->missing));
    BT_TRY(bt_speak_report(r, "phonemize_seconds", t->text_seconds));
    BT_TRY(bt_speak_report(r, "model_seconds", t->model_seconds));
    BT_TRY(bt_speak_report(r, "audio_seconds", audio));
fail:
    bt_buf_free(&json);
    return st;
}

static bt_status take_frames(void *user, const int32_t *ids_at, size_t n, int hop)
{
    bt_sink *k = user;
    return bt_times_tell(&k->times, k->r, ids_at, n, hop);
}

/* The sentences in u, then empties it. */
static bt_status speak_piece(bt_module_job *job, bt_speak_call *c, bt_sink *k, bt_utterances *u,
                             tally *t)
{
    const bt_speak_options *o = c->r->options;
    bt_status st = BT_OK;
    for (size_t i = 0; i < u->n; i++) {
        const bt_utterance *x = &u->v[i];
        if (t->sentences && o->sentence_silence > 0)
            BT_TRY(bt_sink_silence(k, o->sentence_silence));
        k->times.begin = k->total;
        k->times.sentence = x;
        c->seed = t->seed + (uint64_t)t->sentences;
        c->first = t->sentences == 0;
        BT_TRY(job->family->speak(job->own, x->ids, (size_t)x->n, c));
        BT_TRY(bt_sink_end_sentence(k));
        t->sentences++;
        t->ids += x->n;
    }
fail:
    bt_utterances_drop(u);
    return st;
}

/* With `strict` every phoneme must be the voice's. */
static bt_status check_lacks(const bt_run *r, const bt_utterances *u)
{
    char text[4];
    if (!((const bt_speak_options *)r->options)->strict || u->missing == 0)
        return BT_OK;
    return bt_fail(r->error, BT_EINVAL, "the voice has no phoneme \"%.*s\" (U+%04X)",
                   (int)bt_utf8_put(text, u->lacks), text, (unsigned)u->lacks);
}

static bt_status speak_all(bt_module_job *job, const bt_run *r, bt_sink *k, bt_utterances *u)
{
    bt_speak_call call = { .r = r, .samples = bt_sink_take, .user = k };
    call.frames = r->timing ? take_frames : NULL;
    source from = source_of(job, r->options);
    tally t = { 0 };
    int pieces = count_pieces(from);
    bt_status st;
    BT_TRY(bt_seed_choose(((const bt_speak_options *)r->options)->seed, &t.seed, r->error));
    for (int i = 0; from.at < from.n; i++) {
        BT_TRY(r->progress(r->host, "speak", i, pieces));
        double begin = bt_now();
        const size_t at = from.at;
        BT_TRY(utter(r, &from, u));
        BT_TRY(check_lacks(r, u));
        k->times = (bt_times){ .all = u, .text = from.text, .piece = { at, from.at } };
        k->times.rate = k->rate;
        double middle = bt_now();
        BT_TRY(speak_piece(job, &call, k, u, &t));
        t.text_seconds += middle - begin;
        t.model_seconds += bt_now() - middle;
    }
    if (t.sentences == 0)
        return bt_fail(r->error, BT_EINVAL, "there is nothing to say in the text");
    BT_TRY(r->progress(r->host, "speak", pieces, pieces));
    BT_TRY(report_all(r, u, &t, (double)k->total / k->rate));
fail:
    return st;
}

bt_status bt_speak(bt_module_job *job, const bt_run *r)
{
    const bt_speak_options *o = r->options;
    bt_sink k = { .r = r, .rate = job->rate, .volume = (float)o->volume, .whole = o->normalize };
    bt_utterances u = { 0 };
    bt_status st = BT_OK;
    if (r->timing && !job->family->timed)
        st = bt_fail(r->error, BT_EUNSUPPORTED, "this voice does not tell its times");
    if (st == BT_OK)
        st = job->family->begin(job->own, r);
    if (st == BT_OK)
        st = speak_all(job, r, &k, &u);
    bt_utterances_free(&u);
    bt_sink_free(&k);
    return st;
}
