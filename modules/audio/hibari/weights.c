/* SPDX-License-Identifier: MIT
 * The quantized linear layers of a hibari file. onnxruntime's quantizer named them after
 * the nodes that transposed them ("/dec.0/pw1/Transpose_output_0_quantized", "..._scale");
 * their modules' names are left on the biases ("m.dec.0.pw1.bias"). Here they get those
 * names back: "m.dec.0.pw1.weight".
 *
 * A ConvNeXt block scales its branch's outputs by `gamma`; that goes into its second
 * layer, which becomes "m.dec.0.pw2*gamma.weight" and ".bias".
 */
#include <stdio.h>
#include <string.h>

#include "audio/hibari/network.h"

enum { NAME = 96 };

static bt_status bad(const bt_hibari *v, const char *name, const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "%s: not a hibari voice: tensor %s %s", bt_store_path(v->store),
                   name, what);
}

/* Torch order: [out][in]. */
static bt_status dequantize(const void *from, float *w, bt_error *err)
{
    const bt_hibari_linear *l = from;
    (void)err;
    for (int64_t o = 0; o < l->out; o++) {
        const float scale = l->gain ? l->scale * l->gain[o] : l->scale;
        for (int64_t i = 0; i < l->in; i++)
            w[o * l->in + i] = (float)l->q[i * l->out + o] * scale;
    }
    return BT_OK;
}

/* Values of a tensor of n floats; NULL: failed. */
static float *floats(const bt_hibari *v, const char *name, int64_t n, bt_error *err)
{
    const bt_weight *w = bt_weight_find(v->ws, name);
    if (!w || bt_tensor_count(bt_weight_tensor(w)) != n) {
        bad(v, name, w ? "has a wrong shape" : "is missing", err);
        return NULL;
    }
    return bt_weight_values(w, err);
}

static bt_status read_linear(const bt_hibari *v, const char *stem, bt_hibari_linear *l,
                             bt_error *err)
{
    char name[NAME];
    snprintf(name, sizeof name, "%s_quantized", stem);
    const bt_tensor *t = bt_store_find(v->store, name);
    if (!t)
        return bad(v, name, "is missing", err);
    if (t->dtype != BT_I8 || t->n_dims != 2 || t->dims[0] > 8192 || t->dims[1] > 8192)
        return bad(v, name, "is not a matrix of int8", err);
    l->q = (const int8_t *)t->data;
    l->in = t->dims[0];
    l->out = t->dims[1];
    snprintf(name, sizeof name, "%s_zero_point", stem);
    t = bt_store_find(v->store, name);
    if (t && (t->dtype != BT_I8 || t->bytes != 1 || t->data[0] != 0))
        return bad(v, name, "is not 0", err);
    snprintf(name, sizeof name, "%s_scale", stem);
    float *scale = floats(v, name, 1, err);
    if (!scale)
        return err->status;
    l->scale = *scale;
    bt_release(scale);
    return BT_OK;
}

/* gamma * bias under the folded layer's name. */
static bt_status fold_bias(const bt_hibari *v, const char *layer, const bt_hibari_linear *l,
                           bt_error *err)
{
    char name[NAME];
    snprintf(name, sizeof name, "%s.bias", layer);
    float *bias = floats(v, name, l->out, err);
    if (!bias)
        return err->status;
    for (int64_t i = 0; i < l->out; i++)
        bias[i] *= l->gain[i];
    snprintf(name, sizeof name, "%s*gamma.bias", layer);
    const bt_weight *made = bt_weight_make(v->ws, name, bias, 1, &l->out);
    bt_release(bias);
    return made ? BT_OK : bt_no_memory(err, name);
}

/* The layer `layer` + `suffix` (".weight", "_weight") from the tensors that begin with
 * `stem`; gamma: of its block, or NULL. */
static bt_status add(bt_hibari *v, const char *layer, const char *suffix, const char *stem,
                     const char *gamma, bt_error *err)
{
    char name[NAME];
    if (v->n_linears == BT_HIBARI_LINEARS)
        return bad(v, stem, "is one too many", err);
    bt_hibari_linear *l = &v->linear[v->n_linears];
    bt_status st = read_linear(v, stem, l, err);
    if (st != BT_OK)
        return st;
    v->n_linears++;
    if (gamma) {
        l->gain = floats(v, gamma, l->out, err);
        if (!l->gain)
            return err->status;
        st = fold_bias(v, layer, l, err);
    }
    snprintf(name, sizeof name, "%s%s%s", layer, gamma ? "*gamma" : "", suffix);
    if (st == BT_OK &&
        !bt_weight_derive(v->ws, name, 2, (int64_t[]){ l->out, l->in }, dequantize, l))
        st = bt_no_memory(err, name);
    return st;
}

