/* SPDX-License-Identifier: MIT
 * The module of Kokoro voices. Options, model, descriptor.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "audio/kokoro/reader.h"
#include "audio/kokoro/styles.h"
#include "audio/speak/misaki.h"

/* ---- options ----------------------------------------------------------- */

typedef struct options {
    bt_speak_options speak;
    const char *speaker, *lexicon;
    double speed, noise_scale;
} options;

#define OFF(field) offsetof(options, field)
static const bt_option table[] = {
    BT_SPEAK_OPTIONS(options),
    { "speaker", "s", "speaker_id,speaker-id", BT_OPT_STRING, OFF(speaker), "", 0, 0, NULL, NULL,
      "name of a style, or a mixture: a:0.7,b:0.3" },
    { "speed", NULL, NULL, BT_OPT_FLOAT, OFF(speed), "1", 0.05, 20, NULL, NULL,
      "pace: 2 is twice as fast; divides length_scale" },
    { "noise_scale", NULL, "noise-scale", BT_OPT_FLOAT, OFF(noise_scale), "1", 0, 10, NULL, NULL,
      "breath: the noise in the voice's source, 1 as it was trained" },
    { "lexicon", NULL, NULL, BT_OPT_STRING, OFF(lexicon), "", 0, 0, NULL, NULL,
      "a file of own words, a line each: the word, then its phonemes" },
    { 0 },
};

/* ---- the voice --------------------------------------------------------- */

typedef struct model {
    bt_kokoro *k;
    bt_kok_beside beside;
    bt_kok_reader reader;
} model;

static int kokoro_probe(const bt_store *s) { return bt_kokoro_is(s) ? 100 : 0; }

static void kokoro_close(void *of)
{
    model *m = of;
    bt_kok_reader_close(&m->reader);
    bt_kok_beside_close(&m->beside);
    bt_kokoro_close(m->k);
    bt_release(m);
}

static bt_status kokoro_open(bt_store *s, const bt_compute *c, void **out, bt_error *err)
{
    model *m = bt_calloc(1, sizeof *m);
    *out = NULL;
    if (!m)
        return bt_no_memory(err, "a voice");
    bt_kok_reader_open(&m->reader);
    bt_status st = bt_kokoro_open(s, c, &m->k, err);
    if (st == BT_OK)
        st = bt_kok_beside_open(m->k, &m->beside, err);
    if (st != BT_OK) {
        if (m->k)
            m->k->store = NULL; /* stays the caller's */
        kokoro_close(m);
        return st;
    }
    *out = m;
    return BT_OK;
}

static bt_status kokoro_describe(void *of, bt_buf *json)
{
    const model *m = of;
    bt_buf_printf(json,
                  "{\"architecture\":\"kokoro\",\"sample_rate\":%d,\"phonemes\":%d,"
                  "\"decoder\":\"StyleTTS2, iSTFTNet\",\"hop\":%d,\"speakers\":[",
                  BT_KOK_RATE, m->beside.alphabet.n, m->k->hop);
    for (size_t i = 0; i < m->beside.n_styles; i++) {
        bt_buf_puts(json, i ? "," : "");
        bt_buf_json(json, m->beside.styles[i].name, strlen(m->beside.styles[i].name));
    }
    bt_buf_puts(json, "]}");
    return json->failed ? BT_ENOMEM : BT_OK;
}

/* ---- a job ------------------------------------------------------------- */

typedef struct job {
    bt_misaki misaki;
    model *voice;
    bt_parts parts;
    float *style;      /* [2 * style] */
    char speaker[256]; /* who speaks now */
    float length_scale;
} job;

static bt_status need_reading(job *j, const options *o, bt_error *err)
{
    model *m = j->voice;
    const bt_english *english;
    const bt_status st =
        bt_kok_reader_get(&m->reader, m->k, bt_kok_is_british(j->speaker), &english, err);
    return st == BT_OK ? bt_misaki_need(&j->misaki, english, o->lexicon, err) : st;
}

