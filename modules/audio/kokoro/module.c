/* SPDX-License-Identifier: MIT
 * The module of Kokoro voices. Options, model, descriptor.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "audio/kokoro/reader.h"
#include "audio/kokoro/styles.h"
#include "audio/speak/speak.h"

/* ---- options ----------------------------------------------------------- */

typedef struct options {
    bt_speak_options speak;
    const char *speaker, *lexicon;
    double speed, noise_scale;
} options;

#define OFF(field) offsetof(options, field)
static const bt_option table[] = {
    BT_SPEAK_OPTIONS(options),
    { "speaker", NULL, "speaker_id,speaker-id", BT_OPT_STRING, OFF(speaker), "", 0, 0, NULL, NULL,
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
                  BT_KOK_RATE, m->beside.n_symbols, m->k->hop);
    for (size_t i = 0; i < m->beside.n_styles; i++) {
        bt_buf_puts(json, i ? "," : "");
        bt_buf_json(json, m->beside.styles[i].name, strlen(m->beside.styles[i].name));
    }
    bt_buf_puts(json, "]}");
    return json->failed ? BT_ENOMEM : BT_OK;
}

/* ---- a job ------------------------------------------------------------- */

typedef struct job {
    model *voice;
    bt_kok_plans plans;
    float *style;      /* [2 * style] */
    char speaker[256]; /* who speaks now */
    float length_scale;
    const bt_english *english; /* what `reader` reads */
    bt_english_job *reader;    /* of this run, if it has a text */
    bt_english_out out;
} job;

static bt_status open_reader(job *j, const options *o, bt_error *err)
{
    model *m = j->voice;
    bt_status st;
    bt_english_job_close(j->reader);
    j->reader = NULL;
    st = bt_kok_reader_get(&m->reader, m->k, bt_kok_is_british(j->speaker), &j->english, err);
    if (st == BT_OK)
        st = bt_english_job_open(j->english, &j->reader, err);
    if (st == BT_OK && o->lexicon[0])
        st = bt_english_job_lexicon(j->reader, o->lexicon, err);
    return st;
}

/* The reader of texts follows the speaker's English. */
static bt_status take_speaker(job *j, const options *o, const char *name, bool anew, bt_error *err)
{
    const bool british = bt_kok_is_british(j->speaker);
    bt_status st = bt_kok_mix(&j->voice->beside, name, 1, j->style, err);
    if (st == BT_OK && strlen(name) >= sizeof j->speaker)
        st = bt_fail(err, BT_EINVAL, "a speaker's name of more than %zu bytes", sizeof j->speaker);
    if (st != BT_OK)
        return st;
    memcpy(j->speaker, name, strlen(name) + 1);
    if (o->speak.phonemes[0] || (!anew && bt_kok_is_british(name) == british))
        return BT_OK;
    return open_reader(j, o, err);
}

static bt_status job_speaker(void *own, const bt_run *r, const char *name)
{
    const options *o = r->options;
    return take_speaker(own, o, *name ? name : o->speaker, false, r->error);
}

static bt_tongue job_tongue(void *own)
{
    (void)own;
    return (bt_tongue){ .english = true, .alphabet = BT_ALPHABET_MISAKI };
}

static bt_status job_begin(void *own, const bt_run *r)
{
    const options *o = r->options;
    job *j = own;
    const double length = isnan(o->speak.length_scale) ? 1 : o->speak.length_scale;
    j->length_scale = (float)(length / o->speed);
    const bt_status st = take_speaker(j, o, o->speaker, true, r->error);
    return st == BT_OK ? bt_speak_report(r, "length_scale", length) : st;
}

static size_t job_piece_end(void *own, const char *text, size_t n, size_t at)
{
    size_t from, to;
    return bt_english_sentence(((job *)own)->english, text, n, &at, &from, &to) ? at : n;
}

static bt_status job_utter_phonemes(void *own, const bt_run *r, const char *line, size_t n,
                                    bt_utterances *u)
{
    const model *m = ((job *)own)->voice;
    while (n && strchr("\r\n", line[n - 1]))
        n--;
    const bt_status st = bt_kok_check(&m->beside, line, n, r->error);
    return st == BT_OK ? bt_kok_utter(m->k, &m->beside, line, n, u, r->error) : st;
}

