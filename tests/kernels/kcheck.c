/* SPDX-License-Identifier: MIT */
#include "kcheck.h"

#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MAX_BUFFERS = 4096, CANARY = 32 };

static struct {
    uint8_t *base, *data;
    size_t map;
} buffers[MAX_BUFFERS];
static int buffer_count;

void *kc_bytes(size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t body = (bytes + CANARY + page - 1) / page * page;
    assert_true(buffer_count < MAX_BUFFERS);
    uint8_t *base = mmap(NULL, body + page, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(base != MAP_FAILED);
    assert_int_equal(mprotect(base + body, page, PROT_NONE), 0);
    memset(base, 0xa5, body);
    buffers[buffer_count].base = base;
    buffers[buffer_count].data = base + body - bytes;
    buffers[buffer_count].map = body + page;
    return buffers[buffer_count++].data;
}

float *kc_floats(size_t n)
{
    return kc_bytes(n * sizeof(float));
}

void kc_release(void)
{
    while (buffer_count > 0) {
        buffer_count--;
        const uint8_t *p = buffers[buffer_count].data;
        for (int i = 1; i <= CANARY; i++)
            assert_int_equal(p[-i], 0xa5);
        munmap(buffers[buffer_count].base, buffers[buffer_count].map);
    }
}

uint32_t kc_random(void)
{
    static uint64_t state = 88172645463325252u; /* xorshift64, Marsaglia 2003 */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

void kc_ints(float *x, size_t n, int max)
{
    for (size_t i = 0; i < n; i++) {
        const float v = (float)(1 + kc_random() % (uint32_t)max);
        x[i] = kc_random() & 1 ? v : -v;
    }
}

void kc_noise(float *x, size_t n, float amp)
{
    for (size_t i = 0; i < n; i++)
        x[i] = amp * ((float)(kc_random() >> 8) * 0x1p-23f - 1.0f);
}

/* Where the half-precision scales of a block lie. */
static int half_offsets(bt_dtype t, int at[2])
{
    at[0] = 0;
    at[1] = 2;
    switch (t) {
    case BT_Q4_0: case BT_Q5_0: case BT_Q8_0: case BT_IQ4_NL: case BT_IQ4_XS: return 1;
    case BT_Q4_1: case BT_Q5_1: case BT_Q4_K: case BT_Q5_K: return 2;
    case BT_Q2_K: at[0] = 80; at[1] = 82; return 2;
    case BT_Q3_K: at[0] = 108; return 1;
    case BT_Q6_K: at[0] = 208; return 1;
    default: return 0;
    }
}

void kc_weights(bt_dtype t, void *row, size_t k, int exact)
{
    uint8_t *p = row;
    if (t == BT_F32 || t == BT_F16 || t == BT_BF16) {
        for (size_t i = 0; i < k; i++, p += bt_dtypes[t].bytes) {
            float v;
            if (exact)
                kc_ints(&v, 1, 8);
            else
                kc_noise(&v, 1, 1.0f);
            bt_quantize_row(t, &v, p, 1);
        }
        return;
    }
    int at[2];
    const int halves = half_offsets(t, at);
    for (size_t i = 0; i < bt_row_bytes(t, k); i++)
        p[i] = (uint8_t)kc_random();
    for (size_t i = 0; i < k; i += bt_dtypes[t].block, p += bt_dtypes[t].bytes)
        for (int h = 0; h < halves; h++) {
            float v;
            kc_noise(&v, 1, 0.1f);
            const uint16_t d = exact ? 0x3c00 : bt_f32_to_f16(v);
            memcpy(p + at[h], &d, 2);
        }
    if (t == BT_F64) /* random bits make NaN */
        memset(row, 0, bt_row_bytes(t, k));
}

void *kc_pack(bt_dtype t, const uint8_t *rows, int np, int k)
{
    const size_t bytes = bt_panel_bytes(t, k), row = bt_row_bytes(t, (size_t)k);
    uint8_t *panels = kc_bytes(bytes * (size_t)np);
    for (int p = 0; p < np; p++) {
        const void *ptr[BT_NR];
        for (int r = 0; r < BT_NR; r++)
            ptr[r] = rows + (size_t)(p * BT_NR + r) * row;
        bt_pack_panel(t, panels + (size_t)p * bytes, ptr, k);
    }
    return panels;
}

void kc_same(const void *a, const void *b, size_t bytes, const char *what)
{
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < bytes; i++)
        if (x[i] != y[i])
            fail_msg("%s: byte %zu of %zu differs", what, i, bytes);
}

void kc_close(double got, double want, double bound, const char *what)
{
    if (!(fabs(got - want) <= bound) && !(got == want))
        fail_msg("%s: got %.9g, want %.9g, off by %.3g, bound %.3g", what, got, want,
                 got - want, bound);
}

double kc_sum_bound(int n, double mag)
{
    return 4.0 * sqrt((double)n) * (double)FLT_EPSILON * mag;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* a busy machine disturbs it less */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double kc_time(void (*fn)(void *), void *arg)
{
    double best = 1e9;
    long reps = 1;
    for (int round = 0; round < 6; round++) {
        const double start = now();
        for (long i = 0; i < reps; i++)
            fn(arg);
        const double each = (now() - start) / (double)reps;
        best = each < best ? each : best;
        reps = 1 + (long)(0.02 / each);
    }
    return best;
}

double kc_peaks[BT_PEAK_COUNT];

void kc_run_peak(void *job)
{
    kc_peak_job *j = job;
    j->operations = j->loop(j->rounds);
}

void kc_print(const char *what, double value, const char *unit)
{
    printf("  %-34s %9.2f %s\n", what, value, unit);
}

static void print_share(const char *what, double flops, const char *type, double peak)
{
    printf("  %-34s %9.2f GFLOP/s  %5.1f %% of %s peak\n", what, flops * 1e-9,
           100.0 * flops / peak, type);
}

void kc_print_flops(const char *what, double flops)
{
    print_share(what, flops, "f32", kc_peaks[BT_PEAK_F32]);
}

void kc_print_bf16(const char *what, double flops)
{
    const double tiles = kc_peaks[BT_PEAK_AMX_BF16], dots = kc_peaks[BT_PEAK_BF16];
    const double best = tiles > dots ? tiles : dots;
    print_share(what, flops, best > 0 ? "bf16" : "f32", best > 0 ? best : kc_peaks[BT_PEAK_F32]);
}

void kc_print_int8(const char *what, double flops)
{
    const double dots = kc_peaks[BT_PEAK_INT8];
    print_share(what, flops, dots > 0 ? "int8" : "f32", dots > 0 ? dots : kc_peaks[BT_PEAK_F32]);
}
