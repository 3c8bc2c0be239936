/* SPDX-License-Identifier: MIT
 * A voice's sizes from the shapes of its tensors. Strides and dilations are not
 * in any tensor: the ONNX reader notes them as "<module>.strides" and so on;
 * where that is missing they follow from the kernels and from Piper's table.
 */
#include <stdarg.h>
#include <stdio.h>

#include "audio/vits/voice.h"
#include "graph/minimal.h"

enum {
    MOST_ALIGN = 64, /* frames */
};

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

/* Dimension i in torch's order, 0 if there is no such tensor or it is absurd. */
static int dim(const bt_voice *v, int i, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const bt_tensor *t = find(v, fmt, ap);
    va_end(ap);
    const bt_weight *w = t ? bt_weight_find(v->ws, t->name) : NULL;
    int64_t d = w ? bt_weight_dim(w, i) : 0;
    return d > 0 && d <= 1 << 20 ? (int)d : 0;
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
    v->n_symbols = dim(v, 0, "enc_p.emb.weight");
    v->hidden = dim(v, 1, "enc_p.emb.weight");
    v->inter = dim(v, 0, "enc_p.proj.weight") / 2;
    v->n_layers = count(v, "enc_p.encoder.attn_layers.%d.conv_q.weight");
    int positions = dim(v, 1, "enc_p.encoder.attn_layers.0.emb_rel_k");
    int d = dim(v, 2, "enc_p.encoder.attn_layers.0.emb_rel_k");
    if (!v->hidden || !v->inter || v->inter % 2 || !v->n_layers)
        return bad(v, "the text encoder is missing", err);
    if (positions % 2 == 0 || d == 0 || v->hidden % d)
        return bad(v, "the text encoder's heads do not fit", err);
    v->n_heads = v->hidden / d;
    v->window = positions / 2;
    v->gin = dim(v, 1, "emb_g.weight");
    v->n_speakers = v->gin ? dim(v, 0, "emb_g.weight") : 1;
    return BT_OK;
}

static bt_status flow_shapes(bt_voice *v, bt_error *err)
{
    for (int i = 3; i < 64 && has(v, "dp.flows.%d.pre.weight", i); i += 2)
        v->dp_last = i;
    v->dp_layers = count(v, "dp.convs.convs_sep.%d.weight");
    int parameters = dim(v, 0, "dp.flows.%d.proj.weight", v->dp_last);
    v->dp_bins = (parameters + 1) / 3;
    if (!v->dp_last || !v->dp_layers || parameters % 3 != 2 || v->dp_bins > 64 || v->dp_bins < 2)
        return bad(v, "it has no stochastic duration predictor", err);
    if (dim(v, 0, "dp.flows.0.m") != 2 || dim(v, 0, "dp.flows.0.logs") != 2)
        return bad(v, "the duration predictor's last step is missing", err);
    for (int i = 0; i < 64 && has(v, "flow.flows.%d.pre.weight", i); i += 2)
        v->flow_last = i;
    v->flow_hidden = dim(v, 0, "flow.flows.0.pre.weight");
    v->flow_layers = count(v, "flow.flows.0.enc.in_layers.%d.weight");
    v->flow_taps = dim(v, 2, "flow.flows.0.enc.in_layers.0.weight");
    if (!v->flow_hidden || !v->flow_layers)
        return bad(v, "the flow is missing", err);
    if (v->flow_taps % 2 == 0 || v->flow_taps > 255)
        return bad(v, "the flow's filters have absurd lengths", err);
    return BT_OK;
}

/* HiFi-GAN's settings for the blocks that Piper trains: ResBlock1 has 1, 3, 5
 * (config V1), ResBlock2 has 1, 2 and 2, 6 and 3, 12 (config V3). */
static int usual_dilation(const bt_voice *v, int kernel, int conv)
{
    static const int three[] = { 1, 3, 5 }, two[][2] = { { 1, 2 }, { 2, 6 }, { 3, 12 } };
    if (v->block_pairs)
        return conv < 3 ? three[conv] : 0;
    return kernel < 3 && conv < 2 ? two[kernel][conv] : 0;
}

static bt_status block_shapes(bt_voice *v, bt_error *err)
{
    const char *kind = v->block_pairs ? "convs1" : "convs";
    char fmt[64];
    snprintf(fmt, sizeof fmt, "dec.resblocks.0.%s.%%d.weight", kind);
    v->block_convs = count(v, fmt);
    if (v->block_convs == 0 || v->block_convs > BT_VOICE_CONVS)
        return bad(v, "the decoder's residual blocks are missing", err);
    bool noted = false; /* a reader notes dilations other than 1 */
    for (int i = 0; i < v->n_kernels; i++)
        for (int j = 0; j < v->block_convs; j++)
            noted = noted || setting(v, 0, "dec.resblocks.%d.%s.%d.dilations", i, kind, j);
    for (int i = 0; i < v->n_kernels; i++) {
        v->block_k[i] = dim(v, 2, "dec.resblocks.%d.%s.0.weight", i, kind);
        for (int j = 0; j < v->block_convs; j++) {
            int usual = noted ? 1 : usual_dilation(v, i, j);
            v->dilation[i][j] = setting(v, usual, "dec.resblocks.%d.%s.%d.dilations", i, kind, j);
            if (v->dilation[i][j] == 0)
                return bad(v, "the decoder's dilations are not known", err);
        }
        if (v->block_k[i] % 2 == 0)
            return bad(v, "the decoder's filters have even lengths", err);
    }
    return BT_OK;
}

