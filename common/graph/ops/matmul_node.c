/* SPDX-License-Identifier: MIT
 * Making the nodes of matrix multiplies: compute type, packed types, parts.
 */
#include "graph/ops/matmul.h"

#include "graph/weights.h"

/* What a weight is multiplied in. `auto` follows from the weight's type and the
 * processor: int8 where the file is quantized; for floats bf16 where AMX has it,
 * int8 where there are int8 dot products, else f32 (VDPBF16PS is no faster than
 * f32 on the Intel processors measured: docs/performance.md). */
static bt_mm_compute choose(const bt_kernels *k, bt_dtype t, int64_t channels, bool linear,
                            bt_precision p, bt_dtype *packed)
{
    const bool is_float = bt_dtypes[t].block == 1;
    const bool rows = p == BT_PREC_ROWS || p == BT_PREC_ROWS24;
    *packed = t;
    if (rows && is_float && linear && k->gemm_row && channels <= BT_ROW_MOST) {
        *packed = BT_I8;
        return p == BT_PREC_ROWS ? BT_MM_ROWS : BT_MM_ROWS24;
    }
    if (rows)
        p = p == BT_PREC_ROWS ? BT_PREC_AUTO : BT_PREC_SPLIT;
    if (p == BT_PREC_SPLIT && is_float && k->cpu & BT_CPU_AMX) {
        *packed = BT_BF16;
        return BT_MM_SPLIT;
    }
    if (p == BT_PREC_F32 || p == BT_PREC_SPLIT || p == BT_PREC_MINIMAL)
        return BT_MM_F32;
    if (p == BT_PREC_AUTO && is_float && k->cpu & BT_CPU_AMX)
        p = BT_PREC_BF16;
    if (p == BT_PREC_AUTO && is_float && k->cpu & (BT_CPU_AVX512VNNI | BT_CPU_AVXVNNI))
        p = BT_PREC_INT8;
    const bt_dtype q = is_float && p == BT_PREC_INT8 ? BT_Q8_0 : t;
    if (p != BT_PREC_BF16 && channels % BT_QA == 0 && k->gemm_q8[q]) {
        *packed = q;
        return BT_MM_Q8;
    }
    if (p == BT_PREC_BF16 && k->gemm_bf16) {
        *packed = is_float ? BT_BF16 : t;
        return BT_MM_BF16;
    }
    return BT_MM_F32;
}

bool bt_matmul_bf16(const bt_kernels *k, bt_precision p)
{
    bt_dtype packed;
    return choose(k, BT_F32, BT_KB, false, p, &packed) == BT_MM_BF16;
}

bool bt_matmul_rounds(const bt_kernels *k, bt_precision p)
{
    bt_dtype packed;
    const bt_mm_compute c = choose(k, BT_F32, BT_KB, false, p, &packed);
    return c == BT_MM_BF16 || c == BT_MM_Q8;
}

/* Part i: all channels of weight w, after those of the parts before. */
static bool add_part(bt_graph *g, bt_mm *mm, int64_t to, const bt_weight *w, const bt_weight *b)
{
    const int64_t n = bt_weight_dim(w, mm->kind == BT_MM_TRANSPOSED);
    bt_mm_part *part = &mm->part[mm->n_parts];
    *part = (bt_mm_part){ .weight = mm->n_parts, .to = to, .n = n, .type = part->type };
    mm->n_parts++;
    if (b && bt_tensor_count(bt_weight_tensor(b)) != n) {
        bt_graph_fail(g, "tensor %s has %lld values, not %lld", bt_weight_tensor(b)->name,
                      (long long)bt_tensor_count(bt_weight_tensor(b)), (long long)n);
        return false;
    }
    return !b || (part->bias = bt_weight_f32(g, b));
}

bt_node *bt_matmul_node(bt_graph *g, bt_node *x, bt_shape out, bt_mm mm, int n,
                        const bt_weight *const *w, const bt_weight *const *b)
{
    if (mm.kh * mm.kw > BT_MM_MAX_TAPS)
        return bt_graph_fail(g, "tensor %s: kernels of %d x %d are not supported",
                             bt_weight_tensor(w[0])->name, mm.kh, mm.kw);
    const bt_kernels *k = bt_weights_compute(bt_graph_weights(g))->kernels;
    const bt_precision p = bt_graph_precision_of(g);
    for (int i = 0; i < n; i++) {
        bt_dtype t = bt_weight_type(w[i], p);
        bt_mm_compute compute =
            choose(k, t, x->shape.c, mm.kind == BT_MM_LINEAR, p, &mm.part[i].type);
        if (i && compute != mm.compute)
            return NULL;
        mm.compute = compute;
    }
    for (int64_t i = 0, to = 0; i < n; to += mm.part[i].n, i++)
        if (!add_part(g, &mm, to, w[i], b[i]))
            return NULL;
    bt_node *y = bt_node_new(g, &bt_op_matmul, out, &x, 1, &mm, sizeof mm);
    for (int i = 0; y && i < n; i++)
        y->w[i] = w[i];
    return y;
}

/* The two halves of x's channels: two parts, or one that is cut in the middle. */
static bool halves(bt_mm *mm, int64_t half)
{
    bt_mm_part *p = mm->part;
    if (mm->n_parts == 2)
        return p[0].n == half && p[1].n == half;
    if (mm->n_parts != 1 || half % BT_NR)
        return false;
    p[1] = p[0];
    p[0].n = p[1].n = half;
    p[1].panel = (int)(half / BT_NR);
    p[1].bias = p[0].bias ? p[0].bias + half : NULL;
    mm->n_parts = 2;
    return true;
}

bool bt_matmul_gate(bt_graph *g, const bt_node *x, int64_t half, bt_act act_a, bt_act act_b,
                    bt_node *out)
{
    if (x->op != &bt_op_matmul || x->act || x->scale != 0 || x->residual || x->src[1])
        return false;
    bt_mm mm = *(const bt_mm *)x->attr;
    if (mm.gated || !halves(&mm, half))
        return false;
    mm.gated = true;
    mm.act[0] = act_a;
    mm.act[1] = act_b;
    *out = *x;
    return bt_node_set_attr(g, out, &mm, sizeof mm);
}
