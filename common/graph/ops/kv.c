/* SPDX-License-Identifier: MIT
 * Keys and values kept between runs, and causal attention through them.
 *
 * A layer's keys are rows [position][n_kv_dim], and so are its values. Memory
 * grows with the positions in use, so nodes hold the cache, not its memory.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "graph/op.h"

enum {
    TILE = 64,  /* query rows of one head */
    STEP = 256, /* positions */
};

struct bt_kv_cache {
    int n_layer, n_ctx, dim;
    int cap;      /* positions that there is room for */
    float **rows; /* [2 * layer]: keys, [2 * layer + 1]: values; NULL while cap is 0 */
};

bt_status bt_kv_create(int n_layer, int n_ctx, int n_kv_dim, bt_kv_cache **out)
{
    *out = NULL;
    if (n_layer < 1 || n_ctx < 1 || n_kv_dim < 1)
        return BT_EINVAL;
    bt_kv_cache *kv = bt_calloc(1, sizeof *kv);
    if (!kv)
        return BT_ENOMEM;
    *kv = (bt_kv_cache){ .n_layer = n_layer, .n_ctx = n_ctx, .dim = n_kv_dim };
    kv->rows = bt_calloc((size_t)n_layer * 2, sizeof *kv->rows);
    if (!kv->rows) {
        bt_release(kv);
        return BT_ENOMEM;
    }
    *out = kv;
    return BT_OK;
}

void bt_kv_free(bt_kv_cache *kv)
{
    if (!kv)
        return;
    for (int i = 0; i < kv->n_layer * 2; i++)
        bt_release(kv->rows[i]);
    bt_release(kv->rows);
    bt_release(kv);
}

uint64_t bt_kv_bytes(const bt_kv_cache *kv)
{
    return (uint64_t)kv->n_layer * 2 * (uint64_t)kv->cap * (uint64_t)kv->dim * sizeof(float);
}

/* By steps, and by a quarter of what there is once that is more. On failure
 * some layers have more room than `cap` says, which is harmless: the next try
 * passes them over the same sizes again. */
bt_status bt_kv_reserve(bt_kv_cache *kv, int n, bt_error *err)
{
    if (n <= kv->cap)
        return BT_OK;
    if (n > kv->n_ctx)
        return bt_fail(err, BT_EINVAL, "%d tokens do not fit the context of %d", n, kv->n_ctx);

    int64_t want = kv->cap + kv->cap / 4;
    want = ((want > n ? want : n) + STEP - 1) / STEP * STEP;
    int cap = want < kv->n_ctx ? (int)want : kv->n_ctx;
    size_t row = (size_t)kv->dim * sizeof(float);
    for (int i = 0; i < kv->n_layer * 2; i++) {
        float *p = bt_realloc_array(kv->rows[i], (size_t)kv->cap, (size_t)cap, row);
        if (!p)
            return bt_fail(err, BT_ENOMEM, "no memory for a context of %d tokens", cap);
        kv->rows[i] = p;
    }
    kv->cap = cap;
    return BT_OK;
}

/* ---- the op ------------------------------------------------------------- */

typedef struct attr {
    bt_kv_cache *kv;
    int layer, n_head, n_kv, d;
    float scale;
} attr;

/* Copies channels [c0, c0 + c) of the run's rows r0..r1 into the cache. */
static void store_rows(const bt_node *n, const bt_exec *x, int64_t r0, int64_t r1, int c0, int c)
{
    const attr *a = n->attr;
    int64_t pos = x->params[BT_PARAM_POS];
    for (int s = 0; s < 2; s++) {
        float *dst = a->kv->rows[2 * a->layer + s];
        for (int64_t i = r0; i < r1; i++)
            memcpy(dst + (pos + i) * a->kv->dim + c0, bt_row(n->src[1 + s], i) + c0,
                   (size_t)c * sizeof(float));
    }
}

/* One head at query row `row`; heads of queries share heads of keys in groups. */
static bt_attn head_of(const bt_node *n, const bt_exec *x, int64_t row, int64_t head)
{
    const attr *a = n->attr;
    int64_t kv = head / (a->n_head / a->n_kv);
    return (bt_attn){
        .out = bt_row(n, row) + head * a->d,
        .q = bt_row(n->src[0], row) + head * a->d,
        .k = a->kv->rows[2 * a->layer] + kv * a->d,
        .v = a->kv->rows[2 * a->layer + 1] + kv * a->d,
        .ldo = (size_t)n->mem.ld,
        .ldq = (size_t)n->src[0]->mem.ld,
        .ldk = (size_t)a->kv->dim,
        .ldv = (size_t)a->kv->dim,
        .d = a->d,
        .scale = a->scale,
        .scratch = x->scratch,
    };
}

