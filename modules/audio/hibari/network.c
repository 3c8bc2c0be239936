/* SPDX-License-Identifier: MIT
 * The network of hibari: two text encoders (one for the sound, "m", one for durations and
 * pitch, "pn"), a prosody predictor, a decoder from frames to spectra. All of them are
 * ConvNeXt blocks (Liu et al. 2022, in one dimension, as in Vocos) and a transformer layer
 * that is gone through several times with the same weights.
 */
#include "audio/hibari/network.h"

#include <stdio.h>
#include <string.h>

#include "audio/hibari/vocoder.h"
#include "graph/ops.h"
#include "nn/layers.h"

#define EPS 1e-5f

enum {
    HEADS = 2,
    SOUND_PASSES = 4, /* through the transformer layer: not to be seen from the weights */
    PROSODY_PASSES = 6,
};

static const bt_conv plain = { 0 };

static bt_shape rows(int64_t n, int64_t c) { return (bt_shape){ 1, 1, n, c }; }

static void check(bt_graph *g, const bt_node *n, int64_t channels, const char *what)
{
    if (n && bt_shape_of(n).c != channels)
        bt_graph_fail(g, "%s has the wrong size", what);
}

/* Filters are floats in the file, some of them of one tap: whole numbers are not for them. */
static bt_precision filters(bt_precision p) { return p == BT_PREC_ROWS24 ? BT_PREC_SPLIT : p; }

/* "Same" padding, by the filter's own length. */
static bt_node *conv(bt_graph *g, bt_node *x, bt_conv p, const char *layer)
{
    const bt_weight *w = bt_w(g, "%s.weight", layer);
    const bt_precision was = bt_graph_precision_of(g);
    p.left = p.right = w ? (int)bt_weight_dim(w, 2) / 2 * (p.dilation ? p.dilation : 1) : 0;
    bt_graph_precision(g, filters(was));
    bt_node *y = bt_nn_conv1d(g, x, p, "%s", layer);
    bt_graph_precision(g, was);
    return y;
}

int bt_hibari_dilation(const bt_hibari *v, const char *module, int i)
{
    const char *node = strrchr(module, '.') + 1; /* nodes lack "m." and "pn." */
    char key[64];
    bt_meta_type type;
    int64_t value;
    size_t n;
    snprintf(key, sizeof key, "%s.%d.dw.dilations", node, i);
    const bt_meta *a = bt_store_array(v->store, key, &type, &n);
    return a && n == 1 && bt_store_array_i64(a, 0, &value) && value > 0 && value <= 64 ? (int)value
                                                                                       : 1;
}

/* x + gamma * pw2(gelu(pw1(norm(dw(x))))); gamma is in pw2 (weights.c). */
static bt_node *convnext(bt_graph *g, bt_node *x, const char *module, int i, int dilation)
{
    char dw[64];
    snprintf(dw, sizeof dw, "%s.%d.dw", module, i);
    bt_node *y = conv(g, x, (bt_conv){ .groups = (int)bt_shape_of(x).c, .dilation = dilation }, dw);
    y = bt_nn_layer_norm(g, y, EPS, "%s.%d.norm", module, i);
    y = bt_act_of(g, bt_nn_linear(g, y, "%s.%d.pw1", module, i), BT_ACT_GELU, 0);
    return bt_add(g, x, bt_nn_linear(g, y, "%s.%d.pw2*gamma", module, i));
}

static bt_node *convnexts(bt_graph *g, const bt_hibari *v, bt_node *x, const char *module)
{
    for (int i = 0; x && bt_w_opt(g, "%s.%d.gamma", module, i); i++)
        x = convnext(g, x, module, i, bt_hibari_dilation(v, module, i));
    return x;
}

/* torch.nn.TransformerEncoderLayer with norm_first and gelu. Attention in bf16 would undo
 * what `exact` is for; it is short. */
static bt_node *transformer(bt_graph *g, bt_node *x, const char *module)
{
    const int64_t c = bt_shape_of(x).c;
    const bt_precision p = bt_graph_precision_of(g);
    bt_node *y = bt_nn_layer_norm(g, x, EPS, "%s.norm1", module);
    y = bt_linear(g, y, bt_w(g, "%s.self_attn.in_proj_weight", module),
                  bt_w(g, "%s.self_attn.in_proj_bias", module));
    bt_node *q = bt_slice(g, y, 0, c), *k = bt_slice(g, y, c, 2 * c);
    bt_graph_precision(g, p == BT_PREC_ROWS24 ? BT_PREC_F32 : p);
    y = bt_attention(g, q, k, bt_slice(g, y, 2 * c, 3 * c), HEADS, HEADS, 0, 0);
    bt_graph_precision(g, p);
    x = bt_add(g, x, bt_nn_linear(g, y, "%s.self_attn.out_proj", module));
    y = bt_nn_layer_norm(g, x, EPS, "%s.norm2", module);
    y = bt_act_of(g, bt_nn_linear(g, y, "%s.linear1", module), BT_ACT_GELU, 0);
    return bt_add(g, x, bt_nn_linear(g, y, "%s.linear2", module));
}

