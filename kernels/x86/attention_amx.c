/* SPDX-License-Identifier: MIT
 * Attention of one head in bf16 with AMX. Built with -mavx512f -mavx512bw
 * -mavx512dq -mavx512vl -mavx512bf16 -mamx-tile -mamx-bf16
 * (CMakeLists.txt).
 *
 * QUERIES query rows go through blocks of BT_KEYS keys at absolute positions:
 *
 *     s[key][query] = k q^T              TDPBF16PS, f32 sums
 *     p[key][query] = 2^(c s - max)      vectors, to bf16
 *     o[channel][query] = o keep + v^T p TDPBF16PS
 *
 * A lane is a query everywhere, so the maximum and the sum of a row are those of
 * a lane, and what a lane holds depends on its own query alone: keys that a row
 * does not see have weight 0, which changes no sum.
 *
 * The maximum that weights are relative to stays until a score passes it by
 * SLACK: the choice cancels between the weights and their sum, and almost no
 * block has to scale what is there (ideas: Milakov and Gimelshein 2018; Dao et
 * al. 2022; Shah et al. 2024).
 */
#include "vec_avx512.h"

#ifndef __AVX512BF16__
#error "this file needs -mavx512bf16"
#endif

#include "../tmpl/vmath.h"
#include "amx.h"
#include "x86.h"

#include <string.h>

enum {
    QUERIES = 32, /* two tiles of lanes */
    GROUP = 32,   /* keys that lie together, and one product's depth for values */
    TILE = 1024,  /* bytes: 16 rows of 64 */
    STEP = 32,    /* channels of one product's depth */
    SLACK = 8,    /* powers of two that a weight may reach */
    UNIT = 512,   /* fixed point of the exponent: nine bits behind the point */
};
#define NEVER  (-3e38f) /* a score that has no weight */
#define UNSEEN (-1e30f) /* the maximum before the first key */

/* Keys and values of a head: groups of 32 keys, each
 *     keys   [2][steps] tiles of 16 keys by 32 channels,
 *     values [channels / 16] tiles of 16 channels by 32 keys.
 * Channels past d are zeros. */
static int steps(int d) { return (d + STEP - 1) / STEP; }
static int ranks(int d) { return (d + 15) / 16; }
static size_t group_bytes(int d) { return (size_t)(2 * steps(d) + ranks(d)) * TILE; }

static size_t bytes(int nk, int d) { return (size_t)((nk + GROUP - 1) / GROUP) * group_bytes(d); }

/* ---- storing keys and values ------------------------------------------- */

static inline __m256i to_half(vf x) { return (__m256i)_mm512_cvtneps_pbh(x); }

/* The first n of 32 floats as bf16, then zeros. */
static inline vi halves(const float *x, int n)
{
    const vf lo = v_load_n(x, n < 16 ? n : 16);
    const vf hi = n > 16 ? v_load_n(x + 16, n - 16) : v_zero();
    return (vi)_mm512_cvtne2ps_pbh(hi, lo);
}

/* The same of x - y. */
static inline vi halves_less(const float *x, const float *y, int n)
{
    float z[STEP] = { 0 };
    for (int i = 0; i < n && i < STEP; i++)
        z[i] = x[i] - y[i];
    return halves(z, STEP);
}

