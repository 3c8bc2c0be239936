/* SPDX-License-Identifier: MIT
 * Reads CLIP's vocab.json and merges.txt; the merges alone imply the vocabulary.
 *
 * vocab.json is one flat object of "text": id, so a few lines read it. A text
 * without its escapes is never longer than with them: all texts fit into one
 * block of the file's size. Ids may leave holes, but not beyond the file's size.
 */
#include <string.h>

#include "bpe_impl.h"
#include "utf8.h"

typedef struct list {
    bpe_text *v; /* s NULL: hole */
    size_t n, cap;
} list;

typedef struct files {
    list token, merge;
    char *texts; /* where the tokens' texts lie */
    const bt_clip_config *config;
} files;

/* Makes item i exist. */
static bool list_reach(list *l, size_t i)
{
    if (i >= l->cap) {
        size_t cap = i + i / 2 + 256;
        bpe_text *v = bt_realloc_array(l->v, l->cap, cap, sizeof *v);
        if (!v)
            return false;
        memset(v + l->cap, 0, (cap - l->cap) * sizeof *v);
        l->v = v;
        l->cap = cap;
    }
    if (i >= l->n)
        l->n = i + 1;
    return true;
}

/* ---- vocab.json -------------------------------------------------------------- */

typedef struct cursor {
    const char *p, *end;
    char *out; /* where the next text goes */
} cursor;

/* The next character that is no white space, not stepped over; 0 at the end. */
static char look(cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
        c->p++;
    return c->p < c->end ? *c->p : 0;
}

static bool take(cursor *c, char what)
{
    if (look(c) != what)
        return false;
    c->p++;
    return true;
}

static bool hex4(cursor *c, uint32_t *v)
{
    *v = 0;
    if (c->end - c->p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        const char x = *c->p++, low = (char)(x | 32);
        if (x >= '0' && x <= '9')
            *v = *v << 4 | (uint32_t)(x - '0');
        else if (low >= 'a' && low <= 'f')
            *v = *v << 4 | (uint32_t)(low - 'a' + 10);
        else
            return false;
    }
    return true;
}

/* After a backslash: one character to c->out, a surrogate pair as one. */
static bool unescape(cursor *c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t cp, low;
    if (c->p == c->end)
        return false;
    const char e = *c->p++, *at = e ? strchr(from, e) : NULL;
    if (at) {
        *c->out++ = to[at - from];
        return true;
    }
    if (e != 'u' || !hex4(c, &cp))
        return false;
    if (cp >= 0xD800 && cp < 0xDC00) {
        if (c->end - c->p < 6 || memcmp(c->p, "\\u", 2) != 0)
            return false;
        c->p += 2;
        if (!hex4(c, &low) || low < 0xDC00 || low > 0xDFFF)
            return false;
        cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
    }
    if (cp >= 0xD800 && cp <= 0xDFFF)
        return false;
    char s[4];
    const size_t n = bt_utf8_put(s, cp);
    memcpy(c->out, s, n);
    c->out += n;
    return true;
}

static bool read_string(cursor *c, bpe_text *t)
{
    if (!take(c, '"'))
        return false;
    t->s = c->out;
    while (c->p < c->end && *c->p != '"') {
        if (*c->p != '\\') {
            *c->out++ = *c->p++;
            continue;
        }
        c->p++;
        if (!unescape(c))
            return false;
    }
    t->n = (size_t)(c->out - t->s);
    return take(c, '"');
}

/* A whole number; too large ones stop growing and are refused by the caller. */
static bool read_id(cursor *c, size_t *id)
{
    const char first = look(c);
    if (first < '0' || first > '9')
        return false;
    for (*id = 0; c->p < c->end && *c->p >= '0' && *c->p <= '9' && *id < INT32_MAX; c->p++)
        *id = *id * 10 + (size_t)(*c->p - '0');
    return true;
}

