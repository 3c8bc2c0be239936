/* SPDX-License-Identifier: MIT
 * Fills the table of kernels: scalar first, then overlays, so that a kernel that
 * an instruction set does not speed up is simply the one below it. */
#include "ref/ref.h"
#if defined(__x86_64__)
#include "x86/x86.h"
#elif defined(__aarch64__)
#include "arm/arm.h"
#endif

#include <string.h>

void bt_kernels_init(bt_kernels *t, uint32_t cpu)
{
    memset(t, 0, sizeof *t);
    t->isa = "scalar";
    t->cpu = cpu;
    bt_kernels_init_gemm__scalar(t);
    bt_kernels_init_q8__scalar(t);
    bt_kernels_init_row8__scalar(t);
    bt_kernels_init_elem__scalar(t);
    bt_kernels_init_signal__scalar(t);
    bt_kernels_init_rows__scalar(t);
    bt_kernels_init_attention__scalar(t);
    bt_kernels_init_peak__scalar(t);
#if defined(__x86_64__)
    bt_kernels_init_x86(t, cpu);
#elif defined(__aarch64__)
    bt_kernels_init_arm(t, cpu);
#endif
}
