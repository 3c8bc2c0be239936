/* SPDX-License-Identifier: MIT
 * Files of learned words: A1111's "emb_params", diffusers' "<word>", pairs "clip_l" and
 * "clip_g" of SDXL (kohya's "text_encoders_0" and "_1"). A tensor is [rows][width] or
 * [width].
 */
#include "image/adapters/learned.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const encoders[SD_ENCODERS] = { "text_encoder", "text_encoder_2" };
enum { MAX_ROWS = 4096 };

void sd_learned_release(sd_learned *l)
{
    for (size_t i = 0; i < l->n; i++)
        bt_release(l->words[i].name);
    bt_release(l->words);
    for (int i = 0; i < SD_ENCODERS; i++)
        bt_release(l->table[i]);
    *l = (sd_learned){ 0 };
}

bool sd_learned_same(const sd_learned *a, const sd_learned *b)
{
    if (a->n != b->n || a->rows != b->rows || a->first != b->first)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->words[i].id != b->words[i].id || strcmp(a->words[i].name, b->words[i].name) != 0)
            return false;
    for (int e = 0; e < SD_ENCODERS; e++) {
        const size_t bytes = (size_t)a->rows * (size_t)a->width[e] * sizeof(float);
        if (a->width[e] != b->width[e] || (bytes && memcmp(a->table[e], b->table[e], bytes) != 0))
            return false;
    }
    return true;
}

static bt_status add_word(sd_learned *l, const char *name, size_t n, int rows, bt_error *err)
{
    for (size_t i = 0; i < l->n; i++)
        if (strlen(l->words[i].name) == n && !strncmp(l->words[i].name, name, n))
            return bt_fail(err, BT_EINVAL, "embedding: two are called %.*s", (int)n, name);
    sd_word *words = bt_realloc_array(l->words, l->n, l->n + 1, sizeof *words);
    if (!words)
        return bt_no_memory(err, "the names of embeddings");
    l->words = words;
    words[l->n] = (sd_word){ bt_strndup(name, n), l->first + l->rows, rows };
    return words[l->n].name ? (l->n++, BT_OK) : bt_no_memory(err, "the names of embeddings");
}

/* ---- a file -------------------------------------------------------------------- */

/* Which encoder a tensor is for: 0, 1, or -1: the only one there is. */
static int encoder_of(const char *tensor)
{
    static const char *const names[][2] = { { "clip_l", "clip_g" },
                                            { "text_encoders_0", "text_encoders_1" } };
    for (int i = 0; i < 4; i++)
        if (!strcmp(tensor, names[i / 2][i % 2]))
            return i % 2;
    return -1;
}

static int width_of(const bt_tensor *t)
{
    const int64_t last = t->n_dims ? t->dims[t->n_dims - 1] : 0;
    return t->n_dims >= 1 && t->n_dims <= 2 && last <= 1 << 20 ? (int)last : 0;
}

/* Finds each encoder's tensor; the file must hold these and no others. */
static bt_status find_tensors(const sd_learned *l, const bt_store *s, const char *path,
                              const bt_tensor **found, int *rows, bt_error *err)
{
    for (size_t i = 0; i < bt_store_count(s); i++) {
        const bt_tensor *t = bt_store_at(s, i);
        const int at = encoder_of(t->name), e = at >= 0 ? at : l->width[0] ? 0 : 1;
        const int64_t n = width_of(t) ? bt_tensor_count(t) / width_of(t) : 0;
        if (n < 1 || n > MAX_ROWS || found[e] || (*rows && n != *rows))
            return bt_fail(err, BT_EFORMAT, "%s: tensor %.100s is no embedding", path, t->name);
        if (!l->width[e])
            return bt_fail(err, BT_EUNSUPPORTED,
                           "%s: an embedding for two text encoders; the model has one", path);
        if (width_of(t) != l->width[e])
            return bt_fail(err, BT_EUNSUPPORTED,
                           "%s: an embedding that does not fit the model: %.100s has vectors of "
                           "%d values, the text encoder of %d",
                           path, t->name, width_of(t), l->width[e]);
        found[e] = t;
        *rows = (int)n;
    }
    for (int e = 0; e < SD_ENCODERS; e++)
        if (l->width[e] && !found[e])
            return bt_fail(err, BT_EUNSUPPORTED,
                           "%s: an embedding that does not fit the model: none for its text "
                           "encoder %d",
                           path, e + 1);
    return BT_OK;
}

