/* SPDX-License-Identifier: MIT
 * See times.h. Times are sums of whole frames, so they add up to the samples.
 */
#include "audio/speak/times.h"

#include "text/utf8.h"

typedef struct telling {
    const bt_times *t;
    const bt_run *r;
    uint64_t *starts; /* [ids + 1] samples */
    bt_buf spelling, phonemes;
} telling;

static bool is_mark(bt_span s) { return s.from == s.to; }

/* x of ids a..b of the sentence. */
static bt_status tell(telling *k, bt_timing x, int a, int b, bt_span spelling, bt_span phonemes)
{
    const bt_utterances *all = k->t->all;
    k->spelling.len = k->phonemes.len = 0;
    if (!is_mark(spelling))
        bt_buf_add(&k->spelling, all->spelling.data + spelling.from, spelling.to - spelling.from);
    if (!is_mark(phonemes))
        bt_buf_add(&k->phonemes, all->phonemes.data + phonemes.from, phonemes.to - phonemes.from);
    if (k->spelling.failed || k->phonemes.failed)
        return bt_no_memory(k->r->error, "times");
    x.sample_rate = k->t->rate;
    x.begin = k->starts[a];
    x.end = k->starts[b];
    x.spelling = k->spelling.len ? k->spelling.data : "";
    x.phonemes = k->phonemes.len ? k->phonemes.data : "";
    return k->r->timing(k->r->host, &x);
}

/* The phonemes of the sentence, from its first to its last. */
static bt_span said(const bt_utterance *u)
{
    bt_span s = { 0, 0 };
    for (int i = 0; i < u->n; i++) {
        if (is_mark(u->at[i]))
            continue;
        if (is_mark(s))
            s.from = u->at[i].from;
        s.to = u->at[i].to;
    }
    return s;
}

/* The ids a..b of a word, the voice's marks behind it included but for the sentence's last;
 * looks from *a on. False: none. */
static bool ids_of(const bt_utterance *u, bt_span word, int *a, int *b)
{
    while (*a < u->n && (is_mark(u->at[*a]) || u->at[*a].to <= word.from))
        ++*a;
    *b = *a;
    for (int i = *a; i < u->n - 1; i++) {
        if (!is_mark(u->at[i]) && u->at[i].from >= word.to)
            break;
        *b = i + 1;
    }
    return *a < *b;
}

/* Words of the sentence: [*first, *last) of t->all->words. */
static void words_of(bt_times *t, bt_span phonemes, size_t *first, size_t *last)
{
    const bt_utterances *all = t->all;
    for (*first = t->word; *first < all->n_words; ++*first)
        if (all->words[*first].phonemes.to > phonemes.from)
            break;
    t->word = *first;
    for (*last = *first; *last < all->n_words; ++*last)
        if (all->words[*last].phonemes.from >= phonemes.to)
            break;
}