/* Both layers of ConvNeXt block i of `module`, whose nodes are "/<node>.<i>/pw1<tail>". */
static bt_status add_block(bt_hibari *v, const char *module, const char *node, int i,
                           const char *tail, bt_error *err)
{
    char layer[NAME], stem[NAME], gamma[NAME];
    bt_status st = BT_OK;
    snprintf(gamma, sizeof gamma, "%s.%d.gamma", module, i);
    for (int n = 1; n <= 2 && st == BT_OK; n++) {
        snprintf(layer, sizeof layer, "%s.%d.pw%d", module, i, n);
        snprintf(stem, sizeof stem, "/%s.%d/pw%d%s/Transpose_output_0", node, i, n, tail);
        st = add(v, layer, ".weight", stem, n == 2 ? gamma : NULL, err);
    }
    return st;
}

/* As many as there are. */
static bt_status add_blocks(bt_hibari *v, const char *module, const char *node, const char *tail,
                            bt_error *err)
{
    char name[NAME];
    bt_status st = BT_OK;
    for (int i = 0; i < 32 && st == BT_OK; i++) {
        snprintf(name, sizeof name, "%s.%d.gamma", module, i);
        if (!bt_store_find(v->store, name))
            return i ? BT_OK : bad(v, name, "is missing", err);
        st = add_block(v, module, node, i, tail, err);
    }
    return st;
}

/* A text encoder; the second one's nodes are numbered on from the first's four passes
 * through its transformer layer. */
static bt_status add_text(bt_hibari *v, bool second, bt_error *err)
{
    const char *module = second ? "pn.text" : "m.text";
    static const char *const layers[3] = { "self_attn.out_proj", "linear1", "linear2" };
    static const char *const nodes[3] = { "out_proj", "linear1", "linear2" };
    char name[NAME], stem[NAME];
    bt_status st;
    snprintf(name, sizeof name, "%s.convs", module);
    BT_TRY(add_blocks(v, name, "convs", second ? "_1" : "", err));
    snprintf(name, sizeof name, "%s.attn.self_attn.in_proj", module);
    BT_TRY(add(v, name, "_weight", second ? "/Transpose_25_output_0" : "/Transpose_2_output_0",
               NULL, err));
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s.attn.%s", module, layers[i]);
        snprintf(stem, sizeof stem, "/%s%s/Transpose_output_0", nodes[i], second ? "_4" : "");
        BT_TRY(add(v, name, ".weight", stem, NULL, err));
    }
fail:
    return st;
}

/* ---- the decoder's first convolution, of phonemes and of tones ---------- */

enum { TEXT = BT_HIBARI_TEXT_OUT, TONES = BT_HIBARI_TONES };

static bt_status fill_text(const void *from, float *out, bt_error *err)
{
    const int64_t c = bt_weight_dim(from, 0), taps = bt_weight_dim(from, 2);
    float *w = bt_weight_values(from, err);
    for (int64_t o = 0; w && o < c; o++)
        for (int64_t i = 0; i < TEXT; i++)
            for (int64_t t = 0; t < taps; t++)
                out[(t * c + o) * TEXT + i] = w[(o * (TEXT + TONES) + i) * taps + t];
    bt_release(w);
    return w ? BT_OK : BT_ENOMEM;
}

static bt_status fill_tones(const void *from, float *out, bt_error *err)
{
    const int64_t c = bt_weight_dim(from, 0), taps = bt_weight_dim(from, 2);
    float *w = bt_weight_values(from, err);
    for (int64_t o = 0; w && o < c; o++)
        memcpy(out + o * TONES * taps, w + (o * (TEXT + TONES) + TEXT) * taps,
               (size_t)(TONES * taps) * sizeof *out);
    bt_release(w);
    return w ? BT_OK : BT_ENOMEM;
}

static bt_status split_first(bt_hibari *v, bt_error *err)
{
    const char *name = "m.dec_in.weight";
    const bt_weight *w = bt_weight_find(v->ws, name);
    if (!w)
        return bad(v, name, "is missing", err);
    const int64_t c = bt_weight_dim(w, 0), taps = bt_weight_dim(w, 2);
    if (c < 1 || c > 8192 || taps < 1 || taps > 63 || taps % 2 == 0 ||
        bt_weight_dim(w, 1) != TEXT + TONES || bt_weight_tensor(w)->n_dims != 3)
        return bad(v, name, "has a wrong shape", err);
    const bool made = bt_weight_derive(v->ws, "m.dec_in.text.weight", 2,
                                       (int64_t[]){ taps * c, TEXT }, fill_text, w) &&
                      bt_weight_derive(v->ws, "m.dec_in.tone.weight", 3,
                                       (int64_t[]){ c, TONES, taps }, fill_tones, w);
    return made ? BT_OK : bt_no_memory(err, name);
}

bt_status bt_hibari_weights(bt_hibari *v, bt_error *err)
{
    bt_status st;
    BT_TRY(split_first(v, err));
    BT_TRY(add_text(v, false, err));
    BT_TRY(add_text(v, true, err));
    BT_TRY(add_blocks(v, "pn.pro", "pro", "", err));
    BT_TRY(add_blocks(v, "m.dec", "dec", "", err));
    BT_TRY(add(v, "m.head", ".weight", "/head/Transpose_output_0", NULL, err));
fail:
    return st;
}
