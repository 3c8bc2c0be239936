/* SPDX-License-Identifier: MIT
 * Attention of one head in int8 with VPDPBUSD. Built with -mavx512f -mavx512bw
 * -mavx512dq -mavx512vl -mavx512vnni (CMakeLists.txt).
 *
 * Blocks of BT_KEYS keys at absolute positions go by all query rows, ROWS at a time:
 *
 *     s[row][key] = k q          bytes, a scale for each key and for each query
 *     p[row][key] = 2^(s - max)  floats, then 16 bits: two unsigned bytes
 *     o[row][channel] = o keep + (256 p_high + p_low) v
 *
 * Weights have 16 bits, since a long tail of small ones counts as much as a large one;
 * values have a scale for each channel of a block. Keys are stored less their mean,
 * which moves all scores of a query alike and so changes no weight: what the keys have
 * in common would else take their bits (idea: Zhang et al. 2024, SageAttention).
 * What is computed for a row depends on its own query and the stored keys alone.
 */
#include "vec_avx512.h"

#include "../tmpl/vmath.h"
#include "vnni.h"
#include "x86.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    ROWS = 4,            /* queries of a tile */
    QUERIES = 64,        /* that share what is in cache */
    KV = BT_KEYS / VL,   /* registers of keys */
    FOURS = BT_KEYS / 4, /* groups of keys whose values lie together */
    CHANNELS = 3,        /* registers of channels of a tile */
    WEIGHT = 65535,      /* the weight of the largest score */
};

#define UNSEEN (-1e30f) /* the maximum before the first key */

/* A block of 64 keys: bytes of keys [fours of channels][64 keys][4], unsigned; scales
 * of keys [64]; bytes of values [16 fours of keys][registers of channels][16][4];
 * scales of values [registers][16]. Channels past d are zeros. */
static int fours(int d) { return (d + 3) / 4; }
static int ranks(int d) { return (d + VL - 1) / VL; }

typedef struct block {
    uint8_t *keys;
    float *key_scale;
    uint8_t *values;
    float *value_scale;
} block;

static size_t block_bytes(int d)
{
    return (size_t)fours(d) * 4 * BT_KEYS + BT_KEYS * sizeof(float) +
           (size_t)ranks(d) * VL * (BT_KEYS + sizeof(float));
}

static block block_at(const void *kv, int j0, int d)
{
    uint8_t *p = (uint8_t *)(uintptr_t)kv + (size_t)(j0 / BT_KEYS) * block_bytes(d);
    block b = { .keys = p };
    b.key_scale = (float *)(void *)(p += (size_t)fours(d) * 4 * BT_KEYS);
    b.values = p += BT_KEYS * sizeof(float);
    b.value_scale = (float *)(void *)(p + (size_t)ranks(d) * VL * BT_KEYS);
    return b;
}

static size_t bytes(int nk, int d)
{
    return (size_t)((nk + BT_KEYS - 1) / BT_KEYS) * block_bytes(d);
}

/* ---- storing keys and values ------------------------------------------- */

/* d floats, less those of `centre`, as bytes in groups of four, `stride` apart;
 * returns the scale. */
static float store_row(uint8_t *dst, size_t stride, int flip, int d, const float *x,
                       const float *centre)
{
    vf top = v_zero();
    for (int c = 0; c < d; c += VL) {
        vf v = v_load_n(x + c, d - c);
        if (centre)
            v = v_sub(v, v_load_n(centre + c, d - c));
        top = v_max(v_abs(v), top); /* NaN: is left out */
    }
    const float max = v_peak(top), scale = max / 127.0f;
    const vf by = v_set(max > 0.0f ? 127.0f / max : 0.0f);
    const __m128i sign = _mm_set1_epi8((char)flip);
    for (int c = 0; c < d; c += VL) {
        uint8_t some[VL];
        vf v = v_load_n(x + c, d - c);
        if (centre)
            v = v_sub(v, v_load_n(centre + c, d - c));
        const __m128i q = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v_mul(v, by)));
        _mm_storeu_si128((__m128i *)(void *)some, _mm_xor_si128(q, sign));
        for (int i = 0; i < VL && c + i < d; i += 4)
            memcpy(dst + (size_t)(c + i) / 4 * stride, some + i, 4);
    }
    return scale;
}

