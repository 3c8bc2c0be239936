/* SPDX-License-Identifier: MIT
 * Overlays for x86-64: each function fills what its file speeds up. To add one:
 * docs/add-a-kernel.md. */
#ifndef BT_KERNELS_X86_H
#define BT_KERNELS_X86_H

#include "../kernels.h"

void bt_kernels_init_x86(bt_kernels *t, uint32_t cpu);

void bt_kernels_init_elem__avx2(bt_kernels *t);
void bt_kernels_init_signal__avx2(bt_kernels *t);
void bt_kernels_init_rows__avx2(bt_kernels *t);
void bt_kernels_init_panels__avx2(bt_kernels *t);
void bt_kernels_init_gemm__avx2(bt_kernels *t);
void bt_kernels_init_attention__avx2(bt_kernels *t);
void bt_kernels_init_q8__avx2(bt_kernels *t);
void bt_kernels_init_q8__avxvnni(bt_kernels *t);

void bt_kernels_init_elem__avx512(bt_kernels *t);
void bt_kernels_init_signal__avx512(bt_kernels *t);
void bt_kernels_init_rows__avx512(bt_kernels *t);
void bt_kernels_init_panels__avx512(bt_kernels *t);
void bt_kernels_init_gemm__avx512(bt_kernels *t);
void bt_kernels_init_attention__avx512(bt_kernels *t);
void bt_kernels_init_bf16__avx512(bt_kernels *t);
void bt_kernels_init_bf16__amx(bt_kernels *t);
void bt_kernels_init_attention__amx(bt_kernels *t);
void bt_kernels_init_attention__avx512vnni(bt_kernels *t);
void bt_kernels_init_q8__avx512vnni(bt_kernels *t);
void bt_kernels_init_row8__avx512vnni(bt_kernels *t);
void bt_kernels_init_row8__amx(bt_kernels *t);
void bt_kernels_init_peak__avx2(bt_kernels *t);
void bt_kernels_init_peak__amx(bt_kernels *t);
void bt_kernels_init_peak__avx512(bt_kernels *t, uint32_t cpu); /* VNNI, BF16 if in cpu */

/* expand of the table */
void bt_expand__avx2(bt_dtype t, float *dst, const void *panel, int k0, int kc);
void bt_expand__avx512(bt_dtype t, float *dst, const void *panel, int k0, int kc);

#endif
