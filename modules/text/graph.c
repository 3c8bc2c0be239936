/* SPDX-License-Identifier: MIT
 * The network: Llama (Touvron et al. 2023) with grouped queries; Qwen2 differs
 * by biases on q, k, v. Names of tensors: gguf.md; shapes below in torch's order.
 *
 * Activations are [rows, n_embd], a row per new token. Keys and values go into
 * the cache inside bt_attention_kv, which also masks what comes later.
 */
#include "llm.h"

/* Biases are there or not by architecture: the file decides. */
static bt_node *linear(bt_graph *g, bt_node *x, const char *part, int layer)
{
    return bt_linear(g, x, bt_w(g, "blk.%d.%s.weight", layer, part),
                     bt_w_opt(g, "blk.%d.%s.bias", layer, part));
}

static void linears(bt_graph *g, bt_node *x, int n, const char *const *part, int layer, bt_node **y)
{
    const bt_weight *w[3], *b[3];
    for (int j = 0; j < n; j++) {
        w[j] = bt_w(g, "blk.%d.%s.weight", layer, part[j]);
        b[j] = bt_w_opt(g, "blk.%d.%s.bias", layer, part[j]);
    }
    bt_linears(g, x, n, w, b, y);
}

/* x + attention(norm(x)): norms stand before the parts (pre-norm), sums after. */
static bt_node *attention(bt_graph *g, const bt_llm_config *c, bt_kv_cache *kv, bt_node *x, int i)
{
    const bt_weight *factors = bt_w_opt(g, "rope_freqs.weight"); /* [d/2] */
    bt_node *h = bt_rms_norm(g, x, bt_w(g, "blk.%d.attn_norm.weight", i), c->rms_eps);
    bt_node *y[3]; /* q [n_head * d, n_embd]; k, v [n_kv * d, n_embd] */
    linears(g, h, 3, (const char *[]){ "attn_q", "attn_k", "attn_v" }, i, y);
    bt_node *q = bt_rope(g, y[0], c->d, c->rope_base, c->rope_scale, factors, c->neox);
    bt_node *k = bt_rope(g, y[1], c->d, c->rope_base, c->rope_scale, factors, c->neox);
    bt_node *a = bt_attention_kv(g, q, k, y[2], kv, i, c->n_head, c->n_kv, 0);
    return bt_add(g, linear(g, a, "attn_output", i), x); /* [n_embd, n_head * d] */
}

/* SwiGLU (Shazeer 2020, arXiv 2002.05202): silu(gate) * up. */
static bt_node *feed_forward(bt_graph *g, const bt_llm_config *c, bt_node *x, int i)
{
    bt_node *h = bt_rms_norm(g, x, bt_w(g, "blk.%d.ffn_norm.weight", i), c->rms_eps);
    bt_node *y[2]; /* [n_ff, n_embd] both */
    linears(g, h, 2, (const char *[]){ "ffn_gate", "ffn_up" }, i, y);
    h = bt_gate(g, y[0], BT_ACT_SILU, y[1], BT_ACT_NONE);
    return bt_add(g, linear(g, h, "ffn_down", i), x); /* [n_embd, n_ff] */
}

bt_status bt_llm_plan_create(const bt_llm_model *m, bt_kv_cache *kv, int rows, bool all,
                             bt_llm_plan *out, bt_error *err)
{
    const bt_llm_config *c = &m->config;
    bt_graph *g;
    *out = (bt_llm_plan){ .rows = rows, .all = all };
    if (bt_graph_create(m->weights, &g) != BT_OK)
        return bt_no_memory(err, "the graph");

    const bt_weight *embd = bt_w(g, "token_embd.weight"); /* [n_vocab, n_embd] */
    const bt_weight *head = bt_w_opt(g, "output.weight");
    const bt_precision precision = m->compute->precision;
    bt_graph_precision(g, m->blocks && rows % BT_LLM_BLOCK == 0 ? BT_PREC_BF16 : precision);
    out->ids = bt_input_ids(g, rows);
    bt_node *x = bt_embed(g, out->ids, embd);
    for (int i = 0; i < c->n_layer; i++) {
        x = attention(g, c, kv, x, i);
        x = feed_forward(g, c, x, i);
    }
    /* Of a prompt only the last row is asked what comes next, and the output
     * matrix is the largest of all: the other rows stop here. */
    if (!all && rows > 1) {
        out->last = bt_input_ids(g, 1);
        x = bt_gather(g, x, out->last);
    }
    bt_graph_precision(g, precision);
    x = bt_rms_norm(g, x, bt_w(g, "output_norm.weight"), c->rms_eps);
    x = bt_linear(g, x, head ? head : embd, NULL); /* small models tie the two */
    if (x && bt_shape_of(x).c != c->n_vocab)
        x = bt_graph_fail(g, "output.weight: %lld rows for %d tokens", (long long)bt_shape_of(x).c,
                          c->n_vocab);
    out->logits = bt_output(g, x);

    bt_error e = { 0 };
    bt_status st = bt_plan_create(g, &out->plan, &e);
    if (st == BT_OK)
        return BT_OK;
    *out = (bt_llm_plan){ 0 };
    return bt_fail(err, st, "%s: %s", bt_store_path(m->store), e.text);
}