static void store_keys(const block *b, int n, int d, const float *k, size_t ldk,
                       const float *centre)
{
    for (int j = 0; j < n; j++)
        b->key_scale[j] =
            store_row(b->keys + 4 * j, 4 * BT_KEYS, 0x80, d, k + (size_t)j * ldk, centre);
    for (int j = n; j < BT_KEYS; j++) {
        b->key_scale[j] = 0.0f;
        for (int g = 0; g < fours(d); g++)
            memset(b->keys + (g * BT_KEYS + j) * 4, 0x80, 4);
    }
}

/* The first of the four keys of group g: the order in which `weigh` packs weights. */
static int first_key(int g) { return g % KV * VL + g / KV * 4; }

static void store_values(const block *b, int n, int d, const float *v, size_t ldv)
{
    for (int c = 0; c < d; c += VL) {
        vf top = v_zero();
        for (int j = 0; j < n; j++)
            top = v_max(v_abs(v_load_n(v + (size_t)j * ldv + c, d - c)), top);
        v_store(b->value_scale + c, v_mul(top, v_set(1.0f / 127.0f)));
        const vf by = v_less(v_zero(), top, v_div(v_set(127.0f), top), v_zero());
        for (int g = 0; g < FOURS; g++) {
            vi four = _mm512_setzero_si512();
            for (int i = 3; i >= 0; i--) {
                const int j = first_key(g) + i;
                const vf x = j < n ? v_load_n(v + (size_t)j * ldv + c, d - c) : v_zero();
                const vi q = _mm512_and_si512(_mm512_cvtps_epi32(v_mul(x, by)), vi_set32(255));
                four = _mm512_or_si512(_mm512_slli_epi32(four, 8), q);
            }
            vi_store(b->values + ((size_t)g * (size_t)ranks(d) * VL + (size_t)c) * 4, four);
        }
    }
}

static void store(void *kv, int j0, int n, int d, const float *k, size_t ldk, const float *v,
                  size_t ldv, const float *centre)
{
    for (int j = 0; j < n; j += BT_KEYS) {
        const block b = block_at(kv, j0 + j, d);
        const int some = n - j < BT_KEYS ? n - j : BT_KEYS;
        store_keys(&b, some, d, k + (size_t)j * ldk, ldk, centre);
        store_values(&b, some, d, v + (size_t)j * ldv, ldv);
    }
}

/* ---- a tile of queries ------------------------------------------------- */

/* Up to QUERIES rows; the last tile's missing ones repeat its first. */
typedef struct work {
    int8_t *q;     /* [QUERIES][fours * 4] */
    float *o;      /* [QUERIES][ranks * VL] */
    float *max;    /* [QUERIES]: powers of two */
    float *sum;    /* in units of 1 / WEIGHT */
    float *by;     /* from sums of bytes times a key's scale to powers of two */
    int32_t *corr; /* -128 times the sum of q: undoes keys stored as unsigned */
} work;

static size_t layout(int d, uint8_t *p, work *w)
{
    const size_t q = (size_t)fours(d) * 4 * QUERIES,
                 o = (size_t)ranks(d) * VL * sizeof(float) * QUERIES;
    const size_t one = QUERIES * sizeof(float);
    if (p) {
        w->q = (int8_t *)p;
        w->o = (float *)(void *)(p += q);
        w->max = (float *)(void *)(p += o);
        w->sum = (float *)(void *)(p += one);
        w->by = (float *)(void *)(p += one);
        w->corr = (int32_t *)(void *)(p + one);
    }
    return q + o + 4 * one;
}

static size_t scratch(int d) { return layout(d, NULL, NULL); }

static void load_query(const work *w, int i, const bt_attn_stored *a, const float *q)
{
    const int wide = fours(a->d) * 4;
    int8_t *dst = w->q + i * wide;
    const float scale = store_row((uint8_t *)dst, 4, 0, a->d, q, NULL);
    int32_t total = 0;
    for (int c = 0; c < wide; c++)
        total += dst[c];
    w->corr[i] = -128 * total;
    w->by[i] = scale * a->scale * 1.44269504f;
    w->max[i] = UNSEEN;
    w->sum[i] = 0.0f;
}

