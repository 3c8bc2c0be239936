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

/* The bytes of a quantized block are a few fields. Byte o of the file's block is
 * the start of a field: in the packed block that field starts at 16 * o and is
 * [bytes / unit][16 rows][unit]. Halves are units of 2, scales of 1, the
 * quantized values of 4 (what VPDPBUSD takes at once). */
typedef struct field {
    uint8_t bytes, unit;
} field;

static const field fields[BT_DTYPE_COUNT][5] = {
    [BT_Q4_0] = { { 2, 2 }, { 16, 4 } },                       /* d, qs */
    [BT_Q4_1] = { { 4, 2 }, { 16, 4 } },                       /* d m, qs */
    [BT_Q5_0] = { { 2, 2 }, { 4, 4 }, { 16, 4 } },             /* d, qh, qs */
    [BT_Q5_1] = { { 4, 2 }, { 4, 4 }, { 16, 4 } },             /* d m, qh, qs */
    [BT_Q8_0] = { { 2, 2 }, { 32, 4 } },                       /* d, qs */
    [BT_Q2_K] = { { 16, 1 }, { 64, 4 }, { 4, 2 } },            /* scales, qs, d dmin */
    [BT_Q3_K] = { { 32, 4 }, { 64, 4 }, { 12, 1 }, { 2, 2 } }, /* hmask, qs, scales, d */
    [BT_Q4_K] = { { 4, 2 }, { 12, 1 }, { 128, 4 } },           /* d dmin, scales, qs */
    [BT_Q5_K] = { { 4, 2 }, { 12, 1 }, { 32, 4 }, { 128, 4 } }, /* d dmin, scales, qh, qs */
    [BT_Q6_K] = { { 128, 4 }, { 64, 4 }, { 16, 1 }, { 2, 2 } }, /* ql, qh, scales, d */
    [BT_IQ4_NL] = { { 2, 2 }, { 16, 4 } },                     /* d, qs */
    [BT_IQ4_XS] = { { 4, 2 }, { 4, 1 }, { 128, 4 } },          /* d high, low scales, qs */
};

/* One field of row r; constant units let the compiler turn memcpy into moves. */
static inline void pack_field(uint8_t *dst, const uint8_t *src, int bytes, int unit, int r)
{
    for (int i = 0; i < bytes; i += unit)
        memcpy(dst + i * BT_NR + r * unit, src + i, (size_t)unit);
}

static inline void unpack_field(uint8_t *dst, const uint8_t *src, int bytes, int unit, int r)
{
    for (int i = 0; i < bytes; i += unit)
        memcpy(dst + i, src + i * BT_NR + r * unit, (size_t)unit);
}

/* The fifth bits of Q5: bit 4g + i of the file's word is bit 8i + g of the
 * packed one, where a shift by g lines up the four values of group g. */
static void turn_bits(uint8_t *dst, const uint8_t *src, int back)
{
    uint32_t from, to = 0;
    memcpy(&from, src, 4);
    for (int k = 0; k < BT_QA; k++) {
        const int at = 8 * (k % 4) + k / 4;
        to |= (from >> (back ? at : k) & 1) << (back ? k : at);
    }
    memcpy(dst, &to, 4);
}

static int has_word(bt_dtype t) { return t == BT_Q5_0 || t == BT_Q5_1; }

/* Row r's block src into the packed block dst; bt_unpack_block is the way back. */
static void pack_block(bt_dtype t, uint8_t *dst, const uint8_t *src, int r)
{
    for (const field *f = fields[t]; f->bytes; f++) {
        uint8_t word[4];
        const uint8_t *from = src;
        if (has_word(t) && f == fields[t] + 1) {
            turn_bits(word, src, 0);
            from = word;
        }
        switch (f->unit) {
        case 1: pack_field(dst, from, f->bytes, 1, r); break;
        case 2: pack_field(dst, from, f->bytes, 2, r); break;
        default: pack_field(dst, from, f->bytes, 4, r);
        }
        src += f->bytes;
        dst += f->bytes * BT_NR;
    }
}

void bt_unpack_block(bt_dtype t, const uint8_t *packed, uint8_t *dst, int r)
{
    for (const field *f = fields[t]; f->bytes; f++) {
        unpack_field(dst, packed, f->bytes, f->unit, r);
        if (has_word(t) && f == fields[t] + 1)
            turn_bits(dst, dst, 1);
        dst += f->bytes;
        packed += f->bytes * BT_NR;
    }
}

/* Constant sizes let the compiler turn memcpy into moves: floats are many. */
static void pack_values(uint8_t *dst, const uint8_t *src, int k, int r, int bytes)
{
    dst += r * bytes;
    for (int i = 0; i < k; i++, src += bytes, dst += BT_NR * bytes)
        switch (bytes) {
        case 2: memcpy(dst, src, 2); break;
        case 4: memcpy(dst, src, 4); break;
        default: memcpy(dst, src, (size_t)bytes);
        }
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
        if (block == 1) {
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
        bt_unpack_block(t, packed, raw, r);
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
