/* SPDX-License-Identifier: MIT
 * Keys and values kept between runs, and causal attention through them.
 *
 * Every layer and head has memory of its own, which grows with the positions in
 * use; so nodes hold the cache, not its memory. Keys are taken in spans of
 * SPAN positions: each has a softmax of its own, and the spans are then put
 * together in order. That is how a single new token's work is shared out among
 * threads, and rows of a prompt do the same, to the same bytes.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "graph/op.h"

enum {
    TILE = 64,  /* query rows of one head */
    STEP = 256, /* positions that memory grows by */
    SPAN = 512, /* positions; a multiple of BT_KEYS */
    MAX_D = 256,
};

/* Floats; halves (f16); or what attention_bf16 reads. */
typedef enum form { ROWS_F32, ROWS_F16, TILES } form;

struct bt_kv_cache {
    const bt_kernels *kernels;
    form form;
    int n_layer, n_ctx, n_kv, d;
    int cap;         /* positions that there is room for */
    uint8_t **parts; /* [layer][head][2]: keys [position][d], values; TILES: the first has both */
};

static int part_count(const bt_kv_cache *kv) { return 2 * kv->n_layer * kv->n_kv; }

static uint8_t **part(const bt_kv_cache *kv, int layer, int64_t head)
{
    return kv->parts + 2 * ((int64_t)layer * kv->n_kv + head);
}

/* Bytes of a part with room for n positions. */
static size_t part_bytes(const bt_kv_cache *kv, int n)
{
    if (kv->form == TILES)
        return kv->kernels->attention_bf16.bytes(n, kv->d);
    return (size_t)n * (size_t)kv->d * (kv->form == ROWS_F32 ? sizeof(float) : sizeof(uint16_t));
}

