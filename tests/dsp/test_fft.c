/* SPDX-License-Identifier: MIT
 * Real Fourier transforms against sums in double, there and back, on every instruction
 * set; lanes do not see each other.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "dsp/fft.h"

enum { MOST = 2048, MOST_LANES = 17 };
#define PI 3.14159265358979323846

static const char *const isas[] = { "scalar", "avx2", "avx512", "auto" };
static const int lengths[] = { 2, 4, 6, 10, 12, 20, 60, 150, 1024, 1200, 2048 };

typedef struct memory {
    float x[MOST * MOST_LANES], back[MOST * MOST_LANES];
    float spectrum[(MOST + 2) * MOST_LANES];
    float work[2 * MOST * MOST_LANES];
} memory;

static float noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)*state / 2147483648.0f;
}

/* Value i of lane l. */
static float *at(float *x, int n, int lanes, int i, int l)
{
    return &x[(i % 2 * (n / 2) + i / 2) * lanes + l];
}

static void check_lane(memory *m, int n, int lanes, int l)
{
    double worst = 0, size = 0, real[MOST], imaginary[MOST];
    for (int i = 0; i < n; i++) {
        real[i] = cos(-2 * PI * i / n);
        imaginary[i] = sin(-2 * PI * i / n);
    }
    for (int k = 0; k <= n / 2; k++) {
        double re = 0, im = 0;
        for (int i = 0; i < n; i++) {
            const double x = *at(m->x, n, lanes, i, l);
            re += x * real[(int64_t)i * k % n];
            im += x * imaginary[(int64_t)i * k % n];
        }
        const double a = m->spectrum[k * lanes + l] - re;
        const double b = m->spectrum[(n / 2 + 1 + k) * lanes + l] - im;
        worst = fmax(worst, hypot(a, b));
        size = fmax(size, hypot(re, im));
    }
    assert_true(worst <= 1e-6 * size); /* measured: 4e-7 */
}

static void check(const bt_kernels *k, memory *m, int n, int lanes)
{
    bt_fft *f;
    bt_error err = { 0 };
    uint32_t state = (uint32_t)(n + lanes);
    if (bt_fft_create(n, &f, &err) != BT_OK)
        fail_msg("%s", err.text);
    for (int i = 0; i < n * lanes; i++)
        m->x[i] = noise(&state);
    bt_fft_forward(f, k, lanes, m->x, m->spectrum, m->work);
    check_lane(m, n, lanes, 0);
    check_lane(m, n, lanes, lanes - 1);
    bt_fft_inverse(f, k, lanes, m->spectrum, m->back, m->work);
    for (int i = 0; i < n * lanes; i++)
        assert_true(fabsf(m->back[i] - m->x[i]) <= 1e-6f);
    bt_fft_free(f);
}

static void matches_sums(void **state)
{
    memory *m = *state;
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        bt_kernels k;
        bt_kernels_init(&k, bt_cpu_flags() & (uint32_t)bt_cpu_cap(isas[i]));
        for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) {
            check(&k, m, lengths[j], 1);
            check(&k, m, lengths[j], MOST_LANES);
        }
    }
}

/* What a lane comes out as does not depend on how many there are, nor on its place. */
static void lanes_stand_alone(void **state)
{
    enum { N = 60 };
    memory *m = *state;
    bt_kernels k;
    bt_fft *f;
    float one[N], spectrum[N + 2], work[2 * N];
    uint32_t seed = 7;
    bt_kernels_init(&k, bt_cpu_flags());
    assert_int_equal(bt_fft_create(N, &f, NULL), BT_OK);
    for (int i = 0; i < N * MOST_LANES; i++)
        m->x[i] = noise(&seed);
    for (int i = 0; i < N; i++)
        one[i] = m->x[i * MOST_LANES + 16];
    bt_fft_forward(f, &k, MOST_LANES, m->x, m->spectrum, m->work);
    bt_fft_forward(f, &k, 1, one, spectrum, work);
    for (int i = 0; i < N + 2; i++)
        assert_memory_equal(&spectrum[i], &m->spectrum[i * MOST_LANES + 16], sizeof(float));
    bt_fft_inverse(f, &k, MOST_LANES, m->spectrum, m->back, m->work);
    bt_fft_inverse(f, &k, 1, spectrum, one, work);
    for (int i = 0; i < N; i++)
        assert_memory_equal(&one[i], &m->back[i * MOST_LANES + 16], sizeof(float));
    bt_fft_free(f);
}

static void odd_lengths_are_refused(void **state)
{
    static const int bad[] = { -2, 0, 1, 3, 14, 22, BT_FFT_MOST + 2, BT_FFT_MOST * 2 };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bt_fft *f;
        bt_error err = { 0 };
        assert_int_equal(bt_fft_create(bad[i], &f, &err), BT_EINVAL);
        assert_null(f);
        assert_non_null(strstr(err.text, "Fourier"));
    }
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(memory));
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_sums),
        cmocka_unit_test(lanes_stand_alone),
        cmocka_unit_test(odd_lengths_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
