/* SPDX-License-Identifier: MIT
 * The audio module: Piper voices (VITS). Options, job, descriptor.
 */
#include "module.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "phonemes.h"
#include "vits.h"

typedef struct speak_options {
    const char *text, *phonemes, *speaker, *espeak;
    double length_scale, noise_scale, noise_w, sentence_silence, volume;
    uint64_t seed;
    int normalize;
} speak_options;

#define OFF(field) offsetof(speak_options, field)

static const bt_option options[] = {
    { "text", NULL, NULL, BT_OPT_STRING, OFF(text), "", 0, 0, NULL, NULL,
      "what to say; phonemes may stand in it as [[...]]" },
    { "phonemes", NULL, NULL, BT_OPT_STRING, OFF(phonemes), "", 0, 0, NULL, NULL,
      "phonemes (IPA) instead of text, a sentence per line; needs no espeak-ng" },
    { "speaker", NULL, "speaker_id,speaker-id", BT_OPT_STRING, OFF(speaker), "", 0, 0, NULL, NULL,
      "name or number of a voice's speaker" },
    { "length_scale", NULL, "length-scale", BT_OPT_FLOAT, OFF(length_scale), "", 0.05, 20, NULL,
      NULL, "duration of phonemes: 2 is half as fast" },
    { "noise_scale", NULL, "noise-scale", BT_OPT_FLOAT, OFF(noise_scale), "", 0, 10, NULL, NULL,
      "variation of the sound" },
    { "noise_w", NULL, "noise-w,noise_w_scale,noise-w-scale", BT_OPT_FLOAT, OFF(noise_w), "", 0, 10,
      NULL, NULL, "variation of the durations" },
    { "sentence_silence", NULL, "sentence-silence", BT_OPT_FLOAT, OFF(sentence_silence), "0", 0, 60,
      NULL, "s", "silence between sentences; none after the last" },
    { "volume", NULL, NULL, BT_OPT_FLOAT, OFF(volume), "1", 0, 100, NULL, NULL,
      "factor on the samples" },
    { "normalize", NULL, NULL, BT_OPT_BOOL, OFF(normalize), "0", 0, 1, NULL, NULL,
      "bring every sentence to full level, as piper does" },
    { "seed", "s", NULL, BT_OPT_UINT64, OFF(seed), "0", 0, 0, NULL, NULL,
      "same seed, same sound; sentence i is spoken with seed + i" },
    { "espeak", NULL, NULL, BT_OPT_STRING, OFF(espeak), "espeak-ng", 0, 0, NULL, NULL,
      "program that turns text into phonemes" },
    { 0 },
};

struct bt_module_job {
    const bt_voice *voice;
    bt_vits_plans plans;
    bt_espeak *espeak; /* started on first use */
    char *program;     /* what it was started as */
};

/* ---- text -------------------------------------------------------------- */

static void drop_espeak(bt_module_job *job)
{
    bt_espeak_close(job->espeak);
    bt_release(job->program);
    job->espeak = NULL;
    job->program = NULL;
}

static bt_status need_espeak(bt_module_job *job, const char *program, bt_error *err)
{
    if (job->espeak && strcmp(job->program, program) == 0)
        return BT_OK;
    drop_espeak(job);
    job->program = bt_strdup(program);
    if (!job->program)
        return bt_fail(err, BT_ENOMEM, "no memory for the job");
    return bt_espeak_open(program, job->voice->espeak_voice, &job->espeak, err);
}