/* Values of a whole group: pairs of keys woven together, then turned. */
static void store_values(uint8_t *dst, int d, const float *v, size_t ldv)
{
    for (int c = 0; c < d; c += 16, dst += TILE) {
        const int left = d - c < 16 ? d - c : 16;
        vf m[16];
        for (int i = 0; i < 16; i++) {
            const float *x = v + (size_t)(2 * i) * ldv + c;
            const vi a = _mm512_cvtepu16_epi32(to_half(v_load_n(x, left)));
            const vi b = _mm512_cvtepu16_epi32(to_half(v_load_n(x + ldv, left)));
            m[i] = _mm512_castsi512_ps(_mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
        }
        v_transpose(m);
        for (int i = 0; i < 16; i++)
            v_store((float *)(void *)(dst + 64 * i), m[i]);
    }
}

/* Values of one key: a column of every tile. */
static void store_value(uint8_t *dst, int key, int d, const float *v)
{
    for (int c = 0; c < d; c += 16) {
        uint16_t half[16];
        const int left = d - c < 16 ? d - c : 16;
        _mm256_storeu_si256((__m256i *)(void *)half, to_half(v_load_n(v + c, left)));
        for (int i = 0; i < left; i++)
            memcpy(dst + c / 16 * TILE + 64 * i + 2 * key, half + i, 2);
    }
}

static void store(void *kv, int j0, int n, int d, const float *k, size_t ldk, const float *v,
                  size_t ldv, const float *centre)
{
    const size_t keys = (size_t)(2 * steps(d)) * TILE;
    for (int j = j0, i = 0; i < n; j++, i++) {
        uint8_t *group = (uint8_t *)kv + (size_t)(j / GROUP) * group_bytes(d);
        uint8_t *row = group + (size_t)(j % GROUP / 16 * steps(d)) * TILE + j % 16 * 64;
        const float *key = k + (size_t)i * ldk;
        for (int c = 0; c < d; c += STEP)
            _mm512_storeu_si512(row + c / STEP * TILE, centre
                                                           ? halves_less(key + c, centre + c, d - c)
                                                           : halves(key + c, d - c));
        if (j % GROUP == 0 && n - i >= GROUP)
            store_values(group + keys, d, v + (size_t)i * ldv, ldv);
        else if (j % GROUP > i || n - i + j % GROUP < GROUP) /* of a group cut short */
            store_value(group + keys, j % GROUP, d, v + (size_t)i * ldv);
    }
}

/* ---- scratch ----------------------------------------------------------- */

/* Two tiles for every 16 or 32 rows: queries 0..15 and 16..31. */
typedef struct work {
    const uint8_t *kv;
    uint8_t *q; /* [steps][2] tiles of 16 pairs of channels by 16 queries */
    float *s;   /* [BT_KEYS / 16][2] tiles of 16 keys by 16 queries */
    uint8_t *p; /* [BT_KEYS / 32][2] tiles of 16 pairs of keys by 16 queries */
    float *o;   /* [ranks][2] tiles of 16 channels by 16 queries */
    int d;
    int tiles;          /* of queries: 1 will do for up to 16 */
    float max[QUERIES]; /* powers of two */
    float sum[QUERIES];
} work;

static size_t layout(int d, uint8_t *base, work *w)
{
    const size_t q = (size_t)steps(d) * 2 * TILE, s = BT_KEYS / 16 * 2 * TILE;
    const size_t p = BT_KEYS / 32 * 2 * TILE, o = (size_t)ranks(d) * 2 * TILE;
    if (base) {
        w->q = base;
        w->s = (float *)(void *)(base + q);
        w->p = base + q + s;
        w->o = (float *)(void *)(base + q + s + p);
        w->d = d;
    }
    return q + s + p + o;
}

static size_t scratch(int d) { return layout(d, NULL, NULL); }

/* ---- products ---------------------------------------------------------- */

/* s of one group of 32 keys. */
static inline void scores(const work *w, const uint8_t *group, float *s)
{
    const int n = steps(w->d), wide = w->tiles > 1;
    const uint8_t *q = w->q;
    bt_amx_written();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int i = 0; i < n; i++, q += 2 * TILE, group += TILE) {
        _tile_loadd(4, group, 64);
        _tile_loadd(6, q, 64);
        _tile_loadd(5, group + n * TILE, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(2, 5, 6);
        if (wide) {
            _tile_loadd(7, q + TILE, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, s, 64);
    _tile_stored(2, s + 512, 64);
    if (wide) {
        _tile_stored(1, s + 256, 64);
        _tile_stored(3, s + 768, 64);
    }
}

/* o += v^T p over some groups, for 32 channels, or for the last 16. */
static inline void add_32(const work *w, float *o, const uint8_t *v, const uint8_t *p, int groups)
{
    const size_t step = group_bytes(w->d);
    _tile_loadd(0, o, 64);
    _tile_loadd(2, o + 512, 64);
    if (w->tiles > 1) {
        _tile_loadd(1, o + 256, 64);
        _tile_loadd(3, o + 768, 64);
    }
    for (int g = 0; g < groups; g++, v += step, p += 2 * TILE) {
        _tile_loadd(4, v, 64);
        _tile_loadd(6, p, 64);
        _tile_loadd(5, v + TILE, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(2, 5, 6);
        if (w->tiles > 1) {
            _tile_loadd(7, p + TILE, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, o, 64);
    _tile_stored(2, o + 512, 64);
    if (w->tiles > 1) {
        _tile_stored(1, o + 256, 64);
        _tile_stored(3, o + 768, 64);
    }
}

static inline void add_16(const work *w, float *o, const uint8_t *v, const uint8_t *p, int groups)
{
    const size_t step = group_bytes(w->d);
    _tile_loadd(0, o, 64);
    _tile_loadd(1, o + 256, 64);
    for (int g = 0; g < groups; g++, v += step, p += 2 * TILE) {
        _tile_loadd(4, v, 64);
        _tile_loadd(6, p, 64);
        _tile_dpbf16ps(0, 4, 6);
        if (w->tiles > 1) {
            _tile_loadd(7, p + TILE, 64);
            _tile_dpbf16ps(1, 4, 7);
        }
    }
    _tile_stored(0, o, 64);
    _tile_stored(1, o + 256, 64);
}

static void values(const work *w, const uint8_t *group, int groups)
{
    const uint8_t *v = group + (size_t)(2 * steps(w->d)) * TILE;
    bt_amx_written();
    for (int t = 0; t < ranks(w->d); t += 2)
        (t + 1 < ranks(w->d) ? add_32 : add_16)(w, w->o + t * 512, v + t * TILE, w->p, groups);
}

/* ---- weights ----------------------------------------------------------- */

/* Scores of keys past n, and those that a causal row does not see: query lane i
 * of the 32 sees the block's keys up to sees + i. */
static void hide(float *s, int tiles, int n, int groups, int causal, int sees)
{
    for (int j = 0; j < groups * GROUP; j++)
        for (int t = 0; t < tiles; t++) {
            const int from = j >= n ? 16 : causal ? j - sees - 16 * t : 0;
            const uint32_t off = from <= 0 ? 0 : from >= 16 ? 0xffff : (1u << from) - 1;
            float *row = s + (j / 16 * 2 + t) * 256 + j % 16 * 16;
            if (off)
                _mm512_mask_storeu_ps(row, (__mmask16)off, v_set(NEVER));
        }
}

/* Raises the maxima of 16 queries if the block's scores (times c) ask for it,
 * and scales what was summed before. */
static void raise_max(const work *w, const float *s, int groups, int t, vf c, float *max,
                      float *sum)
{
    vf top[4];
    for (int i = 0; i < 4; i++)
        top[i] = v_set(NEVER);
    s += t * 256;
    for (int j = 0; j < 2 * groups; j++, s += 512)
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            top[i % 4] = v_max(top[i % 4], v_load(s + 16 * i));
    const vf now = v_mul(v_max(v_max(top[0], top[1]), v_max(top[2], top[3])), c);
    const vf old = v_load(max);
    const __mmask16 up = _mm512_cmp_ps_mask(now, v_add(old, v_set(SLACK)), _CMP_GT_OQ);
    if (!up)
        return;
    v_store(max, _mm512_mask_mov_ps(old, up, now));
    const vf by = v_set(0.693147181f), keep = v_exp(v_mul(v_sub(old, v_load(max)), by));
    v_store(sum, v_mul(v_load(sum), keep));
    for (int r = 0; r < ranks(w->d); r++) {
        float *o = w->o + (2 * r + t) * 256;
        for (int i = 0; i < 16; i++)
            v_store(o + 16 * i, v_mul(v_load(o + 16 * i), keep));
    }
}

/* Weights of two keys for 16 queries, in pairs. The exponent x + 119, 9 bits
 * behind the point, saturates to 16 bits (below 2^-119 the weight is 0); with f
 * the bits behind the point, 2^f - 1 = f - 1/3 f (1 - f) to about 0.2 %: as good
 * as bf16, whose bits these then are. */
static inline vi pair(vf a, vf b, vf c, vf off)
{
    const vi weave =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
    const vi mask = _mm512_set1_epi16(UNIT - 1), third = _mm512_set1_epi16(43);
    const vi x = _mm512_packus_epi32(_mm512_cvtps_epi32(v_fma(a, c, off)),
                                     _mm512_cvtps_epi32(v_fma(b, c, off)));
    const vi f = _mm512_and_si512(x, mask), g = _mm512_andnot_si512(x, mask);
    const vi low = _mm512_mulhi_epu16(_mm512_mullo_epi16(f, g), third);
    return _mm512_shuffle_epi8(_mm512_srli_epi16(_mm512_sub_epi16(x, low), 2), weave);
}

/* p of one group for 16 queries; adds to their sums. */
static inline vf weigh(const float *s, uint8_t *p, vf c, vf off, vf sum)
{
    const __m512bh one = (__m512bh)_mm512_set1_epi16(0x3f80);
    vf sums[2] = { sum, v_zero() };
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        const float *row = s + i / 8 * 512 + i % 8 * 32;
        const vi x = pair(v_load(row), v_load(row + 16), c, off);
        _mm512_storeu_si512(p + 64 * i, x);
        sums[i % 2] = _mm512_dpbf16_ps(sums[i % 2], (__m512bh)x, one);
    }
    return v_add(sums[0], sums[1]);
}

/* ---- one head ---------------------------------------------------------- */

/* n query rows to tiles of pairs; zeros for the other lanes. */
static void load_queries(const work *w, const float *q, size_t ldq, int n)
{
    for (int c = 0; c < w->d; c += STEP)
        for (int t = 0; t < w->tiles; t++) {
            vf m[16];
            for (int i = 0; i < 16; i++)
                m[i] =
                    16 * t + i < n
                        ? _mm512_castsi512_ps(halves(q + (size_t)(16 * t + i) * ldq + c, w->d - c))
                        : v_zero();
            v_transpose(m);
            for (int i = 0; i < 16; i++)
                v_store((float *)(void *)(w->q + (c / STEP * 2 + t) * TILE + 64 * i), m[i]);
        }
}

static void store_rows(const work *w, const bt_attn_stored *a, int i0, int n)
{
    float *out = a->out + (size_t)i0 * a->ldo;
    for (int i = 0; a->state && i < n; i++) {
        a->state[i0 + i][0] = w->max[i];
        a->state[i0 + i][1] = w->sum[i];
    }
    for (int t = 0; 16 * t < n; t++) {
        const vf one = v_set(1.0f), by = a->state ? one : v_div(one, v_load(w->sum + 16 * t));
        for (int c = 0; c < w->d; c += 16) {
            vf m[16];
            for (int i = 0; i < 16; i++)
                m[i] = v_mul(v_load(w->o + (c / 16 * 2 + t) * 256 + 16 * i), by);
            v_transpose(m);
            for (int i = 0; i < 16 && 16 * t + i < n; i++)
                v_store_n(out + (size_t)(16 * t + i) * a->ldo + c, m[i], w->d - c);
        }
    }
}

/* Queries i0..i0+n. */
static void rows(work *w, const bt_attn_stored *a, int i0, int n)
{
    const vf c = v_set(a->scale * 1.44269504f), unit = v_set(UNIT);
    const int last = a->causal < 0 ? a->nk : a->causal + i0 + n, nk = last < a->nk ? last : a->nk;
    w->tiles = n > 16 ? 2 : 1;
    load_queries(w, a->q + (size_t)i0 * a->ldq, a->ldq, n);
    memset(w->o, 0, (size_t)ranks(w->d) * 2 * TILE);
    for (int t = 0; t < 2; t++) {
        v_store(w->max + 16 * t, v_set(UNSEEN));
        v_store(w->sum + 16 * t, v_zero());
    }
    for (int j0 = 0; j0 < nk; j0 += BT_KEYS) {
        const int keys = nk - j0 < BT_KEYS ? nk - j0 : BT_KEYS, groups = (keys + GROUP - 1) / GROUP;
        const uint8_t *group = w->kv + (size_t)(j0 / GROUP) * group_bytes(w->d);
        for (int g = 0; g < groups; g++)
            scores(w, group + (size_t)g * group_bytes(w->d), w->s + g * 1024);
        const int causal = a->causal >= 0 && j0 + keys - 1 > a->causal + i0;
        if (keys % GROUP || causal)
            hide(w->s, w->tiles, keys, groups, causal, a->causal + i0 - j0);
        for (int t = 0; t < w->tiles; t++) {
            float *max = w->max + 16 * t, *sum = w->sum + 16 * t;
            raise_max(w, w->s, groups, t, c, max, sum);
            const vf off = v_mul(v_sub(v_set(127 - SLACK), v_load(max)), unit);
            vf total = v_load(sum);
            for (int g = 0; g < groups; g++)
                total = weigh(w->s + g * 1024 + t * 256, w->p + (g * 2 + t) * TILE, v_mul(c, unit),
                              off, total);
            v_store(sum, total);
        }
        values(w, group, groups);
    }
    store_rows(w, a, i0, n);
}

static void run(const bt_attn_stored *a)
{
    work w = { .kv = a->kv };
    layout(a->d, a->scratch, &w);
    bt_amx_rows(16, 16);
    for (int i = 0; i < a->nq; i += QUERIES)
        rows(&w, a, i, a->nq - i < QUERIES ? a->nq - i : QUERIES);
    _tile_release();
}

void bt_kernels_init_attention__amx(bt_kernels *t)
{
    t->attention_bf16 = (bt_attn_form){ bytes, store, scratch, run };
}
