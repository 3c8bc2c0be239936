/* SPDX-License-Identifier: MIT
 * The int8 compute type with the VPDPBUSD of 256 bits that processors without
 * AVX-512 have. Built with -mavx2 -mfma -mf16c -mavxvnni (CMakeLists.txt). */
#include "vec_avx2.h"

#ifndef __AVXVNNI__
#error "this file needs -mavxvnni"
#endif

#include "../tmpl/q8_open.h"
#include "x86.h"

#include <math.h>

#define INLINE static inline __attribute__((always_inline))

#define Q8_FORM Q8_UNSIGNED
enum { PANELS = 1, FEW = 0 };

/* s + the dot products of half a block, groups g0..g0+3, with 8 columns. */
INLINE vi dot_half(const int bits, vi s, const vi w[8], const int8_t *q, const int g0)
{
    (void)bits;
#pragma GCC unroll 4
    for (int g = g0; g < g0 + 4; g++) {
        int32_t four;
        memcpy(&four, q + 4 * g, 4);
        s = _mm256_dpbusd_avx_epi32(s, w[g], vi_set32(four));
    }
    return s;
}

#include "../tmpl/q8_256.inc"
#include "../tmpl/q8_gemm.inc"

void bt_kernels_init_q8__avxvnni(bt_kernels *t)
{
    t->quantize_a = quantize_a;
    Q8_TYPES(Q8_ENTRY)
}
