/* SPDX-License-Identifier: MIT
 * The task `score`: how well the model predicts the prompt's own tokens, in one
 * window. nll is the mean negative log-likelihood of tokens 2..N, ppl its exp.
 */
#include <math.h>

#include "llm.h"

/* -log softmax(logits)[id], in double */
static double nll_of(const float *logits, int n, int32_t id)
{
    double max = logits[0], sum = 0;
    for (int i = 1; i < n; i++)
        max = logits[i] > max ? logits[i] : max;
    for (int i = 0; i < n; i++)
        sum += exp(logits[i] - max);
    return log(sum) + max - logits[id];
}

static bt_status score(bt_module_job *job, const bt_run *r, const bt_ids *ids, double *nll)
{
    bt_status st;
    bt_llm_session *s = &job->session;
    int n_vocab = job->model->config.n_vocab;
    s->tokens.len = 0; /* logits of every row are needed: nothing can be reused */
    *nll = 0;
    while (s->tokens.len < ids->len) {
        size_t pos = s->tokens.len, done;
        BT_TRY(r->progress(r->host, "score", (int)pos, (int)ids->len));
        BT_TRY(bt_llm_step(s, ids->data + pos, ids->len - pos, true, &done, r->cancel, r->error));
        for (size_t i = 0; i < done && pos + i + 1 < ids->len; i++)
            *nll += nll_of(s->logits + i * (size_t)n_vocab, n_vocab, ids->data[pos + i + 1]);
    }
    *nll /= (double)(ids->len - 1);
    return r->progress(r->host, "score", (int)ids->len, (int)ids->len);
fail:
    return st;
}

bt_status bt_llm_score(bt_module_job *job, const bt_run *r)
{
    const bt_llm_options *o = r->options;
    bt_ids ids = { 0 };
    bt_status st;
    double nll;
    int n_ctx;
    BT_TRY(bt_llm_context(job->model, o, &n_ctx, r->error));
    BT_TRY(bt_llm_prompt(job, o, &ids, r->error));
    if (ids.len < 2 || ids.len > (size_t)n_ctx) {
        st = bt_fail(r->error, BT_EINVAL, "the text has %zu tokens, not 2..%d", ids.len, n_ctx);
        goto fail;
    }
    BT_TRY(score(job, r, &ids, &nll));
    BT_TRY(bt_llm_report(r, "tokens", (double)ids.len));
    BT_TRY(bt_llm_report(r, "nll", nll));
    BT_TRY(bt_llm_report(r, "ppl", exp(nll)));
fail:
    bt_ids_free(&ids);
    return st;
}