static bt_status read_vocab(files *f, const char *json, size_t n, bt_error *err)
{
    f->texts = bt_alloc(n);
    if (!f->texts)
        return bt_fail(err, BT_ENOMEM, "vocab.json: no memory");
    cursor c = { json, json + n, f->texts };
    bool more = take(&c, '{') && look(&c) != '}';
    if (!more)
        return bt_fail(err, BT_EFORMAT, "vocab.json: not an object with tokens");
    for (size_t i = 0; more; i++) {
        bpe_text t;
        size_t id;
        if (!read_string(&c, &t) || !take(&c, ':') || !read_id(&c, &id) || id > n)
            return bt_fail(err, BT_EFORMAT, "vocab.json: malformed after %zu tokens", i);
        if (!list_reach(&f->token, id))
            return bt_fail(err, BT_ENOMEM, "vocab.json: no memory");
        if (f->token.v[id].s)
            return bt_fail(err, BT_EFORMAT, "vocab.json: id %zu twice", id);
        f->token.v[id] = t;
        more = take(&c, ',');
    }
    if (!take(&c, '}'))
        return bt_fail(err, BT_EFORMAT, "vocab.json: no closing brace");
    return BT_OK;
}

/* ---- merges.txt ---------------------------------------------------------------- */

static bt_status read_merges(files *f, const char *txt, size_t n, bt_error *err)
{
    for (size_t i = 0; i < n;) {
        const char *line = txt + i, *end = memchr(line, '\n', n - i);
        size_t len = end ? (size_t)(end - line) : n - i;
        i += len + 1;
        while (len > 0 && strchr("\r\t ", line[len - 1]) && line[len - 1])
            len--;
        if (len == 0 || (len >= 8 && memcmp(line, "#version", 8) == 0))
            continue;
        const size_t at = f->merge.n;
        if (!list_reach(&f->merge, at))
            return bt_fail(err, BT_ENOMEM, "merges.txt: no memory");
        f->merge.v[at] = (bpe_text){ line, len };
    }
    return BT_OK;
}

/* ---- the vocabulary that the merges imply ---------------------------------------- */

static bool add_token(files *f, char **out, const char *a, size_t n, const char *b, size_t m)
{
    const size_t at = f->token.n;
    if (!list_reach(&f->token, at))
        return false;
    f->token.v[at] = (bpe_text){ *out, n + m };
    memcpy(*out, a, n);
    memcpy(*out + n, b, m);
    *out += n + m;
    return true;
}

/* A character for each byte, printable ones first (open_clip, bytes_to_unicode). */
static bool add_bytes(files *f, char **out, const char *end, size_t end_n)
{
    bool ok = true;
    for (uint32_t c = 0; c < 2 * 256 && ok; c++) {
        char s[4];
        if (bt_bpe_byte(c) >= 0)
            ok = add_token(f, out, s, bt_utf8_put(s, c), end, end_n);
    }
    return ok;
}

/* The bytes, the bytes that end a word, what each merge makes, bos and eos. */
static bt_status imply_vocab(files *f, size_t merges_n, bt_error *err)
{
    const bt_clip_config *c = f->config;
    const size_t bos = strlen(c->bos), eos = strlen(c->eos);
    char *out = f->texts = bt_alloc(2 * 256 * 8 + merges_n + bos + eos);
    bool ok = out && add_bytes(f, &out, "", 0) && add_bytes(f, &out, "</w>", 4);
    for (size_t i = 0; i < f->merge.n && ok; i++) {
        const bpe_text *m = &f->merge.v[i];
        const char *space = memchr(m->s, ' ', m->n);
        if (!space)
            return bt_fail(err, BT_EFORMAT, "merges.txt: line %zu is not a pair", i + 1);
        const size_t left = (size_t)(space - m->s);
        ok = add_token(f, &out, m->s, left, space + 1, m->n - left - 1);
    }
    ok = ok && add_token(f, &out, c->bos, bos, "", 0) && add_token(f, &out, c->eos, eos, "", 0);
    return ok ? BT_OK : bt_fail(err, BT_ENOMEM, "CLIP tokenizer: no memory");
}