bt_status bt_kv_create(const bt_compute *c, int n_layer, int n_ctx, int n_kv, int d,
                       bt_kv_cache **out)
{
    *out = NULL;
    if (n_layer < 1 || n_ctx < 1 || n_kv < 1 || d < 1 || d > MAX_D)
        return BT_EINVAL;
    bt_kv_cache *kv = bt_calloc(1, sizeof *kv);
    if (!kv)
        return BT_ENOMEM;
    *kv = (bt_kv_cache){
        .kernels = c->kernels, .n_layer = n_layer, .n_ctx = n_ctx, .n_kv = n_kv, .d = d
    };
    if (c->precision != BT_PREC_F32)
        kv->form = c->kernels->attention_bf16.run ? TILES : ROWS_F16;
    kv->parts = bt_calloc((size_t)part_count(kv), sizeof *kv->parts);
    if (!kv->parts) {
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
    for (int i = 0; i < part_count(kv); i++)
        bt_release(kv->parts[i]);
    bt_release(kv->parts);
    bt_release(kv);
}

uint64_t bt_kv_bytes(const bt_kv_cache *kv)
{
    return (uint64_t)part_count(kv) / (kv->form == TILES ? 2 : 1) * part_bytes(kv, kv->cap);
}

/* By steps, and by a quarter of what there is once that is more. On failure
 * some parts have more room than `cap` says, which is harmless: the next try
 * passes them over the same sizes again. New memory is zeros, as TILES need. */
bt_status bt_kv_reserve(bt_kv_cache *kv, int n, bt_error *err)
{
    if (n <= kv->cap)
        return BT_OK;
    if (n > kv->n_ctx)
        return bt_fail(err, BT_EINVAL, "%d tokens do not fit the context of %d", n, kv->n_ctx);

    int64_t want = kv->cap + kv->cap / 4;
    want = ((want > n ? want : n) + STEP - 1) / STEP * STEP;
    int cap = want < kv->n_ctx ? (int)want : kv->n_ctx;
    size_t old = part_bytes(kv, kv->cap), size = part_bytes(kv, cap);
    for (int i = 0; i < part_count(kv); i += kv->form == TILES ? 2 : 1) {
        uint8_t *p = bt_realloc_array(kv->parts[i], old, size, 1);
        if (!p)
            return bt_fail(err, BT_ENOMEM, "no memory for a context of %d tokens", cap);
        memset(p + old, 0, size - old);
        kv->parts[i] = p;
    }
    kv->cap = cap;
    return BT_OK;
}

/* ---- pieces of the ops --------------------------------------------------- */

typedef struct attr {
    bt_kv_cache *kv;
    int layer, n_head, n_kv, d;
    float scale;
} attr;

/* Stores the run's rows r0..r1 of one head. */
static void store_rows(const bt_node *n, const bt_exec *x, int64_t r0, int64_t r1, int64_t head)
{
    const attr *a = n->attr;
    const bt_node *k = n->src[1], *v = n->src[2];
    const int64_t pos = x->params[BT_PARAM_POS] + r0;
    uint8_t **to = part(a->kv, a->layer, head);
    if (a->kv->form == TILES) {
        x->kernels->attention_bf16.store(to[0], (int)pos, (int)(r1 - r0), a->d,
                                         bt_row(k, r0) + head * a->d, (size_t)k->mem.ld,
                                         bt_row(v, r0) + head * a->d, (size_t)v->mem.ld, NULL);
        return;
    }
    for (int s = 0; s < 2; s++) {
        uint8_t *dst = to[s] + part_bytes(a->kv, (int)pos);
        for (int64_t i = r0; i < r1; i++, dst += part_bytes(a->kv, 1)) {
            const float *src = bt_row(n->src[1 + s], i) + head * a->d;
            if (a->kv->form == ROWS_F16)
                x->kernels->to_f16(a->d, src, (uint16_t *)(void *)dst);
            else
                memcpy(dst, src, (size_t)a->d * sizeof *src);
        }
    }
}

/* What some query rows see of one span of keys; out and state as in bt_attn. */
typedef struct part_of {
    const float *q;
    float *out;
    float (*state)[2];
    size_t ldq, ldo;
    int nq;
    int from, keys; /* the span's first key, and how many there are */
    int causal;     /* position of query row 0, or -1: it sees all of them */
} part_of;

static void attend(const bt_node *n, const bt_exec *x, int64_t head, const part_of *p)
{
    const attr *a = n->attr;
    const bt_kv_cache *kv = a->kv;
    uint8_t **in = part(kv, a->layer, head);
    const size_t skip = part_bytes(kv, p->from);
    const int causal = p->causal < 0 ? -1 : p->causal - p->from;
    if (kv->form == TILES) {
        x->kernels->attention_bf16.run(&(bt_attn_stored){ .out = p->out,
                                                          .q = p->q,
                                                          .kv = in[0] + skip,
                                                          .state = p->state,
                                                          .ldo = p->ldo,
                                                          .ldq = p->ldq,
                                                          .nq = p->nq,
                                                          .nk = p->keys,
                                                          .d = a->d,
                                                          .causal = causal,
                                                          .scale = a->scale,
                                                          .scratch = x->scratch });
        return;
    }
    bt_attn t = { .out = p->out,
                  .q = p->q,
                  .state = p->state,
                  .ldo = p->ldo,
                  .ldq = p->ldq,
                  .ldk = (size_t)a->d,
                  .ldv = (size_t)a->d,
                  .nq = p->nq,
                  .nk = p->keys,
                  .d = a->d,
                  .causal = causal,
                  .scale = a->scale,
                  .scratch = x->scratch };
    if (kv->form == ROWS_F16) {
        t.k16 = (const uint16_t *)(void *)(in[0] + skip);
        t.v16 = (const uint16_t *)(void *)(in[1] + skip);
    } else {
        t.k = (const float *)(void *)(in[0] + skip);
        t.v = (const float *)(void *)(in[1] + skip);
    }
    x->kernels->attention(&t);
}

/* out, state += the next span's part, state2; both relative to the higher maximum. */
static void join(const bt_node *n, const bt_exec *x, float *out, float *state, const float *more,
                 const float *state2)
{
    const int d = ((const attr *)n->attr)->d;
    const float max = state[0] > state2[0] ? state[0] : state2[0];
    const float keep = exp2f(state[0] - max), by = exp2f(state2[0] - max);
    x->kernels->scale(d, out, out, keep);
    x->kernels->axpy(d, out, more, by);
    state[0] = max;
    state[1] = state[1] * keep + state2[1] * by;
}

/* Scratch: the kernel's, then one span's part of TILE rows. */
static size_t kernel_scratch(const bt_node *n, const bt_kernels *k, int64_t nq)
{
    const attr *a = n->attr;
    size_t s = a->kv->form == TILES ? k->attention_bf16.scratch(a->d)
                                    : k->attention_scratch((int)nq, a->d);
    return (s + 63) / 64 * 64;
}

/* ---- prompts ------------------------------------------------------------- */

/* Phase 0 stores rows of a head, phase 1 takes (head, block of query rows). */
static int64_t kv_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x;
    const attr *a = n->attr;
    return (n->shape.w + TILE - 1) / TILE * (phase == 0 ? a->n_kv : a->n_head);
}

