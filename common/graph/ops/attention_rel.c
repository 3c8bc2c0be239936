/* SPDX-License-Identifier: MIT
 * Self-attention with learned relative positions near the diagonal (Shaw et
 * al. 2018, as in VITS, attentions.py MultiHeadAttention with window_size):
 *
 *     s[i][j] = scale * q[i] . (k[j] + rel_k[j-i]),   p = softmax(s)
 *     y[i]    = sum_j p[i][j] * (v[j] + rel_v[j-i])
 *
 * rel_* only where |j - i| <= window. Phase 0 packs a head's keys and values
 * into panels of 16; phase 1 takes blocks of query rows through the same matrix
 * kernels as everything else and adds the few relative terms.
 */
#include <math.h>
#include <string.h>

#include "graph/op.h"

enum { TILE = 16 }; /* query rows of one head */

typedef struct attr {
    const float *rel_k, *rel_v; /* [2 * window + 1][d] */
    int n_head, d, window;
} attr;

static int64_t panels(int64_t n) { return (n + BT_NR - 1) / BT_NR; }
static int64_t blocks(const bt_node *n) { return (n->shape.w + TILE - 1) / TILE; }

/* Keys of a head: panels of 16 keys, each [d][16]. Values: panels of 16
 * channels, each [rows][16]. Both padded with zeros. */
static size_t keys_size(const bt_node *n)
{
    return (size_t)(panels(n->shape.w) * BT_NR) * (size_t)((const attr *)n->attr)->d;
}

static size_t values_size(const bt_node *n)
{
    return (size_t)(panels(((const attr *)n->attr)->d) * BT_NR) * (size_t)n->shape.w;
}

static size_t rel_shared(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    int64_t heads = n->shape.n * ((const attr *)n->attr)->n_head;
    return (size_t)heads * (keys_size(n) + values_size(n)) * sizeof(float);
}

static size_t rel_scratch(const bt_node *n, const bt_kernels *k)
{
    (void)k;
    int64_t d = ((const attr *)n->attr)->d;
    return (size_t)(TILE * (panels(n->shape.w) + panels(d)) * BT_NR) * sizeof(float);
}

static int64_t rel_tiles(const bt_node *n, const bt_exec *x, int phase)
{
    (void)x;
    int64_t heads = n->shape.n * ((const attr *)n->attr)->n_head;
    return phase == 0 ? heads : heads * blocks(n);
}

static float *head_keys(const bt_node *n, const bt_exec *x, int64_t head)
{
    return (float *)x->shared + (size_t)head * (keys_size(n) + values_size(n));
}

/* Phase 0: one head's keys and values to panels. */
static void pack_head(const bt_node *n, const bt_exec *x, int64_t head)
{
    const attr *a = n->attr;
    int64_t rows = n->shape.w, batch = head / a->n_head, c0 = head % a->n_head * a->d;
    float *keys = head_keys(n, x, head), *values = keys + keys_size(n);
    memset(keys, 0, (keys_size(n) + values_size(n)) * sizeof *keys);
    for (int64_t j = 0; j < rows; j++) {
        const float *k = bt_row(n->src[1], batch * rows + j) + c0;
        const float *v = bt_row(n->src[2], batch * rows + j) + c0;
        float *kp = keys + j / BT_NR * BT_NR * a->d + j % BT_NR;
        for (int64_t c = 0; c < a->d; c++) {
            kp[c * BT_NR] = k[c];
            values[(c / BT_NR * rows + j) * BT_NR + c % BT_NR] = v[c];
        }
    }
}

/* c[i][16p + r] = sum_k a[i][k] b[p][k][r]; panels of kc rows lie together. */
static void product(const bt_kernels *kt, int m, int64_t np, int kc, const float *const *a,
                    const float *b, float *c, size_t ldc)
{
    size_t ldp = (size_t)kc * BT_NR;
    for (int i = 0; i < m; i += kt->gemm_mr)
        for (int64_t p = 0; p < np; p += kt->gemm_np) {
            int mr = m - i < kt->gemm_mr ? m - i : kt->gemm_mr;
            int nr = np - p < kt->gemm_np ? (int)(np - p) : kt->gemm_np;
            kt->gemm_f32(mr, nr, kc, a + i, b + (size_t)p * ldp, ldp,
                         c + (size_t)i * ldc + p * BT_NR, ldc, 1);
        }
}

