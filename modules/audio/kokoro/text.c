/* SPDX-License-Identifier: MIT
 * The decoder's view of the text (hexgrad's modules.py, TextEncoder): embedding, three
 * convolutions with norms, an LSTM.
 */
#include "audio/kokoro/kokoro.h"

#define EPS   1e-5f
#define SLOPE 0.2f

bt_node *bt_kok_text(bt_graph *g, const bt_kokoro *k, bt_node *ids)
{
    bt_node *x = bt_kok_embed(g, k, ids, "text_encoder.embedding");
    for (int i = 0; i < 3; i++) {
        const int pad = bt_kok_dim(k, 2, "text_encoder.cnn.0.0.weight") / 2;
        const bt_conv same = { .left = pad, .right = pad };
        x = bt_kok_conv(g, k, x, same, "text_encoder.cnn.%d.0", i);
        const bt_weight *gamma = bt_kok_w(g, k, "text_encoder.cnn.%d.1.gamma", i);
        x = bt_layer_norm(g, x, gamma, bt_kok_w(g, k, "text_encoder.cnn.%d.1.beta", i), EPS);
        x = bt_act_of(g, x, BT_ACT_LEAKY_RELU, SLOPE);
    }
    return bt_kok_lstm(g, k, x, "text_encoder.lstm");
}
