/* SPDX-License-Identifier: MIT
 * Rotary position embedding (Su et al. 2021): pair i of a head's row at
 * position p turns by p * freq_scale * base^(-2i/d) / factors[i]. The angle is
 * a float product, as in transformers' modeling_llama.py.
 */
#include <math.h>
#include <string.h>

#include "graph/op.h"

enum { TILE = 8, MAX_HALF = 128 };

typedef struct attr {
    int d, neox;
    float freq[MAX_HALF];
} attr;

static int64_t rope_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return bt_row_tiles(n, TILE);
}

static void rope_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    const attr *a = n->attr;
    int64_t end = bt_row_tile_end(n, TILE, tile);
    float *cs = x->scratch, *sn = cs + a->d / 2;

    for (int64_t i = tile * TILE; i < end; i++) {
        float pos = (float)(x->params[BT_PARAM_POS] + i);
        float *y = bt_row(n, i);
        for (int j = 0; j < a->d / 2; j++) {
            cs[j] = cosf(pos * a->freq[j]);
            sn[j] = sinf(pos * a->freq[j]);
        }
        if (y != bt_row(n->src[0], i))
            memcpy(y, bt_row(n->src[0], i), (size_t)n->shape.c * sizeof *y);
        for (int64_t c = 0; c < n->shape.c; c += a->d)
            x->kernels->rope(a->d, y + c, cs, sn, a->neox);
    }
}

static size_t rope_scratch(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    return (size_t)((const attr *)n->attr)->d * sizeof(float);
}

static const bt_op op_rope = {
    .name = "rope",
    .flags = BT_OP_INPLACE,
    .tiles = rope_tiles,
    .run = rope_run,
    .scratch = rope_scratch,
};

bt_node *bt_rope(bt_graph *g, bt_node *x, int d, float freq_base, float freq_scale,
                 const bt_weight *freq_factors, int neox)
{
    if (!x)
        return NULL;
    if (d < 2 || d % 2 || d > 2 * MAX_HALF || x->shape.c % d)
        return bt_graph_fail(g, "rotary embedding of heads of %d in %lld channels", d,
                             (long long)x->shape.c);
    const float *factors = NULL;
    if (freq_factors) {
        const bt_tensor *t = bt_weight_tensor(freq_factors);
        if (bt_tensor_count(t) != d / 2)
            return bt_graph_fail(g, "%s: not %d values", t->name, d / 2);
        if (!(factors = bt_weight_f32(g, freq_factors)))
            return NULL;
    }
    attr a = { .d = d, .neox = neox };
    for (int j = 0; j < d / 2; j++) {
        double f = freq_scale * pow(freq_base, -2.0 * j / d);
        a.freq[j] = (float)(factors ? f / factors[j] : f);
    }
    return bt_node_new(g, &op_rope, x->shape, &x, 1, &a, sizeof a);
}
