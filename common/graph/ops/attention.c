/* SPDX-License-Identifier: MIT
 * Multi-head attention between rows that lie in memory as they come out of the
 * projections: a head is a range of channels, nothing is transposed.
 *
 * In bf16 and int8 a first phase stores every head's keys and values once in the order
 * that the kernel reads, instead of once for each block of query rows.
 */
#include <math.h>
#include <string.h>

#include "graph/op.h"

enum {
    TILE = 64,           /* query rows of one head */
    STORE = 2 * BT_KEYS, /* keys stored in a tile */
};

typedef struct attr {
    int n_head, n_kv, d, causal;
    float scale;
    bool int8;
} attr;

static int64_t blocks(const bt_node *n) { return (n->shape.h * n->shape.w + TILE - 1) / TILE; }

static int64_t keys(const bt_node *n) { return n->src[1]->shape.h * n->src[1]->shape.w; }

static int64_t attention_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x, (void)phase;
    return n->shape.n * ((const attr *)n->attr)->n_head * blocks(n);
}

/* A tile: some query rows of a head of a batch member. The rows run fastest, so
 * that a thread's next tile finds the head's keys and values in cache. */
typedef struct place {
    int64_t batch, head, kv; /* kv: the head of keys and values */
    int64_t row, first;      /* of the queries: within the member, of all */
    int rows;
} place;

static place place_of(const bt_node *n, int64_t tile)
{
    const attr *a = n->attr;
    const int64_t nq = n->shape.h * n->shape.w;
    place p = { .row = tile % blocks(n) * TILE };
    p.head = tile / blocks(n) % a->n_head;
    p.batch = tile / blocks(n) / a->n_head;
    p.kv = p.head / (a->n_head / a->n_kv);
    p.first = p.batch * nq + p.row;
    p.rows = (int)(nq - p.row < TILE ? nq - p.row : TILE);
    return p;
}

static void attention_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    (void)phase;
    const attr *a = n->attr;
    const bt_node *q = n->src[0], *k = n->src[1], *v = n->src[2];
    const place p = place_of(n, tile);

    x->kernels->attention(&(bt_attn){
        .out = bt_row(n, p.first) + p.head * a->d,
        .q = bt_row(q, p.first) + p.head * a->d,
        .k = bt_row(k, p.batch * keys(n)) + p.kv * a->d,
        .v = bt_row(v, p.batch * keys(n)) + p.kv * a->d,
        .ldo = (size_t)n->mem.ld,
        .ldq = (size_t)q->mem.ld,
        .ldk = (size_t)k->mem.ld,
        .ldv = (size_t)v->mem.ld,
        .nq = p.rows,
        .nk = (int)keys(n),
        .d = a->d,
        .causal = a->causal ? (int)p.row : -1,
        .scale = a->scale,
        .scratch = x->scratch,
    });
}

static size_t attention_scratch(const bt_node *n, const bt_kernels *k)
{
    int64_t nq = n->shape.h * n->shape.w;
    return k->attention_scratch(nq < TILE ? (int)nq : TILE, ((const attr *)n->attr)->d);
}

/* Two products of nq x nk x d; a causal mask leaves half of them. */
static void attention_cost(const bt_node *n, double *flops, double *bytes)
{
    const bt_node *k = n->src[1];
    double rows = (double)bt_rows(n->shape);
    *flops = 4 * rows * (double)keys(n) * (double)n->shape.c *
             (((const attr *)n->attr)->causal ? 0.5 : 1);
    double kv = (double)bt_rows(k->shape) * (double)k->shape.c;
    *bytes = 8 * (rows * (double)n->shape.c + kv);
}

static const bt_op op_attention = {
    .name = "attention",
    .tiles = attention_tiles,
    .run = attention_run,
    .scratch = attention_scratch,
    .cost = attention_cost,
};

/* ---- over stored keys and values, in bf16 or int8 ----------------------- */

static const bt_attn_form *form_of(const bt_node *n, const bt_kernels *k)
{
    return ((const attr *)n->attr)->int8 ? &k->attention_int8 : &k->attention_bf16;
}

static int64_t stores(const bt_node *n) { return (keys(n) + STORE - 1) / STORE; }
static int64_t heads(const bt_node *n) { return n->shape.n * ((const attr *)n->attr)->n_kv; }

static size_t head_bytes(const bt_node *n, const bt_kernels *k)
{
    return form_of(n, k)->bytes((int)keys(n), ((const attr *)n->attr)->d);
}

/* In int8 the mean of each head's keys stands behind what is stored. */
static float *centre_of(const bt_node *n, const bt_exec *x, int64_t head)
{
    const attr *a = n->attr;
    uint8_t *end = (uint8_t *)x->shared + (size_t)heads(n) * head_bytes(n, x->kernels);
    return a->int8 ? (float *)(void *)end + head * a->d : NULL;
}

static size_t stored_shared(const bt_node *n, const bt_kernels *k)
{
    const attr *a = n->attr;
    const size_t centre = a->int8 ? (size_t)a->d * sizeof(float) : 0;
    return (size_t)heads(n) * (head_bytes(n, k) + centre);
}

static int64_t stored_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    switch (phase) {
    case 0: return ((const attr *)n->attr)->int8 ? heads(n) : 0;
    case 1: return heads(n) * stores(n);
    default: return attention_tiles(n, x, 0);
    }
}

