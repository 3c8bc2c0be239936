/* SPDX-License-Identifier: MIT
 * Panels of the int8 compute type of whole rows (kernels.h).
 */
#include "../kernels.h"

#include <math.h>
#include <string.h>

/* Are all values whole multiples of this? */
static int whole(const float *x, int k, float step)
{
    for (int i = 0; i < k; i++)
        if (fabsf(x[i] / step - rintf(x[i] / step)) > 1e-4f)
            return 0;
    return 1;
}

static float step_of(const float *x, int k)
{
    float peak = 0;
    for (int i = 0; i < k; i++)
        peak = fabsf(x[i]) > peak ? fabsf(x[i]) : peak;
    if (!(peak > 1e-30f && peak < 1e30f))
        return 0;
    for (int most = 127; most > 0; most--)
        if (whole(x, k, peak / (float)most))
            return peak / (float)most;
    return peak / 127.0f;
}

void bt_pack_row_panel(void *dst, const float *const rows[BT_NR], int k)
{
    uint8_t *w = dst;
    memset(dst, 0, bt_row_panel_bytes(k));
    const size_t bytes = (size_t)bt_row_padded(k) * BT_NR;
    float *steps = (float *)(void *)(w + bytes), *sums = steps + BT_NR;
    memset(dst, 128, bytes);
    for (int r = 0; r < BT_NR; r++) {
        const float step = rows[r] ? step_of(rows[r], k) : 0;
        int32_t sum = 0;
        for (int i = 0; i < k && step > 0; i++) {
            const int q = (int)rintf(rows[r][i] / step);
            w[(i / 4 * BT_NR + r) * 4 + i % 4] = (uint8_t)(128 + q);
            sum += q;
        }
        steps[r] = step;
        sums[r] = step * (float)sum;
    }
}
