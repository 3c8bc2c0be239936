/* SPDX-License-Identifier: MIT
 * The scalar kernels. Contracts: ../kernels.h. Inside the room only: overlays
 * fall back on these for what they do not speed up.
 */
#ifndef BT_KERNELS_REF_H
#define BT_KERNELS_REF_H

#include "../kernels.h"

void bt_kernels_init_gemm__scalar(bt_kernels *t);
void bt_kernels_init_q8__scalar(bt_kernels *t);
void bt_kernels_init_row8__scalar(bt_kernels *t);
void bt_kernels_init_elem__scalar(bt_kernels *t);
void bt_kernels_init_signal__scalar(bt_kernels *t);
void bt_kernels_init_rows__scalar(bt_kernels *t);
void bt_kernels_init_attention__scalar(bt_kernels *t);
void bt_kernels_init_peak__scalar(bt_kernels *t);

/* 256 floats to one block; quant.c's table has them. */
void bt_quant_q4_k(const float *x, uint8_t *block);
void bt_quant_q5_k(const float *x, uint8_t *block);
void bt_quant_q6_k(const float *x, uint8_t *block);

/* Row r's block of a packed block of a quantized type, as the file has it. */
void bt_unpack_block(bt_dtype t, const uint8_t *packed, uint8_t *dst, int r);
void bt_expand__scalar(bt_dtype t, float *dst, const void *panel, int k0, int kc);
void bt_expand_bf16__scalar(bt_dtype t, uint16_t *dst, const void *panel, int k0, int kc);

#endif
