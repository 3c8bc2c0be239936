/* SPDX-License-Identifier: MIT
 * See script.h.
 */
#include "audio/script/script.h"

#include <string.h>

/* ---- places -------------------------------------------------------------- */

/* The place that byte i of the passage is in. */
static const bt_place *place_of(const bt_passage *p, size_t i)
{
    size_t lo = 0, hi = p->n_places;
    while (hi - lo > 1) {
        const size_t mid = lo + (hi - lo) / 2;
        if (p->places[mid].text <= i)
            lo = mid;
        else
            hi = mid;
    }
    return &p->places[lo];
}

bt_span bt_passage_source(const bt_passage *p, bt_span s)
{
    if (s.from >= s.to || p->n_places == 0)
        return (bt_span){ 0, 0 };
    const bt_place *a = place_of(p, s.from), *b = place_of(p, s.to - 1);
    return (bt_span){ a->exact ? a->from + (s.from - a->text) : a->from,
                      b->exact ? b->from + (s.to - b->text) : b->to };
}

/* ---- plain text ---------------------------------------------------------- */

/* Behind the blank lines that end the paragraph at `at`. */
static size_t paragraph_end(const char *s, size_t n, size_t at)
{
    const char *line;
    while ((line = memchr(s + at, '\n', n - at))) {
        const size_t next = (size_t)(line - s) + 1, gap = strspn(s + next, " \t\r\n");
        at = next;
        if (memchr(s + next, '\n', gap))
            return next + gap;
    }
    return n;
}

static void next_range(bt_script *s, bt_passage *p)
{
    const size_t from = s->at;
    *p = (bt_passage){ .pace = 1, .volume = 1, .speaker = "", .phonemes = s->phonemes };
    if (from == s->n)
        return;
    s->at = s->phonemes ? s->n : paragraph_end(s->text, s->n, from);
    s->place = (bt_place){ .from = from, .to = s->at, .exact = true };
    p->text = s->text + from;
    p->n = s->at - from;
    p->places = &s->place;
    p->n_places = 1;
    if (from)
        p->pause = s->rules.sentence_silence + s->rules.paragraph_silence;
}

/* ---- any source ----------------------------------------------------------- */

bt_status bt_script_open(bt_script *s, const bt_script_rules *rules, const char *text, int ssml,
                         bt_error *err)
{
    *s = (bt_script){ .rules = *rules, .text = text, .n = strlen(text) };
    if (ssml < 0)
        ssml = bt_ssml_is(text);
    return ssml ? bt_ssml_open(&s->rules, text, s->n, &s->ssml, err) : BT_OK;
}

void bt_script_open_phonemes(bt_script *s, const char *lines)
{
    *s = (bt_script){ .text = lines, .n = strlen(lines), .phonemes = true };
}

bt_status bt_script_next(bt_script *s, bt_passage *p, bt_error *err)
{
    if (s->ssml)
        return bt_ssml_next(s->ssml, p, err);
    next_range(s, p);
    return BT_OK;
}

const char *bt_script_ignored(const bt_script *s)
{
    return s->ssml ? bt_ssml_ignored(s->ssml) : NULL;
}

bool bt_script_is_ssml(const bt_script *s) { return s->ssml != NULL; }

void bt_script_close(bt_script *s)
{
    bt_ssml_close(s->ssml);
    s->ssml = NULL;
}
