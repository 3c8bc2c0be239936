/* SPDX-License-Identifier: MIT
 * The text module's own types: decoder-only language models of the Llama
 * family, read from GGUF.
 *
 *     config.c   hyper-parameters       vocab.c    tokenizer, special tokens, template
 *     graph.c    the network            session.c  tokens in the cache, plans, chunks
 *     sampler.c  logits to a token      stream.c   tokens to text, stop strings
 *     task.c     what tasks share       generate.c, score.c, bench.c: the tasks
 *     module.c   options and the descriptor
 */
#ifndef BT_MODULES_TEXT_LLM_H
#define BT_MODULES_TEXT_LLM_H

#include "module.h"
#include "text/bpe.h"
#include "text/chat.h"
#include "text/utf8.h"

/* ---- config.c ---- */

typedef struct bt_llm_config {
    const char *arch; /* "llama", "qwen2" */
    int n_layer, n_embd, n_ff, n_head, n_kv;
    int d;       /* channels of a head */
    int n_ctx;   /* positions that the model was trained for */
    int n_vocab; /* rows of the embedding */
    int neox;    /* rotary pairs are halves, not neighbours */
    float rms_eps, rope_base, rope_scale;
} bt_llm_config;

bool bt_llm_knows(const bt_store *s); /* general.architecture is one of ours */
bt_status bt_llm_config_read(const bt_store *s, bt_llm_config *c, bt_error *err);

/* ---- vocab.c ---- */

typedef struct bt_llm_vocab {
    bt_bpe *bpe;
    int32_t bos;                     /* -1: none */
    bool add_bos;                    /* before a text */
    bt_ids eog;                      /* tokens that end a reply */
    const char *bos_text, *eos_text; /* for templates; "" if none */
    bt_chat *chat;                   /* NULL: see chat_error */
    bt_error chat_error;
} bt_llm_vocab;

bt_status bt_llm_vocab_read(const bt_store *s, bt_llm_vocab *v, bt_error *err);
void bt_llm_vocab_free(bt_llm_vocab *v);
bool bt_llm_is_eog(const bt_llm_vocab *v, int32_t id);
/* Appends text's ids after the BOS that the model's rule asks for. */
bt_status bt_llm_encode(const bt_llm_vocab *v, const char *text, size_t n, bool special,
                        bt_ids *out);

typedef struct bt_llm_model {
    bt_store *store;
    const bt_compute *compute;
    bt_weights *weights;
    bt_llm_config config;
    bt_llm_vocab vocab;
    bool blocks; /* prompts are read in whole blocks where they can be (session.c) */
} bt_llm_model;

/* ---- graph.c ---- */

/* A plan for `rows` new tokens and the nodes that the host touches. */
typedef struct bt_llm_plan {
    bt_plan *plan;
    int rows;
    bool all;        /* logits of every row, else of the last one */
    bt_node *ids;    /* rows */
    bt_node *last;   /* one id: the row whose logits count; NULL if they all do */
    bt_node *logits; /* [rows or 1, n_vocab] */
} bt_llm_plan;

bt_status bt_llm_plan_create(const bt_llm_model *m, bt_kv_cache *kv, int rows, bool all,
                             bt_llm_plan *out, bt_error *err);

/* ---- session.c ---- */

enum {
    BT_LLM_CHUNK = 256,    /* prompts are cut at multiples of this */
    BT_LLM_BLOCK = 64,     /* positions that may be read in another compute type than one token */
    BT_LLM_CHUNK_ALL = 64, /* with logits of all rows: less memory */
    BT_LLM_PLANS = 4,
};

/* The tokens whose keys and values the cache holds. One thread. */
typedef struct bt_llm_session {
    const bt_llm_model *model;
    bt_kv_cache *kv;
    bt_ids tokens;
    size_t whole;                    /* of these, those that were read in whole blocks */
    bt_llm_plan plans[BT_LLM_PLANS]; /* the most recently used first */
    bt_trace *trace;
    int chunk;           /* BT_LLM_CHUNK; tests change it */
    const float *logits; /* of the last step's last row or all rows */
} bt_llm_session;

bt_status bt_llm_session_open(const bt_llm_model *m, bt_llm_session *s);
void bt_llm_session_close(bt_llm_session *s);
void bt_llm_session_trace(bt_llm_session *s, bt_trace *trace); /* NULL: no more */
/* Keeps the longest common prefix with ids[0..n), but less than all of ids and
 * only what reading ids from scratch would give; returns its length. */
