/* SPDX-License-Identifier: MIT
 * What predictor and decoder are made of (hexgrad's istftnet.py): the style's linear layers
 * and AdainResBlk1d.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "audio/kokoro/kokoro.h"

#define EPS   1e-5f
#define SLOPE 0.2f

bt_node *bt_kok_style(bt_graph *g, const bt_kokoro *k, bt_node *style, const char *prefix)
{
    return bt_kok_linear(g, k, style, "%s.fc", prefix);
}

/* leaky ReLU of AdaIN "<name>.norm<number>" */
static bt_node *norm(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_node *style, const char *name,
                     int number)
{
    bt_node *h = bt_kok_linear(g, k, style, "%s.norm%d.fc", name, number);
    return bt_act_of(g, bt_ada_norm(g, x, h, NULL, EPS), BT_ACT_LEAKY_RELU, SLOPE);
}

/* (shortcut(x) + conv2(norm2(conv1(pool(norm1(x)))))) / sqrt 2; a block that doubles the
 * frames has a pool, a transposed filter per channel, and doubles the shortcut's rows. */
bt_node *bt_kok_block(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_node *style, bt_node *twice,
                      const char *fmt, ...)
{
    const bt_conv same = { .left = 1, .right = 1 };
    char name[96];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);

    bt_node *shortcut = x, *y = norm(g, k, x, style, name, 1);
    const bt_weight *mix = bt_kok_opt(g, k, "%s.conv1x1.weight", name);
    if (mix) /* Kokoro's have no bias */
        shortcut = bt_linear(g, x, mix, bt_kok_opt(g, k, "%s.conv1x1.bias", name));
    if (twice) {
        const bt_weight *w = bt_kok_w(g, k, "%s.pool.weight", name);
        shortcut = bt_gather(g, shortcut, twice);
        y = bt_depthwise_transpose1d(g, y, w, bt_kok_w(g, k, "%s.pool.bias", name), 2, 1, 1);
    }
    y = bt_kok_conv(g, k, y, same, "%s.conv1", name);
    y = bt_kok_conv(g, k, norm(g, k, y, style, name, 2), same, "%s.conv2", name);
    return bt_scale(g, bt_add(g, shortcut, y), 1 / sqrtf(2));
}
