/* SPDX-License-Identifier: MIT
 * The measuring loops with AVX-512, VNNI and BF16. Built with -mavx512f -mavx512bw
 * -mavx512dq -mavx512vl -mavx512vnni -mavx512bf16 (CMakeLists.txt); each loop is
 * handed out only where its instruction is. Sixteen chains hide a latency of eight.
 */
#include <immintrin.h>

#if !defined(__AVX512VNNI__) || !defined(__AVX512BF16__)
#error "this file needs -mavx512vnni -mavx512bf16"
#endif

#include "x86.h"

enum { CHAINS = 16, LOADS = 8 };

#define KEEP(x) __asm__ volatile("" : "+v"(x)) /* the compiler must compute it */

static double peak_f32(long rounds)
{
    const __m512 k = _mm512_set1_ps(0.999f);
    __m512 x[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm512_set1_ps((float)i);
    for (long s = 0; s < rounds; s++)
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm512_fmadd_ps(x[i], k, k);
    for (int i = 0; i < CHAINS; i++)
        KEEP(x[i]);
    return 2.0 * 16 * CHAINS * (double)rounds;
}

static double peak_bf16(long rounds)
{
    const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f003f00); /* pairs of 0.5 */
    __m512 x[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm512_set1_ps((float)i);
    for (long s = 0; s < rounds; s++)
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm512_dpbf16_ps(x[i], a, a);
    for (int i = 0; i < CHAINS; i++)
        KEEP(x[i]);
    return 2.0 * 32 * CHAINS * (double)rounds;
}

static double peak_int8(long rounds)
{
    const __m512i a = _mm512_set1_epi8(3);
    __m512i x[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm512_set1_epi32(i);
    for (long s = 0; s < rounds; s++)
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm512_dpbusd_epi32(x[i], a, a);
    for (int i = 0; i < CHAINS; i++)
        KEEP(x[i]);
    return 2.0 * 64 * CHAINS * (double)rounds;
}

static void read_all(const void *p, size_t bytes)
{
    const __m512i *x = p;
    __m512i sum[LOADS] = { 0 };
    for (size_t i = 0; i < bytes / sizeof *x; i += LOADS)
#pragma GCC unroll 8
        for (int j = 0; j < LOADS; j++)
            sum[j] = _mm512_or_si512(sum[j], _mm512_load_si512(x + i + j));
    for (int j = 0; j < LOADS; j++)
        KEEP(sum[j]);
}

void bt_kernels_init_peak__avx512(bt_kernels *t, uint32_t cpu)
{
    t->peak[BT_PEAK_F32] = peak_f32;
    t->read = read_all;
    if (cpu & BT_CPU_AVX512BF16)
        t->peak[BT_PEAK_BF16] = peak_bf16;
    if (cpu & BT_CPU_AVX512VNNI)
        t->peak[BT_PEAK_INT8] = peak_int8;
}
