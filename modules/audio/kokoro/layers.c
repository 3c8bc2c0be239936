/* SPDX-License-Identifier: MIT
 * Layers by name.
 */
#include <stdarg.h>
#include <stdio.h>

#include "audio/kokoro/kokoro.h"
#include "graph/builder.h"

bt_node *bt_kok_linear(bt_graph *g, const bt_kokoro *k, bt_node *x, const char *fmt, ...)
{
    char name[BT_KOK_NAME];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const bt_weight *w = bt_kok_w(g, k, "%s.weight", name);
    return bt_linear(g, x, w, bt_kok_w(g, k, "%s.bias", name));
}

bt_node *bt_kok_conv(bt_graph *g, const bt_kokoro *k, bt_node *x, bt_conv p, const char *fmt, ...)
{
    char name[BT_KOK_NAME];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const bt_weight *w = bt_kok_w(g, k, "%s.weight", name);
    return bt_conv1d(g, x, w, bt_kok_w(g, k, "%s.bias", name), p);
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
    if (v)
        w = bt_weight_make(k->ws, name, v, 1, &n);
    if (!w && n > 0 && g->error.status == BT_OK)
        bt_no_memory(&g->error, "a norm");
    bt_release(v);
    return w;
}

bt_node *bt_kok_lstm(bt_graph *g, const bt_kokoro *k, bt_node *x, const char *prefix)
{
    bt_lstm w[2];
    for (int d = 0; d < 2; d++) {
        const char *end = d ? "_reverse" : "";
        w[d].w_ih = bt_kok_w(g, k, "%s.weight_ih_l0%s", prefix, end);
        w[d].w_hh = bt_kok_w(g, k, "%s.weight_hh_l0%s", prefix, end);
        w[d].b_ih = bt_kok_w(g, k, "%s.bias_ih_l0%s", prefix, end);
        w[d].b_hh = bt_kok_w(g, k, "%s.bias_hh_l0%s", prefix, end);
    }
    return bt_lstm_rows(g, x, 2, w);
}
