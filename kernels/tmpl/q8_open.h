/* SPDX-License-Identifier: MIT
 * Opening packed blocks of quantized types: their bits to bytes that a dot product
 * takes, and their scales to floats. Include a vector header first. Used by the int8
 * kernels and by expand; kernels.h has the layout and the meaning of every scale.
 *
 * Bytes come in one of two forms. PLAIN: signed for the types that fill a byte
 * (Q8_0, IQ4_*), else the unsigned q + excess, where excess makes the signed value
 * of the type unsigned (Q4_0: 8). UNSIGNED: for VPDPBUSD; where there is an
 * excess, bytes are shifted up until it is 128 (bt_qa.corr undoes it), and the
 * scales take the factor back, which is exact.
 */
#ifndef BT_KERNELS_Q8_OPEN_H
#define BT_KERNELS_Q8_OPEN_H

#include "../kernels.h"
#include "../ref/blocks.h"

#include <string.h>

#define Q8_INLINE static inline __attribute__((always_inline))

enum { Q8_PLAIN, Q8_UNSIGNED };
enum { Q8_NV = BT_NR / VL, Q8_GROUPS = BT_QA / 4, Q8_CHUNK = 8 };

/* ---- what is constant for a type ---- */

/* Scales of 16 values that are whole numbers */
Q8_INLINE int q8_two(bt_dtype t) { return t == BT_Q2_K || t == BT_Q3_K || t == BT_Q6_K; }

Q8_INLINE int q8_min(bt_dtype t)
{
    return t == BT_Q4_1 || t == BT_Q5_1 || t == BT_Q4_K || t == BT_Q5_K;
}

/* Bytes are signed in the plain form. */
Q8_INLINE int q8_signed(bt_dtype t)
{
    return t == BT_Q8_0 || t == BT_IQ4_NL || t == BT_IQ4_XS;
}

Q8_INLINE int q8_excess(bt_dtype t)
{
    switch (t) {
    case BT_Q3_K: return 4;
    case BT_Q4_0: return 8;
    case BT_Q5_0: return 16;
    case BT_Q6_K: return 32;
    case BT_Q8_0:
    case BT_IQ4_NL:
    case BT_IQ4_XS: return 128;
    default: return 0;
    }
}

/* How far the unsigned form is shifted. */
Q8_INLINE int q8_up(bt_dtype t)
{
    switch (t) {
    case BT_Q3_K: return 5;
    case BT_Q4_0: return 4;
    case BT_Q5_0: return 3;
    case BT_Q6_K: return 2;
    default: return 0;
    }
}

/* Blocks of 32 in a packed block, and its bytes. */
Q8_INLINE int q8_blocks(bt_dtype t)
{
    switch (t) {
#define Q8_BLOCK(name, number, text, block, bytes) \
    case BT_##name: return block / BT_QA;
        BT_DTYPE_MAP(Q8_BLOCK)
#undef Q8_BLOCK
    default: return 1;
    }
}

Q8_INLINE size_t q8_bytes(bt_dtype t)
{
    switch (t) {
#define Q8_BYTES(name, number, text, block, bytes) \
    case BT_##name: return BT_NR * bytes;
        BT_DTYPE_MAP(Q8_BYTES)
#undef Q8_BYTES
    default: return 0;
    }
}

/* ---- values ---- */

/* Bits from..from+n of every byte, at bit to. */
Q8_INLINE vi q8_bits(vi x, const int from, const int n, const int to)
{
    if (from > to)
        x = vi_srl16(x, from - to);
    if (from < to)
        x = vi_sll16(x, to - from);
    return vi_and(x, vi_set8(((1 << n) - 1) << to));
}

/* Group g of block j of the packed block p: bytes i of lane r is row r's weight
 * k = 32 j + 4 g + i. Lanes of register v. j and g are constants after unrolling. */