/* Prompts: phase 0 stores rows, phase 1 takes (head, block of query rows). */
static int64_t kv_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x;
    int64_t blocks = (n->shape.w + TILE - 1) / TILE;
    return phase == 0 ? blocks : blocks * ((const attr *)n->attr)->n_head;
}

static void kv_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const attr *a = n->attr;
    int64_t blocks = (n->shape.w + TILE - 1) / TILE;
    int64_t row = tile % blocks * TILE;
    int64_t end = row + TILE < n->shape.w ? row + TILE : n->shape.w;
    if (phase == 0) {
        store_rows(n, x, row, end, 0, a->kv->dim);
        return;
    }
    bt_attn t = head_of(n, x, row, tile / blocks);
    t.nq = (int)(end - row);
    t.causal = (int)(x->params[BT_PARAM_POS] + row);
    t.nk = t.causal + t.nq;
    x->kernels->attention(&t);
}

static size_t kv_scratch(const bt_node *n, const bt_kernels *k)
{
    const attr *a = n->attr;
    return k->attention_scratch(n->shape.w < TILE ? (int)n->shape.w : TILE, a->d);
}

/* A row at position p sees p + 1 keys. Rows of keys and values are read once. */
static void kv_detail(const bt_node *n, const int64_t *params, bt_detail *d)
{
    const attr *a = n->attr;
    const double rows = (double)n->shape.w, keys = (double)params[BT_PARAM_POS] + rows;
    d->flops = 4 * (double)n->shape.c * rows * (keys - (rows - 1) / 2);
    d->bytes = sizeof(float) * 2 * (rows * (double)n->shape.c + keys * a->kv->dim);
}

static const bt_op op_attention_kv = {
    .name = "attention_kv",
    .phases = 2,
    .tiles = kv_tiles,
    .run = kv_run,
    .scratch = kv_scratch,
    .detail = kv_detail,
};

/* One new token: a tile is one head of keys, which it stores itself (so no
 * second phase), with all heads of queries that share it as its rows. */
static int64_t one_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return ((const attr *)n->attr)->n_kv;
}

static void one_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    const attr *a = n->attr;
    int group = a->n_head / a->n_kv;
    store_rows(n, x, 0, 1, (int)tile * a->d, a->d);
    bt_attn t = head_of(n, x, 0, tile * group);
    t.nq = group;
    t.ldo = t.ldq = (size_t)a->d;
    t.causal = -1;
    t.nk = (int)x->params[BT_PARAM_POS] + 1;
    x->kernels->attention(&t);
}

static size_t one_scratch(const bt_node *n, const bt_kernels *k)
{
    const attr *a = n->attr;
    return k->attention_scratch(a->n_head / a->n_kv, a->d);
}

static const bt_op op_attention_kv_one = {
    .name = "attention_kv_one",
    .tiles = one_tiles,
    .run = one_run,
    .scratch = one_scratch,
    .detail = kv_detail,
};

bt_node *bt_attention_kv(bt_graph *g, bt_node *q, bt_node *k, bt_node *v, bt_kv_cache *kv,
                         int layer, int n_head, int n_kv, float scale)
{
    if (!q || !k || !v)
        return NULL;
    bt_shape s = q->shape;
    if (n_head < 1 || n_kv < 1 || n_head % n_kv || s.c % n_head || s.c / n_head > 256)
        return bt_graph_fail(g, "attention: %lld channels in %d heads over %d", (long long)s.c,
                             n_head, n_kv);
    int d = (int)(s.c / n_head);
    if (s.n * s.h != 1 || bt_rows(k->shape) != s.w || bt_rows(v->shape) != s.w ||
        k->shape.c != (int64_t)d * n_kv || v->shape.c != k->shape.c || kv->dim != k->shape.c ||
        layer < 0 || layer >= kv->n_layer)
        return bt_graph_fail(g, "attention: keys and values do not fit queries or cache");

    attr a = { kv, layer, n_head, n_kv, d, scale != 0 ? scale : 1 / sqrtf((float)d) };
    const bt_op *op = s.w == 1 ? &op_attention_kv_one : &op_attention_kv;
    return bt_node_new(g, op, s, (bt_node *[]){ q, k, v }, 3, &a, sizeof a);
}
