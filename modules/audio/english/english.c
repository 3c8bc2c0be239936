/* SPDX-License-Identifier: MIT
 * English text to phonemes (english.h): opening the files, and one sentence from its
 * source to its words.
 */
#include "parts.h"

#include "text/utf8.h"

enum { LONGEST_LEXICON = 256 << 20, LONGEST_SENTENCE = 1 << 16, BYTES_PER_WORD = 28 };

struct bt_english_job {
    const bt_english *english;
    bt_user_lexicon user;
    bt_unknown_job *unknown;
    bt_pool arena; /* of one call */
    bt_utext text, scratch;
    bt_tokens tokens, pieces;
};

/* ---- opening ----------------------------------------------------------------- */

static bt_status open_table(const char *folder, const char *name, bt_packed_file *file,
                            bt_flat *table, bt_error *err)
{
    bt_buf path = { 0 };
    size_t at = 0;
    bt_buf_printf(&path, "%s/%s", folder, name);
    if (path.failed)
        return bt_no_memory(err, name);
    bt_status st = bt_packed_open(path.data, LONGEST_LEXICON, file, err);
    if (st == BT_OK)
        st = bt_flat_read(path.data, file->data, file->size, &at, file->size / BYTES_PER_WORD,
                          table, err);
    bt_buf_free(&path);
    return st;
}

bt_status bt_english_open(const char *folder, bool british, const bt_compute *c, bt_english **out,
                          bt_error *err)
{
    bt_status st;
    bt_english *e = bt_calloc(1, sizeof *e);
    *out = NULL;
    if (!e)
        return bt_no_memory(err, "English");
    e->compute = c;
    e->british = british;
    BT_TRY(open_table(folder, british ? "lexicon_gb_gold.json" : "lexicon_us_gold.json",
                      &e->gold_file, &e->gold, err));
    BT_TRY(open_table(folder, british ? "lexicon_gb_silver.json" : "lexicon_us_silver.json",
                      &e->silver_file, &e->silver, err));
    BT_TRY(bt_tagger_open(folder, &e->tagger, err));
    BT_TRY(open_table(folder, "tokenizer_exceptions.json", &e->special_file, &e->special, err));
    BT_TRY(bt_tables_open(folder, &e->tables, err));
    BT_TRY(bt_unknown_open(folder, british, c, &e->unknown, err));
    *out = e;
    return BT_OK;
fail:
    bt_english_close(e);
    return st;
}

void bt_english_close(bt_english *e)
{
    if (!e)
        return;
    bt_unknown_close(e->unknown);
    bt_tables_close(&e->tables);
    bt_tagger_close(&e->tagger);
    bt_flat_free(&e->special);
    bt_flat_free(&e->silver);
    bt_flat_free(&e->gold);
    bt_packed_close(&e->special_file);
    bt_packed_close(&e->silver_file);
    bt_packed_close(&e->gold_file);
    bt_release(e);
}

bt_status bt_english_job_open(const bt_english *e, bt_english_job **out, bt_error *err)
{
    bt_english_job *j = *out = bt_calloc(1, sizeof *j);
    if (!j || bt_unknown_job_open(e->unknown, &j->unknown) != BT_OK) {
        bt_release(j);
        *out = NULL;
        return bt_no_memory(err, "English");
    }
    j->english = e;
    return BT_OK;
}

void bt_english_job_close(bt_english_job *j)
{
    if (!j)
        return;
    bt_unknown_job_close(j->unknown);
    bt_user_lexicon_free(&j->user);
    bt_pool_free(&j->arena);
    bt_release(j->text.v);
    bt_release(j->scratch.v);
    bt_release(j->tokens.v);
    bt_release(j->pieces.v);
    bt_release(j);
}

bt_status bt_english_job_lexicon(bt_english_job *j, const char *path, bt_error *err)
{
    return bt_user_lexicon_add(&j->user, path, err);
}

