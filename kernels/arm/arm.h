/* SPDX-License-Identifier: MIT
 * Overlays for AArch64: each function fills what its file speeds up. */
#ifndef BT_KERNELS_ARM_H
#define BT_KERNELS_ARM_H

#include "../kernels.h"

void bt_kernels_init_arm(bt_kernels *t, uint32_t cpu);

void bt_kernels_init_elem__neon(bt_kernels *t);
void bt_kernels_init_signal__neon(bt_kernels *t);
void bt_kernels_init_rows__neon(bt_kernels *t);
void bt_kernels_init_panels__neon(bt_kernels *t);
void bt_kernels_init_gemm__neon(bt_kernels *t);
void bt_kernels_init_attention__neon(bt_kernels *t);
void bt_kernels_init_q8__neon(bt_kernels *t);

#endif
