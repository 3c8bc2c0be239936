/* SPDX-License-Identifier: MIT
 * The int8 compute type of whole rows with AMX tiles (TDPBSUD: signed rows, unsigned
 * weights). A block is 32 rows of one part by 2 panels, or 16 rows of three by one.
 */
#include "vec_avx512.h"

#include "amx.h"
#include "x86.h"

#define INLINE static inline __attribute__((always_inline))

enum { GROUP = 16, LINE = 64 };

/* A block's sums: [part, or group * 2 + panel][row][output] */
typedef int32_t sums[4][GROUP][BT_NR];

/* Where the bytes of a block begin: of its first row's parts, or of two groups of rows;
 * NULL: there is no second group. Rows are `stride` bytes apart. */
typedef struct bytes {
    const int8_t *q[3];
    size_t stride;
    int padded;
} bytes;

INLINE void three_parts(const bytes *a, const uint8_t *w, sums s)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    for (int k = 0; k < a->padded; k += BT_RK) {
        _tile_stream_loadd(6, w + (size_t)k * BT_NR, LINE);
        _tile_loadd(3, a->q[0] + k, a->stride);
        _tile_dpbsud(0, 3, 6);
        _tile_loadd(4, a->q[1] + k, a->stride);
        _tile_dpbsud(1, 4, 6);
        _tile_loadd(5, a->q[2] + k, a->stride);
        _tile_dpbsud(2, 5, 6);
    }
    _tile_stored(0, s[0], LINE);
    _tile_stored(1, s[1], LINE);
    _tile_stored(2, s[2], LINE);
}

/* G groups of rows by P panels. */
INLINE void one_part(const int G, const int P, const bytes *a, const uint8_t *w, size_t panel_bytes,
                     sums s)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int k = 0; k < a->padded; k += BT_RK) {
        const uint8_t *b = w + (size_t)k * BT_NR;
        _tile_loadd(4, a->q[0] + k, a->stride);
        _tile_stream_loadd(6, b, LINE);
        _tile_dpbsud(0, 4, 6);
        if (P > 1) {
            _tile_stream_loadd(7, b + panel_bytes, LINE);
            _tile_dpbsud(1, 4, 7);
        }
        if (G > 1) {
            _tile_loadd(5, a->q[1] + k, a->stride);
            _tile_dpbsud(2, 5, 6);
        }
        if (G > 1 && P > 1)
            _tile_dpbsud(3, 5, 7);
    }
    _tile_stored(0, s[0], LINE);
    if (P > 1)
        _tile_stored(1, s[1], LINE);
    if (G > 1)
        _tile_stored(2, s[2], LINE);
    if (G > 1 && P > 1)
        _tile_stored(3, s[3], LINE);
}

/* Sums of n rows by panel p of the block to values; w: that panel. */
INLINE void finish(const int parts, int n, int p, const bytes *b, const bt_row_q *const *a,
                   const uint8_t *w, sums s, float *c, size_t ldc)
{
    const float *steps = (const float *)(const void *)(w + (size_t)b->padded * BT_NR);
    const vf step = v_load(steps), total = v_load(steps + BT_NR);
    for (int i = 0; i < n; i++) {
        const int at = parts == 3 ? 0 : i / GROUP * 2 + p;
        vf v = v_zero();
        for (int part = 0; part < parts; part++) {
            const vi sum = vi_load(s[at + part][i % GROUP]);
            v = v_fma(v_set(256.0f), v, v_ints(_mm512_add_epi32(sum, vi_set32(a[i]->corr[part]))));
        }
        v_store(c + (size_t)i * ldc,
                v_fma(v, v_mul(v_set(a[i]->d), step), v_mul(v_set(a[i]->z), total)));
    }
}

/* n rows at one distance by all panels: of three parts n <= 16, of one n <= 32. Tiles 2, 3
 * and 5 are of a second group's rows or, with three parts, of all rows. */
static void rows_by_panels(int n, int np, int parts, const bytes *b, const bt_row_q *const *a,
                           const uint8_t *w, size_t panel_bytes, float *c, size_t ldc)
{
    sums s __attribute__((aligned(64)));
    const int n0 = n < GROUP ? n : GROUP, G = n > GROUP ? 2 : 1, all = parts == 3 ? 1 : 2;
    bt_amx_rows(n0, parts == 3 ? n0 : n - n0);
    for (int p = 0, P; p < np; p += P, w += (size_t)P * panel_bytes, c += P * BT_NR) {
        P = np - p < all ? np - p : all;
        bt_amx_written();
        if (parts == 3)
            three_parts(b, w, s);
        else if (G > 1 && P > 1)
            one_part(2, 2, b, w, panel_bytes, s);
        else if (G > 1)
            one_part(2, 1, b, w, panel_bytes, s);
        else if (P > 1)
            one_part(1, 2, b, w, panel_bytes, s);
        else
            one_part(1, 1, b, w, panel_bytes, s);
        bt_amx_written();
        if (parts == 3)
            finish(3, n, 0, b, a, w, s, c, ldc);
        for (int q = 0; q < P && parts == 1; q++)
            finish(1, n, q, b, a, w + (size_t)q * panel_bytes, s, c + q * BT_NR, ldc);
    }
}

/* Are these n rows at one distance? */
static int even(const bt_row_q *const *a, int n)
{
    for (int i = 2; i < n; i++)
        if ((intptr_t)a[i] - (intptr_t)a[i - 1] != (intptr_t)a[1] - (intptr_t)a[0])
            return 0;
    return 1;
}

static void gemm_row(int m, int np, int k, int parts, const bt_row_q *const *a, const void *panels,
                     size_t panel_bytes, float *c, size_t ldc)
{
    const int padded = bt_row_padded(k), most = parts == 3 ? GROUP : 2 * GROUP;
    for (int i = 0, n; i < m; i += n) {
        n = m - i < most ? m - i : most;
        while (!even(a + i, n))
            n /= 2;
        const int8_t *q = a[i]->q;
        bytes b = { { q, q + padded, q + 2 * padded }, LINE, padded };
        if (n > 1)
            b.stride = (size_t)((intptr_t)a[i + 1] - (intptr_t)a[i]);
        if (parts == 1)
            b.q[1] = n > GROUP ? a[i + GROUP]->q : NULL;
        rows_by_panels(n, np, parts, &b, a + i, panels, panel_bytes, c + (size_t)i * ldc, ldc);
    }
    _tile_release();
}

void bt_kernels_init_row8__amx(bt_kernels *t) { t->gemm_row = gemm_row; }
