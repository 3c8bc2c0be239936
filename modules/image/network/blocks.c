/* SPDX-License-Identifier: MIT
 * What the UNet and the autoencoder share.
 */
#include "image/network/networks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "graph/op.h"
#include "nn/layers.h"

/* Rounding in blocks of 32 is as coarse as a block's largest channel. Spread evenly,
 * the mean of these is about the mean of all (below 1.8 in the models tested); with
 * one channel in a hundred ten times as large it is 17 times that. */
static bool stands_out(const float *gamma, const float *beta, int64_t n)
{
    enum { BLOCK = 32, MOST = 4 };
    double sum = 0, tops = 0;
    int blocks = 0;
    for (int64_t i = 0; i < n; blocks++) {
        float top = 0;
        for (int64_t end = i + BLOCK; i < end && i < n; i++) {
            const float v = gamma[i] * gamma[i] + (beta ? beta[i] * beta[i] : 0);
            sum += (double)v;
            top = v > top ? v : top;
        }
        tops += (double)top;
    }
    return tops / blocks > MOST * sum / (double)n;
}

bt_precision sd_precision(const bt_compute *c)
{
    const bool tiles = c->precision == BT_PREC_AUTO && c->kernels->cpu & BT_CPU_AMX;
    return tiles ? BT_PREC_BF16 : c->precision;
}

bt_precision sd_hold(bt_graph *g, const char *fmt, ...)
{
    const bt_precision was = bt_graph_precision_of(g);
    char name[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const bt_weight *w = bt_w_opt(g, "%s.weight", name), *b = bt_w_opt(g, "%s.bias", name);
    if (was != BT_PREC_AUTO || !w)
        return was;
    const int64_t n = bt_weight_dim(w, 0);
    const float *gamma = bt_weight_channels(g, w, n);
    const float *beta = b ? bt_weight_channels(g, b, n) : NULL;
    if (gamma && (!b || beta) && stands_out(gamma, beta, n))
        bt_graph_precision(g, BT_PREC_BF16);
    return was;
}

bt_node *sd_conv(bt_graph *g, bt_node *x, int kernel, const char *name)
{
    int pad = (kernel - 1) / 2;
    bt_conv c = { .top = pad, .left = pad, .bottom = pad, .right = pad };
    return bt_nn_conv2d(g, x, c, "%s", name);
}

static bt_node *norm_act(const sd_block *b, bt_node *x, const char *prefix, const char *norm)
{
    x = bt_nn_group_norm(b->g, x, b->groups, b->eps, "%s%s", prefix, norm);
    return bt_act_of(b->g, x, b->act, 0);
}

/* The shortcut comes first: then the input is free once the first norm has read
 * it. What is inside the branch may be rounded in any network. */
bt_node *sd_resnet(const sd_block *b, bt_node *x, const char *prefix)
{
    static const bt_conv same = { .top = 1, .left = 1, .bottom = 1, .right = 1 };
    bt_node *skip = x;
    if (bt_w_opt(b->g, "%s.conv_shortcut.weight", prefix))
        skip = bt_nn_linear(b->g, x, "%s.conv_shortcut", prefix);
    bt_node *h = norm_act(b, x, prefix, ".norm1");

    bt_precision was = sd_hold(b->g, "%s.norm1", prefix);
    h = bt_nn_conv2d(b->g, h, same, "%s.conv1", prefix);
    bt_graph_precision(b->g, was);
    if (b->time)
        h = bt_add(b->g, h, bt_nn_linear(b->g, b->time, "%s.time_emb_proj", prefix));
    bt_graph_round(b->g, true);
    h = norm_act(b, h, prefix, ".norm2");
    bt_graph_round(b->g, b->round);
    was = sd_hold(b->g, "%s.norm2", prefix);
    h = bt_nn_conv2d(b->g, h, same, "%s.conv2", prefix);
    bt_graph_precision(b->g, was);
    h = bt_add(b->g, skip, h);
    return b->scale == 1 ? h : bt_scale(b->g, h, 1 / b->scale);
}

bt_node *sd_head(const sd_block *b, bt_node *x, const char *norm, const char *conv, int kernel)
{
    x = norm_act(b, x, "", norm);
    const bt_precision was = sd_hold(b->g, "%s", norm);
    x = sd_conv(b->g, x, kernel, conv);
    bt_graph_precision(b->g, was);
    return x;
}

bt_status sd_plan_make(bt_graph *g, bt_node *out, sd_plan *p, bt_error *err)
{
    p->out = bt_output(g, out);
    return bt_plan_create(g, &p->plan, err);
}

/* Nearest neighbour to exactly the size wanted: row i comes from row
 * floor(i * from / to), as torch's interpolate. */
static bt_status fill_gather(const sd_plan *p, int k, bt_error *err)
{
    int32_t *ids = bt_plan_data(p->plan, p->gathers[k].ids);
    if (!ids)
        return bt_fail(err, BT_ENOMEM, "no memory for activations");
    int fh = p->gathers[k].from_h, fw = p->gathers[k].from_w;
    int th = p->gathers[k].to_h, tw = p->gathers[k].to_w;
    for (int n = 0; n < p->gathers[k].n; n++)
        for (int y = 0; y < th; y++)
            for (int x = 0; x < tw; x++)
                *ids++ = (n * fh + y * fh / th) * fw + x * fw / tw;
    return BT_OK;
}

bt_status sd_plan_run(sd_plan *p, const atomic_bool *cancel, bt_error *err)
{
    bt_status st = BT_OK;
    for (int i = 0; i < p->n_gathers && st == BT_OK; i++)
        st = fill_gather(p, i, err);
    return st == BT_OK ? bt_plan_run(p->plan, cancel, err) : st;
}

void sd_plan_free(sd_plan *p)
{
    bt_plan_free(p->plan);
    memset(p, 0, sizeof *p);
}

float *sd_plan_data(const sd_plan *p, const bt_node *n) { return bt_plan_data(p->plan, n); }
