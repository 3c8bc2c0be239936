/* SPDX-License-Identifier: MIT
 * Weights that a file keeps as direction and norm (Salimans and Kingma 2016, arXiv 1602.07868;
 * torch.nn.utils.weight_norm with dim 0).
 */
#ifndef BT_NN_WEIGHT_NORM_H
#define BT_NN_WEIGHT_NORM_H

#include <stdint.h>

/* out [rows][n] = g[row] * v[row] / |v[row]|; a row without direction becomes zeros. */
void bt_nn_weight_norm(const float *g, const float *v, int64_t rows, int64_t n, float *out);

#endif
