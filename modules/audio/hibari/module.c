/* SPDX-License-Identifier: MIT
 * The module of hibari voices. Options, model, descriptor.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "audio/hibari/hibari.h"
#include "audio/speak/speak.h"

/* ---- options ----------------------------------------------------------- */

typedef struct options {
    bt_speak_options speak;
    double speed;
} options;

static const bt_option table[] = {
    BT_SPEAK_OPTIONS(options),
    { "speed", NULL, NULL, BT_OPT_FLOAT, offsetof(options, speed), "1", 0.05, 20, NULL, NULL,
      "pace: 2 is twice as fast; divides length_scale" },
    { 0 },
};

/* ---- the voice --------------------------------------------------------- */

static int hibari_probe(const bt_store *s) { return bt_hibari_is(s) ? 100 : 0; }

static void hibari_close(void *model) { bt_hibari_close(model); }

/* Builds every part once, so that a voice with missing or wrong tensors is refused here
 * and not in the middle of a job. */
static bt_status check_parts(const bt_hibari *v, bt_error *err)
{
    bt_parts parts = bt_hibari_parts(v);
    bt_status st = BT_OK;
    bt_part *p;
    for (int kind = BT_HIBARI_TEXT; kind <= BT_HIBARI_SOUND && st == BT_OK; kind++)
        st = bt_part_get(&parts, kind, 8, &p, err);
    bt_parts_clear(&parts);
    return st;
}

static bt_status hibari_open(bt_store *s, const bt_compute *c, void **model, bt_error *err)
{
    bt_hibari *v;
    *model = NULL;
    bt_status st = bt_hibari_open(s, c, &v, err);
    if (st != BT_OK)
        return st;
    st = check_parts(v, err);
    if (st != BT_OK) {
        v->store = NULL; /* stays the caller's */
        bt_hibari_close(v);
        return st;
    }
    *model = v;
    return BT_OK;
}

static bt_status hibari_describe(void *model, bt_buf *json)
{
    const bt_hibari *v = model;
    double params = 0;
    for (size_t i = 0; i < bt_store_count(v->store); i++)
        params += (double)bt_tensor_count(bt_store_at(v->store, i));
    bt_buf_printf(
        json,
        "{\"architecture\":\"hibari\",\"parameters\":%.0f,\"sample_rate\":%d,"
        "\"language\":\"%s\",\"phonemes\":%d,\"decoder\":\"ConvNeXt, harmonics and noise, "
        "inverse STFT\",\"hop\":%d}",
        params, BT_HIBARI_RATE, "en-us", v->n_phonemes, BT_HIBARI_HOP);
    return json->failed ? BT_ENOMEM : BT_OK;
}

/* ---- a job ------------------------------------------------------------- */

typedef struct job {
    const bt_hibari *voice;
    bt_parts parts;
    float speed;
} job;

static bt_status job_begin(void *own, const bt_run *r)
{
    const options *o = r->options;
    const double length = isnan(o->speak.length_scale) ? 1 : o->speak.length_scale;
    ((job *)own)->speed = (float)(o->speed / length);
    return bt_speak_report(r, "length_scale", length);
}

static size_t job_piece_end(void *own, const char *text, size_t n, size_t at)
{
    (void)own;
    return bt_speak_line_end(text, n, at);
}

static bt_status job_utter_phonemes(void *own, const bt_run *r, const char *line, size_t n,
                                    bt_utterances *u)
{
    return bt_hibari_utter(((job *)own)->voice, line, n, true, u, r->error);
}

static bt_status job_utter(void *own, const bt_run *r, const char *text, size_t n, bt_utterances *u)
{
    return job_utter_phonemes(own, r, text, n, u);
}

static bt_status job_speak(void *own, const int32_t *ids, size_t n, const bt_speak_call *c)
{
    job *j = own;
    const bt_hibari_settings s = {
        .speed = j->speed,
        .seed = c->seed,
        .first = c->first,
        .cancel = c->r->cancel,
        .trace = c->r->trace,
        .samples = c->samples,
        .user = c->user,
    };
    return bt_hibari_speak(&j->parts, ids, n, &s, NULL, c->r->error);
}

static void job_close(void *own)
{
    job *j = own;
    if (!j)
        return;
    bt_parts_clear(&j->parts);
    bt_release(j);
}

static const bt_speak_family family = {
    .begin = job_begin,
    .piece_end = job_piece_end,
    .utter = job_utter,
    .utter_phonemes = job_utter_phonemes,
    .speak = job_speak,
    .close = job_close,
};

static bt_status hibari_job_open(void *model, bt_module_job **out, bt_error *err)
{
    job *j = bt_calloc(1, sizeof *j);
    if (j) {
        j->voice = model;
        j->parts = bt_hibari_parts(model);
    }
    return bt_speak_job_open(&family, BT_HIBARI_RATE, j, out, err);
}

/* Without asking for phonemes: about one per letter, six frames each. */
static bt_status hibari_estimate(bt_module_job *of, const void *opts, bt_estimate *out,
                                 bt_error *err)
{
    const options *o = opts;
    job *j = of->own;
    const double letters = (double)strlen(o->speak.phonemes[0] ? o->speak.phonemes : o->speak.text);
    const double sentence = letters < 100 ? letters + 3 : 103;
    const double slow = (isnan(o->speak.length_scale) ? 1 : o->speak.length_scale) / o->speed;
    const int64_t t = (int64_t)sentence, b = (int64_t)(3 * sentence * slow) + 1;
    const int64_t f = 2 * b < BT_HIBARI_CHUNK ? 2 * b : BT_HIBARI_CHUNK + 2 * j->voice->reach;
    const int64_t size[] = { t, b, f };
    bt_status st;
    for (int kind = BT_HIBARI_TEXT; kind <= BT_HIBARI_SOUND; kind++) {
        bt_part *p;
        BT_TRY(bt_part_get(&j->parts, kind, size[kind], &p, err));
        out->arena += bt_plan_arena(p->plan);
        const double runs = kind == BT_HIBARI_SOUND ? 2 * (double)b / (double)f : 1;
        out->flops += bt_plan_flops(p->plan) * runs * (letters + 1) / sentence;
        out->weights += bt_plan_weights(p->plan);
    }
fail:
    return st;
}

const bt_module bt_module_hibari = {
    .abi = BT_MODULE_ABI,
    .version = BT_VERSION,
    .name = "hibari",
    .kind = BT_KIND_AUDIO,
    .options = table,
    .options_size = sizeof(options),
    .probe = hibari_probe,
    .open = hibari_open,
    .close = hibari_close,
    .describe = hibari_describe,
    .job_open = hibari_job_open,
    .job_close = bt_speak_job_close,
    .estimate = hibari_estimate,
    .run = bt_speak,
};