/* Phonemes that the user gave must be the voice's; what the rules make may go without. */
static bt_status check_given(const job *j, bt_error *err)
{
    const bt_kok_beside *b = &j->voice->beside;
    bt_status st = BT_OK;
    for (size_t i = 0; i < j->out.n_words && st == BT_OK; i++) {
        const bt_english_word *w = &j->out.words[i];
        const char *s = j->out.phonemes.data;
        if (w->rating == 5 && s)
            st = bt_kok_check(b, s + w->phonemes_from, w->phonemes_to - w->phonemes_from, err);
    }
    return st;
}

static bt_status job_utter(void *own, const bt_run *r, const char *text, size_t n, bt_utterances *u)
{
    job *j = own;
    const model *m = j->voice;
    size_t at = 0, from, to;
    bt_status st = BT_OK;
    while (st == BT_OK && bt_english_sentence(j->english, text, n, &at, &from, &to)) {
        BT_TRY(bt_english_phonemize(j->reader, text + from, to - from, &j->out, r->error));
        BT_TRY(check_given(j, r->error));
        if (j->out.phonemes.len)
            st = bt_kok_utter(m->k, &m->beside, j->out.phonemes.data, j->out.phonemes.len, u,
                              r->error);
    }
fail:
    return st;
}

/* ids: pieces of a sentence, each between zeros. */
static bt_status job_speak(void *own, const int32_t *ids, size_t n, const bt_speak_call *c)
{
    job *j = own;
    const options *o = c->r->options;
    bt_kok_settings s = {
        .style = j->style,
        .length_scale = j->length_scale / (float)c->pace,
        .noise_scale = (float)o->noise_scale,
        .cancel = c->r->cancel,
        .trace = c->r->trace,
        .samples = c->samples,
        .user = c->user,
    };
    bt_status st = BT_OK;
    for (size_t at = 0, piece = 0, end; st == BT_OK && at < n; at = end, piece++) {
        for (end = at + 1; end < n && ids[end] != 0; end++) {}
        end++;
        s.seed = c->seed + 1000003 * piece;
        s.joined_before = piece > 0;
        s.joined_after = end < n;
        st = bt_kok_mix(&j->voice->beside, j->speaker, end - at - 2, j->style, c->r->error);
        if (st == BT_OK)
            st = bt_kok_speak(&j->plans, ids + at, end - at, &s, NULL, c->r->error);
    }
    return st;
}

static void job_close(void *own)
{
    job *j = own;
    if (!j)
        return;
    bt_kok_plans_clear(&j->plans);
    bt_english_out_free(&j->out);
    bt_english_job_close(j->reader);
    bt_release(j->style);
    bt_release(j);
}

static const bt_speak_family family = {
    .begin = job_begin,
    .piece_end = job_piece_end,
    .utter = job_utter,
    .utter_phonemes = job_utter_phonemes,
    .speak = job_speak,
    .tongue = job_tongue,
    .speaker = job_speaker,
    .close = job_close,
};

static bt_status kokoro_job_open(void *of, bt_module_job **out, bt_error *err)
{
    model *m = of;
    job *j = bt_calloc(1, sizeof *j);
    if (j) {
        j->voice = m;
        j->plans.voice = m->k;
        j->style = bt_calloc(m->beside.width, sizeof *j->style);
        if (!j->style) {
            job_close(j);
            j = NULL;
        }
    }
    return bt_speak_job_open(&family, BT_KOK_RATE, j, out, err);
}

/* Without asking for phonemes: about one per letter, three frames each. */
static bt_status kokoro_estimate(bt_module_job *of, const void *opts, bt_estimate *out,
                                 bt_error *err)
{
    const options *o = opts;
    job *j = of->own;
    const double letters = (double)strlen(o->speak.phonemes[0] ? o->speak.phonemes : o->speak.text);
    const double sentence = letters < 100 ? letters + 3 : 103;
    const double slow = (isnan(o->speak.length_scale) ? 1 : o->speak.length_scale) / o->speed;
    const int64_t size[BT_KOK_PARTS] = { (int64_t)sentence, (int64_t)(3 * sentence * slow) + 4 };
    bt_status st;
    for (int part = 0; part < BT_KOK_PARTS; part++) {
        bt_kok_plan *p;
        BT_TRY(bt_kok_plan_get(&j->plans, (bt_kok_part)part, size[part], &p, err));
        out->arena += bt_plan_arena(p->plan);
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
