/* SPDX-License-Identifier: MIT
 * The int8 compute type of whole rows, the scalar kernels.
 */
#include "ref.h"

#include <math.h>
#include <string.h>

static void quantize_row(int k, int parts, const float *x, bt_row_q *row)
{
    const int padded = bt_row_padded(k);
    const float most = parts == 3 ? 127.0f * 65536.0f : 127.0f;
    float min = k ? x[0] : 0, max = min;
    for (int i = 1; i < k; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
    }
    const float peak = parts == 3 ? (-min > max ? -min : max) : 0.5f * max - 0.5f * min;
    const float f = peak > 1e-30f && peak < 1e30f ? most / peak : 0;
    memset(row, 0, bt_row_q_bytes(k, parts));
    row->d = f > 0 ? peak / most : 0;
    row->z = parts == 1 ? 0.5f * max + 0.5f * min : 0;
    for (int i = 0; i < k; i++) {
        const float v = (x[i] - row->z) * f;
        int left = v > -most ? v < most ? (int)rintf(v) : (int)most : (int)-most; /* NaN: - */
        for (int part = parts - 1; part >= 0; part--) {
            const int digit = part ? ((left + 128) & 255) - 128 : left;
            left = (left - digit) / 256;
            row->q[part * padded + i] = (int8_t)digit;
            row->corr[part] -= 128 * digit;
        }
    }
}

/* Row a by output r of a panel. */
static float product(int padded, int parts, const bt_row_q *a, const uint8_t *w, int r)
{
    const float *steps = (const float *)(const void *)(w + padded * BT_NR), *sums = steps + BT_NR;
    float sum = 0;
    for (int part = 0; part < parts; part++) {
        int32_t s = a->corr[part];
        for (int i = 0; i < padded; i++)
            s += w[(i / 4 * BT_NR + r) * 4 + i % 4] * a->q[part * padded + i];
        sum = 256 * sum + (float)s;
    }
    return sum * (a->d * steps[r]) + a->z * sums[r];
}

static void gemm_row(int m, int np, int k, int parts, const bt_row_q *const *a, const void *panels,
                     size_t panel_bytes, float *c, size_t ldc)
{
    const int padded = bt_row_padded(k);
    for (int i = 0; i < m; i++)
        for (int n = 0; n < np * BT_NR; n++)
            c[(size_t)i * ldc + (size_t)n] =
                product(padded, parts, a[i],
                        (const uint8_t *)panels + (size_t)(n / BT_NR) * panel_bytes, n % BT_NR);
}

void bt_kernels_init_row8__scalar(bt_kernels *t)
{
    t->quantize_row = quantize_row;
    t->gemm_row = gemm_row;
}
