/* SPDX-License-Identifier: MIT
 * A sequence of tokens with its cache: runs new ones in chunks that end at
 * fixed positions, and keeps what a later sequence has in common.
 *
 * Why fixed positions: a prompt read after a cached prefix is then cut into the
 * same chunks as one read whole, and every row gets the same bytes either way.
 * Plans are few: a whole chunk, the chunk's rest, one token, and one to spare.
 *
 * With AMX, quantized weights are opened to bf16 for whole blocks of 64 positions
 * (at multiples of 64), and stay int8 for the rest of a prompt and for single
 * tokens. So that a sequence has one result, a block is read again if an earlier
 * sequence had its tokens one by one: a chat's last reply, say.
 */
#include <string.h>

#include "llm.h"

bt_status bt_llm_session_open(const bt_llm_model *m, bt_llm_session *s)
{
    const bt_llm_config *c = &m->config;
    *s = (bt_llm_session){ .model = m, .chunk = BT_LLM_CHUNK };
    return bt_kv_create(m->compute, c->n_layer, c->n_ctx, c->n_kv, c->d, &s->kv);
}

void bt_llm_session_close(bt_llm_session *s)
{
    for (int i = 0; i < BT_LLM_PLANS; i++)
        bt_plan_free(s->plans[i].plan);
    bt_kv_free(s->kv);
    bt_ids_free(&s->tokens);
    *s = (bt_llm_session){ 0 };
}

static void attach(const bt_llm_session *s, const bt_llm_plan *p)
{
    if (p->plan)
        bt_trace_attach(p->plan, s->trace, p->all ? "score" : p->rows > 1 ? "prompt" : "decode");
}

void bt_llm_session_trace(bt_llm_session *s, bt_trace *trace)
{
    if (s->trace == trace)
        return;
    s->trace = trace;
    for (int i = 0; i < BT_LLM_PLANS; i++)
        attach(s, &s->plans[i]);
}

/* Of `same` tokens in common, those whose rows ids[0..n) would have too: up to
 * n / 64 blocks read whole, then single rows. */
static size_t keep_blocks(const bt_llm_session *s, size_t same, size_t n)
{
    const size_t full = n - n % BT_LLM_BLOCK, both = s->whole < full ? s->whole : full;
    if (s->whole != full && same > both)
        same = both;
    return same < full ? same - same % BT_LLM_BLOCK : same;
}

size_t bt_llm_session_reuse(bt_llm_session *s, const int32_t *ids, size_t n)
{
    size_t same = 0;
    while (same < s->tokens.len && same + 1 < n && s->tokens.data[same] == ids[same])
        same++;
    if (s->model->blocks)
        same = keep_blocks(s, same, n);
    s->tokens.len = same;
    s->whole = s->whole < same ? s->whole : same;
    return same;
}

/* Rows of the next step: up to the next cut, and up to the end of whole blocks
 * or, behind or between their ends, of this one. */
static size_t step_rows(const bt_llm_session *s, size_t chunk, size_t n)
{
    const size_t pos = s->tokens.len, in = pos % BT_LLM_BLOCK;
    size_t rows = chunk - pos % chunk;
    if (rows > n)
        rows = n;
    if (!s->model->blocks)
        return rows;
    if (in == 0 && rows >= BT_LLM_BLOCK)
        return rows - rows % BT_LLM_BLOCK;
    return rows < BT_LLM_BLOCK - in ? rows : BT_LLM_BLOCK - in;
}

/* The plan for so many rows, moved to the front; the last one makes room. */
static bt_status plan_for(bt_llm_session *s, int rows, bool all, bt_llm_plan **out, bt_error *err)
{
    int i = 0;
    while (i < BT_LLM_PLANS - 1 && s->plans[i].plan &&
           !(s->plans[i].rows == rows && s->plans[i].all == all))
        i++;
    bt_llm_plan p = s->plans[i];
    if (!p.plan || p.rows != rows || p.all != all) {
        bt_plan_free(p.plan);
        s->plans[i] = (bt_llm_plan){ 0 };
        bt_status st = bt_llm_plan_create(s->model, s->kv, rows, all, &p, err);
        if (st != BT_OK)
            return st;
        attach(s, &p);
    }
    memmove(s->plans + 1, s->plans, (size_t)i * sizeof p);
    s->plans[0] = p;
    *out = &s->plans[0];
    return BT_OK;
}

/* The cache holds exactly s->tokens: a step that fails or is cancelled leaves
 * rows behind its end, which the next step writes over. */
bt_status bt_llm_step(bt_llm_session *s, const int32_t *ids, size_t n, bool all, size_t *done,
                      const atomic_bool *cancel, bt_error *err)
{
    bt_status st;
    size_t pos = s->tokens.len;
    size_t chunk = (size_t)(all && s->chunk > BT_LLM_CHUNK_ALL ? BT_LLM_CHUNK_ALL : s->chunk);
    const size_t rows = step_rows(s, chunk, n);
    bt_llm_plan *p;

    *done = 0;
    s->logits = NULL;
    if (s->whole > pos)
        s->whole = pos;
    BT_TRY(bt_kv_reserve(s->kv, (int)(pos + rows), err));
    BT_TRY(plan_for(s, (int)rows, all, &p, err));
    int32_t *in = bt_plan_data(p->plan, p->ids), *last = bt_plan_data(p->plan, p->last);
    if (!in || (p->last && !last))
        return bt_no_memory(err, "activations");
    memcpy(in, ids, rows * sizeof *ids);
    if (last)
        *last = (int32_t)rows - 1;
    bt_plan_param(p->plan, BT_PARAM_POS, (int64_t)pos);
    BT_TRY(bt_plan_run(p->plan, cancel, err));

    for (size_t i = 0; i < rows; i++)
        if (bt_ids_add(&s->tokens, ids[i]) != BT_OK) {
            s->tokens.len = pos;
            return bt_no_memory(err, "tokens");
        }
    if (s->whole == pos && rows % BT_LLM_BLOCK == 0)
        s->whole += rows;
    s->logits = bt_plan_data(p->plan, p->logits);
    *done = rows;
    return BT_OK;
fail:
    return st;
}

bt_status bt_llm_read(bt_llm_session *s, const int32_t *ids, size_t n, const bt_run *r)
{
    bt_status st;
    while (s->tokens.len < n) {
        const size_t pos = s->tokens.len;
        size_t done;
        BT_TRY(r->progress(r->host, "prompt", (int)pos, (int)n));
        BT_TRY(bt_llm_step(s, ids + pos, n - pos, false, &done, r->cancel, r->error));
    }
    st = r->progress(r->host, "prompt", (int)n, (int)n);
fail:
    return st;
}
