/* SPDX-License-Identifier: MIT
 * Any bytes as a picture's prompt, through all stages. The first byte chooses the steps.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "image/prompt/prompt.h"

static void check_chunks(const bt_bpe *b, const sd_pieces *p)
{
    enum { TOKENS = 7 };
    sd_chunks c;
    bt_error err;
    if (sd_prompt_chunks(b, p, TOKENS, &c, &err) != BT_OK)
        return;
    if (c.n < 1 || c.n > SD_MAX_CHUNKS)
        __builtin_trap();
    for (int i = 0; i < c.n * TOKENS; i++)
        if (c.ids[i] < 0 || (size_t)c.ids[i] >= bt_bpe_count(b) ||
            (i % TOKENS == 0 && (c.ids[i] != c.ids[0] || !(c.weights[i] == 1))))
            __builtin_trap();
    sd_chunks_free(&c);
}

static void check_weigh(const bt_bpe *b, const char *text)
{
    sd_pieces p;
    bt_error err;
    size_t at = 0;
    if (sd_prompt_weigh(text, &p, &err) != BT_OK)
        return;
    for (size_t i = 0; i < p.n; at += p.v[i++].n)
        if (p.v[i].from != at || p.v[i].n > p.text.len - at)
            __builtin_trap();
    if (p.n == 0 || at != p.text.len)
        __builtin_trap();
    check_chunks(b, &p);
    sd_pieces_free(&p);
}

static void check_turns(const bt_bpe *b, const char *text, int steps)
{
    sd_turns t;
    bt_error err;
    if (sd_prompt_turns(text, steps, steps % 3, &t, &err) != BT_OK)
        return;
    for (int i = 0; i < t.n; i++)
        if (t.until[i] <= (i ? t.until[i - 1] : 0) || t.which[i] < 0 || t.which[i] >= t.n_texts)
            __builtin_trap();
    if (t.n == 0 || t.until[t.n - 1] != steps || t.which[0] != sd_turns_at(&t, 0) ||
        t.which[t.n - 1] != sd_turns_at(&t, steps))
        __builtin_trap();
    for (int i = 0; i < t.n_texts && i < 4; i++)
        check_weigh(b, t.texts[i]);
    sd_turns_free(&t);
}

static void check_chosen(const bt_bpe *b, const char *text, int steps)
{
    sd_clauses c;
    sd_tags tags;
    bt_error err;
    char *rest;
    if (sd_prompt_tags(text, &rest, &tags, &err) != BT_OK)
        return;
    if (strlen(rest) > strlen(text))
        __builtin_trap();
    sd_tags_free(&tags);
    if (sd_prompt_clauses(rest, &c, &err) == BT_OK) {
        for (int i = 0; i < c.n; i++) {
            if (!(c.v[i].weight == c.v[i].weight))
                __builtin_trap();
            check_turns(b, c.v[i].text, steps);
        }
        sd_clauses_free(&c);
    }
    bt_release(rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char vocab[] = "{\"a</w>\":0,\",</w>\":1,\"b</w>\":2,\"<|startoftext|>\":3,"
                                "\"<|endoftext|>\":4,\"!\":5}";
    static const bt_clip_config config = { "<|startoftext|>", "<|endoftext|>", "!", NULL, 7 };
    bt_bpe *b;
    bt_error err;
    if (size == 0 || size > 4096)
        return 0;
    if (bt_bpe_new_clip(vocab, sizeof vocab - 1, "", 0, &config, &b, &err) != BT_OK)
        __builtin_trap();
    char *text = malloc(size), *one, *two;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    if (sd_prompt_choose(text, "", data[0], 0, &one, &err) == BT_OK) {
        if (sd_prompt_choose(text, "", data[0], 0, &two, &err) != BT_OK || strcmp(one, two) != 0)
            __builtin_trap();
        check_chosen(b, one, 1 + data[0] % 40);
        bt_release(one);
        bt_release(two);
    }
    free(text);
    bt_bpe_free(b);
    return 0;
}