/* Where key j of a head begins. */
static const float *key_row(const bt_node *n, int src, int64_t head, int64_t j)
{
    const attr *a = n->attr;
    return bt_row(n->src[src], head / a->n_kv * keys(n) + j) + head % a->n_kv * a->d;
}

static void find_centre(const bt_node *n, const bt_exec *x, int64_t head)
{
    const int d = ((const attr *)n->attr)->d;
    float *mean = centre_of(n, x, head);
    memset(mean, 0, (size_t)d * sizeof *mean);
    for (int64_t j = 0; j < keys(n); j++) {
        const float *k = key_row(n, 1, head, j);
        for (int c = 0; c < d; c++)
            mean[c] += k[c];
    }
    for (int c = 0; c < d; c++)
        mean[c] /= (float)keys(n);
}

/* Some keys and values of one head; what is left of the last block is zeros. */
static void store_some(const bt_node *n, const bt_exec *x, int64_t tile)
{
    const attr *a = n->attr;
    const bt_attn_form *form = form_of(n, x->kernels);
    const int64_t j = tile % stores(n) * STORE, head = tile / stores(n);
    const int some = (int)(keys(n) - j < STORE ? keys(n) - j : STORE);
    uint8_t *dst = (uint8_t *)x->shared + (size_t)head * head_bytes(n, x->kernels);
    memset(dst + form->bytes((int)j, a->d), 0, form->bytes(some, a->d));
    form->store(dst, (int)j, some, a->d, key_row(n, 1, head, j), (size_t)n->src[1]->mem.ld,
                key_row(n, 2, head, j), (size_t)n->src[2]->mem.ld, centre_of(n, x, head));
}

static void attend(const bt_node *n, const bt_exec *x, int64_t tile)
{
    const attr *a = n->attr;
    const place p = place_of(n, tile);
    const size_t stored = (size_t)(p.batch * a->n_kv + p.kv);
    form_of(n, x->kernels)
        ->run(&(bt_attn_stored){
            .out = bt_row(n, p.first) + p.head * a->d,
            .q = bt_row(n->src[0], p.first) + p.head * a->d,
            .kv = (const uint8_t *)x->shared + stored * head_bytes(n, x->kernels),
            .ldo = (size_t)n->mem.ld,
            .ldq = (size_t)n->src[0]->mem.ld,
            .nq = p.rows,
            .nk = (int)keys(n),
            .d = a->d,
            .causal = a->causal ? (int)p.row : -1,
            .scale = a->scale,
            .scratch = x->scratch,
        });
}

static void stored_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    switch (phase) {
    case 0: find_centre(n, x, tile); break;
    case 1: store_some(n, x, tile); break;
    default: attend(n, x, tile);
    }
}

static size_t stored_scratch(const bt_node *n, const bt_kernels *k)
{
    return form_of(n, k)->scratch(((const attr *)n->attr)->d);
}

static void stored_detail(const bt_node *n, const int64_t *params, bt_detail *d)
{
    (void)params;
    d->compute = ((const attr *)n->attr)->int8 ? "int8" : "bf16";
}

static const bt_op op_attention_stored = {
    .name = "attention",
    .phases = 3,
    .tiles = stored_tiles,
    .run = stored_run,
    .scratch = stored_scratch,
    .shared = stored_shared,
    .cost = attention_cost,
    .detail = stored_detail,
};

/* ---- making the node ---------------------------------------------------- */

/* int8 looks at all keys at once, so that a causal row would depend on later ones. */
static const bt_op *choose(bt_graph *g, attr *a)
{
    const bt_kernels *k = bt_weights_compute(bt_graph_weights(g))->kernels;
    const bt_precision p = bt_graph_precision_of(g);
    a->int8 = !k->attention_bf16.run && k->attention_int8.run && !a->causal &&
              (p == BT_PREC_AUTO || p == BT_PREC_INT8);
    if (p == BT_PREC_F32 || a->scale <= 0 || !(a->int8 || k->attention_bf16.run))
        return &op_attention;
    return &op_attention_stored;
}

bt_node *bt_attention(bt_graph *g, bt_node *q, bt_node *k, bt_node *v, int n_head, int n_kv,
                      float scale, int causal)
{
    if (!q || !k || !v)
        return NULL;
    bt_shape sq = q->shape, sk = k->shape, sv = v->shape;
    if (n_head < 1 || n_kv < 1 || n_head % n_kv || sq.c % n_head || sq.c / n_head > BT_MAX_HEAD)
        return bt_graph_fail(g, "attention: %lld channels in %d heads over %d", (long long)sq.c,
                             n_head, n_kv);
    int64_t d = sq.c / n_head;
    if (sk.c != d * n_kv || sv.c != sk.c || sk.n != sq.n || sv.n != sq.n ||
        sk.h * sk.w != sv.h * sv.w)
        return bt_graph_fail(g, "attention: keys and values do not fit the queries");
    if (sk.h * sk.w > INT32_MAX || sq.h * sq.w > INT32_MAX)
        return bt_graph_fail(g, "attention: too many rows");

    attr a = { .n_head = n_head, .n_kv = n_kv, .d = (int)d, .causal = causal };
    a.scale = scale != 0 ? scale : 1 / sqrtf((float)d);
    const bt_op *op = choose(g, &a);
    return bt_node_new(g, op, sq, (bt_node *[]){ q, k, v }, 3, &a, sizeof a);
}