/* ---- tokens -------------------------------------------------------------------- */

/* Tokens of text[from..to), with their tags. */
static bool add_tokens(bt_english_job *j, size_t from, size_t to)
{
    const size_t first = j->tokens.n;
    if (!bt_cut_tokens(&j->english->special, &j->arena, &j->text, from, to, &j->tokens))
        return false;
    const size_t n = j->tokens.n - first;
    bt_token *t = j->tokens.v + first;
    bt_str *words = bt_pool_take(&j->arena, n * sizeof *words);
    const char **tags = bt_pool_take(&j->arena, n * sizeof *tags);
    for (size_t i = 0; words && i < n; i++)
        words[i] = bt_utext_str(&j->arena, &j->text, t[i].from, t[i].to);
    if (n > 0 && !j->arena.failed)
        bt_tagger_run(&j->english->tagger, &j->arena, words, n, tags);
    for (size_t i = 0; i < n && !j->arena.failed; i++)
        t[i].tag = tags[i];
    return !j->arena.failed;
}

/* The token of the link at text[i]; *end: of its end mark. */
static bool add_link(bt_english_job *j, const bt_links *links, size_t i, size_t *end)
{
    const size_t number = bt_at(&j->text, i) - BT_LINK;
    bt_token *t = bt_token_add(&j->tokens);
    if (!t)
        return false;
    for (*end = i + 1; *end < j->text.n && bt_at(&j->text, *end) != BT_LINK_END;)
        ++*end;
    *t = (bt_token){ .from = i + 1, .to = *end, .tag = "NN", .rating = 5, .head = true };
    t->space = bt_at(&j->text, *end + 1) == ' ';
    t->phonemes = number < links->n ? links->v[number].phonemes : BT_NO_STR;
    return true;
}

static bool tokenize(bt_english_job *j, const bt_links *links)
{
    size_t begin = 0;
    j->tokens.n = 0;
    for (size_t i = 0; i < j->text.n; i++) {
        if (!bt_is_link(bt_at(&j->text, i)))
            continue;
        if (!add_tokens(j, begin, i) || !add_link(j, links, i, &i))
            return false;
        begin = i + 1;
    }
    return add_tokens(j, begin, j->text.n);
}

/* ---- results ---------------------------------------------------------------------- */

void bt_english_out_free(bt_english_out *o)
{
    bt_buf_free(&o->phonemes);
    bt_buf_free(&o->spelling);
    bt_release(o->words);
    *o = (bt_english_out){ 0 };
}

/* The text without links' marks; at[i]: the byte where code point i begins. */
static bool put_spelling(bt_english_job *j, bt_english_out *out, size_t **at)
{
    const bt_utext *t = &j->text;
    *at = bt_pool_take(&j->arena, (t->n + 1) * sizeof **at);
    for (size_t i = 0; *at && i <= t->n; i++) {
        char c[4];
        (*at)[i] = out->spelling.len;
        if (i < t->n && t->v[i].c < BT_LINK)
            bt_buf_add(&out->spelling, c, bt_utf8_put(c, t->v[i].c));
    }
    return *at != NULL;
}

/* A piece's phonemes; the voices know the tap and the glottal stop as T and t. */
static void put_phonemes(bt_buf *out, bt_str s)
{
    for (size_t i = 0; i < s.n;) {
        const bool two = s.n - i >= 2;
        if (two && memcmp(s.p + i, "ɾ", 2) == 0) {
            bt_buf_puts(out, "T");
            i += 2;
        } else if (two && memcmp(s.p + i, "ʔ", 2) == 0) {
            bt_buf_puts(out, "t");
            i += 2;
        } else {
            bt_buf_add(out, s.p + i++, 1);
        }
    }
}