/* ---- the tokenizer --------------------------------------------------------------- */

static const char *token_at(void *user, size_t i, size_t *len)
{
    const bpe_text *t = &((files *)user)->token.v[i];
    *len = t->n;
    return t->s ? t->s : "";
}

static const char *merge_at(void *user, size_t i, size_t *len)
{
    const bpe_text *t = &((files *)user)->merge.v[i];
    *len = t->n;
    return t->s;
}

/* CLIPTokenizer finds eos in the text as typed, so it is special; bos only in
 * the folded text (bpe_encode.c), because its entry says "normalized". */
static int type_at(void *user, size_t i)
{
    const files *f = user;
    const bpe_text *t = &f->token.v[i];
    if (!t->s)
        return BT_TOKEN_UNUSED;
    const char *eos = f->config->eos;
    return t->n == strlen(eos) && memcmp(t->s, eos, t->n) == 0 ? BT_TOKEN_CONTROL : BT_TOKEN_NORMAL;
}

/* The id of a special token, which the vocabulary must hold. */
static bt_status find_named(const bt_bpe *b, const char *what, const char *name, int32_t *id,
                            bt_error *err)
{
    *id = bt_bpe_find(b, name, strlen(name));
    if (*id >= 0)
        return BT_OK;
    return bt_fail(err, BT_EFORMAT, "vocab.json: its %s token \"%s\" is missing", what, name);
}

static bt_status build(bt_bpe *b, files *f, bt_error *err)
{
    const bt_clip_config *c = f->config;
    const bt_bpe_vocab v = { f->token.n, f->merge.n, token_at, merge_at, type_at, f };
    bt_status st = bt_bpe_build(b, &v, "</w>", err);
    if (st == BT_OK)
        st = find_named(b, "bos", c->bos, &b->bos, err);
    if (st == BT_OK)
        st = find_named(b, "eos", c->eos, &b->eos, err);
    if (st == BT_OK)
        st = find_named(b, "pad", c->pad ? c->pad : c->eos, &b->pad, err);
    if (st == BT_OK)
        st = find_named(b, "unk", c->unk ? c->unk : c->eos, &b->unk, err);
    if (st == BT_OK && b->text[b->bos].n == 0)
        st = bt_fail(err, BT_EFORMAT, "vocab.json: its bos token is empty");
    if (st == BT_OK)
        b->type[b->bos] = BT_TOKEN_CONTROL;
    return st;
}

bt_status bt_bpe_new_clip(const char *vocab_json, size_t vocab_n, const char *merges_txt,
                          size_t merges_n, const bt_clip_config *c, bt_bpe **out, bt_error *err)
{
    files f = { .config = c };
    *out = NULL;
    if (!c->bos || !c->eos || c->max_length < 2)
        return bt_fail(err, BT_EINVAL, "CLIP tokenizer: needs bos, eos and a length of 2 or more");
    bt_bpe *b = bt_calloc(1, sizeof *b);
    if (!b)
        return bt_fail(err, BT_ENOMEM, "CLIP tokenizer: no memory");
    b->clip = true;
    b->pre = bt_pretok_find("gpt-2");
    b->max_length = c->max_length;
    bt_status st = read_merges(&f, merges_txt, merges_n, err);
    if (st == BT_OK)
        st = vocab_json ? read_vocab(&f, vocab_json, vocab_n, err) : imply_vocab(&f, merges_n, err);
    if (st == BT_OK)
        st = build(b, &f, err);
    bt_release(f.token.v);
    bt_release(f.merge.v);
    bt_release(f.texts);
    if (st == BT_OK)
        *out = b;
    else
        bt_bpe_free(b);
    return st;
}