Q8_INLINE vi q8_weights(const bt_dtype t, const int form, const uint8_t *p, const int j,
                        const int g, const int v)
{
    const int up = form == Q8_UNSIGNED ? q8_up(t) : 0;
    p += v * VL * 4;
#define AT(byte) vi_load(p + (byte) * BT_NR)
    switch (t) {
    case BT_Q8_0: {
        const vi x = AT(2 + g * 4);
        return form == Q8_UNSIGNED ? vi_xor(x, vi_set8(0x80)) : x;
    }
    case BT_Q4_0: return q8_bits(AT(2 + g % 4 * 4), g / 4 * 4, 4, up);
    case BT_Q4_1: return q8_bits(AT(4 + g % 4 * 4), g / 4 * 4, 4, up);
    case BT_Q5_0:
        return vi_or(q8_bits(AT(6 + g % 4 * 4), g / 4 * 4, 4, up), q8_bits(AT(2), g, 1, 4 + up));
    case BT_Q5_1:
        return vi_or(q8_bits(AT(8 + g % 4 * 4), g / 4 * 4, 4, up), q8_bits(AT(4), g, 1, 4 + up));
    case BT_IQ4_NL:
    case BT_IQ4_XS: {
        const int at = t == BT_IQ4_NL ? 2 : 8 + j * 16;
        const vi x = vi_table(q8_bits(AT(at + g % 4 * 4), g / 4 * 4, 4, 0), iq4_values);
        return form == Q8_UNSIGNED ? vi_xor(x, vi_set8(0x80)) : x;
    }
    case BT_Q2_K: return q8_bits(AT(16 + j / 4 * 32 + g * 4), j % 4 * 2, 2, up);
    case BT_Q3_K:
        return vi_or(q8_bits(AT(32 + j / 4 * 32 + g * 4), j % 4 * 2, 2, up),
                     q8_bits(AT(g * 4), j, 1, 2 + up));
    case BT_Q4_K: return q8_bits(AT(16 + j / 2 * 32 + g * 4), j % 2 * 4, 4, up);
    case BT_Q5_K:
        return vi_or(q8_bits(AT(48 + j / 2 * 32 + g * 4), j % 2 * 4, 4, up),
                     q8_bits(AT(16 + g * 4), j, 1, 4 + up));
    default: /* Q6_K */
        return vi_or(q8_bits(AT(j / 4 * 64 + j % 2 * 32 + g * 4), j / 2 % 2 * 4, 4, up),
                     q8_bits(AT(128 + j / 4 * 32 + g * 4), j % 4 * 2, 2, 4 + up));
    }
#undef AT
}

/* ---- scales ---- */

/* Scales of a packed block; min is that of the formula in kernels.h but for the
 * whole-number factors. */
typedef struct q8_head {
    vf d[Q8_NV], min[Q8_NV];
    _Alignas(64) int8_t scale[16][BT_NR], minscale[16][BT_NR];
} q8_head;

/* Bytes i..i+sizeof(vi) of four rows of 16 scales, the six-bit ones of K-quants. */
Q8_INLINE void q8_scales_k4(q8_head *h, const uint8_t *p, int i)
{
    const vi a = vi_load(p + i), b = vi_load(p + 64 + i), c = vi_load(p + 128 + i);
    vi_store(h->scale[0] + i, q8_bits(a, 0, 6, 0));
    vi_store(h->scale[4] + i, vi_or(q8_bits(c, 0, 4, 0), q8_bits(a, 6, 2, 4)));
    vi_store(h->minscale[0] + i, q8_bits(b, 0, 6, 0));
    vi_store(h->minscale[4] + i, vi_or(q8_bits(c, 4, 4, 0), q8_bits(b, 6, 2, 4)));
}

Q8_INLINE void q8_scales_q3(q8_head *h, const uint8_t *p, int i)
{
    const vi a = vi_load(p + i), b = vi_load(p + 64 + i), c = vi_load(p + 128 + i);
    const vi less = vi_set8(32);
    const vi s0 = vi_or(q8_bits(a, 0, 4, 0), q8_bits(c, 0, 2, 4));
    const vi s4 = vi_or(q8_bits(b, 0, 4, 0), q8_bits(c, 2, 2, 4));
    const vi s8 = vi_or(q8_bits(a, 4, 4, 0), q8_bits(c, 4, 2, 4));
    const vi s12 = vi_or(q8_bits(b, 4, 4, 0), q8_bits(c, 6, 2, 4));
    vi_store(h->scale[0] + i, vi_sub8(s0, less));
    vi_store(h->scale[4] + i, vi_sub8(s4, less));
    vi_store(h->scale[8] + i, vi_sub8(s8, less));
    vi_store(h->scale[12] + i, vi_sub8(s12, less));
}