static bt_english_word *add_word(bt_english_out *out)
{
    if (out->n_words == out->cap) {
        const size_t cap = out->cap ? 2 * out->cap : 32;
        bt_english_word *w = bt_realloc_array(out->words, out->cap, cap, sizeof *w);
        if (!w)
            return NULL;
        out->words = w;
        out->cap = cap;
    }
    return &out->words[out->n_words++];
}

/* The word of pieces k[0..n). */
static bool put_word(const bt_utext *t, const size_t *at, const bt_token *k, size_t n,
                     bt_english_out *out)
{
    bt_buf *p = &out->phonemes;
    bt_english_word *w = add_word(out);
    if (!w)
        return false;
    const size_t from = k[0].from, to = k[n - 1].to;
    *w = (bt_english_word){ .phonemes_from = p->len, .rating = k[0].rating };
    w->from = from < to ? t->v[from].from : t->v[from - 1].from; /* an empty word is a link's */
    w->to = from < to ? t->v[to - 1].to : t->v[to].to;
    w->spelling_from = at[from];
    w->spelling_to = at[to];
    strncpy(w->tag, k[0].tag, sizeof w->tag - 1);
    for (size_t i = 0; i < n; i++) {
        const bool gap = k[i].gap && p->len > w->phonemes_from && p->data[p->len - 1] != ' ';
        if (gap && k[i].phonemes.n > 0)
            bt_buf_puts(p, " ");
        put_phonemes(p, k[i].phonemes);
        w->rating = k[i].rating < w->rating ? k[i].rating : w->rating;
    }
    w->phonemes_to = p->len;
    if (k[n - 1].space && p->len > 0)
        bt_buf_puts(p, " ");
    return true;
}

/* No space at the end. */
static void trim(bt_english_out *out)
{
    while (out->phonemes.len > 0 && out->phonemes.data[out->phonemes.len - 1] == ' ')
        out->phonemes.len--;
    for (size_t i = 0; i < out->n_words; i++) {
        bt_english_word *w = &out->words[i];
        w->phonemes_from =
            w->phonemes_from < out->phonemes.len ? w->phonemes_from : out->phonemes.len;
        w->phonemes_to = w->phonemes_to < out->phonemes.len ? w->phonemes_to : out->phonemes.len;
    }
    if (out->phonemes.data)
        out->phonemes.data[out->phonemes.len] = 0;
}

bt_status bt_english_phonemize(bt_english_job *j, const char *text, size_t n, bt_english_out *out,
                               bt_error *err)
{
    const bt_english *e = j->english;
    bt_links links;
    size_t *at, *ends = NULL, n_words = 0;
    out->phonemes.len = out->spelling.len = out->n_words = 0;
    if (n > LONGEST_SENTENCE)
        return bt_fail(err, BT_EINVAL, "a sentence of more than %d bytes", LONGEST_SENTENCE);
    bt_pool_reset(&j->arena);
    j->text.failed = j->scratch.failed = false;
    j->pieces.n = 0;
    if (bt_source_read(&j->arena, text, n, &j->text, &links) != BT_OK)
        return bt_no_memory(err, "a sentence");
    bt_normalize(&e->tables, &j->text, &j->scratch);
    if (j->text.failed || !tokenize(j, &links) || !put_spelling(j, out, &at))
        return bt_no_memory(err, "a sentence");
    bt_work work = {
        .speller = { &e->gold, &e->silver, &j->user, e->british, &j->arena },
        .unknown = j->unknown,
        .text = &j->text,
        .arena = &j->arena,
    };
    bt_status st = bt_words_spell(&work, &j->tokens, &j->pieces, &ends, &n_words, err);
    if (st != BT_OK)
        return st;
    for (size_t i = 0, from = 0; i < n_words; from = ends[i++])
        if (!put_word(&j->text, at, j->pieces.v + from, ends[i] - from, out))
            return bt_no_memory(err, "a sentence");
    trim(out);
    return out->phonemes.failed || out->spelling.failed ? bt_no_memory(err, "a sentence") : BT_OK;
}
