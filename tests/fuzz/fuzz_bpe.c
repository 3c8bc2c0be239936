/* SPDX-License-Identifier: MIT
 * A byte-level tokenizer of foreign arrays, and any text through it.
 *
 * Input: one byte that chooses the pre-tokenizer, then three parts that end with
 * a byte 0xFF: tokens by line (a digit, the type, then the text), merges by
 * line, the text.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "text/bpe.h"
#include "text/utf8.h"

enum { MAX_LINES = 4096 };

typedef struct part {
    const char *s;
    size_t n;
} part;

typedef struct lines {
    part v[MAX_LINES];
    size_t n;
} lines;

static lines tokens, merges;

static part cut(part *rest, char at)
{
    const char *end = rest->n ? memchr(rest->s, at, rest->n) : NULL;
    const part p = { rest->s, end ? (size_t)(end - rest->s) : rest->n };
    rest->s += p.n + (end != NULL);
    rest->n -= p.n + (end != NULL);
    return p;
}

static void cut_lines(lines *l, part p)
{
    for (l->n = 0; p.n && l->n < MAX_LINES;)
        l->v[l->n++] = cut(&p, '\n');
}

static const char *token_at(void *user, size_t i, size_t *len)
{
    (void)user;
    *len = tokens.v[i].n ? tokens.v[i].n - 1 : 0;
    return tokens.v[i].n ? tokens.v[i].s + 1 : NULL;
}

static int type_at(void *user, size_t i)
{
    (void)user;
    return tokens.v[i].n ? tokens.v[i].s[0] - '0' : 0;
}

static const char *merge_at(void *user, size_t i, size_t *len)
{
    (void)user;
    *len = merges.v[i].n;
    return merges.v[i].s;
}

static void use(const bt_bpe *b, part text, bool special)
{
    bt_ids ids = { 0 };
    bt_buf out = { 0 };
    bt_utf8_stream s = { .n = 0 };
    if (bt_bpe_encode(b, text.s, text.n, special, &ids) != BT_OK)
        abort();
    for (size_t i = 0; i < ids.len; i++) {
        size_t n;
        const char *piece = bt_bpe_piece(b, ids.data[i], &n);
        if (!piece)
            abort(); /* an id outside the vocabulary */
        bt_utf8_push(&s, piece, n, &out);
    }
    bt_utf8_end(&s, &out);
    if (out.len && !bt_utf8_valid(out.data, out.len))
        abort();
    bt_buf_free(&out);
    bt_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const pre[] = { "smollm", "gpt-2", "llama-bpe", "qwen2", "default" };
    bt_bpe_vocab v = { .token = token_at, .merge = merge_at, .type = type_at };
    bt_bpe *b = NULL;
    bt_error e;
    if (size == 0)
        return 0;
    part rest = { (const char *)data + 1, size - 1 };
    cut_lines(&tokens, cut(&rest, (char)0xFF));
    cut_lines(&merges, cut(&rest, (char)0xFF));
    v.n_tokens = tokens.n;
    v.n_merges = merges.n;
    if (bt_bpe_new_gpt2(&v, pre[data[0] % 5], &b, &e) != BT_OK)
        return 0;
    use(b, rest, false);
    use(b, rest, true);
    bt_bpe_free(b);
    return 0;
}
