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
                  params, BT_HIBARI_RATE, v->n_phonemes, BT_HIBARI_HOP);
    return json->failed ? BT_ENOMEM : BT_OK;
}

/* ---- a job ------------------------------------------------------------- */

typedef struct job {
    bt_hibari *voice;
    bt_parts parts;
    const bt_english *english; /* these three from the first text on */
    bt_english_job *reader;
    char *lexicon; /* that `reader` has; NULL: none */
    bt_english_out out;
    float speed;
} job;

/* A reader of texts that knows this lexicon. */
static bt_status need_reader(job *j, const char *lexicon, bt_error *err)
{
    bt_status st;
    if (j->reader && strcmp(j->lexicon ? j->lexicon : "", lexicon) == 0)
        return BT_OK;
    bt_english_job_close(j->reader);
    bt_release(j->lexicon);
    j->reader = NULL;
    j->lexicon = NULL;
    BT_TRY(bt_hibari_english(j->voice, &j->english, err));
    BT_TRY(bt_english_job_open(j->english, &j->reader, err));
    if (!lexicon[0])
        return BT_OK;
    j->lexicon = bt_strdup(lexicon);
    st =
        j->lexicon ? bt_english_job_lexicon(j->reader, lexicon, err) : bt_no_memory(err, "the job");
    if (st == BT_OK)
        return st;
fail:
    bt_english_job_close(j->reader);
    j->reader = NULL;
    return st;
}

static bt_status job_begin(void *own, const bt_run *r)
{
    job *j = own;
    const options *o = r->options;
    const double length = isnan(o->speak.length_scale) ? 1 : o->speak.length_scale;
    bt_status st = BT_OK;
    j->speed = (float)(o->speed / length);
    if (!o->speak.phonemes[0])
        st = need_reader(j, o->lexicon, r->error);
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
    const bt_hibari *v = ((job *)own)->voice;
    while (n && strchr("\r\n", line[n - 1]))
        n--;
    bt_status st;
    BT_TRY(bt_hibari_check(v, line, n, r->error));
    BT_TRY(bt_hibari_utter(v, line, n, u, r->error));
    if (!bt_utterances_runs(u))
        st = bt_no_memory(r->error, "words");
fail:
    return st;
}

/* Phonemes that the user gave must be the voice's; what the rules make may go without. */
static bt_status check_given(const job *j, bt_error *err)
{
    bt_status st = BT_OK;
    for (size_t i = 0; i < j->out.n_words && st == BT_OK; i++) {
        const bt_english_word *w = &j->out.words[i];
        const char *s = j->out.phonemes.data;
        if (w->rating == 5 && s)
            st = bt_hibari_check(j->voice, s + w->phonemes_from, w->phonemes_to - w->phonemes_from,
                                 err);
    }
    return st;
}

/* The words of the sentence that u got last, which begins at text[from]. */
static bt_status add_words(const bt_english_out *out, size_t from, bt_utterances *u, bt_error *err)
{
    const size_t base = u->spelling.len;
    bt_buf_add(&u->spelling, out->spelling.data, out->spelling.len);
    bool ok = !u->spelling.failed;
    size_t sign = SIZE_MAX;
    for (size_t i = 0; i < out->n_words && ok; i++) {
        const bt_english_word *w = &out->words[i];
        const size_t at = sign < w->from ? sign : w->from;
        const bool silent = w->phonemes_from == w->phonemes_to;
        sign = silent && strcmp(w->tag, "$") == 0 ? at : SIZE_MAX; /* said with its number */
        ok = bt_utterances_word(
            u, (bt_spoken){
                   .source = { from + at, from + w->to },
                   .spelling = { base + w->spelling_from, base + w->spelling_to },
                   .phonemes = { u->line + w->phonemes_from, u->line + w->phonemes_to },
               });
    }
    return ok ? BT_OK : bt_no_memory(err, "words");
}

static bt_status job_utter(void *own, const bt_run *r, const char *text, size_t n, bt_utterances *u)
{
    job *j = own;
    size_t at = 0, from, to;
    bt_status st = BT_OK;
    while (st == BT_OK && bt_english_sentence(j->english, text, n, &at, &from, &to)) {
        st = bt_english_phonemize(j->reader, text + from, to - from, &j->out, r->error);
        if (st == BT_OK)
            st = check_given(j, r->error);
        if (st != BT_OK || !j->out.phonemes.len)
            continue;
        st = bt_hibari_utter(j->voice, j->out.phonemes.data, j->out.phonemes.len, u, r->error);
        if (st == BT_OK)
            st = add_words(&j->out, from, u, r->error);
    }
    return st;
}

static bt_status job_speak(void *own, const int32_t *ids, size_t n, const bt_speak_call *c)
{
    job *j = own;
    const bt_hibari_settings s = {
        .speed = j->speed * (float)c->pace,
        .seed = c->seed,
        .first = c->first,
        .cancel = c->r->cancel,
        .trace = c->r->trace,
        .samples = c->samples,
        .frames = c->frames,
        .user = c->user,
    };
    return bt_hibari_speak(&j->parts, ids, n, &s, NULL, c->r->error);
}

static bt_tongue job_tongue(void *own)
{
    (void)own;
    return (bt_tongue){ .english = true, .alphabet = BT_ALPHABET_MISAKI };
}

static void job_close(void *own)
{
    job *j = own;
    if (!j)
        return;
    bt_parts_clear(&j->parts);
    bt_english_out_free(&j->out);
    bt_english_job_close(j->reader);
    bt_release(j->lexicon);
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
