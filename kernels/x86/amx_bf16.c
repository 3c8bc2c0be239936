/* SPDX-License-Identifier: MIT
 * The bf16 compute type with AMX tiles (TDPBF16PS). Built with -mamx-tile
 * -mamx-bf16 beside the AVX-512 flags (CMakeLists.txt). Subnormal numbers count
 * as zero; the even and the odd products of a step of 32 k are summed apart,
 * then added to each other and to the sum so far.
 *
 * A block is 32 rows by 2 panels: four tiles of sums, two of rows, two of
 * weights. The work is cut in chunks of up to STEPS steps of 32 k, so that the
 * rows of a block stay in L1 while the panels stream from L2, with the hint
 * that they are used once: half as fast again as without it.
 */
#include "vec_avx512.h"

#include "amx.h"
#include "x86.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { STEPS = 32, GROUP = 16, GROUPS = 2, BLOCK = GROUP * GROUPS, LINE = 64 };

typedef struct job {
    int taps, kc;
    int64_t stride; /* between all rows of all taps, or 0 */
    const uint16_t *const *a;
    const uint16_t *b;
    size_t sa, ldt, ldp, ldc;
} job;

/* The steps of a chunk as tiles are loaded: 16 rows `stride` bytes apart for each
 * group, and where the panel's 16 lines begin. Rows that are not at one constant
 * distance, or not at lines of their own, are copied to `lines`. */
typedef struct chunk {
    int steps;
    const uint16_t *a[GROUPS][STEPS];
    int64_t stride[GROUPS][STEPS];
    size_t b[STEPS];
    uint16_t lines[GROUPS][STEPS][GROUP * BT_KB] __attribute__((aligned(64)));
} chunk;

/* Bytes between rows, or 0: they have to be copied. */
static int64_t stride_of(const uint16_t *const *rows, int n)
{
    const int64_t d = n > 1 ? (int64_t)((uintptr_t)rows[1] - (uintptr_t)rows[0]) : LINE;
    if (((uintptr_t)rows[0] | (uintptr_t)d) % LINE != 0)
        return 0;
    for (int i = 1; i < n; i += 8) {
        const __mmask8 some = n - i < 8 ? (__mmask8)((1u << (n - i)) - 1) : 0xff;
        const vi this = _mm512_maskz_loadu_epi64(some, rows + i);
        const vi last = _mm512_maskz_loadu_epi64(some, rows + i - 1);
        const vi step = _mm512_sub_epi64(this, last);
        if (_mm512_mask_cmpneq_epi64_mask(some, step, _mm512_set1_epi64(d)))
            return 0;
    }
    return d;
}

/* n rows of group g, steps s0..s0+c->steps of all taps. */
static void open_group(const job *j, chunk *c, int g, const uint16_t *const *a, int n, int s0)
{
    const int per_tap = j->kc / BT_KB;
    int64_t stride = 0;
    for (int s = 0, tap = -1; s < c->steps; s++) {
        const int t = (s0 + s) / per_tap, k = (s0 + s) % per_tap * BT_KB;
        const uint16_t *const *rows = a + (size_t)t * j->sa;
        if (t != tap)
            stride = j->stride ? j->stride : stride_of(rows, n);
        tap = t;
        c->b[s] = (size_t)t * j->ldt + (size_t)k * BT_NR;
        c->stride[g][s] = stride ? stride : LINE;
        c->a[g][s] = stride ? rows[0] + k : c->lines[g][s];
        for (int i = 0; i < n && !stride; i++)
            _mm512_store_si512(c->lines[g][s] + i * BT_KB, vi_load(rows[i] + k));
    }
}

/* Rows and panel that step s begins with; loaded while the step before ends. */
INLINE void first_tiles(const chunk *k, const uint16_t *b, int s)
{
    _tile_loadd(4, k->a[0][s], k->stride[0][s]);
    _tile_stream_loadd(6, b + k->b[s], LINE);
}

/* G groups by P panels over a chunk. Tiles 0..3 are sums, 4 and 5 rows, 6 and 7
 * panels. */
