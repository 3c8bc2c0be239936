/* SPDX-License-Identifier: MIT
 * Speeds of the kernels: bench_kernels [ISA [NAME]]. One thread. */
#include "kcheck.h"

#include <stdio.h>

/* A millisecond or so of each of the table's measuring loops. */
static void measure_peaks(const bt_kernels *t)
{
    static const char *const names[] = { "f32", "bf16", "int8", "amx_bf16", "amx_int8" };
    printf("%s; peaks of one thread, GFLOP/s:", t->isa);
    for (int i = 0; i < BT_PEAK_COUNT; i++) {
        kc_peak_job j = { t->peak[i], 20000, 0 };
        if (!t->peak[i])
            continue;
        const double seconds = kc_time(kc_run_peak, &j);
        kc_peaks[i] = j.operations / seconds;
        printf(" %s %.0f", names[i], kc_peaks[i] * 1e-9);
    }
    printf("\n");
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
    measure_peaks(&t);
#define X(name)                                       \
    if (argc < 3 || strcmp(argv[2], #name) == 0)      \
        bench_##name(&t);
#include "kernels.inc"
#undef X
    return 0;
}
