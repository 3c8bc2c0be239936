/* SPDX-License-Identifier: MIT
 * See misaki.h.
 */
#include "audio/speak/misaki.h"

#include <string.h>

enum { GIVEN = 5 }; /* rating of phonemes from the text or the user's lexicon */

static void close_job(bt_misaki *m)
{
    bt_english_job_close(m->job);
    bt_release(m->lexicon);
    m->job = NULL;
    m->lexicon = NULL;
}

void bt_misaki_clear(bt_misaki *m)
{
    close_job(m);
    bt_english_out_free(&m->out);
}

bt_status bt_misaki_need(bt_misaki *m, const bt_english *e, const char *lexicon, bt_error *err)
{
    bt_status st;
    if (m->job && m->english == e && strcmp(m->lexicon ? m->lexicon : "", lexicon) == 0)
        return BT_OK;
    close_job(m);
    m->english = e;
    BT_TRY(bt_english_job_open(e, &m->job, err));
    if (!lexicon[0])
        return BT_OK;
    m->lexicon = bt_strdup(lexicon);
    st = m->lexicon ? bt_english_job_lexicon(m->job, lexicon, err) : bt_no_memory(err, "the job");
    if (st == BT_OK)
        return st;
fail:
    close_job(m);
    return st;
}

size_t bt_misaki_piece_end(void *own, const char *text, size_t n, size_t at)
{
    const bt_misaki *m = own;
    size_t from, to;
    return bt_english_sentence(m->english, text, n, &at, &from, &to) ? at : n;
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

bt_status bt_misaki_utter(void *own, const bt_run *r, const char *text, size_t n, bt_utterances *u)
{
    bt_misaki *m = own;
    bt_english_out *out = &m->out;
    size_t at = 0, from, to;
    bt_status st = BT_OK;
    while (st == BT_OK && bt_english_sentence(m->english, text, n, &at, &from, &to)) {
        st = bt_english_phonemize(m->job, text + from, to - from, out, r->error);
        if (st == BT_OK)
            st = check_given(out, m->alphabet, r->error);
        if (st != BT_OK || !bt_utterances_sounds(out->phonemes.data, out->phonemes.len))
            continue;
        st = m->utter(m->voice, out->phonemes.data, out->phonemes.len, u, r->error);
        if (st == BT_OK)
            st = add_words(out, from, u, r->error);
    }
    return st;
}

bt_status bt_misaki_utter_phonemes(void *own, const bt_run *r, const char *line, size_t n,
                                   bt_utterances *u)
{
    const bt_misaki *m = own;
    bt_status st;
    while (n && strchr("\r\n", line[n - 1]))
        n--;
    BT_TRY(bt_alphabet_check(m->alphabet, line, n, r->error));
    BT_TRY(m->utter(m->voice, line, n, u, r->error));
    if (!bt_utterances_runs(u))
        st = bt_no_memory(r->error, "words");
fail:
    return st;
}

bt_tongue bt_misaki_tongue(void *own)
{
    (void)own;
    return (bt_tongue){ .english = true, .notation = BT_NOTATION_MISAKI };
}
