/* SPDX-License-Identifier: MIT
 * The measuring loops in plain C: four floats at a time are what a compiler makes of
 * the base instruction set, without fused operations.
 */
#include "ref.h"

enum { CHAINS = 8, LANES = 4 };

static double peak_f32(long rounds)
{
    float x[CHAINS][LANES] = { { 1.0f } };
    for (long s = 0; s < rounds; s++)
        for (int i = 0; i < CHAINS; i++)
            for (int j = 0; j < LANES; j++)
                x[i][j] = x[i][j] * 0.999f + 0.5f;
    float sum = 0;
    for (int i = 0; i < CHAINS * LANES; i++)
        sum += x[i / LANES][i % LANES];
    volatile float sink = sum;
    (void)sink;
    return 2.0 * CHAINS * LANES * (double)rounds;
}

static void read_all(const void *p, size_t bytes)
{
    const uint64_t *x = p;
    uint64_t sum[16] = { 0 };
    for (size_t i = 0; i < bytes / sizeof *x; i += 16)
        for (size_t j = 0; j < 16; j++)
            sum[j] |= x[i + j];
    for (int j = 1; j < 16; j++)
        sum[0] |= sum[j];
    volatile uint64_t sink = sum[0];
    (void)sink;
}

void bt_kernels_init_peak__scalar(bt_kernels *t)
{
    t->peak[BT_PEAK_F32] = peak_f32;
    t->read = read_all;
}
