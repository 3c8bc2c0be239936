/* SPDX-License-Identifier: MIT
 * The int8 compute type. Built with -mavx2 -mfma -mf16c (CMakeLists.txt). */
#include "vec_avx2.h"

#include "../tmpl/q8_open.h"
#include "x86.h"

#include <math.h>

#define INLINE static inline __attribute__((always_inline))

#define Q8_FORM Q8_PLAIN
enum { PANELS = 1, FEW = 0 };

/* s + the dot products of half a block, groups g0..g0+3, with 8 columns. VPMADDUBSW
 * wants unsigned times signed and adds pairs in 16 bits. Signed bytes (bits = 8)
 * move their sign to the activation (2 * 128 * 127 fits); unsigned ones of 5 bits
 * may be summed over all four groups (8 * 31 * 127 fits), of 6 bits over two. */
INLINE vi dot_half(const int bits, vi s, const vi w[8], const int8_t *q, const int g0)
{
    const vi ones = _mm256_set1_epi16(1);
    vi sum = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int g = g0; g < g0 + 4; g++) {
        int32_t four;
        memcpy(&four, q + 4 * g, 4);
        const vi x = vi_set32(four);
        const vi pairs =
            bits == 8 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w[g]), _mm256_sign_epi8(x, w[g]))
                      : _mm256_maddubs_epi16(w[g], x);
        sum = bits == 8 || (bits == 6 && g % 2 == 0) ? pairs : _mm256_add_epi16(sum, pairs);
        if (bits == 8 || (bits == 6 && g % 2 == 1) || g == g0 + 3)
            s = _mm256_add_epi32(s, _mm256_madd_epi16(sum, ones));
    }
    return s;
}

#include "../tmpl/q8_256.inc"
#include "../tmpl/q8_gemm.inc"

void bt_kernels_init_q8__avx2(bt_kernels *t)
{
    t->quantize_a = quantize_a;
    Q8_TYPES(Q8_ENTRY)
}