size_t bt_llm_session_reuse(bt_llm_session *s, const int32_t *ids, size_t n);
/* Runs ids[0..n) behind those that the cache holds, with progress "prompt". */
bt_status bt_llm_read(bt_llm_session *s, const int32_t *ids, size_t n, const bt_run *r);
/* Runs the first of ids[0..n), n >= 1, up to the next cut; *done says how many
 * they were. Afterwards s->logits are those of the last (all: of each) row. */
bt_status bt_llm_step(bt_llm_session *s, const int32_t *ids, size_t n, bool all, size_t *done,
                      const atomic_bool *cancel, bt_error *err);

/* ---- sampler.c ---- */

typedef struct bt_llm_sampling {
    double temp;           /* <= 0: the most probable token */
    int64_t top_k;         /* <= 0: all */
    double top_p, min_p;   /* >= 1, <= 0: off */
    double repeat_penalty; /* 1: off */
} bt_llm_sampling;

typedef struct bt_llm_candidate {
    float logit;
    int32_t id;
} bt_llm_candidate;

typedef struct bt_llm_sampler {
    bt_llm_sampling p;
    uint64_t state; /* of bt_uniform: the seed */
    int n_vocab;
    float *x;            /* [n_vocab]: logits after the penalty */
    bt_llm_candidate *c; /* [n_vocab] */
} bt_llm_sampler;

bt_status bt_llm_sampler_open(bt_llm_sampler *s, bt_llm_sampling p, uint64_t seed, int n_vocab);
void bt_llm_sampler_close(bt_llm_sampler *s);
/* recent: the tokens that the repeat penalty looks at; banned: never chosen. */
int32_t bt_llm_sample(bt_llm_sampler *s, const float *logits, const int32_t *recent,
                      size_t n_recent, const bt_ids *banned);

/* ---- stream.c ---- */

/* Tokens to text for the host. What might become a stop string is held back
 * until it is sure. */
typedef struct bt_llm_stream {
    const bt_run *run;
    const bt_bpe *bpe;
    char **stops;
    size_t n_stops;
    bt_utf8_stream utf8;
    bt_buf text;  /* all text so far, without a stop string */
    size_t sent;  /* bytes of it that the host has */
    bool stopped; /* a stop string came */
} bt_llm_stream;

/* stop: one string, or a JSON array of strings; "" for none. */
bt_status bt_llm_stream_open(bt_llm_stream *s, const bt_run *r, const bt_bpe *bpe,
                             const char *stop);
bt_status bt_llm_stream_token(bt_llm_stream *s, int32_t id);
bt_status bt_llm_stream_end(bt_llm_stream *s); /* sends what was held back */
void bt_llm_stream_close(bt_llm_stream *s);

/* ---- task.c ---- */

enum { BT_LLM_GENERATE, BT_LLM_SCORE, BT_LLM_BENCH };

typedef struct bt_llm_options {
    const char *prompt, *system, *stop;
    int task, chat, echo, special, ignore_eos;
    int64_t n_predict, n_prompt, ctx_size, top_k, repeat_last_n;
    double temp, top_p, min_p, repeat_penalty;
    int64_t seed;
} bt_llm_options;

struct bt_module_job {
    bt_llm_model *model;
    bt_llm_session session;
    bt_chat_message *turns; /* of the chat so far, strings bt_alloc'ed */
    size_t n_turns;
};

/* The context in force: option ctx_size checked against the model's. */
bt_status bt_llm_context(const bt_llm_model *m, const bt_llm_options *o, int *n_ctx, bt_error *err);
/* Id i of a text of arbitrary tokens, the same on every machine. */
int32_t bt_llm_any_id(const bt_llm_model *m, size_t i);
/* A number for the report; one that is not finite becomes null. */
bt_status bt_llm_report(const bt_run *r, const char *name, double value);

/* The ids of this run's prompt; with `chat`, of the conversation with the
 * prompt as its next user turn; with the task `bench`, n_prompt arbitrary ones. */
bt_status bt_llm_prompt(bt_module_job *job, const bt_llm_options *o, bt_ids *ids, bt_error *err);

/* ---- generate.c, score.c, bench.c ---- */

bt_status bt_llm_generate(bt_module_job *job, const bt_run *r);
bt_status bt_llm_score(bt_module_job *job, const bt_run *r);
bt_status bt_llm_bench(bt_module_job *job, const bt_run *r);

#endif