/* s[row][register] of the block's keys. (Sums in an array of their own, all of whose
 * indices are known: gcc keeps those in registers.) */
INLINE void scores(const work *w, int i0, int d, const block *b, vi s[ROWS][KV])
{
    const int wide = fours(d) * 4;
    const int8_t *q = w->q + i0 * wide;
    vi sum[ROWS][KV];
#pragma GCC unroll 4
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < KV; v++)
            sum[i][v] = _mm512_set1_epi32(w->corr[i0 + i]);
    for (int c = 0; c < wide; c += 4) {
        vi k[KV];
#pragma GCC unroll 4
        for (int v = 0; v < KV; v++)
            k[v] = vi_load(b->keys + (size_t)c * BT_KEYS + 64 * v);
#pragma GCC unroll 4
        for (int i = 0; i < ROWS; i++) {
            const vi x = vi_four(q + i * wide + c);
#pragma GCC unroll 4
            for (int v = 0; v < KV; v++)
                vi_dot(&sum[i][v], k[v], x);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
        for (int v = 0; v < KV; v++)
            s[i][v] = sum[i][v];
}

/* Lane i of the result is what `op` makes of row i's lanes, for four rows. */
#define ACROSS(name, type, op, lo, hi, half, swap)                                                 \
    INLINE type name(const type x[ROWS])                                                           \
    {                                                                                              \
        const type a = op(lo(x[0], x[1]), hi(x[0], x[1])), b = op(lo(x[2], x[3]), hi(x[2], x[3])); \
        type y = op(half(a, b, 0), half(a, b, 1));                                                 \
        y = op(y, swap(y, 0x4e));                                                                  \
        return op(y, swap(y, 0xb1));                                                               \
    }
INLINE vf halves_f(vf a, vf b, const int i)
{
    return i ? _mm512_shuffle_ps(a, b, 0xee) : _mm512_shuffle_ps(a, b, 0x44);
}
INLINE vi halves_i(vi a, vi b, const int i)
{
    return i ? _mm512_unpackhi_epi64(a, b) : _mm512_unpacklo_epi64(a, b);
}
#define SWAP_F(x, how) _mm512_shuffle_f32x4(x, x, how)
#define SWAP_I(x, how) _mm512_shuffle_i32x4(x, x, how)
ACROSS(tops, vf, v_max, _mm512_unpacklo_ps, _mm512_unpackhi_ps, halves_f, SWAP_F)
ACROSS(totals, vi, _mm512_add_epi32, _mm512_unpacklo_epi32, _mm512_unpackhi_epi32, halves_i, SWAP_I)

/* 2^x for x <= 16, to 4e-6 of it: weights have 16 bits. 2^r = 1 + r P(r), |r| <= 1/2. */
INLINE vf power(vf x)
{
    const vf n = v_round(x), r = v_sub(x, n);
    vf p = v_fma(v_set(0.00958285294f), r, v_set(0.0559064262f));
    p = v_fma(p, r, v_set(0.240240991f));
    p = v_fma(p, r, v_set(0.693124175f));
    return v_ldexp(v_fma(p, r, v_set(1.0f)), n);
}

/* A register of scores, v, without those of keys from the n-th of the block on. */
INLINE vf seen(const bool full, vf x, int n, int v)
{
    const int left = n - v * VL;
    return full || left >= VL ? x : v_keep_n(x, v_set(-INFINITY), left < 0 ? 0 : left);
}

/* Sums of bytes to scores in powers of two, all but the query's factor; returns their
 * maximum in each lane. */
INLINE vf scale_scores(const bool full, const vi s[KV], float *x, const block *b, int n)
{
    vf top = v_set(-INFINITY);
#pragma GCC unroll 4
    for (int v = 0; v < KV; v++) {
        const vf y = v_mul(v_ints(s[v]), v_load(b->key_scale + v * VL));
        v_store(x + v * VL, y);
        top = v_max(top, seen(full, y, n, v));
    }
    return top;
}

/* Weights of a row as bytes, high[64] then low[64], those of keys that it does not see
 * zeros; returns their sums in each lane. */
INLINE vi weights(const bool full, const float *x, vf by, vf off, int n, uint8_t *p)
{
    vi w[KV], total = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int v = 0; v < KV; v++) {
        const int left = n - v * VL;
        w[v] = _mm512_cvtps_epi32(power(v_fma(v_load(x + v * VL), by, off)));
        if (!full && left < VL)
            w[v] = _mm512_maskz_mov_epi32(v_mask(left < 0 ? 0 : left), w[v]);
        total = _mm512_add_epi32(total, w[v]);
    }
    const vi a = _mm512_packus_epi32(w[0], w[1]), c = _mm512_packus_epi32(w[2], w[3]);
    const vi byte = _mm512_set1_epi16(255);
    vi_store(p, _mm512_packus_epi16(vi_srl16(a, 8), vi_srl16(c, 8)));
    vi_store(p + BT_KEYS, _mm512_packus_epi16(vi_and(a, byte), vi_and(c, byte)));
    return total;
}

