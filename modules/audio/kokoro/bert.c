/* SPDX-License-Identifier: MIT
 * PL-BERT (Li et al. 2023): an ALBERT over phonemes. All layers share their weights (Lan et
 * al. 2020; transformers' AlbertModel), then a linear layer into the predictor's width.
 */
#include "graph/op.h"
#include "audio/kokoro/kokoro.h"

#define LAYER    "bert.encoder.albert_layer_groups.0.albert_layers.0."
#define EPS      1e-12f
#define PER_HEAD 64

static bt_node *norm(bt_graph *g, const bt_kokoro *k, bt_node *x, const char *name)
{
    const bt_weight *gamma = bt_kok_w(g, k, "%s.weight", name);
    return bt_layer_norm(g, x, gamma, bt_kok_w(g, k, "%s.bias", name), EPS);
}

static bt_node *attend(bt_graph *g, const bt_kokoro *k, bt_node *x)
{
    static const char *const part[] = { "query", "key", "value" };
    const bt_weight *w[3], *b[3];
    bt_node *y[3];
    const int heads = k->bert / PER_HEAD;
    for (int i = 0; i < 3; i++) {
        w[i] = bt_kok_w(g, k, LAYER "attention.%s.weight", part[i]);
        b[i] = bt_kok_w(g, k, LAYER "attention.%s.bias", part[i]);
    }
    bt_linears(g, x, 3, w, b, y);
    /* durations are rounded: the few bits less of a bf16 attention would show there */
    const bt_precision p = bt_graph_precision_of(g);
    bt_graph_precision(g, BT_PREC_F32);
    bt_node *a = bt_attention(g, y[0], y[1], y[2], heads, heads, 0, 0);
    bt_graph_precision(g, p);
    return bt_kok_linear(g, k, a, LAYER "attention.dense");
}

bt_node *bt_kok_bert(bt_graph *g, const bt_kokoro *k, bt_node *ids, bt_node *positions,
                     bt_node *zeros)
{
    bt_node *x = bt_kok_embed(g, k, ids, "bert.embeddings.word_embeddings");
    x = bt_add(g, x, bt_kok_embed(g, k, positions, "bert.embeddings.position_embeddings"));
    x = bt_add(g, x, bt_kok_embed(g, k, zeros, "bert.embeddings.token_type_embeddings"));
    x = norm(g, k, x, "bert.embeddings.LayerNorm");
    x = bt_kok_linear(g, k, x, "bert.encoder.embedding_hidden_mapping_in");
    for (int i = 0; i < k->bert_layers; i++) {
        x = norm(g, k, bt_add(g, x, attend(g, k, x)), LAYER "attention.LayerNorm");
        bt_node *y = bt_kok_linear(g, k, x, LAYER "ffn");
        y = bt_kok_linear(g, k, bt_act_of(g, y, BT_ACT_GELU_TANH, 0), LAYER "ffn_output");
        x = norm(g, k, bt_add(g, x, y), LAYER "full_layer_layer_norm");
    }
    return bt_kok_linear(g, k, x, "bert_encoder");
}
