/* SPDX-License-Identifier: MIT
 * Linear layers and convolutions: shapes, then the one matrix multiply. A 1x1
 * convolution without padding or stride is a linear layer over pixels.
 */
#include "graph/minimal.h"
#include "graph/ops/matmul.h"

static bt_node *bad_weight(bt_graph *g, const bt_weight *w, int64_t in)
{
    return bt_graph_fail(g, "tensor %s: %lld x %lld does not fit %lld input channels",
                         bt_weight_tensor(w)->name, (long long)bt_weight_dim(w, 0),
                         (long long)bt_weight_dim(w, 1), (long long)in);
}

static const bt_mm linear = {
    .kind = BT_MM_LINEAR, .kh = 1, .kw = 1, .stride = 1, .dilation = 1, .upsample = 1
};

static bool is_matrix(const bt_weight *w, int64_t in)
{
    return bt_weight_dim(w, 1) == in &&
           bt_tensor_count(bt_weight_tensor(w)) == bt_weight_dim(w, 0) * in;
}

bt_node *bt_linear(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b)
{
    if (!x || !w)
        return NULL;
    bt_shape s = x->shape;
    if (!is_matrix(w, s.c))
        return bad_weight(g, w, s.c);
    s.c = bt_weight_dim(w, 0);
    return bt_matmul_node(g, x, s, linear, 1, &w, &b);
}

void bt_linears(bt_graph *g, bt_node *x, int n, const bt_weight *const *w,
                const bt_weight *const *b, bt_node **y)
{
    bt_shape s = bt_shape_of(x);
    bool whole = x && n <= BT_MM_MAX_PARTS;
    int64_t c = 0;
    for (int i = 0; i < n && whole; i++) {
        whole = w[i] && is_matrix(w[i], s.c);
        c += whole ? bt_weight_dim(w[i], 0) : 0;
    }
    s.c = c;
    bt_node *all = whole ? bt_matmul_node(g, x, s, linear, n, w, b) : NULL;
    for (int64_t i = 0, at = 0; i < n; i++) {
        if (!all) { /* compute types differ, or an error to be found one by one */
            y[i] = bt_linear(g, x, w[i], b[i]);
            continue;
        }
        c = bt_weight_dim(w[i], 0);
        y[i] = bt_slice(g, all, at, at + c);
        at += c;
    }
}

/* torch.nn.Conv2d: floor((in + padding - dilation (k - 1) - 1) / stride) + 1. */
static int64_t out_len(int64_t in, int before, int after, int k, const bt_mm *mm)
{
    int64_t span = in * mm->upsample + before + after - (int64_t)mm->dilation * (k - 1) - 1;
    return span < 0 ? 0 : span / mm->stride + 1;
}

/* A filter over rows, one after the other, that minimal filtering has a form for. */
static bool may_be_minimal(const bt_mm *mm, bt_shape in, bt_shape out)
{
    return mm->kh == 1 && mm->stride == 1 && mm->dilation == 1 && mm->upsample == 1 && in.n == 1 &&
           in.h == 1 && out.h == 1 && out.w >= 1 && bt_minimal_outs(mm->kw, in.c, out.c);
}

static bt_node *conv(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b, bt_conv p,
                     int64_t kh, int64_t kw)
{
    bt_shape s = x->shape;
    if (bt_weight_dim(w, 1) != s.c || kh < 1 || kw < 1 || kh > 4096 || kw > 4096)
        return bad_weight(g, w, s.c);
    if (p.stride < 0 || p.dilation < 0 || p.top < 0 || p.left < 0 || p.bottom < 0 || p.right < 0)
        return bt_graph_fail(g, "convolution %s: negative parameters", bt_weight_tensor(w)->name);
    if (p.upsample < 0 || p.upsample > 2)
        return bt_graph_fail(g, "convolution %s: upsampling by %d", bt_weight_tensor(w)->name,
                             p.upsample);
    bt_mm mm = {
        .kind = BT_MM_CONV,
        .kh = (int)kh,
        .kw = (int)kw,
        .stride = p.stride ? p.stride : 1,
        .dilation = p.dilation ? p.dilation : 1,
        .top = p.top,
        .left = p.left,
        .upsample = p.upsample ? p.upsample : 1,
    };
    s.h = kh == 1 && x->shape.h == 1 ? 1 : out_len(s.h, p.top, p.bottom, mm.kh, &mm);
    s.w = out_len(s.w, p.left, p.right, mm.kw, &mm);
    s.c = bt_weight_dim(w, 0);
    if (kh == 1 && kw == 1 && mm.stride == 1 && mm.upsample == 1 && !p.top && !p.left &&
        !p.bottom && !p.right)
        mm.kind = BT_MM_LINEAR;
    if (bt_graph_precision_of(g) == BT_PREC_MINIMAL && may_be_minimal(&mm, x->shape, s))
        return bt_conv_minimal(g, x, w, b, p);
    return bt_matmul_node(g, x, s, mm, 1, &w, &b);
}

bt_node *bt_conv2d(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b, bt_conv p)
{
    if (!x || !w)
        return NULL;
    if (p.groups > 1)
        return bt_graph_fail(g, "convolution %s: groups are not supported in 2-D",
                             bt_weight_tensor(w)->name);
    return conv(g, x, w, b, p, bt_weight_dim(w, 2), bt_weight_dim(w, 3));
}

bt_node *bt_conv1d(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b, bt_conv p)
{
    if (!x || !w)
        return NULL;
    if (p.groups > 1)
        return bt_depthwise1d(g, x, w, b, p);
    if (x->shape.h != 1 || bt_weight_dim(w, 3) != 1)
        return bt_graph_fail(g, "convolution %s is not 1-D", bt_weight_tensor(w)->name);
    return conv(g, x, w, b, p, 1, bt_weight_dim(w, 2));
}

bt_node *bt_conv_transpose1d(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b,
                             int stride, int pad)
{
    if (!x || !w)
        return NULL;
    bt_shape s = x->shape;
    int64_t k = bt_weight_dim(w, 2);
    if (s.h != 1 || bt_weight_dim(w, 0) != s.c || bt_weight_dim(w, 3) != 1 || k > 4096 ||
        stride < 1 || pad < 0)
        return bad_weight(g, w, s.c);
    s.w = (s.w - 1) * stride - 2 * (int64_t)pad + k;
    s.c = bt_weight_dim(w, 1);
    bt_mm mm = { .kind = BT_MM_TRANSPOSED,
                 .kh = 1,
                 .kw = (int)k,
                 .stride = stride,
                 .dilation = 1,
                 .left = pad,
                 .upsample = 1 };
    return bt_matmul_node(g, x, s, mm, 1, &w, &b);
}
