/* SPDX-License-Identifier: MIT
 * The audio module: Piper voices (VITS). Options, model, descriptor.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "speak.h"

#define OFF(field) offsetof(bt_speak_options, field)

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
    { "seed", "s", NULL, BT_OPT_INT, OFF(seed), "0", -1, 9223372036854774784.0, NULL, NULL,
      "same seed, same sound; sentence i is spoken with seed + i; -1 = random" },
    { "espeak", NULL, NULL, BT_OPT_STRING, OFF(espeak), "espeak-ng", 0, 0, NULL, NULL,
      "program that turns text into phonemes" },
    { 0 },
};

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
    bt_buf_printf(json,
                  "{\"architecture\":\"vits\",\"parameters\":%.0f,\"sample_rate\":%d,"
                  "\"language\":",
                  params, v->sample_rate);
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
        return bt_no_memory(err, "the job");
    job->voice = model;
    job->plans.voice = model;
    return BT_OK;
}

static void speak_job_close(bt_module_job *job)
{
    if (!job)
        return;
    bt_vits_plans_clear(&job->plans);
    bt_espeak_close(job->espeak);
    bt_release(job->program);
    bt_release(job);
}

/* Without asking for phonemes: about two ids per letter and frame, in
 * sentences of some 100 letters. */
static bt_status speak_estimate(bt_module_job *job, const void *opts, bt_estimate *out,
                                bt_error *err)
{
    const bt_speak_options *o = opts;
    const bt_voice *v = job->voice;
    double letters = (double)strlen(o->phonemes[0] ? o->phonemes : o->text) + 1;
    double sentence = letters < 100 ? letters : 100;
    double speed = isnan(o->length_scale) ? v->length_scale : o->length_scale;
    int64_t t = (int64_t)(2 * sentence) + 3, f = (int64_t)(2 * sentence * speed * 2) + 1;
    const int64_t size[] = { t, f, f < BT_VITS_CHUNK ? f : BT_VITS_CHUNK + 2 * v->margin };
    bt_status st;
    for (int part = 0; part < 3; part++) {
        bt_vits_plan *p;
        BT_TRY(bt_vits_plan_get(&job->plans, (bt_vits_part)part, size[part], &p, err));
        uint64_t arena = bt_plan_arena(p->plan);
        out->arena = arena > out->arena ? arena : out->arena; /* they take turns */
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
    .options_size = sizeof(bt_speak_options),
    .probe = speak_probe,
    .open = speak_open,
    .close = speak_close,
    .describe = speak_describe,
    .job_open = speak_job_open,
    .job_close = speak_job_close,
    .estimate = speak_estimate,
    .run = bt_speak,
};
