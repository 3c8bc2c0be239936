/* SPDX-License-Identifier: MIT
 * The sums of minimal filtering (graph/minimal.h). Rows at the filter's dilation follow
 * each other in a group; the `dilation` groups that share their span of rows are a
 * block, whose rows, read so many at a time, are the transforms' rows.
 */
#include "graph/minimal.h"

static size_t pad64(size_t n) { return (n + 63) / 64 * 64; }

size_t bt_minimal_layout(uint8_t *base, int points, int groups, int64_t in, int64_t out,
                         bt_minimal_scratch *s)
{
    const size_t n = (size_t)points * (size_t)groups;
    const size_t v = pad64(n * (size_t)in * sizeof(float));
    const size_t sums = pad64(n * (size_t)out * sizeof(float));
    if (base) {
        *s = (bt_minimal_scratch){
            (float *)base, (float *)(base + v), (const float **)(base + v + sums), groups, in, out,
        };
        for (size_t i = 0; i < n; i++)
            s->rows[i] = s->v + i * (size_t)in;
    }
    return v + sums + pad64(n * sizeof *s->rows);
}

void bt_minimal_filter(const bt_kernels *k, const bt_points *t, const bt_packed *w, int dilation,
                       int rows, const float *x, const bt_minimal_scratch *s,
                       const bt_minimal_rows *to)
{
    const size_t ldv = (size_t)s->groups * (size_t)s->in, ldc = (size_t)s->out;
    const int block = t->outs * dilation, blocks = (rows + block - 1) / block;
    const int np = k->gemm_np < 2 ? 1 : 2; /* as tall as tiles can be */
    k->minimal_in(t, blocks, dilation * (int)s->in, x, s->v, ldv);
    for (int point = 0; point < w->taps; point++)
        for (int p = 0; p < w->panels; p += np)
            k->conv_f32(blocks * dilation, w->panels - p < np ? w->panels - p : np, 1, w->k,
                        s->rows + (size_t)point * s->groups, 0,
                        (const float *)(const void *)bt_panel(w, p, point), 0,
                        w->taps * w->panel_bytes / sizeof(float),
                        s->sums + (size_t)point * s->groups * ldc + p * BT_NR, ldc, 1);
    k->minimal_out(t, dilation, (int)s->out, rows, s->sums, (size_t)s->groups * ldc, to);
}
