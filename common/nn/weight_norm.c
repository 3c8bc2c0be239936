/* SPDX-License-Identifier: MIT
 * See weight_norm.h.
 */
#include "nn/weight_norm.h"

#include <math.h>

void bt_nn_weight_norm(const float *g, const float *v, int64_t rows, int64_t n, float *out)
{
    for (int64_t r = 0; r < rows; r++, v += n, out += n) {
        double squares = 0;
        for (int64_t i = 0; i < n; i++)
            squares += (double)v[i] * (double)v[i];
        const float scale = squares > 0 ? (float)((double)g[r] / sqrt(squares)) : 0;
        for (int64_t i = 0; i < n; i++)
            out[i] = v[i] * scale;
    }
}