static void rows_run(const bt_node *n, const bt_exec *x, int64_t row, int nq, int64_t head)
{
    const attr *a = n->attr;
    const int pos = (int)(x->params[BT_PARAM_POS] + row);
    float *part = (float *)(void *)((uint8_t *)x->scratch + kernel_scratch(n, x->kernels, nq));
    float state[TILE][2], more[TILE][2];
    for (int from = 0; from < pos + nq; from += SPAN) {
        const int skip = from > pos ? from - pos : 0, end = from + SPAN;
        const int64_t first = row + skip;
        attend(n, x, head / (a->n_head / a->n_kv),
               &(part_of){ .q = bt_row(n->src[0], first) + head * a->d,
                           .out = from ? part : bt_row(n, row) + head * a->d,
                           .state = from ? more : state,
                           .ldq = (size_t)n->src[0]->mem.ld,
                           .ldo = from ? (size_t)a->d : (size_t)n->mem.ld,
                           .nq = nq - skip,
                           .from = from,
                           .keys = (end < pos + nq ? end : pos + nq) - from,
                           .causal = pos + skip });
        for (int i = skip; from && i < nq; i++)
            join(n, x, bt_row(n, row + i) + head * a->d, state[i],
                 part + (size_t)(i - skip) * (size_t)a->d, more[i - skip]);
    }
    for (int i = 0; i < nq; i++) {
        float *y = bt_row(n, row + i) + head * a->d;
        x->kernels->scale(a->d, y, y, 1.0f / state[i][1]);
    }
}

static void kv_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const int64_t blocks = (n->shape.w + TILE - 1) / TILE, row = tile % blocks * TILE;
    const int64_t end = row + TILE < n->shape.w ? row + TILE : n->shape.w;
    if (phase == 0)
        store_rows(n, x, row, end, tile / blocks);
    else
        rows_run(n, x, row, (int)(end - row), tile / blocks);
}

static size_t kv_scratch(const bt_node *n, const bt_kernels *k)
{
    const int64_t nq = n->shape.w < TILE ? n->shape.w : TILE;
    return kernel_scratch(n, k, nq) +
           (size_t)nq * (size_t)((const attr *)n->attr)->d * sizeof(float);
}

/* A row at position p sees p + 1 keys. Rows of keys and values are read once. */
static void kv_detail(const bt_node *n, const int64_t *params, bt_detail *d)
{
    const attr *a = n->attr;
    const double rows = (double)n->shape.w, keys = (double)params[BT_PARAM_POS] + rows;
    d->compute = a->kv->form == TILES ? "bf16" : NULL;
    d->flops = 4 * (double)n->shape.c * rows * (keys - (rows - 1) / 2);
    d->bytes = sizeof(float) * 2 * rows * (double)n->shape.c +
               (a->kv->form == ROWS_F32 ? 4 : 2) * 2 * keys * a->n_kv * a->d;
}

static const bt_op op_attention_kv = {
    .name = "attention_kv",
    .phases = 2,
    .tiles = kv_tiles,
    .run = kv_run,
    .scratch = kv_scratch,
    .detail = kv_detail,
};

/* ---- one new token ------------------------------------------------------- */

/* Phase 0: (head of keys, span), for all heads of queries that share them, with
 * one span's part into shared memory: [head][span][group] rows of d, then their
 * states. The last span's tile first stores the new row. Phase 1: a tile puts
 * the spans of one head of keys together. */
static int spans(const bt_exec *x) { return (int)(x->params[BT_PARAM_POS] / SPAN) + 1; }
static int most_spans(const attr *a) { return (a->kv->n_ctx + SPAN - 1) / SPAN; }