/* The reader of texts follows the speaker's English. */
static bt_status take_speaker(job *j, const options *o, const char *name, bt_error *err)
{
    const bt_status st = bt_kok_mix(&j->voice->beside, name, 1, j->style, err);
    if (st != BT_OK)
        return st;
    if (strlen(name) >= sizeof j->speaker)
        return bt_fail(err, BT_EINVAL, "a speaker's name of more than %zu bytes",
                       sizeof j->speaker);
    memcpy(j->speaker, name, strlen(name) + 1);
    return o->speak.phonemes[0] ? BT_OK : need_reading(j, o, err);
}

static bt_status job_speaker(void *own, const bt_run *r, const char *name)
{
    const options *o = r->options;
    return take_speaker(own, o, *name ? name : o->speaker, r->error);
}

static bt_status job_begin(void *own, const bt_run *r)
{
    const options *o = r->options;
    job *j = own;
    const double length = isnan(o->speak.length_scale) ? 1 : o->speak.length_scale;
    j->length_scale = (float)(length / o->speed);
    const bt_status st = take_speaker(j, o, o->speaker, r->error);
    return st == BT_OK ? bt_speak_report(r, "length_scale", length) : st;
}

static bt_status utter(const void *voice, const char *s, size_t n, bt_utterances *u, bt_error *err)
{
    const model *m = voice;
    return bt_kok_utter(m->k, &m->beside.alphabet, s, n, u, err);
}

static bt_status job_speak(void *own, const int32_t *ids, size_t n, const bt_speak_call *c)
{
    job *j = own;
    const options *o = c->r->options;
    const bt_kok_manner m = {
        .beside = &j->voice->beside,
        .speaker = j->speaker,
        .style = j->style,
        .length_scale = j->length_scale / (float)c->pace,
        .noise_scale = (float)o->noise_scale,
    };
    return bt_kok_say(&j->parts, &m, ids, n, c);
}

static void job_close(void *own)
{
    job *j = own;
    if (!j)
        return;
    bt_parts_clear(&j->parts);
    bt_misaki_clear(&j->misaki);
    bt_release(j->style);
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
    .speaker = job_speaker,
    .close = job_close,
};

static bt_status kokoro_job_open(void *of, bt_module_job **out, bt_error *err)
{
    model *m = of;
    job *j = bt_calloc(1, sizeof *j);
    if (j) {
        j->voice = m;
        j->misaki = (bt_misaki){ .voice = m, .alphabet = &m->beside.alphabet, .utter = utter };
        j->parts = bt_kok_parts(m->k);
        j->style = bt_calloc(m->beside.width, sizeof *j->style);
        if (!j->style) {
            job_close(j);
            j = NULL;
        }
    }
    return bt_speak_job_open(&family, BT_KOK_RATE, j, out, err);
}

/* Without asking for phonemes: about one per letter, three frames each. */
static bt_status kokoro_estimate(bt_module_job *of, const bt_run *r, bt_estimate *out)
{
    const options *o = r->options;
    job *j = of->own;
    const double letters = (double)strlen(o->speak.phonemes[0] ? o->speak.phonemes : o->speak.text);
    const double sentence = letters < 100 ? letters + 3 : 103;
    const double slow = (isnan(o->speak.length_scale) ? 1 : o->speak.length_scale) / o->speed;
    const int64_t size[] = { (int64_t)sentence, (int64_t)(3 * sentence * slow) + 4 };
    bt_status st;
    for (int kind = BT_KOK_TEXT; kind <= BT_KOK_WAVE; kind++) {
        bt_part *p;
        BT_TRY(bt_part_get(&j->parts, kind, size[kind], &p, r->error));
        const uint64_t arena = bt_plan_arena(p->plan);
        out->arena = arena > out->arena ? arena : out->arena; /* they take turns */
        out->flops += bt_plan_flops(p->plan) * (letters + 1) / sentence;
        out->weights += bt_plan_weights(p->plan);
    }
fail:
    return st;
}

const bt_module bt_module_kokoro = {
    .abi = BT_MODULE_ABI,
    .version = BT_VERSION,
    .name = "kokoro",
    .kind = BT_KIND_AUDIO,
    .options = table,
    .options_size = sizeof(options),
    .probe = kokoro_probe,
    .open = kokoro_open,
    .close = kokoro_close,
    .describe = kokoro_describe,
    .job_open = kokoro_job_open,
    .job_close = bt_speak_job_close,
    .estimate = kokoro_estimate,
    .run = bt_speak,
};