static bt_node *encoder(bt_graph *g, const bt_hibari *v, bt_node *ids, const char *module,
                        int passes)
{
    char name[64];
    bt_node *x = bt_embed(g, ids, bt_w(g, "%s.emb.weight", module));
    snprintf(name, sizeof name, "%s.convs", module);
    x = convnexts(g, v, x, name);
    snprintf(name, sizeof name, "%s.attn", module);
    for (int i = 0; i < passes; i++)
        x = transformer(g, x, name);
    return bt_nn_layer_norm(g, x, EPS, "%s.norm", module);
}

/* f32 or as good, whatever was asked for: lengths and pitch must not depend on that. */
static bt_precision exact(const bt_hibari *v)
{
    const bt_precision p = v->compute->precision;
    return p == BT_PREC_AUTO || p == BT_PREC_INT8 ? BT_PREC_ROWS24 : BT_PREC_F32;
}

/* `auto`: bf16 where tiles make that fast, else whole rows of int8. */
static bt_precision quick(const bt_hibari *v)
{
    const bt_precision p = v->compute->precision;
    const bool tiles = bt_matmul_bf16(v->compute->kernels, BT_PREC_AUTO);
    if (!v->compute->kernels->gemm_row)
        return p;
    return p == BT_PREC_INT8 || (p == BT_PREC_AUTO && !tiles) ? BT_PREC_ROWS : p;
}

static void build_text(bt_graph *g, const bt_hibari *v, bt_part *p)
{
    p->ids = bt_input_ids(g, p->size);
    bt_graph_precision(g, quick(v));
    bt_node *x = encoder(g, v, p->ids, "m.text", SOUND_PASSES);
    check(g, x, BT_HIBARI_TEXT_OUT, "m.text.norm");
    bt_graph_precision(g, filters(exact(v)));
    p->out[0] = bt_output(g, bt_linear(g, x, bt_w(g, "m.dec_in.text.weight"), NULL));
    bt_graph_precision(g, exact(v));
    p->out[1] = bt_output(g, encoder(g, v, p->ids, "pn.text", PROSODY_PASSES));
    bt_node *y = bt_act_of(g, conv(g, p->out[1], plain, "pn.dur.0"), BT_ACT_GELU, 0);
    p->out[2] = bt_output(g, conv(g, y, plain, "pn.dur.2"));
}

static void build_prosody(bt_graph *g, const bt_hibari *v, bt_part *p)
{
    const bt_weight *w = bt_weight_find(v->ws, "pn.pro_in.weight");
    bt_graph_precision(g, exact(v));
    p->in[0] = bt_input(g, rows(p->size, w ? bt_weight_dim(w, 1) : 1));
    bt_node *x = conv(g, p->in[0], plain, "pn.pro_in");
    p->out[0] = bt_output(g, conv(g, convnexts(g, v, x, "pn.pro"), plain, "pn.pro_out"));
}

/* The first convolution, which reads the pitch, is f32 (in dB against f32 over five sentences:
 * 47 to 50; in bf16 22 to 33). It is linear, and a phoneme lasts for many frames: what phonemes
 * add to it was computed once for each of them (build_text). */
static void build_sound(bt_graph *g, const bt_hibari *v, bt_part *p)
{
    const bt_weight *w = bt_w(g, "m.dec_in.tone.weight");
    const int half = w ? (int)bt_weight_dim(w, 2) / 2 : 0;
    p->in[0] = bt_input(g, rows(p->size, w ? bt_weight_dim(w, 0) : 1));
    p->in[1] = bt_input(g, rows(p->size, BT_HIBARI_TONES));
    p->in[2] = bt_input(g, rows(p->size, BT_HIBARI_HOP));
    p->in[3] = bt_input(g, rows(p->size, BT_HIBARI_HOP));
    bt_graph_precision(g, BT_PREC_F32);
    bt_node *x = bt_conv1d(g, p->in[1], w, bt_w(g, "m.dec_in.bias"),
                           (bt_conv){ .left = half, .right = half });
    x = bt_add(g, p->in[0], x);
    bt_graph_precision(g, quick(v));
    x = bt_nn_layer_norm(g, convnexts(g, v, x, "m.dec"), EPS, "m.dec_norm");
    x = bt_nn_linear(g, x, "m.head");
    p->out[0] = bt_output(g, bt_hibari_vocoder(g, v, x, p->in[2], p->in[3]));
}

void bt_hibari_build(bt_graph *g, const void *voice, bt_part *p)
{
    if (p->kind == BT_HIBARI_TEXT) {
        build_text(g, voice, p);
        check(g, p->out[2], 1, "pn.dur.2");
    } else if (p->kind == BT_HIBARI_PROSODY) {
        build_prosody(g, voice, p);
        check(g, p->out[0], 4, "pn.pro_out");
    } else {
        build_sound(g, voice, p);
    }
}
