/* SPDX-License-Identifier: MIT
 * Which overlays a processor gets: NEON is there on every AArch64; the int8 dot
 * product (FEAT_DotProd) is asked for. */
#include "arm.h"

void bt_kernels_init_arm(bt_kernels *t, uint32_t cpu)
{
    if (!(cpu & BT_CPU_NEON))
        return;
    t->isa = "neon";
    bt_kernels_init_elem__neon(t);
    bt_kernels_init_signal__neon(t);
    bt_kernels_init_rows__neon(t);
    bt_kernels_init_panels__neon(t);
    bt_kernels_init_gemm__neon(t);
    bt_kernels_init_attention__neon(t);
    t->gemm_bf16 = NULL; /* slower than f32 without its instruction */
    t->expand_bf16 = NULL;
    t->quantize_row = NULL;
    t->gemm_row = NULL;
    if (!(cpu & BT_CPU_DOTPROD))
        return;
    t->isa = "dotprod";
    bt_kernels_init_q8__neon(t);
}
