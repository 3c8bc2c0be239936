/* SPDX-License-Identifier: MIT
 * RRDBNet and SRVGGNetCompact (BasicSR, archs/rrdbnet_arch.py and srvgg_arch.py).
 *
 * A residual dense block is five convolutions; each of the first four adds its channels to
 * what the next ones read, and the fifth's output, times 0.2, is added to the block's input.
 */
#include <stdio.h>

#include "image/upscale/upscale.h"
#include "nn/layers.h"

static const bt_conv same = { .top = 1, .left = 1, .bottom = 1, .right = 1 };
static const float residual = 0.2f, slope = 0.2f;

enum { DENSE_BLOCKS = 3, DENSE_CONVS = 5 };

static bt_node *leaky(bt_graph *g, bt_node *x) { return bt_act_of(g, x, BT_ACT_LEAKY_RELU, slope); }

/* Convolutions are 3 x 3 and keep the size of what they read. */
static bt_node *conv_of(bt_graph *g, bt_node *x, bt_conv p, const char *name)
{
    const bt_weight *w = bt_w_opt(g, "%s.weight", name);
    if (w && (bt_weight_dim(w, 2) != 3 || bt_weight_dim(w, 3) != 3))
        return bt_graph_fail(g, "tensor %s.weight is not 3 x 3", name);
    return bt_nn_conv2d(g, x, p, "%s", name);
}

static bt_node *conv(bt_graph *g, bt_node *x, const char *name)
{
    return conv_of(g, x, same, name);
}

static bt_node *dense_block(bt_graph *g, const bt_upscaler *u, bt_node *x, int block, int dense)
{
    char name[BT_UPSCALER_NAME];
    bt_node *wide = x;
    for (int i = 1; i < DENSE_CONVS; i++) {
        bt_upscaler_block(u, block, dense, i, name);
        wide = bt_widen(g, wide, leaky(g, conv(g, wide, name)));
    }
    bt_upscaler_block(u, block, dense, DENSE_CONVS, name);
    return bt_add(g, x, bt_scale(g, conv(g, wide, name), residual));
}

static bt_node *rrdb(bt_graph *g, const bt_upscaler *u, bt_node *x, int block)
{
    bt_node *y = x;
    for (int i = 1; i <= DENSE_BLOCKS; i++)
        y = dense_block(g, u, y, block, i);
    return bt_add(g, x, bt_scale(g, y, residual));
}

static bt_node *rrdb_net(bt_graph *g, const bt_upscaler *u, bt_node *x)
{
    bt_conv twice = same;
    twice.upsample = 2;
    bt_node *first = x = conv(g, x, u->name.first);
    for (int i = 0; i < u->blocks; i++)
        x = rrdb(g, u, x, i);
    x = bt_add(g, first, conv(g, x, u->name.body));
    for (int i = 0; i < u->ups; i++)
        x = leaky(g, conv_of(g, x, twice, u->name.up[i]));
    x = leaky(g, conv(g, x, u->name.hr));
    return conv(g, x, u->name.last);
}

/* A chain of convolutions; the picture itself, enlarged, is added by whoever shuffles. */
static bt_node *compact_net(bt_graph *g, const bt_upscaler *u, bt_node *x)
{
    char name[BT_UPSCALER_NAME];
    for (int i = 0; i < u->blocks; i++) {
        snprintf(name, sizeof name, "%sbody.%d", u->prefix, 2 * i);
        x = conv(g, x, name);
        if (i + 1 < u->blocks)
            x = bt_upscaler_prelu(g, x, bt_w(g, "%sbody.%d.weight", u->prefix, 2 * i + 1));
    }
    return x;
}

bt_node *bt_upscaler_network(bt_graph *g, const bt_upscaler *u, bt_node *x)
{
    return u->compact ? compact_net(g, u, x) : rrdb_net(g, u, x);
}
