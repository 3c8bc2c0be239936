/* SPDX-License-Identifier: MIT
 * Layers by name.
 */
#include "nn/layers.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct pair {
    const bt_weight *w, *b; /* b may be NULL */
} pair;

/* The two weights of a layer; w is NULL after an error. */
static pair weights(bt_graph *g, const char *fmt, va_list ap)
{
    char prefix[192];
    if (vsnprintf(prefix, sizeof prefix, fmt, ap) >= (int)sizeof prefix) {
        bt_graph_fail(g, "the name of a layer is too long: %.60s...", prefix);
        return (pair){ NULL, NULL };
    }
    return (pair){ bt_w(g, "%s.weight", prefix), bt_w_opt(g, "%s.bias", prefix) };
}

bt_node *bt_nn_linear(bt_graph *g, bt_node *x, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pair p = weights(g, fmt, ap);
    va_end(ap);
    return bt_linear(g, x, p.w, p.b);
}

void bt_nn_linears(bt_graph *g, bt_node *x, const char *prefix, int n, const char *const *name,
                   bt_node **y)
{
    const bt_weight *w[3], *b[3];
    for (int i = 0; i < n; i++) {
        w[i] = bt_w(g, "%s.%s.weight", prefix, name[i]);
        b[i] = bt_w_opt(g, "%s.%s.bias", prefix, name[i]);
    }
    bt_linears(g, x, n, w, b, y);
}

bt_node *bt_nn_conv1d(bt_graph *g, bt_node *x, bt_conv c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pair p = weights(g, fmt, ap);
    va_end(ap);
    return bt_conv1d(g, x, p.w, p.b, c);
}

bt_node *bt_nn_conv2d(bt_graph *g, bt_node *x, bt_conv c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pair p = weights(g, fmt, ap);
    va_end(ap);
    return bt_conv2d(g, x, p.w, p.b, c);
}

bt_node *bt_nn_layer_norm(bt_graph *g, bt_node *x, float eps, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pair p = weights(g, fmt, ap);
    va_end(ap);
    return bt_layer_norm(g, x, p.w, p.b, eps);
}

bt_node *bt_nn_group_norm(bt_graph *g, bt_node *x, int groups, float eps, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    pair p = weights(g, fmt, ap);
    va_end(ap);
    return bt_group_norm(g, x, p.w, p.b, groups, eps);
}