Q8_INLINE void q8_scales_iq4(q8_head *h, const uint8_t *p)
{
    for (int j = 0; j < 8; j++)
        for (int r = 0; r < BT_NR; r++) {
            const int low = p[4 * BT_NR + j / 2 * BT_NR + r] >> j % 2 * 4 & 15;
            const int high = p[2 * BT_NR + 2 * r + j / 4] >> j % 4 * 2 & 3;
            h->scale[j][r] = (int8_t)((low | high << 4) - 32);
        }
}

Q8_INLINE void q8_open_head(const bt_dtype t, const int form, const uint8_t *p, q8_head *h)
{
    const int at = t == BT_Q2_K ? 80 : t == BT_Q3_K ? 108 : t == BT_Q6_K ? 208 : 0;
    const float factor = form == Q8_UNSIGNED && !q8_two(t) ? 1.0f / (float)(1 << q8_up(t)) : 1.0f;
#pragma GCC unroll 2
    for (int v = 0; v < Q8_NV; v++) {
        const vf d = v_half(p + at * BT_NR + v * VL * 2);
        h->d[v] = factor != 1.0f ? v_mul(d, v_set(factor)) : d;
        const uint8_t *min = p + (at + 2) * BT_NR + v * VL * 2;
        if (t == BT_Q4_1 || t == BT_Q5_1)
            h->min[v] = v_half(min);
        else if (t == BT_Q4_K || t == BT_Q5_K)
            h->min[v] = v_sub(v_zero(), v_half(min));
        else if (t == BT_Q2_K)
            h->min[v] = v_mul(v_half(min), v_set(0x1p-7f));
    }
#pragma GCC unroll 8
    for (int i = 0; i < 256; i += (int)sizeof(vi)) {
        if (i < 64 && (t == BT_Q4_K || t == BT_Q5_K))
            q8_scales_k4(h, p + 4 * BT_NR, i);
        if (i < 64 && t == BT_Q3_K)
            q8_scales_q3(h, p + 96 * BT_NR, i);
        if (t == BT_Q2_K) {
            vi_store(h->scale[0] + i, q8_bits(vi_load(p + i), 0, 4, 0));
            vi_store(h->minscale[0] + i, q8_bits(vi_load(p + i), 4, 4, 0));
        }
        if (t == BT_Q6_K)
            vi_store(h->scale[0] + i, vi_load(p + 192 * BT_NR + i));
    }
    if (t == BT_IQ4_XS)
        q8_scales_iq4(h, p);
}

/* dw of block j, for types with one scale in 32. */
Q8_INLINE vf q8_scale(const bt_dtype t, const q8_head *h, const int j, const int v)
{
    if (t == BT_Q4_K || t == BT_Q5_K)
        return v_mul(h->d[v], v_u8(h->scale[j] + v * VL));
    return t == BT_IQ4_XS ? v_mul(h->d[v], v_s8(h->scale[j] + v * VL)) : h->d[v];
}

Q8_INLINE vf q8_minimum(const bt_dtype t, const q8_head *h, const int j, const int v)
{
    if (t == BT_Q4_K || t == BT_Q5_K)
        return v_mul(h->min[v], v_u8(h->minscale[j] + v * VL));
    return h->min[v];
}

/* The whole-number scale of half i of block j, for types with two. */
Q8_INLINE vf q8_half_scale(const bt_dtype t, const int form, const q8_head *h, const int j,
                           const int i, const int v)
{
    const vf s = v_s8(h->scale[2 * j + i] + v * VL);
    return form == Q8_UNSIGNED && q8_up(t) ? v_mul(s, v_set(1.0f / (float)(1 << q8_up(t)))) : s;
}

/* ---- into a row's sums ---- */

/* The shapes of the formula in kernels.h. */
typedef enum q8_kind { Q8_ONE, Q8_MIN, Q8_TWO, Q8_TWO_MIN } q8_kind;

#define Q8_TYPES(X)                                                                         \
    X(Q8_0, Q8_ONE) X(Q4_0, Q8_ONE) X(Q5_0, Q8_ONE) X(IQ4_NL, Q8_ONE) X(IQ4_XS, Q8_ONE)     \
    X(Q4_1, Q8_MIN) X(Q5_1, Q8_MIN) X(Q4_K, Q8_MIN) X(Q5_K, Q8_MIN)                         \
    X(Q3_K, Q8_TWO) X(Q6_K, Q8_TWO) X(Q2_K, Q8_TWO_MIN)

