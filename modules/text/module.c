/* SPDX-License-Identifier: MIT
 * The text module: its options and its descriptor.
 *
 * Names and defaults of the options are llama.cpp's (but for n_predict and seed,
 * where its own would make endless and unrepeatable texts), so that its users and
 * front ends find what they know.
 */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "llm.h"

#define OFF(field) offsetof(bt_llm_options, field)

static const bt_option options[] = {
    { "prompt", "p", NULL, BT_OPT_STRING, OFF(prompt), "", 0, 0, NULL, NULL,
      "text to continue; with --chat what the user says" },
    { "n_predict", "n", "predict,n-predict", BT_OPT_INT, OFF(n_predict), "128", -1, 1e9, NULL,
      "tokens", "most tokens to make; -1: until the model ends or the context is full" },
    { "chat", NULL, "conversation", BT_OPT_BOOL, OFF(chat), "0", 0, 1, NULL, NULL,
      "take the prompt as the next turn of a conversation" },
    { "system", "sys", "system-prompt", BT_OPT_STRING, OFF(system), "", 0, 0, NULL, NULL,
      "system message of a chat; empty: the template's own" },
    { "temp", NULL, "temperature", BT_OPT_FLOAT, OFF(temp), "0.8", 0, 100, NULL, NULL,
      "temperature; 0 always takes the most probable token" },
    { "top_k", NULL, NULL, BT_OPT_INT, OFF(top_k), "40", 0, 1e9, NULL, NULL,
      "choose among so many tokens; 0: all" },
    { "top_p", NULL, NULL, BT_OPT_FLOAT, OFF(top_p), "0.95", 0, 1, NULL, NULL,
      "choose among the likeliest tokens of this total probability; 1: off" },
    { "min_p", NULL, NULL, BT_OPT_FLOAT, OFF(min_p), "0.05", 0, 1, NULL, NULL,
      "leave out tokens less likely than this times the likeliest; 0: off" },
    { "repeat_penalty", NULL, NULL, BT_OPT_FLOAT, OFF(repeat_penalty), "1.0", 0.01, 100, NULL, NULL,
      "weaken tokens that came lately; 1: off" },
    { "repeat_last_n", NULL, NULL, BT_OPT_INT, OFF(repeat_last_n), "64", -1, 1e9, NULL, "tokens",
      "how far back \"lately\" goes; -1: the whole context" },
    { "seed", "s", NULL, BT_OPT_INT, OFF(seed), "0", -1, 9223372036854774784.0, NULL, NULL,
      "seed of the sampler: same seed, same text; -1 = random" },
    { "stop", "r", "reverse-prompt", BT_OPT_STRING, OFF(stop), "", 0, 0, NULL, NULL,
      "end before this string; or a JSON array of strings" },
    { "ignore_eos", NULL, NULL, BT_OPT_BOOL, OFF(ignore_eos), "0", 0, 1, NULL, NULL,
      "never let the model end the text itself" },
    { "ctx_size", "c", NULL, BT_OPT_INT, OFF(ctx_size), "0", 0, 1e6, NULL, "tokens",
      "context; 0: the model's own" },
    { "special", NULL, NULL, BT_OPT_BOOL, OFF(special), "1", 0, 1, NULL, NULL,
      "read special tokens in the prompt as such" },
    { "echo", NULL, NULL, BT_OPT_BOOL, OFF(echo), "0", 0, 1, NULL, NULL,
      "give the prompt back before the text" },
    { "task", NULL, NULL, BT_OPT_CHOICE, OFF(task), "generate", 0, 0, "generate,score,bench", NULL,
      "score: report the perplexity of the prompt; bench: time n_prompt and n_predict tokens" },
    { "n_prompt", NULL, NULL, BT_OPT_INT, OFF(n_prompt), "512", 1, 1e9, NULL, "tokens",
      "with task bench: length of the prompt, of arbitrary tokens" },
    { 0 },
};

/* ---- model -------------------------------------------------------------- */

static int llm_probe(const bt_store *s) { return bt_llm_knows(s) ? 100 : 0; }

