/* SPDX-License-Identifier: MIT
 * The vocoder (Kaneko et al. 2022, iSTFTNet, as hexgrad's istftnet.py has it): two
 * upsamplings, each joined by the source's spectrum and followed by the mean of three
 * residual blocks with adaptive norms and Snake; then a spectrum, and its inverse transform.
 */
#include <stdio.h>

#include "audio/kokoro/kokoro.h"

#define EPS        1e-5f
#define SLOPE      0.1f
#define LAST_SLOPE 0.01f

/* snake(AdaIN(x)) through convolution "<name>.convs<half>.<i>" */
static bt_node *half_step(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_node *style,
                          const char *name, int half, int i, int dilation)
{
    const bt_weight *w = bt_kok_w(g, k, "%s.convs%d.%d.weight", name, half, i);
    const int pad = w ? (int)(bt_weight_dim(w, 2) - 1) * dilation / 2 : 0;
    const bt_conv same = { .dilation = dilation, .left = pad, .right = pad };
    bt_node *h = bt_kok_linear(g, k, style, "%s.adain%d.%d.fc", name, half, i);
    bt_node *y = bt_ada_norm(g, x, h, bt_kok_w(g, k, "%s.alpha%d.%d", name, half, i), EPS);
    return bt_conv1d(g, y, w, bt_kok_w(g, k, "%s.convs%d.%d.bias", name, half, i), same);
}

/* AdaINResBlock1 */
static bt_node *res_block(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_node *style,
                          const char *fmt, int number)
{
    static const int dilation[BT_KOK_KERNELS] = { 1, 3, 5 };
    char name[96];
    snprintf(name, sizeof name, "%s.%d", fmt, number);
    for (int i = 0; i < BT_KOK_KERNELS; i++) {
        bt_node *y = half_step(g, k, x, style, name, 1, i, dilation[i]);
        x = bt_add(g, half_step(g, k, y, style, name, 2, i, 1), x);
    }
    return x;
}

/* The source's spectrum at the rate of stage s, `rows` of it. */
static bt_node *source(bt_graph *g, const bt_kokoro *k, bt_node *har, bt_node *style, int s)
{
    const int stride = s + 1 < BT_KOK_STAGES ? k->stride[s + 1] : 1;
    const int pad = (stride + 1) / 2;
    const bt_conv p = { .stride = stride,
                        .left = stride > 1 ? pad : 0,
                        .right = stride > 1 ? pad : 0 };
    bt_node *x = bt_kok_conv(g, k, har, p, "decoder.generator.noise_convs.%d", s);
    return res_block(g, k, x, style, "decoder.generator.noise_res", s);
}

/* The mean of three blocks, ready for what comes next. */
static bt_node *blocks(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_node *style, int s)
{
    const float slope = s + 1 < BT_KOK_STAGES ? SLOPE : LAST_SLOPE;
    bt_node *sum = NULL;
    for (int i = 0; i < BT_KOK_KERNELS; i++) {
        const bool last = i + 1 == BT_KOK_KERNELS;
        bt_node *y =
            res_block(g, k, x, style, "decoder.generator.resblocks", s * BT_KOK_KERNELS + i);
        sum = i ? bt_kok_sum(g, sum, y, false, last ? 1.0f / BT_KOK_KERNELS : 1, last ? slope : 1)
                : y;
    }
    return sum;
}

bt_node *bt_kok_generator(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_node *har, bt_node *style)
{
    const bt_conv last = { .left = 3, .right = 3 };
    x = bt_act_of(g, x, BT_ACT_LEAKY_RELU, SLOPE);
    for (int s = 0; s < BT_KOK_STAGES; s++) {
        const bt_weight *w = bt_kok_w(g, k, "decoder.generator.ups.%d.weight", s);
        const int pad = w ? (int)(bt_weight_dim(w, 2) - k->stride[s]) / 2 : 0;
        x = bt_conv_transpose1d(g, x, w, bt_kok_w(g, k, "decoder.generator.ups.%d.bias", s),
                                k->stride[s], pad);
        x = bt_kok_sum(g, source(g, k, har, style, s), x, s + 1 == BT_KOK_STAGES, 1, 1);
        x = blocks(g, k, x, style, s);
    }
    x = bt_kok_conv(g, k, x, last, "decoder.generator.conv_post");
    return bt_kok_istft(g, x);
}
