/* SPDX-License-Identifier: MIT
 * Which input row a tap of an output position reads: the indirection that makes
 * convolutions of all kinds one matrix multiply. Positions of a tile follow each
 * other, so they are counted up rather than divided anew.
 */
#include "graph/ops/matmul.h"

int64_t bt_mm_group_rows(const bt_node *n, int group)
{
    const bt_mm *mm = n->attr;
    return (n->shape.w - group + mm->stride - 1) / mm->stride;
}

/* In a transposed convolution every stride-th tap, so that no product with a
 * zero is made: y[o] = sum over t with (o + pad - t) a multiple of the stride
 * of x[(o + pad - t) / stride] w[t]. */
int bt_mm_taps(const bt_mm *mm, int group, int *tap)
{
    int n = 0;
    for (int t = 0; t < mm->kh * mm->kw; t++)
        if (mm->kind != BT_MM_TRANSPOSED || (group + mm->left - t) % mm->stride == 0)
            tap[n++] = t;
    return n;
}

int64_t bt_mm_out_row(const bt_node *n, int group, int64_t m)
{
    const bt_mm *mm = n->attr;
    if (mm->kind != BT_MM_TRANSPOSED)
        return m;
    int64_t len = bt_mm_group_rows(n, 0), o = m % len * mm->stride + group;
    return o < n->shape.w ? m / len * n->shape.w + o : -1;
}

/* With upsample 2 the taps see each input row and column twice. */
static void conv_rows(const bt_node *n, const bt_mm_input *in, const bt_mm_tile *t)
{
    const bt_mm *mm = n->attr;
    const bt_shape s = n->src[0]->shape, out = n->shape;
    const int up = mm->upsample - 1; /* 1 or 2: a shift */
    int64_t ox = t->m0 % out.w, oy = t->m0 / out.w % out.h, b = t->m0 / (out.w * out.h);
    int dy[BT_MM_MAX_TAPS], dx[BT_MM_MAX_TAPS];
    for (int k = 0; k < t->taps; k++) {
        dy[k] = t->tap[k] / mm->kw * mm->dilation - mm->top;
        dx[k] = t->tap[k] % mm->kw * mm->dilation - mm->left;
    }
    for (int i = 0; i < t->m; i++) {
        for (int k = 0; k < t->taps; k++) {
            const int64_t y = oy * mm->stride + dy[k], x = ox * mm->stride + dx[k];
            const bool inside = y >= 0 && x >= 0 && y < s.h << up && x < s.w << up;
            const int64_t row = (b * s.h + (y >> up)) * s.w + (x >> up);
            t->rows[k * t->stride + i] = inside ? in->base + row * in->step : in->zero;
        }
        if (++ox < out.w)
            continue;
        ox = 0;
        b += oy + 1 == out.h;
        oy = oy + 1 == out.h ? 0 : oy + 1;
    }
}

static void transposed_rows(const bt_node *n, const bt_mm_input *in, const bt_mm_tile *t)
{
    const bt_mm *mm = n->attr;
    const int64_t len = bt_mm_group_rows(n, 0), w = n->src[0]->shape.w;
    const int64_t ahead = t->taps ? (t->group + mm->left - t->tap[0]) / mm->stride : 0; /* exact */
    int64_t j = t->m0 % len, b = t->m0 / len;
    for (int i = 0; i < t->m; i++) {
        const bool exists = j * mm->stride + t->group < n->shape.w;
        for (int k = 0; k < t->taps; k++) {
            const int64_t x = j + ahead - k;
            const bool inside = exists && x >= 0 && x < w;
            t->rows[k * t->stride + i] = inside ? in->base + (b * w + x) * in->step : in->zero;
        }
        b += j + 1 == len;
        j = j + 1 == len ? 0 : j + 1;
    }
}

void bt_mm_rows(const bt_node *n, const bt_mm_input *in, const bt_mm_tile *t)
{
    const bt_mm *mm = n->attr;
    if (mm->kind == BT_MM_CONV)
        conv_rows(n, in, t);
    else if (mm->kind == BT_MM_TRANSPOSED)
        transposed_rows(n, in, t);
    else
        for (int i = 0; i < t->m; i++)
            t->rows[i] = in->base + (t->m0 + i) * in->step;
}
