/* SPDX-License-Identifier: MIT
 * The audio module: Piper voices (VITS). Options, model, descriptor.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "audio/speak/speak.h"
#include "audio/vits/clauses.h"
#include "audio/vits/phonemes.h"
#include "audio/vits/vits.h"

/* ---- options ----------------------------------------------------------- */

typedef struct options {
    bt_speak_options speak;
    const char *speaker, *espeak;
    double noise_scale, noise_w;
} options;

#define OFF(field) offsetof(options, field)

static const bt_option table[] = {
    BT_SPEAK_OPTIONS(options),
    { "speaker", "s", "speaker_id,speaker-id", BT_OPT_STRING, OFF(speaker), "", 0, 0, NULL, NULL,
      "name or number of a voice's speaker" },
    { "noise_scale", NULL, "noise-scale", BT_OPT_FLOAT, OFF(noise_scale), "", 0, 10, NULL, NULL,
      "variation of the sound" },
    { "noise_w", NULL, "noise-w,noise_w_scale,noise-w-scale", BT_OPT_FLOAT, OFF(noise_w), "", 0, 10,
      NULL, NULL, "variation of the durations" },
    { "espeak", NULL, NULL, BT_OPT_STRING, OFF(espeak), "espeak-ng", 0, 0, NULL, NULL,
      "program that turns text into phonemes" },
    { 0 },
};

/* ---- the voice --------------------------------------------------------- */

static int speak_probe(const bt_store *s) { return bt_voice_is(s) ? 100 : 0; }

/* Builds every part once, so that a voice with missing or wrong tensors is
 * refused here and not in the middle of a job. */
static bt_status check_parts(const bt_voice *v, bt_error *err)
{
    bt_parts plans = bt_vits_parts(v);
    bt_part *p;
    float m, logs;
    bt_status st;
    BT_TRY(bt_vits_affine(v, &m, &logs, err));
    BT_TRY(bt_part_get(&plans, BT_VITS_ENCODER, 1, &p, err));
    BT_TRY(bt_part_get(&plans, BT_VITS_FLOW, 1, &p, err));
    BT_TRY(bt_part_get(&plans, BT_VITS_VOCODER, 1, &p, err));
fail:
    bt_parts_clear(&plans);
    return st;
}

static void speak_close(void *model) { bt_voice_close(model); }

