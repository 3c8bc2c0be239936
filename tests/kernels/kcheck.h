/* SPDX-License-Identifier: MIT
 * Helpers of the kernel tests and of their bench: data, guarded buffers,
 * comparisons, timing. A check runs one family of kernels against a double
 * reference; integers must come out exact, noise within a derived bound.
 */
#ifndef BT_TESTS_KCHECK_H
#define BT_TESTS_KCHECK_H

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"
#include "kernels/quant.h"

#define X(name)                            \
    void check_##name(const bt_kernels *t); \
    void bench_##name(const bt_kernels *t);
#include "kernels.inc"
#undef X

/* bytes that end at a page nobody may touch, so that reading or writing past
 * the end stops the test at once; bytes before the start are checked by
 * kc_release, which frees everything. Filled with 0xa5 (as floats: tiny). */
void *kc_bytes(size_t bytes);
float *kc_floats(size_t n);
void kc_release(void);

uint32_t kc_random(void);
/* Whole numbers with 1 <= |x| <= max: sums of their products are exact. */
void kc_ints(float *x, size_t n, int max);
/* Uniform in -amp..amp. */
void kc_noise(float *x, size_t n, float amp);
/* A row of k values of type t. exact: scales are powers of two, so values are
 * whole numbers of at most 4096; else scales are odd and small. */
void kc_weights(bt_dtype t, void *row, size_t k, int exact);

/* Packs rows (row_bytes apart) into np panels; returns the panels. */
void *kc_pack(bt_dtype t, const uint8_t *rows, int np, int k);

void kc_same(const void *a, const void *b, size_t bytes, const char *what);
void kc_close(double got, double want, double bound, const char *what);
/* 4 sqrt(n) eps mag: rounding of a sum of n terms of total size mag. */
double kc_sum_bound(int n, double mag);

/* Seconds one call of fn(arg) takes (best of several). */
double kc_time(void (*fn)(void *), void *arg);
void kc_print(const char *what, double value, const char *unit);
/* The same with the share of what the instructions of the compute type can do. */
void kc_print_flops(const char *what, double flops); /* floats */
void kc_print_bf16(const char *what, double flops);  /* the better of dot products and tiles */
void kc_print_int8(const char *what, double flops);  /* dot products */

typedef struct kc_peak_job {
    double (*loop)(long rounds); /* of the table */
    long rounds;
    double operations; /* of one call */
} kc_peak_job;
void kc_run_peak(void *job);
extern double kc_peaks[BT_PEAK_COUNT]; /* operations per second; set by the bench */

#endif