/* From the sums s of rows i0..i0+ROWS to their weights; keep: what the rows' earlier
 * sums must be multiplied with. full: all rows see all keys. */
INLINE void weigh(const bool full, const work *w, int i0, const vi s[ROWS][KV], const block *b,
                  const int n[ROWS], uint8_t *p, float keep[VL])
{
    float x[ROWS][BT_KEYS], off[VL];
    vf top[ROWS];
    vi total[ROWS];
    for (int i = 0; i < ROWS; i++)
        top[i] = scale_scores(full, s[i], x[i], b, n[i]);
    const vf by = v_load_n(w->by + i0, ROWS), old = v_load_n(w->max + i0, ROWS);
    const vf now = v_max(v_mul(tops(top), by), old); /* old, if no key was seen: NaN */
    const vf less = power(v_sub(old, now));
    v_store_n(w->max + i0, now, ROWS);
    v_store(keep, less);
    v_store(off, v_sub(v_set(15.9999780f), now)); /* 2^15.99998 = WEIGHT */
    for (int i = 0; i < ROWS; i++)
        total[i] =
            weights(full, x[i], v_set(w->by[i0 + i]), v_set(off[i]), n[i], p + i * 2 * BT_KEYS);
    const vf sum = v_fma(v_load_n(w->sum + i0, ROWS), less, v_ints(totals(total)));
    v_store_n(w->sum + i0, sum, ROWS);
}

