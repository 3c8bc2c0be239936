/* SPDX-License-Identifier: MIT
 * The task `bench`: the speed of a prompt of n_prompt arbitrary tokens, then that of
 * n_predict further ones, one by one. Nothing is sampled and nothing ends early, so
 * that the figures are those of the network alone, as llama-bench's are.
 */
#include "base/threads.h"
#include "llm.h"

typedef struct bench {
    bt_llm_session *s;
    const bt_run *r;
    bt_ids ids;
    double prompt_s, decode_s;
} bench;

static bt_status read_prompt(bench *b)
{
    const double start = bt_now();
    b->s->tokens.len = 0; /* nothing is reused */
    const bt_status st = bt_llm_read(b->s, b->ids.data, b->ids.len, b->r);
    b->prompt_s = bt_now() - start;
    return st;
}

static bt_status decode(const bt_llm_model *m, bench *b, int64_t n)
{
    const double start = bt_now();
    bt_status st = BT_OK;
    for (int64_t i = 0; st == BT_OK && i < n; i++) {
        const int32_t id = bt_llm_any_id(m, b->ids.len + (size_t)i);
        size_t done;
        BT_TRY(b->r->progress(b->r->host, "decode", (int)i, (int)n));
        BT_TRY(bt_llm_step(b->s, &id, 1, false, &done, b->r->cancel, b->r->error));
    }
    b->decode_s = bt_now() - start;
fail:
    return st;
}

static bt_status run(bt_module_job *job, bench *b)
{
    const bt_llm_options *o = b->r->options;
    const int64_t n = o->n_predict > 0 ? o->n_predict : 0;
    bt_status st;
    int n_ctx;
    BT_TRY(bt_llm_context(job->model, o, &n_ctx, b->r->error));
    BT_TRY(bt_llm_prompt(job, o, &b->ids, b->r->error));
    if (n > n_ctx - (int64_t)b->ids.len)
        return bt_fail(b->r->error, BT_EINVAL, "%zu and %lld tokens do not fit the context of %d",
                       b->ids.len, (long long)n, n_ctx);
    BT_TRY(read_prompt(b));
    BT_TRY(decode(job->model, b, n));
    BT_TRY(bt_llm_report(b->r, "prompt_tokens", (double)b->ids.len));
    BT_TRY(bt_llm_report(b->r, "tokens", (double)n));
    BT_TRY(bt_llm_report(b->r, "prompt_tps", (double)b->ids.len / b->prompt_s));
    if (n)
        BT_TRY(bt_llm_report(b->r, "decode_tps", (double)n / b->decode_s));
fail:
    return st;
}

bt_status bt_llm_bench(bt_module_job *job, const bt_run *r)
{
    bench b = { .s = &job->session, .r = r };
    const bt_status st = run(job, &b);
    bt_ids_free(&b.ids);
    return st;
}