/* Scales of a block: dw and minimum in s, or those of the halves. */
typedef struct q8_scales {
    vf s[2], min[2], d, dmin;
} q8_scales;

/* One block into acc: sum is the first half's and, for the kinds without two
 * scales, the whole block's; half is the second half's. */
Q8_INLINE vf q8_add(const q8_kind k, vi sum, vi half, const q8_scales *s, const bt_qa *q, vf acc)
{
    const vf da = v_set(q->d);
    if (k == Q8_ONE || k == Q8_MIN) {
        acc = v_fma(v_mul(s->s[0], da), v_ints(sum), acc);
        return k == Q8_MIN ? v_fma(s->s[1], v_set(q->ds), acc) : acc;
    }
    /* Below 2^24, hence exact. */
    const vf f = v_fma(s->s[1], v_ints(half), v_mul(s->s[0], v_ints(sum)));
    acc = v_fma(v_mul(s->d, da), f, acc);
    if (k == Q8_TWO)
        return acc;
    const vf c0 = v_set((float)q->corr0), c1 = v_set((float)(q->corr - q->corr0));
    return v_fma(v_mul(s->dmin, da), v_fma(s->min[1], c1, v_mul(s->min[0], c0)), acc);
}

/* ---- whole blocks into memory, for many rows of activations ---- */

/* Up to 8 blocks of 32 of a panel. Types with one scale: scale[0] is dw and
 * scale[1] the minimum. Types with two: scale[0], scale[1] are the halves' scales,
 * minscale their minima, d and min the panel's. */
typedef struct q8_opened {
    _Alignas(64) uint8_t w[Q8_CHUNK][Q8_GROUPS][4 * BT_NR];
    float scale[Q8_CHUNK][2][BT_NR], minscale[Q8_CHUNK][2][BT_NR];
    float d[BT_NR], min[BT_NR];
} q8_opened;

Q8_INLINE q8_scales q8_opened_scales(const q8_opened *o, int b, const int v)
{
    q8_scales s = { .d = v_load(o->d + v * VL), .dmin = v_load(o->min + v * VL) };
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        s.s[i] = v_load(o->scale[b][i] + v * VL);
        s.min[i] = v_load(o->minscale[b][i] + v * VL);
    }
    return s;
}

/* Block b of the chunk o from block j of a packed block. */
Q8_INLINE void q8_open_one(const bt_dtype t, const int form, const uint8_t *p, const q8_head *h,
                           const int j, q8_opened *o, int b)
{
#pragma GCC unroll 8
    for (int g = 0; g < Q8_GROUPS; g++)
#pragma GCC unroll 2
        for (int v = 0; v < Q8_NV; v++)
            vi_store(o->w[b][g] + v * VL * 4, q8_weights(t, form, p, j, g, v));
#pragma GCC unroll 2
    for (int v = 0; v < Q8_NV; v++) {
        if (q8_two(t)) {
            for (int i = 0; i < 2; i++)
                v_store(o->scale[b][i] + v * VL, q8_half_scale(t, form, h, j, i, v));
            for (int i = 0; i < 2 && t == BT_Q2_K; i++)
                v_store(o->minscale[b][i] + v * VL, v_s8(h->minscale[2 * j + i] + v * VL));
            v_store(o->d + v * VL, h->d[v]);
            if (t == BT_Q2_K)
                v_store(o->min + v * VL, h->min[v]);
            continue;
        }
        v_store(o->scale[b][0] + v * VL, q8_scale(t, h, j, v));
        if (q8_min(t))
            v_store(o->scale[b][1] + v * VL, q8_minimum(t, h, j, v));
    }
}

/* nb <= Q8_CHUNK blocks of 32 from p on; whole blocks of the type. */
Q8_INLINE void q8_open(const bt_dtype t, const int form, const uint8_t *p, int nb, q8_opened *o)
{
    const int block = q8_blocks(t);
    for (int b = 0; b < nb; b += block, p += q8_bytes(t)) {
        q8_head h;
        q8_open_head(t, form, p, &h);
#pragma GCC unroll 8
        for (int j = 0; j < block; j++)
            q8_open_one(t, form, p, &h, j, o, b + j);
    }
}

#endif