/* A range of the piece as one of the passage. */
static bt_span in_passage(const bt_times *t, bt_span s)
{
    const size_t n = t->piece.to - t->piece.from;
    return (bt_span){ t->piece.from + (s.from < n ? s.from : n),
                      t->piece.from + (s.to < n ? s.to : n) };
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* From the first word to the last, with the punctuation that hangs on them. */
static bt_span source_of(bt_times *t, size_t first, size_t last)
{
    const bt_utterances *all = t->all;
    if (first == last)
        return (bt_span){ 0, 0 };
    const size_t limit =
        last < all->n_words ? in_passage(t, all->words[last].source).from : t->piece.to;
    bt_span s = { in_passage(t, all->words[first].source).from,
                  in_passage(t, all->words[last - 1].source).to };
    const size_t floor = t->done > t->piece.from ? t->done : t->piece.from;
    while (s.from > floor && !is_blank(t->passage->text[s.from - 1]))
        s.from--;
    while (s.to < limit && !is_blank(t->passage->text[s.to]))
        s.to++;
    t->done = s.to;
    return s;
}

/* Without the punctuation around it; [what is spoken](/so/) has none. */
static bt_span bare(const char *text, bt_span s)
{
    bt_span word = { s.to, s.to };
    if (s.from < s.to && text[s.from] == '[')
        return s;
    for (size_t at = s.from, len; at < s.to; at += len) {
        uint32_t c;
        len = bt_utf8_next(text + at, s.to - at, &c);
        if (bt_is_punct(c))
            continue;
        word.from = word.from == s.to ? at : word.from;
        word.to = at + len;
    }
    return word.from < word.to ? word : s;
}

/* The place of a word in the source. */
static bt_span place_of(const bt_times *t, const bt_spoken *w)
{
    return bt_passage_source(t->passage, bare(t->passage->text, in_passage(t, w->source)));
}

/* Words i.. that share a place in the source (those of an abbreviation that SSML spells out), as
 * one; *next: the word behind them. */
static bt_spoken join_words(const bt_times *t, size_t i, size_t last, bt_span *source, size_t *next)
{
    const bt_spoken *words = t->all->words;
    bt_spoken w = words[i];
    *source = place_of(t, &w);
    for (i++; i < last; i++) {
        const bt_span s = place_of(t, &words[i]);
        if (s.from >= source->to)
            break;
        source->to = s.to > source->to ? s.to : source->to;
        w.spelling.to = words[i].spelling.to;
        w.phonemes.to = words[i].phonemes.to;
    }
    *next = i;
    return w;
}

static bt_status tell_words(telling *k, size_t first, size_t last, bt_span all_phonemes)
{
    bt_status st = BT_OK;
    int a = 0, b;
    for (size_t i = first; i < last && st == BT_OK;) {
        bt_span source;
        const bt_spoken w = join_words(k->t, i, last, &source, &i);
        bt_span p = w.phonemes;
        p.from = p.from < all_phonemes.from ? all_phonemes.from : p.from;
        p.to = p.to > all_phonemes.to ? all_phonemes.to : p.to;
        if (!ids_of(k->t->sentence, p, &a, &b))
            continue;
        const bt_timing x = {
            .kind = BT_TIMING_WORD, .from = source.from, .to = source.to, .id = -1
        };
        st = tell(k, x, a, b, w.spelling, p);
        a = b;
    }
    return st;
}

static bt_status tell_all(telling *k, bt_times *t)
{
    const bt_utterance *u = t->sentence;
    const bt_span phonemes = said(u);
    size_t first, last;
    bt_status st;
    words_of(t, phonemes, &first, &last);
    const bt_span source = bt_passage_source(t->passage, source_of(t, first, last));
    bt_span spelling = { 0, 0 };
    if (first < last)
        spelling =
            (bt_span){ t->all->words[first].spelling.from, t->all->words[last - 1].spelling.to };
    const bt_timing whole = {
        .kind = BT_TIMING_SENTENCE, .from = source.from, .to = source.to, .id = -1
    };
    BT_TRY(tell(k, whole, 0, u->n, spelling, phonemes));
    BT_TRY(tell_words(k, first, last, phonemes));
    for (int i = 0; i < u->n; i++) {
        const bt_timing x = { .kind = BT_TIMING_PHONEME, .id = u->ids[i] };
        BT_TRY(tell(k, x, i, i + 1, (bt_span){ 0, 0 }, u->at[i]));
    }
fail:
    return st;
}

bt_status bt_times_tell(bt_times *t, const bt_run *r, const int32_t *ids_at, size_t n, int hop)
{
    const size_t ids = (size_t)t->sentence->n;
    telling k = { .t = t, .r = r, .starts = bt_calloc(ids + 1, sizeof *k.starts) };
    if (!k.starts)
        return bt_no_memory(r->error, "times");
    for (size_t f = 0; f < n; f++)
        k.starts[ids_at[f] + 1] += (uint64_t)hop;
    k.starts[0] = t->begin;
    for (size_t i = 0; i < ids; i++)
        k.starts[i + 1] += k.starts[i];
    const bt_status st = tell_all(&k, t);
    bt_release(k.starts);
    bt_buf_free(&k.spelling);
    bt_buf_free(&k.phonemes);
    return st;
}
