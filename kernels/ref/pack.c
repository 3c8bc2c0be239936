/* SPDX-License-Identifier: MIT
 * Packed weight panels: the definition of the layouts described in kernels.h,
 * and the way back to floats.
 */
#include "ref.h"

#include "../quant.h"

#include <string.h>

size_t bt_panel_bytes(bt_dtype t, int k)
{
    if (t == BT_BF16)
        k = (k + BT_KB - 1) / BT_KB * BT_KB;
    return BT_NR * bt_row_bytes(t, (size_t)k);
}

/* Types whose bytes are interleaved across rows: the number of half-precision
 * values (scale, minimum) that lead a block, else 0. */
static int interleaved_halves(bt_dtype t)
{
    switch (t) {
    case BT_Q8_0:
    case BT_Q4_0: return 1;
    case BT_Q4_1: return 2;
    default: return 0;
    }
}

/* Where byte i of row r's block lies in a packed block of an interleaved type.
 * Halves first, [half][row]; then [group of 4 bytes][row][4]. */
static size_t interleaved_at(int halves, int r, int i)
{
    if (i < 2 * halves)
        return (size_t)(i / 2 * 2 * BT_NR + 2 * r + i % 2);
    i -= 2 * halves;
    return (size_t)(2 * BT_NR * halves + (i / 4 * BT_NR + r) * 4 + i % 4);
}

/* Row r's block src into the packed block dst; unpack_block is the way back. */
static void pack_block(bt_dtype t, uint8_t *dst, const uint8_t *src, int r)
{
    const int n = (int)bt_dtypes[t].bytes, halves = interleaved_halves(t);
    if (!halves) {
        memcpy(dst + r * n, src, (size_t)n);
        return;
    }
    for (int i = 0; i < n; i += i < 2 * halves ? 2 : 4)
        memcpy(dst + interleaved_at(halves, r, i), src + i, i < 2 * halves ? 2 : 4);
}

static void unpack_block(bt_dtype t, const uint8_t *packed, uint8_t *dst, int r)
{
    const int n = (int)bt_dtypes[t].bytes, halves = interleaved_halves(t);
    if (!halves) {
        memcpy(dst, packed + r * n, (size_t)n);
        return;
    }
    for (int i = 0; i < n; i += i < 2 * halves ? 2 : 4)
        memcpy(dst + i, packed + interleaved_at(halves, r, i), i < 2 * halves ? 2 : 4);
}

/* Constant sizes let the compiler turn memcpy into moves: floats are many. */
static void pack_values(uint8_t *dst, const uint8_t *src, int k, int r, int bytes)
{
    dst += r * bytes;
    for (int i = 0; i < k; i++)
        if (bytes == 4)
            memcpy(dst + (size_t)i * BT_NR * 4, src + (size_t)i * 4, 4);
        else
            memcpy(dst + (size_t)i * BT_NR * 2, src + (size_t)i * 2, 2);
}

/* Pairs of consecutive k: [k/2][16][2]. */
static void pack_bf16(uint16_t *dst, const uint8_t *src, int k, int r)
{
    for (int i = 0; i < k; i++)
        memcpy(dst + (i / 2 * BT_NR + r) * 2 + i % 2, src + (size_t)i * 2, 2);
}

void bt_pack_panel(bt_dtype t, void *dst, const void *const rows[BT_NR], int k)
{
    const uint32_t block = bt_dtypes[t].block, bytes = bt_dtypes[t].bytes;
    /* Rows that are not there must read as zeros, and so must the padding of
     * BF16; blocks of zero bytes are zeros. */
    for (int r = 0; r < BT_NR; r++)
        if (!rows[r] || t == BT_BF16) {
            memset(dst, 0, bt_panel_bytes(t, k));
            break;
        }
    for (int r = 0; r < BT_NR; r++) {
        const uint8_t *src = rows[r];
        if (!src)
            continue;
        if (t == BT_BF16) {
            pack_bf16(dst, src, k, r);
            continue;
        }
        if (block == 1 && (bytes == 4 || bytes == 2)) {
            pack_values(dst, src, k, r, (int)bytes);
            continue;
        }
        uint8_t *out = dst;
        for (int i = 0; i < k; i += (int)block, src += bytes, out += BT_NR * bytes)
            pack_block(t, out, src, r);
    }
}

/* One packed block as floats [block][16]. */
static void expand_block(bt_dtype t, float *dst, const uint8_t *packed)
{
    uint8_t raw[256];
    float y[256];
    const uint32_t block = bt_dtypes[t].block;
    for (int r = 0; r < BT_NR; r++) {
        unpack_block(t, packed, raw, r);
        bt_dequantize_row(t, raw, y, block);
        for (uint32_t i = 0; i < block; i++)
            dst[i * BT_NR + (uint32_t)r] = y[i];
    }
}

/* Packed pairs to floats [kc][16]; kc may be odd. */
static void expand_pairs(float *dst, const uint16_t *src, int kc)
{
    for (int i = 0; i < kc * BT_NR; i++)
        dst[i] = bt_bf16_to_f32(src[(i / (2 * BT_NR) * BT_NR + i % BT_NR) * 2 + i / BT_NR % 2]);
}

void bt_expand__scalar(bt_dtype t, float *dst, const void *panel, int k0, int kc)
{
    if (t == BT_BF16) {
        expand_pairs(dst, (const uint16_t *)panel + (size_t)k0 * BT_NR, kc);
        return;
    }
    const uint8_t *src = (const uint8_t *)panel + bt_panel_bytes(t, k0);
    if (t == BT_F32) {
        memcpy(dst, src, bt_panel_bytes(t, kc));
        return;
    }
    if (bt_dtypes[t].block == 1) { /* [kc][16] is one long row */
        bt_dequantize_row(t, src, dst, (size_t)kc * BT_NR);
        return;
    }
    const int block = (int)bt_dtypes[t].block;
    for (int i = 0; i < kc; i += block)
        expand_block(t, dst + (size_t)i * BT_NR, src + bt_panel_bytes(t, i));
}

void bt_expand_bf16__scalar(bt_dtype t, uint16_t *dst, const void *panel, int k0, int kc)
{
    float y[256 * BT_NR];
    const int block = (int)bt_dtypes[t].block;
    const int step = block > 1 ? block : 2;
    memset(dst, 0, bt_panel_bytes(BT_BF16, kc));
    for (int i = 0; i < kc; i += step, dst += step * BT_NR) {
        const int n = kc - i < step ? kc - i : step;
        bt_expand__scalar(t, y, panel, k0 + i, n);
        for (int j = 0; j < n * BT_NR; j++)
            dst[j / (2 * BT_NR) * 2 * BT_NR + j % BT_NR * 2 + j / BT_NR % 2] =
                bt_f32_to_bf16(y[j]);
    }
}
