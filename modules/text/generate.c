/* SPDX-License-Identifier: MIT
 * The task `generate`: continues a prompt, or answers the next turn of a chat.
 *
 * A chat is rendered and encoded as a whole each time, so a reply depends on
 * the conversation alone; the session's cache makes that cheap.
 *
 *     prompt -> ids -> session (chunks) -> logits -> sampler -> id -> stream -> host
 *                         ^________________________________________|
 */
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/threads.h"
#include "llm.h"

/* ---- chat --------------------------------------------------------------- */

/* Adds the prompt and the reply; on failure the chat is as it was. */
static bt_status remember(bt_module_job *job, const char *prompt, const bt_buf *reply)
{
    size_t n = job->n_turns;
    bt_chat_message *turns = bt_realloc_array(job->turns, n, n + 2, sizeof *turns);
    if (!turns)
        return BT_ENOMEM;
    job->turns = turns;
    turns[n] = (bt_chat_message){ "user", bt_strdup(prompt) };
    turns[n + 1] = (bt_chat_message){ "assistant", bt_strdup(reply->data ? reply->data : "") };
    if (!turns[n].content || !turns[n + 1].content) {
        bt_release((char *)turns[n].content);
        bt_release((char *)turns[n + 1].content);
        return BT_ENOMEM;
    }
    job->n_turns = n + 2;
    return BT_OK;
}

/* ---- run ---------------------------------------------------------------- */

typedef struct run_state {
    const bt_run *r;
    const bt_llm_options *o;
    const bt_llm_model *model;
    bt_llm_session *session;
    int n_ctx;
    bt_ids ids; /* prompt, then what was made */
    size_t n_prompt, n_reused;
    bt_llm_sampler sampler;
    bt_llm_stream stream;
    size_t n_steps; /* tokens that were run one by one */
    const char *stop_reason;
    double prompt_s, decode_s;
    uint64_t seed;
} run_state;

static bt_status read_prompt(run_state *t)
{
    bt_status st;
    double start = bt_now();
    bt_llm_session *s = t->session;
    if (t->ids.len >= (size_t)t->n_ctx)
        return bt_fail(t->r->error, BT_EINVAL,
                       "the prompt of %zu tokens does not fit the context of %d", t->ids.len,
                       t->n_ctx);
    t->n_reused = bt_llm_session_reuse(s, t->ids.data, t->ids.len);
    st = bt_llm_read(s, t->ids.data, t->n_prompt, t->r);
    t->prompt_s = bt_now() - start;
    return st;
}

/* The sampler sees the last repeat_last_n tokens, prompt included. */
static int32_t pick(run_state *t)
{
    int64_t last_n = t->o->repeat_last_n < 0 ? t->n_ctx : t->o->repeat_last_n;
    size_t n = t->ids.len < (size_t)last_n ? t->ids.len : (size_t)last_n;
    return bt_llm_sample(&t->sampler, t->session->logits, t->ids.data + t->ids.len - n, n,
                         t->o->ignore_eos ? &t->model->vocab.eog : NULL);
}

/* The first token follows from the prompt's logits; each further one from a step
 * with the one before. The last token made is therefore never run, and counts
 * neither in the cache nor in decode_tps. */
static bt_status decode(run_state *t)
{
    bt_status st = BT_OK;
    double start = bt_now();
    t->stop_reason = "length";
    for (int64_t made = 0; t->o->n_predict < 0 || made < t->o->n_predict; made++) {
        size_t done;
        if (made > 0) {
            BT_TRY(bt_llm_step(t->session, &t->ids.data[t->ids.len - 1], 1, false, &done,
                               t->r->cancel, t->r->error));
            t->n_steps++;
        }
        int32_t id = pick(t);
        if (!t->o->ignore_eos && bt_llm_is_eog(&t->model->vocab, id)) {
            t->stop_reason = "eos";
            break;
        }
        BT_TRY(bt_ids_add(&t->ids, id));
        BT_TRY(bt_llm_stream_token(&t->stream, id));
        if (t->stream.stopped) {
            t->stop_reason = "stop";
            break;
        }
        if (t->ids.len >= (size_t)t->n_ctx) {
            t->stop_reason = "context";
            break;
        }
    }
    st = bt_llm_stream_end(&t->stream);
fail:
    t->decode_s = bt_now() - start;
    return st;
}

static bt_status report(const run_state *t)
{
    bt_status st;
    char reason[32], seed[24];
    double made = (double)(t->ids.len - t->n_prompt), steps = (double)t->n_steps;
    double read = (double)(t->n_prompt - t->n_reused);
    snprintf(reason, sizeof reason, "\"%s\"", t->stop_reason);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)t->seed);
    BT_TRY(t->r->report(t->r->host, "seed", seed));
    BT_TRY(bt_llm_report(t->r, "prompt_tokens", (double)t->n_prompt));
    BT_TRY(bt_llm_report(t->r, "reused_tokens", (double)t->n_reused));
    BT_TRY(bt_llm_report(t->r, "tokens", made));
    BT_TRY(t->r->report(t->r->host, "stop_reason", reason));
    BT_TRY(bt_llm_report(t->r, "prompt_tps", t->prompt_s > 0 ? read / t->prompt_s : 0));
    return bt_llm_report(t->r, "decode_tps", t->decode_s > 0 ? steps / t->decode_s : 0);
fail:
    return st;
}

static bt_status run(bt_module_job *job, run_state *t)
{
    bt_status st;
    const bt_llm_options *o = t->o;
    bt_llm_sampling p = { o->temp, o->top_k, o->top_p, o->min_p, o->repeat_penalty };
    BT_TRY(bt_llm_context(t->model, o, &t->n_ctx, t->r->error));
    BT_TRY(bt_llm_prompt(job, o, &t->ids, t->r->error));
    t->n_prompt = t->ids.len;
    BT_TRY(bt_llm_stream_open(&t->stream, t->r, t->model->vocab.bpe, o->stop));
    BT_TRY(bt_seed_choose(o->seed, &t->seed, t->r->error));
    BT_TRY(bt_llm_sampler_open(&t->sampler, p, t->seed, t->model->config.n_vocab));
    if (o->echo && !o->chat)
        BT_TRY(t->r->token(t->r->host, -1, o->prompt, strlen(o->prompt)));

    BT_TRY(read_prompt(t));
    st = decode(t);
    /* a reply that was cut short is part of the chat too */
    if (o->chat && (st == BT_OK || st == BT_ECANCELLED) &&
        remember(job, o->prompt, &t->stream.text) != BT_OK)
        st = BT_ENOMEM;
    if (st == BT_OK)
        st = report(t);
fail:
    if (st == BT_ENOMEM)
        bt_fail(t->r->error, st, "no memory for the run");
    return st;
}

bt_status bt_llm_generate(bt_module_job *job, const bt_run *r)
{
    run_state t = { .r = r, .o = r->options, .model = job->model, .session = &job->session };
    bt_status st = run(job, &t);
    bt_llm_stream_close(&t.stream);
    bt_llm_sampler_close(&t.sampler);
    bt_ids_free(&t.ids);
    return st;
}