static float *part_at(const bt_node *n, const bt_exec *x, int64_t head, int span, int i)
{
    const attr *a = n->attr;
    const int64_t row = (head * most_spans(a) + span) * (a->n_head / a->n_kv) + i;
    return (float *)x->shared + row * a->d;
}

static float (*state_at(const bt_node *n, const bt_exec *x, int64_t head, int span))[2]
{
    const attr *a = n->attr;
    float *states = (float *)x->shared + (int64_t)most_spans(a) * a->n_head * a->d;
    return (float(*)[2])(void *)(states +
                                 2 * (head * most_spans(a) + span) * (a->n_head / a->n_kv));
}

static int64_t one_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    return ((const attr *)n->attr)->n_kv * (phase == 0 ? spans(x) : 1);
}

static void one_join(const bt_node *n, const bt_exec *x, int64_t head)
{
    const attr *a = n->attr;
    const int group = a->n_head / a->n_kv;
    for (int i = 0; i < group; i++) {
        float *y = bt_row(n, 0) + (head * group + i) * a->d;
        float *state = state_at(n, x, head, 0)[i];
        memcpy(y, part_at(n, x, head, 0, i), (size_t)a->d * sizeof *y);
        for (int s = 1; s < spans(x); s++)
            join(n, x, y, state, part_at(n, x, head, s, i), state_at(n, x, head, s)[i]);
        x->kernels->scale(a->d, y, y, 1.0f / state[1]);
    }
}

static void one_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    const attr *a = n->attr;
    if (phase == 1) {
        one_join(n, x, tile);
        return;
    }
    const int64_t head = tile / spans(x);
    const int span = (int)(tile % spans(x)), group = a->n_head / a->n_kv;
    const int left = (int)x->params[BT_PARAM_POS] + 1 - span * SPAN;
    if (span + 1 == spans(x))
        store_rows(n, x, 0, 1, head);
    attend(n, x, head,
           &(part_of){ .q = bt_row(n->src[0], 0) + head * group * a->d,
                       .out = part_at(n, x, head, span, 0),
                       .state = state_at(n, x, head, span),
                       .ldq = (size_t)a->d,
                       .ldo = (size_t)a->d,
                       .nq = group,
                       .from = span * SPAN,
                       .keys = left < SPAN ? left : SPAN,
                       .causal = -1 });
}

static size_t one_scratch(const bt_node *n, const bt_kernels *k)
{
    const attr *a = n->attr;
    return kernel_scratch(n, k, a->n_head / a->n_kv);
}

static size_t one_shared(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    const attr *a = n->attr;
    return (size_t)most_spans(a) * (size_t)a->n_head * (size_t)(a->d + 2) * sizeof(float);
}

static const bt_op op_attention_kv_one = {
    .name = "attention_kv_one",
    .phases = 2,
    .tiles = one_tiles,
    .run = one_run,
    .scratch = one_scratch,
    .shared = one_shared,
    .detail = kv_detail,
};

/* ---- making the node ----------------------------------------------------- */

bt_node *bt_attention_kv(bt_graph *g, bt_node *q, bt_node *k, bt_node *v, bt_kv_cache *kv,
                         int layer, int n_head, int n_kv, float scale)
{
    if (!q || !k || !v)
        return NULL;
    bt_shape s = q->shape;
    if (n_head < 1 || n_kv < 1 || n_head % n_kv || s.c % n_head || s.c / n_head > MAX_D)
        return bt_graph_fail(g, "attention: %lld channels in %d heads over %d", (long long)s.c,
                             n_head, n_kv);
    int d = (int)(s.c / n_head);
    if (s.n * s.h != 1 || bt_rows(k->shape) != s.w || bt_rows(v->shape) != s.w ||
        k->shape.c != (int64_t)d * n_kv || v->shape.c != k->shape.c || kv->d != d ||
        kv->n_kv != n_kv || layer < 0 || layer >= kv->n_layer || scale < 0)
        return bt_graph_fail(g, "attention: keys and values do not fit queries or cache");

    attr a = { kv, layer, n_head, n_kv, d, scale != 0 ? scale : 1 / sqrtf((float)d) };
    const bt_op *op = s.w == 1 ? &op_attention_kv_one : &op_attention_kv;
    return bt_node_new(g, op, s, (bt_node *[]){ q, k, v }, 3, &a, sizeof a);
}
