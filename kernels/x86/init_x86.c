/* SPDX-License-Identifier: MIT
 * Which overlays a processor gets. Built without -m flags: it runs before anyone
 * knows what the processor can do. Each level adds to the one before. */
#include "x86.h"

void bt_kernels_init_x86(bt_kernels *t, uint32_t cpu)
{
    if (!(cpu & BT_CPU_AVX2))
        return;
    t->isa = "avx2";
    bt_kernels_init_elem__avx2(t);
    bt_kernels_init_signal__avx2(t);
    bt_kernels_init_rows__avx2(t);
    bt_kernels_init_panels__avx2(t);
    bt_kernels_init_gemm__avx2(t);
    bt_kernels_init_attention__avx2(t);
    bt_kernels_init_q8__avx2(t);
    bt_kernels_init_peak__avx2(t);
    /* Without its instruction bf16 is slower than f32. */
    t->gemm_bf16 = NULL;
    t->expand_bf16 = NULL;
    t->join_bf16 = NULL;
    t->quantize_row = NULL; /* in need of dot products of bytes */
    t->gemm_row = NULL;
    if (cpu & BT_CPU_AVXVNNI) {
        t->isa = "avxvnni";
        bt_kernels_init_q8__avxvnni(t);
    }
    if (!(cpu & BT_CPU_AVX512))
        return;
    t->isa = "avx512";
    bt_kernels_init_elem__avx512(t);
    bt_kernels_init_signal__avx512(t);
    bt_kernels_init_rows__avx512(t);
    bt_kernels_init_panels__avx512(t);
    bt_kernels_init_gemm__avx512(t);
    bt_kernels_init_attention__avx512(t);
    bt_kernels_init_peak__avx512(t, cpu);
    if (!(cpu & BT_CPU_AVX512VNNI))
        return;
    t->isa = "avx512vnni";
    bt_kernels_init_q8__avx512vnni(t);
    bt_kernels_init_row8__avx512vnni(t);
    bt_kernels_init_attention__avx512vnni(t);
    if (!(cpu & BT_CPU_AVX512BF16))
        return;
    t->isa = "avx512bf16";
    bt_kernels_init_bf16__avx512(t);
    if (!(cpu & BT_CPU_AMX))
        return;
    t->isa = "amx";
    bt_kernels_init_bf16__amx(t);
    bt_kernels_init_row8__amx(t);
    bt_kernels_init_attention__amx(t);
    bt_kernels_init_peak__amx(t);
}
