/* SPDX-License-Identifier: MIT
 * CLIP's text encoder (transformers, modeling_clip.py, CLIPTextTransformer):
 * a prompt of at most `tokens` ids, padded to it, becomes [tokens, hidden]. The
 * UNet looks at all of these rows; SDXL's also at one, where the text ends,
 * projected to where CLIP compares texts with pictures.
 */
#include "image/network/networks.h"

#include <stdio.h>

#include "nn/layers.h"

/* Causal, as CLIP was trained: a row sees those before it. */
static bt_node *attention(bt_graph *g, const sd_clip_config *c, bt_node *x, const char *layer)
{
    static const char *const names[] = { "self_attn.q_proj", "self_attn.k_proj",
                                         "self_attn.v_proj" };
    bt_node *y[3];
    bt_nn_linears(g, x, layer, 3, names, y);
    x = bt_attention(g, y[0], y[1], y[2], c->heads, c->heads, 0, 1);
    return bt_nn_linear(g, x, "%s.self_attn.out_proj", layer);
}

static bt_node *mlp(bt_graph *g, const sd_clip_config *c, bt_node *x, const char *layer)
{
    x = bt_act_of(g, bt_nn_linear(g, x, "%s.mlp.fc1", layer), c->act, 0);
    return bt_nn_linear(g, x, "%s.mlp.fc2", layer);
}

static bt_node *layer(bt_graph *g, const sd_clip_config *c, bt_node *x, int i)
{
    char name[64];
    snprintf(name, sizeof name, "%s/text_model.encoder.layers.%d", c->folder, i);
    bt_node *h = bt_nn_layer_norm(g, x, c->eps, "%s.layer_norm1", name);
    x = bt_add(g, x, attention(g, c, h, name));
    h = bt_nn_layer_norm(g, x, c->eps, "%s.layer_norm2", name);
    return bt_add(g, x, mlp(g, c, h, name));
}

static bt_node *embed(bt_graph *g, const sd_clip_config *c, int tokens, sd_plan *p)
{
    p->ids = bt_input_ids(g, tokens);
    p->positions = bt_input_ids(g, tokens);
    const bt_weight *table = bt_w(g, "%s/text_model.embeddings.token_embedding.weight", c->folder);
    const bt_weight *places =
        bt_w(g, "%s/text_model.embeddings.position_embedding.weight", c->folder);
    const bt_weight *learned = bt_w_opt(g, "%s/text_model.embeddings.learned.weight", c->folder);
    bt_node *words = bt_embed(g, p->ids, table);
    if (learned && table)
        words = bt_add(g, words, bt_embed_from(g, p->ids, learned, bt_weight_dim(table, 0)));
    bt_node *x = bt_add(g, words, bt_embed(g, p->positions, places));
    if (x && bt_shape_of(x).c != c->hidden)
        bt_graph_fail(g, "%s: embeddings do not have hidden_size channels", c->folder);
    return x;
}

bt_status sd_clip_plan(bt_weights *ws, const sd_clip_config *c, int tokens, int skip, sd_plan *p,
                       bt_error *err)
{
    bt_graph *g;
    bt_status st = bt_graph_create(ws, &g);
    *p = (sd_plan){ 0 };
    if (st != BT_OK)
        return bt_fail(err, st, "out of memory");
    bt_node *x = embed(g, c, tokens, p);
    /* clip_skip: some models were trained on an earlier layer; the final norm
     * still follows, as in diffusers and A1111. */
    const int used = c->layers - (c->inner && skip == 0 ? 1 : skip);
    for (int i = 0; i < used; i++)
        x = layer(g, c, x, i);
    bt_node *rows = x;
    if (!c->inner)
        rows = bt_nn_layer_norm(g, x, c->eps, "%s/text_model.final_layer_norm", c->folder);
    if (c->pooled) {
        for (int i = used; i < c->layers; i++)
            x = layer(g, c, x, i);
        x = bt_nn_layer_norm(g, x, c->eps, "%s/text_model.final_layer_norm", c->folder);
        p->end = bt_input_ids(g, 1);
        x = bt_nn_linear(g, bt_gather(g, x, p->end), "%s/text_projection", c->folder);
        p->pooled = bt_output(g, x);
    }
    return sd_plan_make(g, rows, p, err);
}
