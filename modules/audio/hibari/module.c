/* SPDX-License-Identifier: MIT
 * The module of hibari voices. Options, model, descriptor.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "audio/hibari/hibari.h"
#include "audio/speak/misaki.h"

/* ---- options ----------------------------------------------------------- */

typedef struct options {
    bt_speak_options speak;
    double speed;
    const char *lexicon;
} options;

static const bt_option table[] = {
    BT_SPEAK_OPTIONS(options),
    { "speed", NULL, NULL, BT_OPT_FLOAT, offsetof(options, speed), "1", 0.05, 20, NULL, NULL,
      "pace: 2 is twice as fast; divides length_scale" },
    { "lexicon", NULL, NULL, BT_OPT_STRING, offsetof(options, lexicon), "", 0, 0, NULL, NULL,
      "a file of own words, a line each: the word, then its phonemes" },
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
    bt_error why = { 0 };
    *model = NULL;
    bt_status st = bt_hibari_open(s, c, &v, &why);
    if (st != BT_OK)
        return bt_fail(err, st, "%s", why.text);
    st = check_parts(v, &why);
    if (st != BT_OK) {
        bt_fail(err, st, "%s: %s", bt_store_path(s), why.text);
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
    const double params = bt_store_parameters(v->store);
    bt_buf_puts(json, "{\"architecture\":\"hibari\",\"voice\":");
    bt_buf_json(json, v->name, strlen(v->name));
    bt_buf_puts(json, ",\"language\":");
    bt_buf_json(json, v->language, strlen(v->language));
    bt_buf_printf(json,
                  ",\"parameters\":%.0f,\"sample_rate\":%d,\"phonemes\":%d,\"hop\":%d,"
                  "\"decoder\":\"ConvNeXt; harmonics and noise, inverse STFT\"}",
                  params, BT_HIBARI_RATE, v->alphabet.n, BT_HIBARI_HOP);
    return json->failed ? BT_ENOMEM : BT_OK;
}

/* ---- a job ------------------------------------------------------------- */

typedef struct job {
    bt_misaki misaki;
    bt_hibari *voice;
    bt_parts parts;
    float speed;
} job;

static bt_status need_reading(job *j, const char *lexicon, bt_error *err)
{
    const bt_english *english;
    const bt_status st = bt_hibari_english(j->voice, &english, err);
    return st == BT_OK ? bt_misaki_need(&j->misaki, english, lexicon, err) : st;
}

static bt_status job_begin(void *own, const bt_run *r)
{
    job *j = own;
    const options *o = r->options;
    const double length = isnan(o->speak.length_scale) ? 1 : o->speak.length_scale;
    bt_status st = BT_OK;
    j->speed = (float)(o->speed / length);
    if (!o->speak.phonemes[0])
        st = need_reading(j, o->lexicon, r->error);
    return st == BT_OK ? bt_speak_report(r, "length_scale", length) : st;
}

static bt_status utter(const void *voice, const char *s, size_t n, bt_utterances *u, bt_error *err)
{
    return bt_hibari_utter(voice, s, n, u, err);
}

static bt_status job_speak(void *own, const int32_t *ids, size_t n, const bt_speak_call *c)
{
    job *j = own;
    return bt_hibari_speak(&j->parts, ids, n, j->speed * (float)c->pace, c, NULL);
}

static void job_close(void *own)
{
    job *j = own;
    if (!j)
        return;
    bt_parts_clear(&j->parts);
    bt_misaki_clear(&j->misaki);
    bt_release(j);
}

static const bt_speak_family family = {
    .timed = true,
    .begin = job_begin,
    .piece_end = bt_misaki_piece_end,
    .utter = bt_misaki_utter,
    .utter_phonemes = bt_misaki_utter_phonemes,
    .speak = job_speak,
    .tongue = bt_misaki_tongue,
    .close = job_close,
};

static bt_status hibari_job_open(void *model, bt_module_job **out, bt_error *err)
{
    job *j = bt_calloc(1, sizeof *j);
    if (j) {
        j->voice = model;
        j->misaki = (bt_misaki){ .voice = model, .alphabet = &j->voice->alphabet, .utter = utter };
        j->parts = bt_hibari_parts(model);
    }
    return bt_speak_job_open(&family, BT_HIBARI_RATE, j, out, err);
}

/* Without asking for phonemes: about one per letter, six frames each. */
static bt_status hibari_estimate(bt_module_job *of, const bt_run *r, bt_estimate *out)
{
    const options *o = r->options;
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
        BT_TRY(bt_part_get(&j->parts, kind, size[kind], &p, r->error));
        const uint64_t arena = bt_plan_arena(p->plan);
        out->arena = arena > out->arena ? arena : out->arena; /* they take turns */
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
