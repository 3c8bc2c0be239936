/* SPDX-License-Identifier: MIT
 * Rows of every weight type to floats and back, in plain C. The formats room
 * uses these to convert files; the scalar kernels use them as their oracle.
 */
#ifndef BT_KERNELS_QUANT_H
#define BT_KERNELS_QUANT_H

#include "half.h"
#include "types.h"

/* dst[0..k) = values of the row at src. k % block == 0. Float and integer
 * types included. src may have any alignment. Returns 0, or -1 if the type
 * cannot be read. Formulas: ggml-quants.c (dequantize_row_*). */
int bt_dequantize_row(bt_dtype t, const void *src, float *dst, size_t k);

/* The inverse, for F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K; -1
 * for types that cannot be written yet. Formulas: ggml-quants.c (quantize_row_*_ref). */
int bt_quantize_row(bt_dtype t, const float *src, void *dst, size_t k);

#endif
