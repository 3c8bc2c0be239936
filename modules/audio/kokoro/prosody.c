/* SPDX-License-Identifier: MIT
 * How long every token lasts, and pitch and energy over time (hexgrad's modules.py,
 * DurationEncoder and ProsodyPredictor).
 */
#include <stdio.h>

#include "audio/kokoro/kokoro.h"

#define EPS 1e-5f

/* AdaLayerNorm: (1 + gamma) norm(x) + beta, the norm over each row's channels */
static bt_node *ada_layer_norm(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_node *style,
                               const char *prefix)
{
    const int64_t c = bt_shape_of(x).c;
    bt_node *h = bt_kok_style(g, k, style, prefix);
    if (h && bt_shape_of(h).c != 2 * c)
        return bt_graph_fail(g, "%s.fc has the wrong size", prefix);
    const bt_weight *ones = bt_kok_ones(g, k, c);
    bt_node *y = bt_layer_norm(g, x, ones, NULL, EPS);
    bt_node *gamma = bt_slice(g, h, 0, c);
    return bt_add(g, bt_add(g, y, bt_mul(g, y, gamma)), bt_slice(g, h, c, 2 * c));
}

bt_node *bt_kok_durations(bt_graph *g, const bt_kokoro *k, bt_node *bert, bt_node *style,
                          bt_node *zeros, bt_node **d)
{
    bt_node *rows = bt_gather(g, style, zeros); /* the style beside every token */
    bt_node *x = bt_concat(g, bert, rows);
    char name[64];
    for (int i = 0; i < 6; i += 2) {
        snprintf(name, sizeof name, "predictor.text_encoder.lstms.%d", i);
        x = bt_kok_lstm(g, k, x, name);
        snprintf(name, sizeof name, "predictor.text_encoder.lstms.%d", i + 1);
        x = bt_concat(g, ada_layer_norm(g, k, x, style, name), rows);
    }
    *d = x;
    x = bt_kok_lstm(g, k, x, "predictor.lstm");
    return bt_kok_linear(g, k, x, "predictor.duration_proj.linear_layer");
}

static bt_node *curve(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_node *style, bt_node *twice,
                      const char *name)
{
    x = bt_kok_block(g, k, x, style, NULL, "predictor.%s.0", name);
    x = bt_kok_block(g, k, x, style, twice, "predictor.%s.1", name);
    x = bt_kok_block(g, k, x, style, NULL, "predictor.%s.2", name);
    return bt_kok_conv(g, k, x, (bt_conv){ 0 }, "predictor.%s_proj", name);
}

void bt_kok_curves(bt_graph *g, const bt_kokoro *k, bt_node *en, bt_node *style, bt_node *twice,
                   bt_node **pitch, bt_node **energy)
{
    bt_node *x = bt_kok_lstm(g, k, en, "predictor.shared");
    *pitch = curve(g, k, x, style, twice, "F0");
    *energy = curve(g, k, x, style, twice, "N");
}