static void llm_close(void *model)
{
    bt_llm_model *m = model;
    if (!m)
        return;
    bt_weights_free(m->weights);
    bt_llm_vocab_free(&m->vocab);
    bt_store_close(m->store);
    bt_release(m);
}

/* Builds the network once, so that a file with missing or wrong tensors is
 * refused here and not in the middle of a job. */
static bt_status check_network(const bt_llm_model *m, bt_error *err)
{
    bt_llm_session s;
    bt_llm_plan p;
    bt_status st = bt_llm_session_open(m, &s);
    if (st == BT_OK)
        st = bt_llm_plan_create(m, s.kv, 1, false, &p, err);
    if (st == BT_OK)
        bt_plan_free(p.plan);
    bt_llm_session_close(&s);
    return st;
}

/* Where opening quantized weights to bf16 pays: many rows, on AMX. */
static bool reads_blocks(const bt_compute *c, const bt_store *s)
{
    const bt_tensor *t = bt_store_find(s, "blk.0.ffn_down.weight");
    return c->precision == BT_PREC_AUTO && c->kernels->cpu & BT_CPU_AMX && t &&
           bt_dtypes[t->dtype].block > 1;
}

static bt_status llm_open(bt_store *s, const bt_compute *c, void **model, bt_error *err)
{
    bt_status st;
    bt_llm_model *m = bt_calloc(1, sizeof *m);
    *model = NULL;
    if (!m)
        return bt_no_memory(err, "the model");
    m->compute = c;
    BT_TRY(bt_llm_config_read(s, &m->config, err));
    BT_TRY(bt_llm_vocab_read(s, &m->vocab, err));
    if (bt_bpe_count(m->vocab.bpe) > (size_t)m->config.n_vocab) {
        st = bt_fail(err, BT_EFORMAT, "%s: %zu tokens, but %d embeddings", bt_store_path(s),
                     bt_bpe_count(m->vocab.bpe), m->config.n_vocab);
        goto fail;
    }
    BT_TRY(bt_weights_create(s, c, &m->weights, err));
    m->blocks = reads_blocks(c, s);
    m->store = s;
    BT_TRY(check_network(m, err));
    *model = m;
    return BT_OK;
fail:
    m->store = NULL; /* stays the caller's */
    llm_close(m);
    return st;
}

static bt_status llm_describe(void *model, bt_buf *json)
{
    const bt_llm_model *m = model;
    const bt_llm_config *c = &m->config;
    const char *name = bt_store_str(m->store, "general.name", NULL);
    const double params = bt_store_parameters(m->store);
    bt_buf_puts(json, "{\"architecture\":");
    bt_buf_json(json, c->arch, strlen(c->arch));
    if (name) {
        bt_buf_puts(json, ",\"name\":");
        bt_buf_json(json, name, strlen(name));
    }
    bt_buf_printf(json,
                  ",\"parameters\":%.0f,\"layers\":%d,\"embedding\":%d,\"feed_forward\":%d,"
                  "\"heads\":%d,\"kv_heads\":%d,\"context\":%d,\"vocabulary\":%d,\"chat\":%s}",
                  params, c->n_layer, c->n_embd, c->n_ff, c->n_head, c->n_kv, c->n_ctx, c->n_vocab,
                  m->vocab.chat ? "true" : "false");
    return json->failed ? BT_ENOMEM : BT_OK;
}

/* The text's own ids: no BOS is added, so that detokenize gives the text back. */
static bt_status llm_tokenize(void *model, const char *text, size_t len, int special, int32_t **ids,
                              size_t *n, bt_error *err)
{
    const bt_llm_model *m = model;
    bt_ids list = { 0 };
    bt_status st = bt_bpe_encode(m->vocab.bpe, text, len, special, &list);
    if (st == BT_OK && !list.data)
        list.data = bt_alloc(0);
    if (st != BT_OK || !list.data) {
        bt_ids_free(&list);
        return bt_no_memory(err, "tokens");
    }
    *ids = list.data;
    *n = list.len;
    return BT_OK;
}

