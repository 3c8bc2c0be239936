/* SPDX-License-Identifier: MIT
 * The measuring loops with AMX tiles. Built with -mamx-tile -mamx-bf16 -mamx-int8
 * (CMakeLists.txt). Four tiles of sums hide the latency of a product.
 */
#include <immintrin.h>

#include "amx.h"
#include "x86.h"

enum { TILES = 4, LANES = 16 * 16 };

/* Ones, as bf16: with zeros the processor, which saves power, runs a third faster. */
static void load_tiles(void)
{
    uint16_t ones[16 * 32];
    for (int i = 0; i < 16 * 32; i++)
        ones[i] = 0x3f80;
    bt_amx_rows(16, 16);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    __asm__ volatile("" : : "r"(ones)); /* they are wanted */
    bt_amx_written();
    _tile_loadd(4, ones, 64);
    _tile_loadd(5, ones, 64);
    _tile_loadd(6, ones, 64);
    _tile_loadd(7, ones, 64);
}

static double peak_bf16(long rounds)
{
    load_tiles();
    for (long i = 0; i < rounds; i++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
    return 2.0 * LANES * 32 * TILES * (double)rounds;
}

static double peak_int8(long rounds)
{
    load_tiles();
    for (long i = 0; i < rounds; i++) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_release();
    return 2.0 * LANES * 64 * TILES * (double)rounds;
}

void bt_kernels_init_peak__amx(bt_kernels *t)
{
    t->peak[BT_PEAK_AMX_BF16] = peak_bf16;
    t->peak[BT_PEAK_AMX_INT8] = peak_int8;
}
