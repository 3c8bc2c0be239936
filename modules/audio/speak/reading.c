/* SPDX-License-Identifier: MIT
 * See reading.h.
 */
#include "audio/speak/reading.h"

#include <string.h>

enum { GIVEN = 5 }; /* rating of phonemes from the text or the user's lexicon */

static void close_job(bt_reading *r)
{
    bt_english_job_close(r->job);
    bt_release(r->lexicon);
    r->job = NULL;
    r->lexicon = NULL;
}

void bt_reading_clear(bt_reading *r)
{
    close_job(r);
    bt_english_out_free(&r->out);
}

bt_status bt_reading_need(bt_reading *r, const bt_english *e, const char *lexicon, bt_error *err)
{
    bt_status st;
    if (r->job && r->english == e && strcmp(r->lexicon ? r->lexicon : "", lexicon) == 0)
        return BT_OK;
    close_job(r);
    r->english = e;
    BT_TRY(bt_english_job_open(e, &r->job, err));
    if (!lexicon[0])
        return BT_OK;
    r->lexicon = bt_strdup(lexicon);
    st = r->lexicon ? bt_english_job_lexicon(r->job, lexicon, err) : bt_no_memory(err, "the job");
    if (st == BT_OK)
        return st;
fail:
    close_job(r);
    return st;
}

size_t bt_reading_end(const bt_reading *r, const char *text, size_t n, size_t at)
{
    size_t from, to;
    return bt_english_sentence(r->english, text, n, &at, &from, &to) ? at : n;
}

static bt_status check_given(const bt_english_out *out, const bt_alphabet *a, bt_error *err)
{
    bt_status st = BT_OK;
    for (size_t i = 0; i < out->n_words && st == BT_OK; i++) {
        const bt_english_word *w = &out->words[i];
        const char *s = out->phonemes.data;
        if (w->rating == GIVEN && s)
            st = bt_alphabet_check(a, s + w->phonemes_from, w->phonemes_to - w->phonemes_from, err);
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

bt_status bt_reading_utter(bt_reading *r, const bt_reading_voice *v, const char *text, size_t n,
                           bt_utterances *u, bt_error *err)
{
    bt_english_out *out = &r->out;
    size_t at = 0, from, to;
    bt_status st = BT_OK;
    while (st == BT_OK && bt_english_sentence(r->english, text, n, &at, &from, &to)) {
        st = bt_english_phonemize(r->job, text + from, to - from, out, err);
        if (st == BT_OK)
            st = check_given(out, v->alphabet, err);
        if (st != BT_OK || !bt_utterances_sounds(out->phonemes.data, out->phonemes.len))
            continue;
        st = v->utter(v->voice, out->phonemes.data, out->phonemes.len, u, err);
        if (st == BT_OK)
            st = add_words(out, from, u, err);
    }
    return st;
}

bt_status bt_reading_phonemes(const bt_reading_voice *v, const char *line, size_t n,
                              bt_utterances *u, bt_error *err)
{
    bt_status st;
    while (n && strchr("\r\n", line[n - 1]))
        n--;
    BT_TRY(bt_alphabet_check(v->alphabet, line, n, err));
    BT_TRY(v->utter(v->voice, line, n, u, err));
    if (!bt_utterances_runs(u))
        st = bt_no_memory(err, "words");
fail:
    return st;
}