static bt_status llm_detokenize(void *model, const int32_t *ids, size_t n, char **text, size_t *len,
                                bt_error *err)
{
    const bt_llm_model *m = model;
    bt_buf b = { 0 };
    bt_bpe_decode(m->vocab.bpe, ids, n, true, &b);
    bt_buf_add(&b, "", 0);
    *len = b.len;
    *text = bt_buf_take(&b);
    return *text ? BT_OK : bt_no_memory(err, "the text");
}

/* ---- job ---------------------------------------------------------------- */

static void llm_job_close(bt_module_job *job)
{
    if (!job)
        return;
    bt_llm_session_close(&job->session);
    for (size_t i = 0; i < job->n_turns; i++)
        bt_release((char *)job->turns[i].content);
    bt_release(job->turns);
    bt_release(job);
}

static bt_status llm_job_open(void *model, bt_module_job **out, bt_error *err)
{
    bt_module_job *job = bt_calloc(1, sizeof *job);
    *out = job;
    if (job && bt_llm_session_open(model, &job->session) == BT_OK) {
        job->model = model;
        return BT_OK;
    }
    bt_release(job);
    *out = NULL;
    return bt_no_memory(err, "the job");
}

/* Chunks of the prompt are the largest plans. All tokens pass the layers, but
 * only a chunk's last one and those made pass the output matrix, `head`. */
static bt_status llm_estimate(bt_module_job *job, const bt_run *r, bt_estimate *out)
{
    const bt_llm_options *o = r->options;
    const bt_llm_model *m = job->model;
    bt_ids ids = { 0 };
    bt_llm_plan p = { 0 };
    bt_status st;
    int n_ctx;
    BT_TRY(bt_llm_context(m, o, &n_ctx, r->error));
    BT_TRY(bt_llm_prompt(job, o, &ids, r->error));
    double prompt = (double)ids.len, made = 0;
    if (o->task != BT_LLM_SCORE)
        made = o->n_predict < 0 || prompt + (double)o->n_predict > n_ctx ? n_ctx - prompt
                                                                         : (double)o->n_predict;
    bool all = o->task == BT_LLM_SCORE;
    size_t chunk = all ? BT_LLM_CHUNK_ALL : BT_LLM_CHUNK;
    int rows = (int)(ids.len < chunk ? ids.len : chunk);
    BT_TRY(bt_llm_plan_create(m, job->session.kv, rows, all, &p, r->error));

    out->weights = 0;
    for (size_t i = 0; i < bt_store_count(m->store); i++)
        out->weights += bt_store_at(m->store, i)->bytes;
    out->arena = bt_plan_arena(p.plan);
    double head = all ? 0 : 2.0 * m->config.n_vocab * m->config.n_embd;
    double layers = (bt_plan_flops(p.plan) - head) / rows;
    out->flops = layers * (prompt + made) + head * (ceil(prompt / (double)chunk) + made);
    out->caches = (uint64_t)(prompt + made) * 2 * sizeof(float) * (uint64_t)m->config.n_layer *
                  (uint64_t)(m->config.n_kv * m->config.d);
fail:
    bt_plan_free(p.plan);
    bt_ids_free(&ids);
    return st;
}

static bt_status llm_run(bt_module_job *job, const bt_run *r)
{
    const bt_llm_options *o = r->options;
    bt_llm_session_trace(&job->session, r->trace);
    static bt_status (*const tasks[])(bt_module_job *, const bt_run *) = {
        [BT_LLM_GENERATE] = bt_llm_generate,
        [BT_LLM_SCORE] = bt_llm_score,
        [BT_LLM_BENCH] = bt_llm_bench,
    };
    bt_status st = tasks[o->task](job, r);
    bt_llm_session_trace(&job->session, NULL);
    return st;
}

const bt_module bt_module_llama = {
    .abi = BT_MODULE_ABI,
    .version = BT_VERSION,
    .name = "llama",
    .kind = BT_KIND_TEXT,
    .options = options,
    .options_size = sizeof(bt_llm_options),
    .probe = llm_probe,
    .open = llm_open,
    .close = llm_close,
    .describe = llm_describe,
    .job_open = llm_job_open,
    .job_close = llm_job_close,
    .estimate = llm_estimate,
    .run = llm_run,
    .tokenize = llm_tokenize,
    .detokenize = llm_detokenize,
};
