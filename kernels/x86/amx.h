/* SPDX-License-Identifier: MIT
 * The shape of AMX tiles, for files built with -mamx-tile. Every kernel that uses
 * tiles configures them at its entry and releases them at its end: the state of
 * tiles would else be saved whenever a thread is put aside. */
#ifndef BT_KERNELS_AMX_H
#define BT_KERNELS_AMX_H

#include <immintrin.h>
#include <stdint.h>

/* Intel SDM volume 1, 18.2: palette 1, eight tiles of up to 16 rows of 64 bytes. */
typedef struct amx_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} amx_config;

/* Tiles 0, 1 and 4 get n0 rows; 2, 3 and 5 get n1 (0: they are not used); 6 and 7
 * get 16. 1 <= n0 <= 16. */
static inline void bt_amx_rows(int n0, int n1)
{
    amx_config c = { .palette = 1 };
    const int second = n1 ? n1 : 16;
    const int rows[8] = { n0, n0, second, second, n0, second, 16, 16 };
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = (uint8_t)rows[i];
    }
    /* Not _tile_loadconfig: gcc 12's takes 8 of the 64 bytes as read, and drops the rest. */
    __asm__ volatile("ldtilecfg %0" : : "m"(c));
}

/* gcc 12 does not know that loads of tiles read memory: what was written before stays
 * before. */
static inline void bt_amx_written(void) { __asm__ volatile("" ::: "memory"); }

#endif
