/* SPDX-License-Identifier: MIT
 * What the tasks share: the context in force, the prompt's ids, numbers for
 * the report.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "llm.h"

/* A smaller context only ends texts earlier: the cache grows as it is filled. */
bt_status bt_llm_context(const bt_llm_model *m, const bt_llm_options *o, int *n_ctx, bt_error *err)
{
    *n_ctx = m->config.n_ctx;
    if (o->ctx_size > *n_ctx)
        return bt_fail(err, BT_EINVAL, "ctx_size %lld is more than the model's %d",
                       (long long)o->ctx_size, *n_ctx);
    if (o->ctx_size > 0)
        *n_ctx = (int)o->ctx_size;
    return BT_OK;
}

bt_status bt_llm_report(const bt_run *r, const char *name, double value)
{
    char json[40];
    snprintf(json, sizeof json, "%.9g", value);
    return r->report(r->host, name, isfinite(value) ? json : "null");
}

/* Knuth's multiplicative hash (TAOCP 6.4) spreads the numbers over the vocabulary. */
int32_t bt_llm_any_id(const bt_llm_model *m, size_t i)
{
    return (int32_t)((uint32_t)(i * 2654435761u) % (uint32_t)m->config.n_vocab);
}

/* ---- prompt ------------------------------------------------------------- */

/* The conversation with the prompt as its last turn, as text. */
static bt_status render(const bt_module_job *job, const bt_llm_options *o, char **text, size_t *n,
                        bt_error *err)
{
    const bt_llm_vocab *v = &job->model->vocab;
    size_t count = 0;
    if (!v->chat)
        return bt_fail(err, v->chat_error.status, "%s", v->chat_error.text);
    bt_chat_message *all = bt_calloc(job->n_turns + 2, sizeof *all);
    if (!all)
        return bt_no_memory(err, "the conversation");
    if (*o->system)
        all[count++] = (bt_chat_message){ "system", o->system };
    for (size_t i = 0; i < job->n_turns; i++)
        all[count++] = job->turns[i];
    all[count++] = (bt_chat_message){ "user", o->prompt };

    bt_chat_input in = { .messages = all,
                         .n = count,
                         .bos_token = v->bos_text,
                         .eos_token = v->eos_text,
                         .add_generation_prompt = true };
    bt_status st = bt_chat_render(v->chat, &in, text, n, err);
    bt_release(all);
    return st;
}

static bt_status any_prompt(const bt_llm_model *m, int64_t n, bt_ids *ids, bt_error *err)
{
    if (n > m->config.n_ctx)
        return bt_fail(err, BT_EINVAL, "n_prompt %lld is more than the model's context of %d",
                       (long long)n, m->config.n_ctx);
    for (int64_t i = 0; i < n; i++)
        if (bt_ids_add(ids, bt_llm_any_id(m, (size_t)i)) != BT_OK)
            return bt_no_memory(err, "the prompt");
    return BT_OK;
}

bt_status bt_llm_prompt(bt_module_job *job, const bt_llm_options *o, bt_ids *ids, bt_error *err)
{
    const bt_llm_vocab *v = &job->model->vocab;
    char *text = NULL;
    size_t n = 0;
    bt_status st;
    if (o->task == BT_LLM_BENCH)
        return any_prompt(job->model, o->n_prompt, ids, err);
    if (o->chat) {
        if ((st = render(job, o, &text, &n, err)) != BT_OK)
            return st;
        /* a template that writes the BOS itself must not get a second one */
        size_t bos = strlen(v->bos_text);
        if (bos && n >= bos && !memcmp(text, v->bos_text, bos))
            st = bt_bpe_encode(v->bpe, text, n, true, ids);
        else
            st = bt_llm_encode(v, text, n, true, ids);
        bt_release(text);
    } else {
        st = bt_llm_encode(v, o->prompt, strlen(o->prompt), o->special, ids);
    }
    if (st == BT_OK && !ids->len)
        return bt_fail(err, BT_EINVAL, "the prompt is empty");
    return st == BT_OK ? st : bt_fail(err, st, "no memory for the prompt");
}