static float dot(const float *a, const float *b, int n)
{
    float s = 0;
    for (int i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

/* Scores of query row i over all keys, in place: relative terms, softmax. */
static void weigh(const attr *a, const bt_kernels *kt, const float *q, int64_t i, int64_t rows,
                  float *s)
{
    int64_t lo = i - a->window < 0 ? 0 : i - a->window;
    int64_t hi = i + a->window >= rows ? rows - 1 : i + a->window;
    for (int64_t j = lo; j <= hi; j++)
        s[j] += dot(q, a->rel_k + (j - i + a->window) * a->d, a->d);
    kt->scale((int)rows, s, s, 1 / sqrtf((float)a->d));
    kt->softmax((int)rows, s, s);
}

/* Phase 1: up to TILE query rows of a head: scores, weights, values, and the
 * relative values of the few keys in the window. */
static void attend(const bt_node *n, const bt_exec *x, int64_t head, int64_t row)
{
    const attr *a = n->attr;
    const bt_kernels *kt = x->kernels;
    int64_t rows = n->shape.w, base = head / a->n_head * rows, c0 = head % a->n_head * a->d;
    int m = (int)(rows - row < TILE ? rows - row : TILE);
    size_t lds = (size_t)panels(rows) * BT_NR, ldo = (size_t)panels(a->d) * BT_NR;
    const float *keys = head_keys(n, x, head);
    float *s = x->scratch, *o = s + TILE * lds;
    const float *q[TILE] = { 0 }, *p[TILE] = { 0 };

    for (int i = 0; i < m; i++) {
        q[i] = bt_row(n->src[0], base + row + i) + c0;
        p[i] = s + (size_t)i * lds;
    }
    product(kt, m, panels(rows), a->d, q, keys, s, lds);
    for (int i = 0; i < m; i++)
        weigh(a, kt, q[i], row + i, rows, s + (size_t)i * lds);
    product(kt, m, panels(a->d), (int)rows, p, keys + keys_size(n), o, ldo);
    for (int i = 0; i < m; i++) {
        float *y = bt_row(n, base + row + i) + c0;
        memcpy(y, o + (size_t)i * ldo, (size_t)a->d * sizeof *y);
        for (int w = -a->window; w <= a->window; w++)
            if (row + i + w >= 0 && row + i + w < rows)
                kt->axpy(a->d, y, a->rel_v + (w + a->window) * a->d, p[i][row + i + w]);
    }
}

static void rel_run(const bt_node *n, const bt_exec *x, int phase, int64_t tile)
{
    if (phase == 0)
        pack_head(n, x, tile);
    else
        attend(n, x, tile / blocks(n), tile % blocks(n) * TILE);
}

static void rel_cost(const bt_node *n, double *flops, double *bytes)
{
    double values = (double)bt_rows(n->shape) * (double)n->shape.c;
    *flops = 4 * values * (double)n->shape.w;
    *bytes = 16 * values;
}

static const bt_op op_attention_rel = {
    .name = "attention_rel",
    .phases = 2,
    .tiles = rel_tiles,
    .run = rel_run,
    .scratch = rel_scratch,
    .shared = rel_shared,
    .cost = rel_cost,
};

static bool same(bt_shape a, bt_shape b)
{
    return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}

bt_node *bt_attention_rel(bt_graph *g, bt_node *q, bt_node *k, bt_node *v, const bt_weight *rel_k,
                          const bt_weight *rel_v, int n_head, int window)
{
    if (!q || !k || !v || !rel_k || !rel_v)
        return NULL;
    bt_shape s = q->shape;
    if (!same(s, k->shape) || !same(s, v->shape) || s.h != 1 || s.w > INT32_MAX / BT_NR)
        return bt_graph_fail(g, "relative attention: queries, keys and values do not fit");
    if (n_head < 1 || s.c % n_head || window < 0 || window > 4096)
        return bt_graph_fail(g, "relative attention: %lld channels in %d heads, window %d",
                             (long long)s.c, n_head, window);
    int64_t d = s.c / n_head, want = (2 * window + 1) * d;
    if (bt_tensor_count(bt_weight_tensor(rel_k)) != want ||
        bt_tensor_count(bt_weight_tensor(rel_v)) != want)
        return bt_graph_fail(g, "%s: not %d positions of %lld channels",
                             bt_weight_tensor(rel_k)->name, 2 * window + 1, (long long)d);
    attr a = { bt_weight_f32(g, rel_k), bt_weight_f32(g, rel_v), n_head, (int)d, window };
    if (!a.rel_k || !a.rel_v)
        return NULL;
    return bt_node_new(g, &op_attention_rel, s, (bt_node *[]){ q, k, v }, 3, &a, sizeof a);
}