static bt_status utter(bt_module_job *job, const bt_run *r, bt_utterances *u)
{
    const speak_options *o = r->options;
    if (o->phonemes[0])
        return bt_utter_phonemes(job->voice, o->phonemes, u, r->error);
    bt_status st = BT_OK;
    if (!job->voice->is_text)
        st = need_espeak(job, o->espeak, r->error);
    if (st == BT_OK)
        st = bt_utter_text(job->voice, job->espeak, o->text, r->cancel, u, r->error);
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
    bool whole;      /* keep a sentence until its peak is known */
    float *held;
    size_t n, cap;
    double total;    /* samples given on */
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

static bt_status take(void *user, const float *x, size_t n)
{
    sink *k = user;
    if (!k->whole)
        return k->volume == 1 ? give(k, x, n) : give_scaled(k, x, n, k->volume);
    if (k->n + n > k->cap) {
        size_t cap = 2 * k->cap + n;
        float *held = bt_realloc_array(k->held, k->cap, cap, sizeof *held);
        if (!held)
            return bt_fail(k->r->error, BT_ENOMEM, "no memory for a sentence");
        k->held = held;
        k->cap = cap;
    }
    memcpy(k->held + k->n, x, n * sizeof *x);
    k->n += n;
    return BT_OK;
}

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

static bt_status settings_of(const bt_module_job *job, const bt_run *r, bt_vits_settings *s)
{
    const speak_options *o = r->options;
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

static bt_status report_text(const bt_run *r, const bt_utterances *u, double seconds)
{
    bt_buf json = { 0 };
    bt_status st;
    bt_buf_json(&json, u->phonemes.data ? u->phonemes.data : "", u->phonemes.len);
    if (json.failed) {
        st = bt_fail(r->error, BT_ENOMEM, "no memory for the report");
        goto fail;
    }
    BT_TRY(r->report(r->host, "spoken_phonemes", json.data));
    BT_TRY(report(r, "sentences", (double)u->n));
    BT_TRY(report(r, "missing_phonemes", (double)u->missing));
    BT_TRY(report(r, "phonemize_seconds", seconds));
fail:
    bt_buf_free(&json);
    return st;
}

static bt_status speak_all(bt_module_job *job, const bt_run *r, const bt_utterances *u)
{
    const speak_options *o = r->options;
    sink k = { .r = r, .rate = job->voice->sample_rate, .volume = (float)o->volume };
    bt_vits_settings s;
    double ids = 0, begin = bt_now();
    bt_status st;
    k.whole = o->normalize;
    BT_TRY(settings_of(job, r, &s));
    s.user = &k;
    for (size_t i = 0; i < u->n; i++) {
        BT_TRY(r->progress(r->host, "speak", (int)i, (int)u->n));
        if (i && o->sentence_silence > 0)
            BT_TRY(silence(&k, o->sentence_silence));
        s.seed = o->seed + i;
        BT_TRY(bt_vits_speak(&job->plans, u->v[i].ids, (size_t)u->v[i].n, &s, NULL, r->error));
        BT_TRY(end_sentence(&k));
        ids += u->v[i].n;
    }
    BT_TRY(r->progress(r->host, "speak", (int)u->n, (int)u->n));
    BT_TRY(report(r, "phoneme_ids", ids));
    BT_TRY(report(r, "audio_seconds", k.total / k.rate));
    BT_TRY(report(r, "model_seconds", bt_now() - begin));
fail:
    bt_release(k.held);
    return st;
}

static bt_status speak_run(bt_module_job *job, const bt_run *r)
{
    bt_utterances u = { 0 };
    bt_status st;
    double begin = bt_now();
    BT_TRY(utter(job, r, &u));
    BT_TRY(report_text(r, &u, bt_now() - begin));
    if (u.n == 0) {
        st = bt_fail(r->error, BT_EINVAL, "there is nothing to say in the text");
        goto fail;
    }
    st = speak_all(job, r, &u);
fail:
    bt_utterances_free(&u);
    return st;
}

/* ---- model and job ----------------------------------------------------- */

static int speak_probe(const bt_store *s) { return bt_voice_is(s) ? 100 : 0; }

/* Builds every part once, so that a voice with missing or wrong tensors is
 * refused here and not in the middle of a job. */
static bt_status check_parts(const bt_voice *v, bt_error *err)
{
    bt_vits_plans plans = { .voice = v };
    bt_vits_plan *p;
    float m, logs;
    bt_status st;
    BT_TRY(bt_vits_affine(v, &m, &logs, err));
    BT_TRY(bt_vits_plan_get(&plans, BT_VITS_ENCODER, 1, &p, err));
    BT_TRY(bt_vits_plan_get(&plans, BT_VITS_FLOW, 1, &p, err));
    BT_TRY(bt_vits_plan_get(&plans, BT_VITS_VOCODER, 1, &p, err));
fail:
    bt_vits_plans_clear(&plans);
    return st;
}

static void speak_close(void *model) { bt_voice_close(model); }

static bt_status speak_open(bt_store *s, const bt_compute *c, void **model, bt_error *err)
{
    bt_voice *v;
    *model = NULL;
    bt_status st = bt_voice_open(s, c, &v, err);
    if (st != BT_OK)
        return st;
    st = check_parts(v, err);
    if (st != BT_OK) {
        v->store = NULL; /* stays the caller's */
        bt_voice_close(v);
        return st;
    }
    *model = v;
    return BT_OK;
}

static bt_status speak_describe(void *model, bt_buf *json)
{
    const bt_voice *v = model;
    double params = 0;
    for (size_t i = 0; i < bt_store_count(v->store); i++)
        params += (double)bt_tensor_count(bt_store_at(v->store, i));
    bt_buf_printf(json, "{\"architecture\":\"vits\",\"parameters\":%.0f,\"sample_rate\":%d,"
                  "\"language\":", params, v->sample_rate);
    bt_buf_json(json, v->espeak_voice, strlen(v->espeak_voice));
    bt_buf_printf(json,
                  ",\"phonemes\":%d,\"hidden\":%d,\"layers\":%d,\"decoder\":\"%s\",\"hop\":%d,"
                  "\"noise_scale\":%g,\"length_scale\":%g,\"noise_w\":%g,\"speakers\":%d",
                  v->n_phonemes, v->hidden, v->n_layers,
                  v->block_pairs ? "HiFi-GAN, ResBlock1" : "HiFi-GAN, ResBlock2", v->hop,
                  v->noise_scale, v->length_scale, v->noise_w, v->n_speakers);
    for (int i = 0; i < v->n_named; i++) {
        bt_buf_puts(json, i ? "," : ",\"speaker_names\":[");
        bt_buf_json(json, v->speakers[i].name, strlen(v->speakers[i].name));
    }
    bt_buf_puts(json, v->n_named ? "]}" : "}");
    return json->failed ? BT_ENOMEM : BT_OK;
}

static bt_status speak_job_open(void *model, bt_module_job **out, bt_error *err)
{
    bt_module_job *job = bt_calloc(1, sizeof *job);
    *out = job;
    if (!job)
        return bt_fail(err, BT_ENOMEM, "no memory for the job");
    job->voice = model;
    job->plans.voice = model;
    return BT_OK;
}

static void speak_job_close(bt_module_job *job)
{
    if (!job)
        return;
    bt_vits_plans_clear(&job->plans);
    drop_espeak(job);
    bt_release(job);
}

/* Without asking for phonemes: about two ids per letter and frame, in
 * sentences of some 100 letters. */
static bt_status speak_estimate(bt_module_job *job, const void *opts, bt_estimate *out,
                                bt_error *err)
{
    const speak_options *o = opts;
    const bt_voice *v = job->voice;
    double letters = (double)strlen(o->phonemes[0] ? o->phonemes : o->text) + 1;
    double sentence = letters < 100 ? letters : 100;
    double speed = isnan(o->length_scale) ? v->length_scale : o->length_scale;
    int64_t t = (int64_t)(2 * sentence) + 3, f = (int64_t)(2 * sentence * speed * 2) + 1;
    const int64_t size[] = { t, f, f < 256 ? f : 256 + 2 * v->margin };
    bt_status st;
    for (int part = 0; part < 3; part++) {
        bt_vits_plan *p;
        BT_TRY(bt_vits_plan_get(&job->plans, (bt_vits_part)part, size[part], &p, err));
        uint64_t arena = bt_plan_arena(p->plan);
        out->arena += arena;
        double runs = part == BT_VITS_VOCODER ? (double)f / (double)size[part] : 1;
        out->flops += bt_plan_flops(p->plan) * runs * letters / sentence;
    }
    for (size_t i = 0; i < bt_store_count(v->store); i++)
        out->weights += bt_store_at(v->store, i)->bytes;
fail:
    return st;
}

const bt_module bt_module_vits = {
    .abi = BT_MODULE_ABI,
    .version = BT_VERSION,
    .name = "vits",
    .kind = BT_KIND_AUDIO,
    .options = options,
    .options_size = sizeof(speak_options),
    .probe = speak_probe,
    .open = speak_open,
    .close = speak_close,
    .describe = speak_describe,
    .job_open = speak_job_open,
    .job_close = speak_job_close,
    .estimate = speak_estimate,
    .run = speak_run,
};
