/* SPDX-License-Identifier: MIT
 * From the prompts as typed to the texts of a picture's steps.
 */
#include <string.h>

#include "image/run/run.h"

enum {
    MOST_CHUNKS = 24,     /* up to which shorter prompts are repeated, see set_length */
    MOST_BYTES = 1 << 30, /* of a picture's encoded texts */
};

static bt_status whole_run(const char *text, int steps, sd_turns *t, bt_error *err)
{
    t->texts = bt_calloc(1, sizeof *t->texts);
    t->until = bt_calloc(1, sizeof *t->until);
    t->which = bt_calloc(1, sizeof *t->which);
    if (!t->texts || !t->until || !t->which || !(t->texts[0] = bt_strdup(text)))
        return bt_no_memory(err, "the prompt");
    t->until[0] = steps;
    t->n = t->n_texts = 1;
    return BT_OK;
}

/* The next cue: a prompt that may change with the steps. */
static bt_status add_cue(const sd_model *m, const sd_setup *s, sd_asked *a, const char *text,
                         double weight, bt_error *err)
{
    sd_cue *c = &a->cues[a->n++];
    bt_status st;
    c->weight = weight;
    BT_TRY(s->plain ? whole_run(text, s->turns, &c->turns, err)
                    : sd_prompt_turns(text, s->turns, s->turns_before, &c->turns, err));
    c->texts = bt_calloc((size_t)c->turns.n_texts, sizeof *c->texts);
    if (!c->texts)
        return bt_no_memory(err, "the prompt");
    for (int i = 0; i < c->turns.n_texts; i++) {
        sd_chunks read;
        BT_TRY(
            sd_prompt_read(m->bpe, s->words, c->turns.texts[i], s->plain, m->tokens, &read, err));
        c->chunks = read.n > c->chunks ? read.n : c->chunks;
        a->words += i == 0 && a->n > 1 ? read.words : 0;
        sd_chunks_free(&read);
    }
    return BT_OK;
fail:
    return st;
}

static bt_status add_clauses(const sd_model *m, const sd_setup *s, sd_asked *a, const char *text,
                             bt_error *err)
{
    sd_clauses clauses = { .n = 0 };
    bt_status st = sd_prompt_clauses(text, &clauses, err);
    for (int i = 0; i < clauses.n && st == BT_OK; i++)
        st = add_cue(m, s, a, clauses.v[i].text, clauses.v[i].weight, err);
    sd_clauses_free(&clauses);
    return st;
}

/* The choices of this seed. */
static bt_status choose(const sd_setup *s, uint64_t seed, sd_asked *a, bt_error *err)
{
    if (strlen(s->prompt) > SD_MAX_PROMPT || strlen(s->negative) > SD_MAX_PROMPT)
        return bt_fail(err, BT_EINVAL, "a prompt of more than %d bytes", SD_MAX_PROMPT);
    if (!s->plain) {
        bt_status st = sd_prompt_choose(s->prompt, s->wildcards, seed, 0, &a->prompt, err);
        return st == BT_OK ? sd_prompt_choose(s->negative, s->wildcards, seed, 1, &a->negative, err)
                           : st;
    }
    a->prompt = bt_strdup(s->prompt);
    a->negative = bt_strdup(s->negative);
    return a->prompt && a->negative ? BT_OK : bt_no_memory(err, "the prompt");
}

static bt_status read_cues(const sd_model *m, const sd_setup *s, sd_asked *a, bt_error *err)
{
    sd_tags tags = { 0 };
    char *rest = NULL;
    bt_status st;
    BT_TRY(sd_lora_list_read(&a->loras, s->lora, err));
    BT_TRY(add_cue(m, s, a, a->negative, 1, err));
    if (s->plain)
        return add_cue(m, s, a, a->prompt, 1, err);
    BT_TRY(sd_prompt_tags(a->prompt, &rest, &tags, err));
    for (size_t i = 0; i < tags.n; i++)
        BT_TRY(sd_lora_list_name(&a->loras, s->lora_dir, tags.v[i].name, tags.v[i].unet,
                                 tags.v[i].text, err));
    st = add_clauses(m, s, a, rest, err);
fail:
    sd_tags_free(&tags);
    bt_release(rest);
    return st;
}

/* Rows of one run of the UNet have contexts of one length. A1111 makes several runs of
 * prompts of several lengths; a context that is repeated whole is the same to attention as
 * the context alone, so that one run gives its answers. Where that would take too much,
 * empty chunks fill up, as with A1111's option for it. */
static bt_status set_length(const sd_model *m, sd_asked *a, bt_error *err)
{
    const int negative = a->cues[0].chunks;
    for (int i = a->first; i < a->n; i++) {
        a->encoded += (uint64_t)(a->cues[i].turns.n_texts * a->cues[i].chunks);
        if (i > 0 && a->cues[i].chunks > a->longest)
            a->longest = a->cues[i].chunks;
    }
    a->chunks = a->longest;
    if (a->first == 0) {
        int both = a->longest;
        while (both % negative && both <= MOST_CHUNKS)
            both += a->longest;
        a->chunks = both <= MOST_CHUNKS ? both : a->longest > negative ? a->longest : negative;
    }
    if (a->encoded * (size_t)m->tokens * (size_t)m->unet.context * sizeof(float) > MOST_BYTES)
        return bt_fail(err, BT_EINVAL, "the prompt changes between too many texts");
    return BT_OK;
}

bt_status sd_run_ask(const sd_model *m, const sd_setup *s, uint64_t seed, sd_asked *last,
                     sd_asked **out, bt_error *err)
{
    sd_asked *a = bt_calloc(1, sizeof *a);
    bt_status st = a ? choose(s, seed, a, err) : bt_no_memory(err, "the prompt");
    const bool same = st == BT_OK && last && !strcmp(a->prompt, last->prompt) &&
                      !strcmp(a->negative, last->negative);
    if (st == BT_OK && !same)
        st = read_cues(m, s, a, err);
    if (st == BT_OK && !same) {
        a->first = !s->guided && a->n == 2 && a->cues[1].weight == 1;
        a->blind = a->first == 0 && sd_edits(m);
        st = set_length(m, a, err);
    }
    *out = st != BT_OK ? NULL : same ? last : a;
    if (*out != a)
        sd_asked_free(a);
    return st;
}

/* Rows of one run of the UNet times their contexts' length. */
static int size_of(const sd_setup *s, const sd_asked *a)
{
    return sd_asked_rows(a) * sd_run_group(s, a) * a->chunks;
}

bt_status sd_run_ask_most(const sd_model *m, const sd_setup *s, sd_asked **out, bt_error *err)
{
    sd_asked *most = NULL;
    bt_status st = BT_OK;
    for (int i = 0; i < s->batch && st == BT_OK; i++) {
        sd_asked *a;
        st = sd_run_ask(m, s, sd_run_seed(s, i), most, &a, err);
        if (st != BT_OK || a == most)
            continue;
        const bool more = !most || size_of(s, a) > size_of(s, most);
        sd_asked_free(more ? most : a);
        most = more ? a : most;
    }
    if (st != BT_OK) {
        sd_asked_free(most);
        most = NULL;
    }
    *out = most;
    return st;
}

void sd_asked_free(sd_asked *a)
{
    if (!a)
        return;
    for (int i = 0; i < a->n; i++) {
        sd_turns_free(&a->cues[i].turns);
        bt_release(a->cues[i].texts);
        bt_release(a->cues[i].ratios);
    }
    bt_release(a->prompt);
    bt_release(a->negative);
    sd_lora_list_release(&a->loras);
    bt_release(a);
}
