/* SPDX-License-Identifier: MIT
 * The measuring loops with AVX2 and FMA. Built with -mavx2 -mfma -mf16c
 * (CMakeLists.txt). Twelve chains hide a latency of five cycles on two units.
 */
#include <immintrin.h>

#ifndef __AVX2__
#error "this file needs -mavx2"
#endif

#include "x86.h"

enum { CHAINS = 12, LOADS = 8 };

#define KEEP(x) __asm__ volatile("" : "+x"(x)) /* the compiler must compute it, and forget it */

static double peak_f32(long rounds)
{
    const __m256 k = _mm256_set1_ps(0.999f);
    __m256 x[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm256_set1_ps((float)i);
    for (long s = 0; s < rounds; s++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm256_fmadd_ps(x[i], k, k);
    for (int i = 0; i < CHAINS; i++)
        KEEP(x[i]);
    return 2.0 * 8 * CHAINS * (double)rounds;
}

/* Without VNNI a dot product of bytes takes three instructions. */
static double peak_int8(long rounds)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i a = _mm256_set1_epi8(3), x[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm256_set1_epi32(i);
    for (long s = 0; s < rounds; s++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) {
            KEEP(a);
            x[i] = _mm256_add_epi32(x[i], _mm256_madd_epi16(_mm256_maddubs_epi16(a, a), ones));
        }
    for (int i = 0; i < CHAINS; i++)
        KEEP(x[i]);
    return 2.0 * 32 * CHAINS * (double)rounds;
}

static void read_all(const void *p, size_t bytes)
{
    const __m256i *x = p;
    __m256i sum[LOADS] = { 0 };
    for (size_t i = 0; i < bytes / sizeof *x; i += LOADS)
#pragma GCC unroll 8
        for (int j = 0; j < LOADS; j++)
            sum[j] = _mm256_or_si256(sum[j], _mm256_load_si256(x + i + j));
    for (int j = 0; j < LOADS; j++)
        KEEP(sum[j]);
}

void bt_kernels_init_peak__avx2(bt_kernels *t)
{
    t->peak[BT_PEAK_F32] = peak_f32;
    t->peak[BT_PEAK_INT8] = peak_int8;
    t->read = read_all;
}