/* s[row][register] = p v of R registers of channels; value: those of the first keys. */
INLINE void products(const int R, const uint8_t *value, size_t wide, const uint8_t *p,
                     vi s[ROWS][CHANNELS])
{
    vi sum[2 * ROWS][CHANNELS]; /* of high bytes, of low bytes */
#pragma GCC unroll 8
    for (int i = 0; i < 2 * ROWS; i++)
#pragma GCC unroll 3
        for (int r = 0; r < R; r++)
            sum[i][r] = _mm512_setzero_si512();
    for (int g = 0; g < FOURS; g++) {
        vi v[CHANNELS];
#pragma GCC unroll 3
        for (int r = 0; r < R; r++)
            v[r] = vi_load(value + (size_t)g * wide * 4 + 64 * r);
#pragma GCC unroll 8
        for (int i = 0; i < 2 * ROWS; i++) {
            const vi x = vi_four(p + i * BT_KEYS + 4 * g);
#pragma GCC unroll 3
            for (int r = 0; r < R; r++)
                vi_dot(&sum[i][r], x, v[r]);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 3
        for (int r = 0; r < R; r++)
            s[i][r] = _mm512_add_epi32(_mm512_slli_epi32(sum[2 * i][r], 8), sum[2 * i + 1][r]);
}

/* Functions of their own: next to the constants of `weigh` gcc keeps the sums in memory. */
#define PRODUCTS(R)                                                                                \
    static __attribute__((noinline)) void products_##R(const uint8_t *value, size_t wide,          \
                                                       const uint8_t *p, vi s[ROWS][CHANNELS])     \
    {                                                                                              \
        products(R, value, wide, p, s);                                                            \
    }
PRODUCTS(1)
PRODUCTS(2)
PRODUCTS(3)

/* o[row][channels] = o keep + p v */
static void add_values(const work *w, int i0, int d, const block *b, const uint8_t *p,
                       const float *keep)
{
    const size_t wide = (size_t)ranks(d) * VL;
    for (int c = 0, n; (n = ranks(d) - c) > 0; c += CHANNELS) {
        const uint8_t *value = b->values + (size_t)c * VL * 4;
        vi s[ROWS][CHANNELS];
        n = n < CHANNELS ? n : CHANNELS;
        (n == 1 ? products_1 : n == 2 ? products_2 : products_3)(value, wide, p, s);
        for (int i = 0; i < ROWS; i++)
            for (int r = 0; r < n; r++) {
                float *o = w->o + (size_t)(i0 + i) * wide + (size_t)((c + r) * VL);
                const vf by = v_load(b->value_scale + (c + r) * VL);
                v_store(o, v_fma(v_ints(s[i][r]), by, v_mul(v_load(o), v_set(keep[i]))));
            }
    }
}

/* Rows i0..i0+ROWS, of which the first sees n[0] keys of the block and so on. */
static void rows_block(const work *w, int i0, int d, const block *b, const int n[ROWS])
{
    uint8_t p[ROWS * 2 * BT_KEYS];
    float keep[VL];
    vi s[ROWS][KV];
    bool full = true;
    for (int i = 0; i < ROWS; i++)
        full = full && n[i] == BT_KEYS;
    scores(w, i0, d, b, s);
    if (full)
        weigh(true, w, i0, s, b, n, p, keep);
    else
        weigh(false, w, i0, s, b, n, p, keep);
    add_values(w, i0, d, b, p, keep);
}

/* ---- one head ---------------------------------------------------------- */

static void store_out(const work *w, const bt_attn_stored *a, int i0, int n)
{
    const size_t wide = (size_t)ranks(a->d) * VL;
    for (int i = 0; i < n; i++) {
        const vf by = v_set(1.0f / (a->state ? (float)WEIGHT : w->sum[i]));
        for (int c = 0; c < a->d; c += VL)
            v_store_n(a->out + (size_t)(i0 + i) * a->ldo + c,
                      v_mul(v_load(w->o + (size_t)i * wide + (size_t)c), by), a->d - c);
        if (a->state) {
            a->state[i0 + i][0] = w->max[i];
            a->state[i0 + i][1] = w->sum[i] / (float)WEIGHT;
        }
    }
}

/* Queries i0..i0+n, n <= QUERIES. */
static void rows(const work *w, const bt_attn_stored *a, int i0, int n)
{
    const int all = (n + ROWS - 1) / ROWS * ROWS;
    memset(w->o, 0, (size_t)ranks(a->d) * VL * sizeof(float) * (size_t)all);
    for (int i = 0; i < all; i++)
        load_query(w, i, a, a->q + (size_t)(i0 + (i < n ? i : n - 1)) * a->ldq);
    for (int j0 = 0; j0 < a->nk; j0 += BT_KEYS) {
        const block b = block_at(a->kv, j0, a->d);
        const int keys = a->nk - j0 < BT_KEYS ? a->nk - j0 : BT_KEYS;
        if (a->causal >= 0 && a->causal + i0 + n - 1 < j0)
            break;
        for (int i = 0; i < all; i += ROWS) {
            int sees[ROWS];
            for (int r = 0; r < ROWS; r++) {
                const int upto = a->causal >= 0 ? a->causal + i0 + i + r + 1 - j0 : keys;
                sees[r] = upto < keys ? upto : keys;
            }
            rows_block(w, i, a->d, &b, sees);
        }
    }
    store_out(w, a, i0, n);
}

static void run(const bt_attn_stored *a)
{
    work w;
    layout(a->d, a->scratch, &w);
    for (int i = 0; i < a->nq; i += QUERIES)
        rows(&w, a, i, a->nq - i < QUERIES ? a->nq - i : QUERIES);
}

void bt_kernels_init_attention__avx512vnni(bt_kernels *t)
{
    t->attention_int8 = (bt_attn_form){ bytes, store, scratch, run };
}