/* f32 that nobody asked for by name: f32 itself is the reference, and has plain sums. */
static bool may_be_minimal(const bt_voice *v)
{
    const bt_precision asked = v->compute->precision;
    return (asked == BT_PREC_AUTO || asked == BT_PREC_INT8) &&
           !(v->compute->kernels->cpu & (BT_CPU_AMX | BT_CPU_FASTBF16));
}

int bt_voice_outs(const bt_voice *v, int c, int taps, int dilation)
{
    return v->minimal && dilation <= BT_VITS_GROUPS ? bt_minimal_outs(taps, c, c) : 0;
}

int64_t bt_common_multiple(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

/* Frames whose rows are whole groups of every filter, in every stage. */
static int64_t whole_groups(const bt_voice *v)
{
    int64_t frames = 1, rows = 1;
    for (int s = 0; s < v->n_stages; s++) {
        const int c = dim(v, 1, "dec.ups.%d.weight", s);
        rows *= v->stride[s];
        for (int i = 0; i < v->n_kernels; i++)
            for (int j = 0; j < v->block_convs && frames <= MOST_ALIGN; j++) {
                const int d = v->dilation[i][j];
                const int block = bt_voice_outs(v, c, v->block_k[i], d) * d;
                if (block)
                    frames = bt_common_multiple(frames, bt_common_multiple(block, rows) / rows);
            }
    }
    return frames;
}

/* Chunks of the decoder begin where groups of minimal filtering do, so that these
 * lie where they do in the whole. Not for filters that this would cost too much. */
static void align(bt_voice *v)
{
    v->minimal = may_be_minimal(v);
    const int64_t frames = whole_groups(v);
    v->minimal = v->minimal && frames <= MOST_ALIGN;
    v->align = v->minimal ? (int)frames : 1;
}

/* Rows to each side of one filter's output that it reads: half the filter, and with
 * minimal filtering what its group reads. */
static int filter_reach(const bt_voice *v, int c, int kernel, int dilation)
{
    const int outs = bt_voice_outs(v, c, v->block_k[kernel], dilation);
    return dilation * (v->block_k[kernel] / 2 + (outs ? outs - 1 : 0));
}

/* Frames to each side that can reach a frame's samples, last layer first: r rows
 * on either side of a layer's output need so many of its input. An upsampling by s
 * divides by s, rounded outwards.
 * With this margin a long sentence decoded in chunks gives the bytes of one
 * decoded whole (synth.c). */
static int reach(const bt_voice *v)
{
    int r = dim(v, 2, "dec.conv_post.weight") / 2;
    for (int s = v->n_stages - 1; s >= 0; s--) {
        const int c = dim(v, 1, "dec.ups.%d.weight", s);
        int most = 0;
        for (int i = 0; i < v->n_kernels; i++) {
            int sum = 0;
            for (int j = 0; j < v->block_convs; j++)
                sum += filter_reach(v, c, i, v->dilation[i][j]) +
                       (v->block_pairs ? filter_reach(v, c, i, 1) : 0);
            most = sum > most ? sum : most;
        }
        r += most;
        int left = (r + v->up_k[s] - 1 - v->pad[s] + v->stride[s] - 1) / v->stride[s];
        int right = (r - 1 + v->pad[s]) / v->stride[s] + 1;
        r = left > right ? left : right;
    }
    return r + dim(v, 2, "dec.conv_pre.weight") / 2;
}

static bt_status decoder_shapes(bt_voice *v, bt_error *err)
{
    v->n_stages = count(v, "dec.ups.%d.weight");
    v->block_pairs = has(v, "dec.resblocks.0.convs1.0.weight");
    int blocks = count(v, v->block_pairs ? "dec.resblocks.%d.convs1.0.weight"
                                         : "dec.resblocks.%d.convs.0.weight");
    if (!v->n_stages || v->n_stages > BT_VOICE_STAGES || !blocks || blocks % v->n_stages ||
        blocks / v->n_stages > BT_VOICE_KERNELS)
        return bad(v, "the decoder is missing", err);
    v->n_kernels = blocks / v->n_stages;
    v->hop = 1;
    for (int i = 0; i < v->n_stages; i++) {
        int k = v->up_k[i] = dim(v, 2, "dec.ups.%d.weight", i);
        v->stride[i] = setting(v, k / 2, "dec.ups.%d.strides", i);
        v->pad[i] = setting(v, (k - v->stride[i]) / 2, "dec.ups.%d.pads", i);
        if (v->stride[i] < 1 || k - 2 * v->pad[i] != v->stride[i])
            return bad(v, "the decoder's upsampling does not fit", err);
        if (v->hop > 1 << 16)
            return bad(v, "the decoder makes too many samples of a frame", err);
        v->hop *= v->stride[i];
    }
    bt_status st = block_shapes(v, err);
    if (st == BT_OK) {
        align(v);
        v->margin = reach(v);
    }
    return st;
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