static bt_status add_rows(sd_learned *l, int e, const bt_tensor *t, int rows, bt_error *err)
{
    const size_t width = (size_t)l->width[e], was = (size_t)l->rows * width;
    const size_t n = (size_t)rows * width;
    bt_error why = { 0 };
    float *values = bt_tensor_values(t, &why);
    if (!values)
        return bt_fail(err, why.status, "%s", why.text);
    float *table = bt_realloc_array(l->table[e], was, was + n, sizeof *table);
    bt_status st = table ? BT_OK : bt_no_memory(err, "embeddings");
    if (table) {
        l->table[e] = table;
        memcpy(table + was, values, n * sizeof *table);
    }
    for (size_t i = 0; st == BT_OK && i < n; i++)
        if (!isfinite(values[i]))
            st = bt_fail(err, BT_EFORMAT, "tensor %.100s has values that are no numbers", t->name);
    bt_release(values);
    return st;
}

/* diffusers calls the tensor as the word is to be written; others have no use for that. */
static bt_status add_words(sd_learned *l, const char *path, const char *name, size_t n,
                           const bt_tensor *t, int rows, bt_error *err)
{
    bt_status st;
    if (n)
        return add_word(l, name, n, rows, err);
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    const char *dot = strrchr(file, '.');
    n = dot && dot != file ? (size_t)(dot - file) : strlen(file);
    st = add_word(l, file, n, rows, err);
    if (st != BT_OK || t->name[0] != '<')
        return st;
    return add_word(l, t->name, strlen(t->name), rows, err);
}

static bt_status read_store(sd_learned *l, const bt_store *s, const char *path, const char *name,
                            size_t len, bt_error *err)
{
    const bt_tensor *found[SD_ENCODERS] = { 0 };
    bt_error why = { 0 };
    int rows = 0;
    bt_status st = find_tensors(l, s, path, found, &rows, err);
    if (st != BT_OK)
        return st;
    st = add_words(l, path, name, len, found[0] ? found[0] : found[1], rows, &why);
    for (int e = 0; e < SD_ENCODERS && st == BT_OK; e++)
        if (found[e])
            st = add_rows(l, e, found[e], rows, &why);
    l->rows += rows;
    return st == BT_OK ? BT_OK : bt_fail(err, st, "%s: %s", path, why.text);
}

/* "FILE[:NAME]" */
static bt_status read_file(sd_learned *l, const char *entry, size_t n, bt_error *err)
{
    size_t len = n;
    while (len > 0 && entry[len - 1] != ':' && entry[len - 1] != '/')
        len--;
    const bool named = len > 1 && entry[len - 1] == ':' && len < n;
    char *path = bt_strndup(entry, named ? len - 1 : n);
    bt_store *s = NULL;
    if (!path)
        return bt_no_memory(err, "an embedding");
    bt_status st = bt_store_open(path, &s, err);
    if (st == BT_OK)
        st = read_store(l, s, path, entry + len, named ? n - len : 0, err);
    bt_store_close(s);
    bt_release(path);
    return st;
}

