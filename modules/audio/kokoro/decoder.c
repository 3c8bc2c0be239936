/* SPDX-License-Identifier: MIT
 * From frames of text, pitch and energy to what the vocoder begins with (hexgrad's
 * istftnet.py, Decoder): residual blocks that see text, pitch and energy again and again.
 */
#include "audio/kokoro/kokoro.h"

bt_node *bt_kok_decoder(bt_graph *g, const bt_kokoro *k, bt_node *asr, bt_node *pitch,
                        bt_node *energy, bt_node *style, bt_node *twice)
{
    const bt_conv half = { .stride = 2, .left = 1, .right = 1 };
    bt_node *curves = bt_concat(g, bt_kok_conv(g, k, pitch, half, "decoder.F0_conv"),
                                bt_kok_conv(g, k, energy, half, "decoder.N_conv"));
    bt_node *x = bt_kok_block(g, k, bt_concat(g, asr, curves), style, NULL, "decoder.encode");
    bt_node *again =
        bt_concat(g, bt_kok_conv(g, k, asr, (bt_conv){ 0 }, "decoder.asr_res.0"), curves);
    for (int i = 0; i < 4; i++)
        x = bt_kok_block(g, k, bt_concat(g, x, again), style, i == 3 ? twice : NULL,
                         "decoder.decode.%d", i);
    return x;
}
