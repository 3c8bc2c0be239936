/* SPDX-License-Identifier: MIT
 * Dot products of fours of bytes (AVX512-VNNI). Include after vec_avx512.h. */
#ifndef BT_KERNELS_VNNI_H
#define BT_KERNELS_VNNI_H

#include <string.h>

#ifndef __AVX512VNNI__
#error "this file needs -mavx512vnni"
#endif

/* sum += a b, fours of unsigned bytes a and signed bytes b. The instruction itself, since
 * gcc 12 copies the sums of the intrinsic around in loops that have many. */
static inline __attribute__((always_inline)) void vi_dot(vi *sum, vi a, vi b)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

/* Four bytes in every lane. */
static inline __attribute__((always_inline)) vi vi_four(const void *p)
{
    int32_t x;
    memcpy(&x, p, 4);
    return _mm512_set1_epi32(x);
}

#endif