/* The sizes of the text encoders. A word's ids are the same for both. */
static bt_status measure(sd_learned *l, bt_weights *ws, bt_error *err)
{
    char name[96];
    for (int e = 0; e < SD_ENCODERS; e++) {
        snprintf(name, sizeof name, "%s/text_model.embeddings.token_embedding.weight", encoders[e]);
        const bt_weight *w = bt_weight_find(ws, name);
        const int rows = w ? (int)bt_weight_dim(w, 0) : 0;
        if (rows && l->first && rows != l->first)
            return bt_fail(err, BT_EUNSUPPORTED,
                           "embedding: the model's text encoders have vocabularies of %d and %d",
                           l->first, rows);
        l->width[e] = w ? (int)bt_weight_dim(w, 1) : 0;
        l->first = rows ? rows : l->first;
    }
    return BT_OK;
}

bt_status sd_learned_read(sd_learned *l, bt_weights *ws, const char *files, bt_error *err)
{
    *l = (sd_learned){ 0 };
    bt_status st = measure(l, ws, err);
    while (*files && st == BT_OK) {
        const size_t n = strcspn(files, ",");
        if (n)
            st = read_file(l, files, n, err);
        files += n + (files[n] == ',');
    }
    return st;
}

bt_status sd_learned_add(const sd_learned *l, bt_weights *ws, bt_error *err)
{
    char name[96];
    for (int e = 0; e < SD_ENCODERS && l->rows; e++) {
        snprintf(name, sizeof name, "%s/text_model.embeddings.learned.weight", encoders[e]);
        if (l->table[e] &&
            !bt_weight_make(ws, name, l->table[e], 2, (int64_t[]){ l->rows, l->width[e] }))
            return bt_no_memory(err, "embeddings");
    }
    return BT_OK;
}

/* ---- names in a text ------------------------------------------------------------- */

static char folded(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool same(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (folded(a[i]) != folded(b[i]))
            return false;
    return true;
}

static bool in_word(char c)
{
    return (c >= '0' && c <= '9') || (folded(c) >= 'a' && folded(c) <= 'z') || c == '_' ||
           (unsigned char)c >= 128;
}

/* Does text[at..end) stand alone there, not within a longer word? */
static bool alone(const char *text, size_t n, size_t at, size_t end)
{
    return !(at > 0 && in_word(text[at - 1]) && in_word(text[at])) &&
           !(end < n && in_word(text[end - 1]) && in_word(text[end]));
}

/* The longest name at text[at..n), with ComfyUI's "embedding:" before it or not. */
static const sd_word *word_at(const sd_learned *l, const char *text, size_t n, size_t at,
                              size_t *end)
{
    static const char mark[] = "embedding:";
    const size_t m = sizeof mark - 1;
    const size_t skip = n - at > m && same(text + at, mark, m) ? m : 0;
    const sd_word *best = NULL;
    for (size_t i = 0; i < l->n; i++) {
        const size_t len = strlen(l->words[i].name), stop = at + skip + len;
        if (len > n - at - skip || !same(text + at + skip, l->words[i].name, len))
            continue;
        if (alone(text, n, at, stop) && (!best || stop > *end)) {
            best = &l->words[i];
            *end = stop;
        }
    }
    return best;
}

int sd_learned_rows(const sd_learned *l, int32_t id)
{
    for (size_t i = 0; l && id >= l->first && i < l->n; i++)
        if (l->words[i].id == id)
            return l->words[i].n;
    return 0;
}

bt_status sd_learned_encode(const sd_learned *l, const bt_bpe *b, const char *text, size_t n,
                            bool special, bt_ids *out)
{
    bt_status st = BT_OK;
    size_t start = 0, end = 0;
    for (size_t at = 0; l && l->n && at < n && st == BT_OK; at++) {
        const sd_word *w = word_at(l, text, n, at, &end);
        if (!w)
            continue;
        st = bt_bpe_encode(b, text + start, at - start, special, out);
        for (int i = 0; i < w->n && st == BT_OK; i++)
            st = bt_ids_add(out, w->id + i);
        start = end;
        at = end - 1;
    }
    return st == BT_OK ? bt_bpe_encode(b, text + start, n - start, special, out) : st;
}
