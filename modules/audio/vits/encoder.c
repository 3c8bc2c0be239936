/* SPDX-License-Identifier: MIT
 * Text encoder (VITS models.py TextEncoder, attentions.py Encoder): a
 * transformer with relative positions, norms after the sums, convolutions in
 * the feed-forward part.
 */
#include <math.h>

#include "nn/layers.h"
#include "audio/vits/vits.h"

#define EPS 1e-5f

bt_node *bt_vits_speaker(bt_graph *g, const bt_voice *v, bt_node **speaker)
{
    *speaker = NULL;
    if (v->gin == 0)
        return NULL;
    *speaker = bt_input_ids(g, 1);
    return bt_embed(g, *speaker, bt_w(g, "emb_g.weight"));
}

bt_node *bt_vits_condition(bt_graph *g, const bt_voice *v, bt_node *x, bt_node *speaker,
                           const char *layer)
{
    if (v->gin == 0)
        return x;
    return bt_add(g, x, bt_nn_linear(g, speaker, "%s", layer));
}

/* "gamma" and "beta" are VITS's own names; the rows are normalized, not the time. */
static bt_node *norm(bt_graph *g, bt_node *x, int n, int layer)
{
    const char *fmt = "enc_p.encoder.norm_layers_%d.%d.%s";
    const bt_weight *gamma = bt_w(g, fmt, n, layer, "gamma");
    return bt_layer_norm(g, x, gamma, bt_w(g, fmt, n, layer, "beta"), EPS);
}

/* q, k, v: [T, hidden] as n_heads heads of d. Learnt vectors for the distances
 * -window..window, rel_k and rel_v [1, 2 * window + 1, d], are shared by the
 * heads; keys further away see none (Shaw et al. 2018, arXiv 1803.02155). */
static bt_node *attention(bt_graph *g, const bt_voice *v, bt_node *x, int layer)
{
    const char *fmt = "enc_p.encoder.attn_layers.%d.conv_%c";
    bt_node *q = bt_nn_linear(g, x, fmt, layer, 'q');
    bt_node *k = bt_nn_linear(g, x, fmt, layer, 'k');
    bt_node *u = bt_nn_linear(g, x, fmt, layer, 'v');
    const bt_weight *rel_k = bt_w(g, "enc_p.encoder.attn_layers.%d.emb_rel_k", layer);
    const bt_weight *rel_v = bt_w(g, "enc_p.encoder.attn_layers.%d.emb_rel_v", layer);
    bt_node *y = bt_attention_rel(g, q, k, u, rel_k, rel_v, v->n_heads, v->window);
    return bt_nn_linear(g, y, fmt, layer, 'o');
}

/* "Same" padding as VITS's FFN: an even filter reaches further to the right. */
static bt_node *ffn_conv(bt_graph *g, bt_node *x, int layer, int n)
{
    const bt_weight *w = bt_w(g, "enc_p.encoder.ffn_layers.%d.conv_%d.weight", layer, n);
    int k = w ? (int)bt_weight_dim(w, 2) : 1;
    return bt_nn_conv1d(g, x, (bt_conv){ .left = (k - 1) / 2, .right = k / 2 },
                        "enc_p.encoder.ffn_layers.%d.conv_%d", layer, n);
}

void bt_vits_encoder(bt_graph *g, const bt_voice *v, bt_node *ids, bt_node **x, bt_node **stats)
{
    bt_node *h = bt_embed(g, ids, bt_w(g, "enc_p.emb.weight"));
    h = bt_scale(g, h, sqrtf((float)v->hidden));
    for (int l = 0; l < v->n_layers; l++) {
        h = norm(g, bt_add(g, h, attention(g, v, h, l)), 1, l);
        bt_node *y = bt_act_of(g, ffn_conv(g, h, l, 1), BT_ACT_RELU, 0);
        h = norm(g, bt_add(g, h, ffn_conv(g, y, l, 2)), 2, l);
    }
    *x = h;
    *stats = bt_nn_linear(g, h, "enc_p.proj");
}
