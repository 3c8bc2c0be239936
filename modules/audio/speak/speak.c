/* SPDX-License-Identifier: MIT
 * A run: text to sentences, one after the other to sound, so that a book's
 * first words are there before its last ones are read.
 */
#include "audio/script/script.h"
#include "audio/speak/sink.h"
#include "audio/speak/speak.h"

#include <math.h>
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

static bt_status open_script(bt_script *s, bt_module_job *job, const bt_run *r)
{
    const bt_speak_options *o = r->options;
    const bt_script_rules rules = { .tongue = job->family->tongue(job->own),
                                    .sentence_silence = o->sentence_silence,
                                    .paragraph_silence = o->paragraph_silence };
    if (!o->phonemes[0])
        return bt_script_open(s, &rules, o->text, o->ssml, r->error);
    bt_script_open_phonemes(s, o->phonemes);
    return BT_OK;
}

static bt_status set_speaker(bt_module_job *job, const bt_run *r, const char *name)
{
    const bt_speak_family *f = job->family;
    if (f->speaker)
        return f->speaker(job->own, r, name);
    if (!*name)
        return BT_OK;
    return bt_fail(r->error, BT_EINVAL, "the voice has no speaker \"%.60s\" (it has one)", name);
}

/* Where the piece of the passage that begins at `at` ends. */
static size_t piece_end(const bt_module_job *job, const bt_passage *p, size_t at)
{
    if (p->phonemes)
        return bt_speak_line_end(p->text, p->n, at);
    return job->family->piece_end(job->own, p->text, p->n, at);
}

/* Reads all of the source, so that its faults are known before anything is said. */
static bt_status count_pieces(bt_module_job *job, const bt_run *r, int *n)
{
    bt_script s = { 0 };
    bt_passage p = { 0 };
    bt_status st;
    BT_TRY(open_script(&s, job, r));
    do {
        BT_TRY(bt_script_next(&s, &p, r->error));
        if (p.n && *p.speaker)
            BT_TRY(set_speaker(job, r, p.speaker));
        for (size_t at = 0; at < p.n; at = piece_end(job, &p, at))
            ++*n;
    } while (p.n);
    st = set_speaker(job, r, "");
fail:
    bt_script_close(&s);
    return st;
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
    int pieces, done, sentences;
    double pause; /* seconds of silence before the next sentence... */
    bool asked;   /* ...which the source names */
    bool said;    /* of this passage: something */
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

/* Silence before a passage; one of which nothing was said leaves its own behind. */
static void plan_pause(tally *t, const bt_passage *p)
{
    const bool left = !t->said;
    t->pause = fmax(p->pause, left ? t->pause : 0);
    t->asked = p->asked || (left && t->asked);
    t->said = false;
}

static bt_status take_pause(bt_sink *k, tally *t, double next)
{
    const double seconds = t->sentences || t->asked ? t->pause : 0;
    t->pause = next;
    t->asked = false;
    t->said = true;
    return bt_sink_silence(k, seconds);
}

/* The sentences in u, then empties it. */
static bt_status speak_piece(bt_module_job *job, bt_speak_call *c, bt_sink *k, bt_utterances *u,
                             tally *t)
{
    const bt_passage *p = k->times.passage;
    const bt_speak_options *o = c->r->options;
    bt_status st = BT_OK;
    for (size_t i = 0; i < u->n; i++) {
        const bt_utterance *x = &u->v[i];
        k->cut_head = p->goes_on_before && !t->said;
        k->cut_tail = p->goes_on_after && k->times.piece.to == p->n && i + 1 == u->n;
        BT_TRY(take_pause(k, t, o->sentence_silence));
        k->times.begin = k->total;
        k->times.sentence = x;
        k->times.head = k->times.tail = 0;
        c->seed = t->seed + (uint64_t)t->sentences;
        c->first = t->sentences == 0 && c->r->hurry;
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

static bt_status speak_passage(bt_module_job *job, bt_speak_call *c, const bt_passage *p,
                               bt_sink *k, bt_utterances *u, tally *t)
{
    const bt_speak_family *f = job->family;
    const bt_run *r = c->r;
    bt_status st = BT_OK;
    c->pace = p->pace;
    k->volume = (float)(((const bt_speak_options *)r->options)->volume * p->volume);
    plan_pause(t, p);
    BT_TRY(set_speaker(job, r, p->speaker));
    for (size_t at = 0, end; at < p->n; at = end) {
        BT_TRY(r->progress(r->host, "speak", t->done++, t->pieces));
        const double begin = bt_now();
        end = piece_end(job, p, at);
        BT_TRY(
            (p->phonemes ? f->utter_phonemes : f->utter)(job->own, r, p->text + at, end - at, u));
        BT_TRY(check_lacks(r, u));
        k->times = (bt_times){ .all = u, .passage = p, .piece = { at, end }, .rate = k->rate };
        const double middle = bt_now();
        BT_TRY(speak_piece(job, c, k, u, t));
        t->text_seconds += middle - begin;
        t->model_seconds += bt_now() - middle;
    }
fail:
    return st;
}

static bt_status speak_script(bt_module_job *job, const bt_run *r, bt_script *from, bt_sink *k,
                              bt_utterances *u, tally *t)
{
    bt_speak_call call = { .r = r, .samples = bt_sink_take, .user = k };
    call.frames = r->timing ? bt_sink_frames : NULL;
    bt_passage p;
    bt_status st;
    for (;;) {
        BT_TRY(bt_script_next(from, &p, r->error));
        if (p.n == 0)
            break;
        BT_TRY(speak_passage(job, &call, &p, k, u, t));
    }
    if (t->sentences == 0)
        return bt_fail(r->error, BT_ENOTFOUND, "there is nothing to say in the text");
    if (p.asked)
        BT_TRY(bt_sink_silence(k, p.pause));
    BT_TRY(r->progress(r->host, "speak", t->pieces, t->pieces));
    BT_TRY(r->report(r->host, "ssml", bt_script_is_ssml(from) ? "true" : "false"));
    if (bt_script_ignored(from))
        BT_TRY(r->report(r->host, "ssml_ignored", bt_script_ignored(from)));
    BT_TRY(report_all(r, u, t, (double)k->total / k->rate));
fail:
    return st;
}

static bt_status speak_all(bt_module_job *job, const bt_run *r, bt_sink *k, bt_utterances *u)
{
    tally t = { 0 };
    bt_script from = { 0 };
    bt_status st;
    BT_TRY(count_pieces(job, r, &t.pieces));
    BT_TRY(bt_seed_choose(((const bt_speak_options *)r->options)->seed, &t.seed, r->error));
    BT_TRY(open_script(&from, job, r));
    st = speak_script(job, r, &from, k, u, &t);
fail:
    bt_script_close(&from);
    return st;
}

bt_status bt_speak(bt_module_job *job, const bt_run *r)
{
    const bt_speak_options *o = r->options;
    bt_sink k = bt_sink_begin(r, job->rate, o->normalize, o->loudness);
    bt_utterances u = { 0 };
    bt_status st = BT_OK;
    if (r->timing && !job->family->timed)
        st = bt_fail(r->error, BT_EUNSUPPORTED, "this voice does not tell its times");
    else if (o->normalize && !isnan(o->loudness))
        st = bt_fail(r->error, BT_EINVAL, "normalize and loudness exclude each other");
    if (st == BT_OK)
        st = job->family->begin(job->own, r);
    if (st == BT_OK)
        st = speak_all(job, r, &k, &u);
    bt_utterances_free(&u);
    bt_sink_free(&k);
    return st;
}
