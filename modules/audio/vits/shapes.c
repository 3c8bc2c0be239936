/* SPDX-License-Identifier: MIT
 * A voice's sizes from the shapes of its tensors. Strides and dilations are not
 * in any tensor: the ONNX reader notes them as "<module>.strides" and so on;
 * where that is missing they follow from the kernels and from Piper's table.
 */
#include <stdarg.h>
#include <stdio.h>

#include "audio/vits/voice.h"

static const bt_tensor *find(const bt_voice *v, const char *fmt, va_list ap)
{
    char name[192];
    vsnprintf(name, sizeof name, fmt, ap);
    return bt_store_find(v->store, name);
}

static bool has(const bt_voice *v, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const bt_tensor *t = find(v, fmt, ap);
    va_end(ap);
    return t != NULL;
}

/* How many of fmt (with one %d) there are from 0 on, at most 64. */
static int count(const bt_voice *v, const char *fmt)
{
    int n = 0;
    char name[192];
    for (; n < 64; n++) {
        snprintf(name, sizeof name, fmt, n);
        if (!bt_store_find(v->store, name))
            break;
    }
    return n;
}

/* A setting of a convolution (the first value), or `otherwise`. */
static int setting(const bt_voice *v, int otherwise, const char *fmt, ...)
{
    char key[192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(key, sizeof key, fmt, ap);
    va_end(ap);
    bt_meta_type type;
    size_t n;
    int64_t value;
    const bt_meta *a = bt_store_array(v->store, key, &type, &n);
    if (!a || n == 0 || !bt_store_array_i64(a, 0, &value) || value < 0 || value > 4096)
        return otherwise;
    return (int)value;
}

static bt_status bad(const bt_voice *v, const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "%s: not a Piper voice: %s", bt_store_path(v->store), what);
}

/* Everything that the graphs are later sized by is read, and bounded, in the
 * three functions below; the graph's own checks then compare whole shapes. */
static bt_status encoder_shapes(bt_voice *v, bt_error *err)
{
    v->n_symbols = bt_weight_size(v->ws, 0, "enc_p.emb.weight");
    v->hidden = bt_weight_size(v->ws, 1, "enc_p.emb.weight");
    v->inter = bt_weight_size(v->ws, 0, "enc_p.proj.weight") / 2;
    v->n_layers = count(v, "enc_p.encoder.attn_layers.%d.conv_q.weight");
    int positions = bt_weight_size(v->ws, 1, "enc_p.encoder.attn_layers.0.emb_rel_k");
    int d = bt_weight_size(v->ws, 2, "enc_p.encoder.attn_layers.0.emb_rel_k");
    if (!v->hidden || !v->inter || v->inter % 2 || !v->n_layers)
        return bad(v, "the text encoder is missing", err);
    if (positions % 2 == 0 || d == 0 || v->hidden % d)
        return bad(v, "the text encoder's heads do not fit", err);
    v->n_heads = v->hidden / d;
    v->window = positions / 2;
    v->gin = bt_weight_size(v->ws, 1, "emb_g.weight");
    v->n_speakers = v->gin ? bt_weight_size(v->ws, 0, "emb_g.weight") : 1;
    return BT_OK;
}

static bt_status flow_shapes(bt_voice *v, bt_error *err)
{
    for (int i = 3; i < 64 && has(v, "dp.flows.%d.pre.weight", i); i += 2)
        v->dp_last = i;
    v->dp_layers = count(v, "dp.convs.convs_sep.%d.weight");
    int parameters = bt_weight_size(v->ws, 0, "dp.flows.%d.proj.weight", v->dp_last);
    v->dp_bins = (parameters + 1) / 3;
    if (!v->dp_last || !v->dp_layers || parameters % 3 != 2 || v->dp_bins > 64 || v->dp_bins < 2)
        return bad(v, "it has no stochastic duration predictor", err);
    if (bt_weight_size(v->ws, 0, "dp.flows.0.m") != 2 ||
        bt_weight_size(v->ws, 0, "dp.flows.0.logs") != 2)
        return bad(v, "the duration predictor's last step is missing", err);
    for (int i = 0; i < 64 && has(v, "flow.flows.%d.pre.weight", i); i += 2)
        v->flow_last = i;
    v->flow_hidden = bt_weight_size(v->ws, 0, "flow.flows.0.pre.weight");
    v->flow_layers = count(v, "flow.flows.0.enc.in_layers.%d.weight");
    if (!v->flow_hidden || !v->flow_layers)
        return bad(v, "the flow is missing", err);
    return BT_OK;
}

/* Whether the reader noted dilations at all: then those that it did not are 1. */
static bool notes_dilations(const bt_voice *v, const char *kind)
{
    for (int i = 0; i < v->dec.n_kernels; i++)
        for (int j = 0; j < v->dec.block_convs; j++)
            if (setting(v, 0, "dec.resblocks.%d.%s.%d.dilations", i, kind, j))
                return true;
    return false;
}

static bt_status decoder_shapes(bt_voice *v, bt_error *err)
{
    bt_hifigan *d = &v->dec;
    const char *file = bt_store_path(v->store);
    *d = (bt_hifigan){ .prefix = "dec.", .ws = v->ws };
    const bt_status st = bt_hifigan_count(d, file, err);
    if (st != BT_OK)
        return st;
    const char *kind = d->block_pairs ? "convs1" : "convs";
    const int usual = notes_dilations(v, kind) ? 1 : 0;
    for (int i = 0; i < d->n_stages; i++) {
        d->stride[i] = setting(v, 0, "dec.ups.%d.strides", i);
        d->pad[i] = setting(v, -1, "dec.ups.%d.pads", i);
    }
    for (int i = 0; i < d->n_kernels; i++)
        for (int j = 0; j < d->block_convs; j++)
            d->dilation[i][j] = setting(v, usual, "dec.resblocks.%d.%s.%d.dilations", i, kind, j);
    return bt_hifigan_shapes(d, file, err);
}

bt_status bt_voice_shapes(bt_voice *v, bt_error *err)
{
    bt_status st;
    BT_TRY(encoder_shapes(v, err));
    BT_TRY(flow_shapes(v, err));
    BT_TRY(decoder_shapes(v, err));
fail:
    return st;
}
