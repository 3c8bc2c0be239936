/* SPDX-License-Identifier: MIT
 * Vocos (Siuzdak 2023; its package's models.py, modules.py, heads.py): ConvNeXt blocks over
 * frames, then a log magnitude and a phase for every bin of an inverse transform.
 */
#include <math.h>
#include <string.h>

#include "audio/vocoder/vocoder.h"
#include "nn/layers.h"

enum { MOST_BLOCKS = 64 };
#define EPS    1e-6f
#define TWO_PI 6.283185307179586

static bt_status bad(const bt_vocoder *v, const char *what, bt_error *err)
{
    return bt_fail(err, BT_EFORMAT, "%s: not a Vocos model: %s", bt_store_path(v->store), what);
}

static int filter_reach(const bt_vocoder *v, const char *layer)
{
    return bt_weight_size(v->ws, 2, "%s.weight", layer) / 2;
}

bt_status bt_vocos_shapes(bt_vocoder *v, bt_error *err)
{
    bt_vocos *n = &v->vocos;
    v->mel.n_mels = bt_weight_size(v->ws, 1, "backbone.embed.weight");
    n->n_fft = bt_weight_size(v->ws, 0, "head.out.weight") - 2;
    while (n->n_blocks <= MOST_BLOCKS &&
           bt_weight_size(v->ws, 0, "backbone.convnext.%d.dwconv.weight", n->n_blocks))
        n->n_blocks++;
    if (!v->mel.n_mels || n->n_fft < 4 || n->n_fft > BT_FFT_MOST || n->n_fft % 4)
        return bad(v, "backbone.embed or head.out has an absurd size", err);
    if (n->n_blocks == 0 || n->n_blocks > MOST_BLOCKS)
        return bad(v, "its blocks (backbone.convnext) are missing or too many", err);
    return BT_OK;
}

/* The window, and how far a frame's samples look: the filters, then the frames that overlap. */
bt_status bt_vocos_tables(bt_vocoder *v, bt_error *err)
{
    bt_vocos *n = &v->vocos;
    const bt_weight *w = bt_weight_find(v->ws, "head.istft.window");
    if (w && bt_tensor_count(bt_weight_tensor(w)) != n->n_fft)
        return bad(v, "head.istft.window is not as long as the transform", err);
    n->window = w ? bt_weight_values(w, err) : bt_calloc((size_t)n->n_fft, sizeof *n->window);
    if (!n->window)
        return bt_no_memory(err, "the vocoder");
    for (int i = 0; !w && i < n->n_fft; i++)
        n->window[i] = (float)(0.5 - 0.5 * cos(TWO_PI * i / n->n_fft));
    v->align = 1;
    v->margin = filter_reach(v, "backbone.embed") + n->n_fft / n->hop + 1;
    for (int i = 0; i < n->n_blocks; i++)
        v->margin += bt_weight_size(v->ws, 2, "backbone.convnext.%d.dwconv.weight", i) / 2;
    return bt_fft_create(n->n_fft, &n->fft, err);
}

void bt_vocos_clear(bt_vocos *v)
{
    bt_release(v->window);
    bt_fft_free(v->fft);
}

/* x + gamma * pwconv2(gelu(pwconv1(norm(dwconv(x))))); gamma is in pwconv2 (weights.c). */
static bt_node *convnext(bt_graph *g, bt_node *x, int i)
{
    const bt_weight *w = bt_w(g, "backbone.convnext.%d.dwconv.weight", i);
    const int pad = w ? (int)bt_weight_dim(w, 2) / 2 : 0;
    const bt_conv depthwise = { .left = pad, .right = pad, .groups = (int)bt_shape_of(x).c };
    const char *scaled = bt_w_opt(g, "backbone.convnext.%d.gamma", i) ? "*gamma" : "";
    bt_node *y = bt_nn_conv1d(g, x, depthwise, "backbone.convnext.%d.dwconv", i);
    y = bt_nn_layer_norm(g, y, EPS, "backbone.convnext.%d.norm", i);
    y = bt_act_of(g, bt_nn_linear(g, y, "backbone.convnext.%d.pwconv1", i), BT_ACT_GELU, 0);
    return bt_add(g, x, bt_nn_linear(g, y, "backbone.convnext.%d.pwconv2%s", i, scaled));
}

bt_node *bt_vocos_network(bt_graph *g, const bt_vocos *v, bt_node *x)
{
    const bt_weight *w = bt_w(g, "backbone.embed.weight");
    const int pad = w ? (int)bt_weight_dim(w, 2) / 2 : 0;
    x = bt_nn_conv1d(g, x, (bt_conv){ .left = pad, .right = pad }, "backbone.embed");
    x = bt_nn_layer_norm(g, x, EPS, "backbone.norm");
    for (int i = 0; i < v->n_blocks; i++)
        x = convnext(g, x, i);
    x = bt_nn_layer_norm(g, x, EPS, "backbone.final_layer_norm");
    return bt_vocos_istft(g, v, bt_nn_linear(g, x, "head.out"));
}