INLINE void block(const int G, const int P, const chunk *k, const uint16_t *b, size_t ldp,
                  float *c, size_t ldc, int first)
{
    bt_amx_written();
    float *c1 = c + GROUP * ldc;
    const size_t bytes = ldc * sizeof *c;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (!first) {
        _tile_loadd(0, c, bytes);
        if (P > 1)
            _tile_loadd(1, c + BT_NR, bytes);
        if (G > 1)
            _tile_loadd(2, c1, bytes);
        if (G > 1 && P > 1)
            _tile_loadd(3, c1 + BT_NR, bytes);
    }
    if (k->steps > 0)
        first_tiles(k, b, 0);
    for (int s = 0; s < k->steps; s++) {
        if (P > 1)
            _tile_stream_loadd(7, b + k->b[s] + ldp, LINE);
        _tile_dpbf16ps(0, 4, 6);
        if (G > 1)
            _tile_loadd(5, k->a[1][s], k->stride[1][s]);
        if (P > 1)
            _tile_dpbf16ps(1, 4, 7);
        if (G > 1)
            _tile_dpbf16ps(2, 5, 6);
        if (s + 1 < k->steps)
            first_tiles(k, b, s + 1);
        if (G > 1 && P > 1)
            _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, bytes);
    if (P > 1)
        _tile_stored(1, c + BT_NR, bytes);
    if (G > 1)
        _tile_stored(2, c1, bytes);
    if (G > 1 && P > 1)
        _tile_stored(3, c1 + BT_NR, bytes);
}

/* Rows i..i+n of a chunk by all panels. */
static void rows_by_panels(const job *j, chunk *k, int n, int np, float *c, int first)
{
    for (int p = 0; p < np; p += 2, c += 2 * BT_NR) {
        const uint16_t *b = j->b + (size_t)p * j->ldp;
        if (n > GROUP && p + 1 < np)
            block(2, 2, k, b, j->ldp, c, j->ldc, first);
        else if (n > GROUP)
            block(2, 1, k, b, j->ldp, c, j->ldc, first);
        else if (p + 1 < np)
            block(1, 2, k, b, j->ldp, c, j->ldc, first);
        else
            block(1, 1, k, b, j->ldp, c, j->ldc, first);
    }
}

static void gemm_bf16(int m, int np, int taps, int kc, const uint16_t *const *a, size_t sa,
                      const uint16_t *b, size_t ldt, size_t ldp, float *c, size_t ldc, int first)
{
    /* Taps that look at one list of rows, as a filter over time does: one look is enough. */
    const int64_t shared = taps > 1 && sa < (size_t)m ? (taps - 1) * (int64_t)sa + m : 0;
    const int64_t stride = shared ? stride_of(a, (int)shared) : 0;
    const job j = { taps, kc, stride, a, b, sa, ldt, ldp, ldc };
    const int steps = taps * (kc / BT_KB), chunks = (steps + STEPS - 1) / STEPS;
    int shape = 0; /* rows that the tiles are configured for */
    chunk k;
    for (int q = 0; q < (chunks ? chunks : 1); q++) {
        const int s0 = chunks ? (int)((int64_t)steps * q / chunks) : 0;
        k.steps = chunks ? (int)((int64_t)steps * (q + 1) / chunks) - s0 : 0;
        for (int i = 0; i < m; i += BLOCK) {
            const int n = m - i < BLOCK ? m - i : BLOCK, n0 = n < GROUP ? n : GROUP;
            if (n != shape)
                bt_amx_rows(n0, n - n0);
            shape = n;
            open_group(&j, &k, 0, a + i, n0, s0);
            if (n > GROUP)
                open_group(&j, &k, 1, a + i + GROUP, n - GROUP, s0);
            rows_by_panels(&j, &k, n, np, c + (size_t)i * ldc, first && q == 0);
        }
    }
    _tile_release();
}

void bt_kernels_init_bf16__amx(bt_kernels *t) { t->gemm_bf16 = gemm_bf16; }
