/* SPDX-License-Identifier: MIT
 * Speeds of the kernels: bench_kernels [ISA [NAME]]. One thread. */
#include "kcheck.h"

#include <stdio.h>

/* Eight independent chains per lane fill two units with a latency of four. */
enum { CHAINS = 12, STEPS = 100000 };

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f"))) static void fma512(void *arg)
{
    __m512 x[CHAINS], k = _mm512_set1_ps(0.999f);
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm512_set1_ps((float)i);
    for (int s = 0; s < STEPS; s++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm512_fmadd_ps(x[i], k, k);
    float sum = 0.0f;
    for (int i = 0; i < CHAINS; i++)
        sum += _mm512_reduce_add_ps(x[i]);
    *(float *)arg = sum;
}

__attribute__((target("avx2,fma"))) static void fma256(void *arg)
{
    __m256 x[CHAINS], k = _mm256_set1_ps(0.999f);
    for (int i = 0; i < CHAINS; i++)
        x[i] = _mm256_set1_ps((float)i);
    for (int s = 0; s < STEPS; s++)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++)
            x[i] = _mm256_fmadd_ps(x[i], k, k);
    float sum = 0.0f;
    for (int i = 0; i < CHAINS; i++)
        sum += x[i][0];
    *(float *)arg = sum;
}
#endif

static void chain4(void *arg)
{
    float x[4 * CHAINS] = { 0 };
    for (int s = 0; s < STEPS; s++)
        for (int i = 0; i < 4 * CHAINS; i++)
            x[i] = x[i] * 0.999f + 0.5f;
    *(float *)arg = x[0] + x[4 * CHAINS - 1];
}

static double peak_flops(uint32_t cpu)
{
    float sink;
#if defined(__x86_64__)
    if (cpu & BT_CPU_AVX512)
        return 2.0 * 16 * CHAINS * STEPS / kc_time(fma512, &sink);
    if (cpu & BT_CPU_AVX2)
        return 2.0 * 8 * CHAINS * STEPS / kc_time(fma256, &sink);
#endif
    (void)cpu;
    return 2.0 * 4 * CHAINS * STEPS / kc_time(chain4, &sink);
}

int main(int argc, char **argv)
{
    const int64_t cap = bt_cpu_cap(argc > 1 ? argv[1] : "auto");
    if (cap < 0) {
        fprintf(stderr, "usage: bench_kernels [ISA of bt_cpu_cap [NAME]]\n");
        return 2;
    }
    static bt_kernels t;
    bt_kernels_init(&t, bt_cpu_flags() & (uint32_t)cap);
    kc_peak_flops = peak_flops(t.cpu);
    printf("%s, peak of f32 multiply-adds %.1f GFLOP/s\n", t.isa, kc_peak_flops * 1e-9);
#define X(name)                                       \
    if (argc < 3 || strcmp(argv[2], #name) == 0)      \
        bench_##name(&t);
#include "kernels.inc"
#undef X
    return 0;
}