static bt_status speak_open(bt_store *s, const bt_compute *c, void **model, bt_error *err)
{
    bt_voice *v;
    bt_error why = { 0 };
    *model = NULL;
    bt_status st = bt_voice_open(s, c, &v, err);
    if (st != BT_OK)
        return st;
    st = check_parts(v, &why);
    if (st != BT_OK) {
        bt_fail(err, st, "%s: %s", bt_store_path(s), why.text);
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
    const double params = bt_store_parameters(v->store);
    bt_buf_printf(json,
                  "{\"architecture\":\"vits\",\"parameters\":%.0f,\"sample_rate\":%d,"
                  "\"language\":",
                  params, v->sample_rate);
    bt_buf_json(json, v->espeak_voice, strlen(v->espeak_voice));
    bt_buf_printf(json,
                  ",\"phonemes\":%d,\"hidden\":%d,\"layers\":%d,\"decoder\":\"%s\",\"hop\":%d,"
                  "\"noise_scale\":%g,\"length_scale\":%g,\"noise_w\":%g,\"speakers\":%d",
                  v->n_phonemes, v->hidden, v->n_layers,
                  v->dec.block_pairs ? "HiFi-GAN, ResBlock1" : "HiFi-GAN, ResBlock2", v->dec.hop,
                  v->noise_scale, v->length_scale, v->noise_w, v->n_speakers);
    for (int i = 0; i < v->n_named; i++) {
        bt_buf_puts(json, i ? "," : ",\"speaker_names\":[");
        bt_buf_json(json, v->speakers[i].name, strlen(v->speakers[i].name));
    }
    bt_buf_puts(json, v->n_named ? "]}" : "}");
    return json->failed ? BT_ENOMEM : BT_OK;
}

/* ---- a job ------------------------------------------------------------- */

typedef struct job {
    const bt_voice *voice;
    bt_parts plans;
    bt_espeak *espeak; /* started on first use */
    char *program;     /* what it was started as */
    bt_vits_settings settings;
} job;

static void drop_espeak(job *j)
{
    bt_espeak_close(j->espeak);
    bt_release(j->program);
    j->espeak = NULL;
    j->program = NULL;
}

/* The process stays for the job's next texts. */
static bt_status need_espeak(job *j, const char *program, bt_error *err)
{
    if (j->espeak && strcmp(j->program, program) == 0)
        return BT_OK;
    drop_espeak(j);
    j->program = bt_strdup(program);
    if (!j->program)
        return bt_no_memory(err, "the job");
    return bt_espeak_open(program, j->voice->espeak_voice, &j->espeak, err);
}

static bt_status job_speaker(void *own, const bt_run *r, const char *name)
{
    job *j = own;
    const bt_voice *v = j->voice;
    if (!*name)
        name = ((const options *)r->options)->speaker;
    const int speaker = *name ? bt_voice_speaker(v, name) : v->default_speaker;
    if (speaker < 0)
        return bt_fail(r->error, BT_EINVAL, "the voice has no speaker \"%.60s\" (it has %d)", name,
                       v->n_speakers);
    j->settings.speaker = speaker;
    return BT_OK;
}

static bt_tongue job_tongue(void *own)
{
    const bt_voice *v = ((job *)own)->voice;
    return (bt_tongue){ .english = !v->is_text && strncmp(v->espeak_voice, "en", 2) == 0,
                        .notation = v->is_text ? BT_NOTATION_NONE : BT_NOTATION_IPA };
}

/* What the options leave open is the voice's own; what was taken is reported. */
static bt_status job_begin(void *own, const bt_run *r)
{
    job *j = own;
    const options *o = r->options;
    const bt_voice *v = j->voice;
    double length = isnan(o->speak.length_scale) ? v->length_scale : o->speak.length_scale;
    double noise = isnan(o->noise_scale) ? v->noise_scale : o->noise_scale;
    double noise_w = isnan(o->noise_w) ? v->noise_w : o->noise_w;
    j->settings = (bt_vits_settings){
        .length_scale = (float)length,
        .noise_scale = (float)noise,
        .noise_w = (float)noise_w,
    };
    bt_status st;
    BT_TRY(job_speaker(j, r, ""));
    BT_TRY(bt_speak_report(r, "length_scale", length));
    BT_TRY(bt_speak_report(r, "noise_scale", noise));
    BT_TRY(bt_speak_report(r, "noise_w", noise_w));
fail:
    return st;
}

/* A sentence; all that follows where [[phonemes]] stand in it or behind it, which may join
 * sentences. */
static size_t job_piece_end(void *own, const char *text, size_t n, size_t at)
{
    const job *j = own;
    bt_clause c = { .end = at };
    if (j->voice->is_text)
        return bt_speak_line_end(text, n, at);
    while (bt_clause_next(text, n, c.end, &c)) {
        if (!c.ends_sentence && c.end - at < BT_CLAUSE_MAX)
            continue;
        const size_t end = c.end + strspn(text + c.end, " \t\r\n"),
                     look = n - end < 2 ? n : end + 2;
        return memmem(text + at, look - at, "[[", 2) ? n : end;
    }
    return n;
}

static bt_status job_utter_phonemes(void *own, const bt_run *r, const char *line, size_t n,
                                    bt_utterances *u)
{
    return bt_utter_phonemes(((job *)own)->voice, line, n, u, r->error);
}

static bt_status job_utter(void *own, const bt_run *r, const char *text, size_t n, bt_utterances *u)
{
    job *j = own;
    if (j->voice->is_text)
        return job_utter_phonemes(own, r, text, n, u);
    if (j->voice->no_text)
        return bt_fail(r->error, BT_EUNSUPPORTED,
                       "the text of this voice is read by %s, which is not here: give it phonemes "
                       "(--phonemes)",
                       j->voice->no_text);
    bt_status st = need_espeak(j, ((const options *)r->options)->espeak, r->error);
    if (st == BT_OK)
        st = bt_utter_text(j->voice, j->espeak, text, n, r->cancel, u, r->error);
    if (st != BT_OK)
        drop_espeak(j); /* its next answer might be this one's */
    return st;
}

static bt_status job_speak(void *own, const int32_t *ids, size_t n, const bt_speak_call *c)
{
    job *j = own;
    bt_vits_settings s = j->settings;
    s.length_scale /= (float)c->pace;
    return bt_vits_speak(&j->plans, ids, n, &s, c);
}

static void job_close(void *own)
{
    job *j = own;
    if (!j)
        return;
    bt_parts_clear(&j->plans);
    drop_espeak(j);
    bt_release(j);
}

static const bt_speak_family family = {
    .timed = true,
    .begin = job_begin,
    .piece_end = job_piece_end,
    .utter = job_utter,
    .utter_phonemes = job_utter_phonemes,
    .speak = job_speak,
    .tongue = job_tongue,
    .speaker = job_speaker,
    .close = job_close,
};

static bt_status speak_job_open(void *model, bt_module_job **out, bt_error *err)
{
    const bt_voice *v = model;
    job *j = bt_calloc(1, sizeof *j);
    if (j) {
        j->voice = v;
        j->plans = bt_vits_parts(v);
    }
    return bt_speak_job_open(&family, v->sample_rate, j, out, err);
}

/* Without asking for phonemes: about two ids per letter and frame, in
 * sentences of some 100 letters. */
static bt_status speak_estimate(bt_module_job *of, const bt_run *r, bt_estimate *out)
{
    const bt_speak_options *o = r->options;
    job *j = of->own;
    const bt_voice *v = j->voice;
    double letters = (double)strlen(o->phonemes[0] ? o->phonemes : o->text) + 1;
    double sentence = letters < 100 ? letters : 100;
    double speed = isnan(o->length_scale) ? v->length_scale : o->length_scale;
    int64_t t = (int64_t)(2 * sentence) + 3, f = (int64_t)(2 * sentence * speed * 2) + 1;
    const int64_t chunk = f < BT_VITS_CHUNK ? f : BT_VITS_CHUNK + 2 * v->dec.margin;
    static const bt_vits_part parts[] = { BT_VITS_ENCODER, BT_VITS_FLOW, BT_VITS_VOCODER };
    const int64_t size[] = { t, chunk, chunk };
    bt_status st;
    for (int part = 0; part < 3; part++) {
        bt_part *p;
        BT_TRY(bt_part_get(&j->plans, parts[part], size[part], &p, r->error));
        uint64_t arena = bt_plan_arena(p->plan);
        out->arena = arena > out->arena ? arena : out->arena; /* they take turns */
        const double runs = part ? (double)f / (double)chunk : 1;
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
    .options = table,
    .options_size = sizeof(options),
    .probe = speak_probe,
    .open = speak_open,
    .close = speak_close,
    .describe = speak_describe,
    .job_open = speak_job_open,
    .job_close = bt_speak_job_close,
    .estimate = speak_estimate,
    .run = bt_speak,
};
