/* SPDX-License-Identifier: MIT
 * Layers by name, and LSTMs out of torch's tensors or ONNX's.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kokoro.h"

enum { NAME = 192 };

bt_node *bt_kok_linear(bt_graph *g, const bt_kokoro *k, bt_node *x, const char *fmt, ...)
{
    char name[NAME];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const bt_weight *w = bt_kok_w(g, k, "%s.weight", name);
    return bt_linear(g, x, w, bt_kok_opt(g, k, "%s.bias", name));
}

bt_node *bt_kok_conv(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_conv p, const char *fmt, ...)
{
    char name[NAME];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const bt_weight *w = bt_kok_w(g, k, "%s.weight", name);
    return bt_conv1d(g, x, w, bt_kok_opt(g, k, "%s.bias", name), p);
}

bt_node *bt_kok_embed(bt_graph *g, const bt_kokoro *k, bt_node *ids, const char *name)
{
    return bt_embed(g, ids, bt_kok_w(g, k, "%s.weight", name));
}

const bt_weight *bt_kok_ones(bt_graph *g, const bt_kokoro *k, int64_t n)
{
    char name[32];
    snprintf(name, sizeof name, "ones.%lld", (long long)n);
    const bt_weight *w = bt_weight_find(k->ws, name);
    float *v = w || n < 1 ? NULL : bt_alloc((size_t)n * sizeof *v);
    for (int64_t i = 0; v && i < n; i++)
        v[i] = 1;
    if (v && !(w = bt_weight_make(k->ws, name, v, 1, &n)))
        bt_graph_fail(g, "no memory for a norm");
    bt_release(v);
    return w;
}

/* ---- LSTMs as ONNX has them ------------------------------------------------ */

/* An LSTM's tensor of the ONNX export, under either name of its module. */
static const bt_weight *onnx_part(const bt_kokoro *k, const char *prefix, const char *part)
{
    char name[NAME];
    const char *rest = strchr(prefix, '.');
    snprintf(name, sizeof name, "encoder.%s.%s", prefix, part);
    const bt_weight *w = bt_weight_find(k->ws, name);
    if (w || !rest)
        return w;
    snprintf(name, sizeof name, "encoder.%s.%s", rest + 1, part);
    return bt_weight_find(k->ws, name);
}

/* Direction d of W or R as floats [4 h][inputs], gates still in ONNX's order. */
static float *direction(const bt_kokoro *k, const char *prefix, const char *part, int d,
                        int64_t *inputs, bt_error *err)
{
    char name[16];
    const bt_weight *w = onnx_part(k, prefix, part);
    snprintf(name, sizeof name, "%s_scale", part);
    const bt_weight *scale = onnx_part(k, prefix, name);
    float *all = NULL, *out = NULL, *s = NULL;
    const bool turned = w && bt_weight_tensor(w)->dtype == BT_I8;
    if (!w || bt_weight_tensor(w)->n_dims != 3 || bt_weight_dim(w, 0) != 2 ||
        (turned && (!scale || bt_tensor_count(bt_weight_tensor(scale)) != 2))) {
        bt_fail(err, BT_EFORMAT, "the voice has no LSTM %s, or one of a form that is not known",
                prefix);
        return NULL;
    }
    const int64_t rows = bt_weight_dim(w, turned ? 2 : 1), cols = bt_weight_dim(w, turned ? 1 : 2);
    *inputs = cols;
    if ((all = bt_weight_values(w, err)) && (!turned || (s = bt_weight_values(scale, err))))
        out = bt_alloc((size_t)(rows * cols) * sizeof *out);
    for (int64_t r = 0; out && r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            out[r * cols + c] =
                turned ? s[d] * all[(d * cols + c) * rows + r] : all[(d * rows + r) * cols + c];
    bt_release(all);
    bt_release(s);
    if (!out && err->status == BT_OK)
        bt_no_memory(err, prefix);
    return out;
}

/* src [4 h][cols], gates i, o, f, c -> i, f, c, o as the weight `name` */
static void reorder(const bt_kokoro *k, const char *name, const float *src, int64_t h, int64_t cols,
                    int n_dims, bt_error *err)
{
    static const int from[4] = { 0, 2, 3, 1 };
    const int64_t dims[2] = { 4 * h, cols };
    float *v = bt_alloc((size_t)(4 * h * cols) * sizeof *v);
    for (int gate = 0; v && gate < 4; gate++)
        memcpy(v + gate * h * cols, src + from[gate] * h * cols, (size_t)(h * cols) * sizeof *v);
    if (!v || !bt_weight_make(k->ws, name, v, n_dims, dims))
        bt_no_memory(err, name);
    bt_release(v);
}

/* Torch's four tensors of direction d from ONNX's three. */
static void convert(const bt_kokoro *k, const char *prefix, int d, bt_error *err)
{
    static const char *const part[2] = { "W", "R" }, *const torch[2] = { "ih", "hh" };
    const bt_weight *bias = onnx_part(k, prefix, "B");
    const char *end = d ? "_reverse" : "";
    char name[NAME];
    int64_t cols = 0, h = 0;
    for (int i = 1; i >= 0 && err->status == BT_OK; i--) {
        float *v = direction(k, prefix, part[i], d, &cols, err);
        const bt_weight *w = v ? onnx_part(k, prefix, part[i]) : NULL;
        h = i ? cols : h;
        if (v && (cols < 1 || bt_tensor_count(bt_weight_tensor(w)) != 8 * h * cols))
            bt_fail(err, BT_EFORMAT, "LSTM %s has the wrong size", prefix);
        snprintf(name, sizeof name, "%s.weight_%s_l0%s", prefix, torch[i], end);
        if (v && err->status == BT_OK)
            reorder(k, name, v, h, cols, 2, err);
        bt_release(v);
    }
    if (err->status == BT_OK && (!bias || bt_tensor_count(bt_weight_tensor(bias)) != 16 * h))
        bt_fail(err, BT_EFORMAT, "LSTM %s has no bias", prefix);
    float *b = err->status == BT_OK ? bt_weight_values(bias, err) : NULL;
    for (int i = 0; b && i < 2; i++) {
        snprintf(name, sizeof name, "%s.bias_%s_l0%s", prefix, torch[i], end);
        reorder(k, name, b + (2 * d + i) * 4 * h, h, 1, 1, err);
    }
    bt_release(b);
}

bt_node *bt_kok_lstm(bt_graph *g, const bt_kokoro *k, bt_node *x, const char *prefix)
{
    bt_lstm w[2];
    for (int d = 0; d < 2; d++) {
        const char *end = d ? "_reverse" : "";
        bt_error err = { 0 };
        if (!bt_kok_opt(g, k, "%s.weight_ih_l0%s", prefix, end))
            convert(k, prefix, d, &err);
        if (err.status != BT_OK)
            return bt_graph_fail(g, "%s", err.text);
        w[d].w_ih = bt_kok_w(g, k, "%s.weight_ih_l0%s", prefix, end);
        w[d].w_hh = bt_kok_w(g, k, "%s.weight_hh_l0%s", prefix, end);
        w[d].b_ih = bt_kok_w(g, k, "%s.bias_ih_l0%s", prefix, end);
        w[d].b_hh = bt_kok_w(g, k, "%s.bias_hh_l0%s", prefix, end);
    }
    return bt_lstm_rows(g, x, 2, w);
}
