/* SPDX-License-Identifier: MIT
 * What the machine can do at most, measured on the spot: operations in registers
 * per instruction, and reading memory; with one thread and with all.
 *
 * The best of some rounds counts: a peak is what the machine can do when nobody
 * disturbs it. Memory is read in a block larger than any cache of one socket.
 */
#include <math.h>
#include <string.h>

#include "base/threads.h"
#include "graph/graph.h"

#include <omp.h>

enum {
    ROUNDS = 6,
    TRIAL = 20000, /* turns of a loop, to see how long they take */
    READ_BYTES = 512 << 20,
    READ_SLICE = 1 << 20, /* threads take slices in turn, as an op's tiles do */
};

static const double ROUND_SECONDS = 0.008;

static const struct {
    bt_peak peak;
    const char *name, *compute;
} instructions[] = {
    { BT_PEAK_F32, "f32", "f32" },
    { BT_PEAK_BF16, "bf16", "bf16" },
    { BT_PEAK_INT8, "int8", "int8" },
    { BT_PEAK_AMX_BF16, "amx_bf16", "bf16" },
    { BT_PEAK_AMX_INT8, "amx_int8", "int8" },
};

/* Operations per second of all threads together, each timed by itself: waking
 * threads and waiting for each other is no part of a peak. They run for the same
 * time at once, so they share what cores share. */
static double rate_of(double (*fn)(long), int threads)
{
    const double begin = bt_now(), ops = fn(TRIAL);
    const long rounds = (long)(TRIAL * ROUND_SECONDS / fmax(bt_now() - begin, 1e-9)) + 1;
    const double each = ops / TRIAL * (double)rounds;
    double best = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double rate = 0;
#pragma omp parallel num_threads(threads) reduction(+ : rate)
        {
#pragma omp barrier
            const double start = bt_now();
            fn(rounds);
            rate += each / fmax(bt_now() - start, 1e-9);
        }
        best = fmax(best, rate);
    }
    return best;
}

static double read_rate(const bt_kernels *k, const uint8_t *block, int threads)
{
    double best = 0;
    for (int i = 0; i < ROUNDS; i++) {
        const double start = bt_now();
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
        for (int64_t at = 0; at < READ_BYTES; at += READ_SLICE)
            k->read(block + at, READ_SLICE);
        best = fmax(best, READ_BYTES / fmax(bt_now() - start, 1e-9));
    }
    return best;
}

/* 0 where there is no memory for it. */
static void measure_read(const bt_compute *c, bt_peaks *out)
{
    uint8_t *block = bt_alloc(READ_BYTES);
    if (!block)
        return;
#pragma omp parallel for num_threads(c->threads) schedule(dynamic, 1)
    for (int64_t at = 0; at < READ_BYTES; at += READ_SLICE)
        memset(block + at, 1, READ_SLICE);
    out->one.read = read_rate(c->kernels, block, 1);
    out->all.read = read_rate(c->kernels, block, c->threads);
    bt_release(block);
}

void bt_peaks_measure(const bt_compute *c, bt_peaks *out)
{
    *out = (bt_peaks){ .threads = c->threads };
    measure_read(c, out); /* first: it lasts long enough for threads to find their cores */
    for (int i = 0; i < BT_PEAK_COUNT; i++)
        if (c->kernels->peak[i]) {
            out->one.flops[i] = rate_of(c->kernels->peak[i], 1);
            out->all.flops[i] = rate_of(c->kernels->peak[i], c->threads);
        }
}

double bt_peak_of(const bt_peak_rates *r, const char *compute)
{
    double best = 0;
    for (size_t i = 0; i < sizeof instructions / sizeof *instructions; i++)
        if (compute && strcmp(instructions[i].compute, compute) == 0)
            best = fmax(best, r->flops[instructions[i].peak]);
    return best > 0 ? best : r->flops[BT_PEAK_F32];
}

static void rates_json(const bt_peak_rates *r, bt_buf *json)
{
    bt_buf_puts(json, "{");
    for (size_t i = 0; i < sizeof instructions / sizeof *instructions; i++)
        if (r->flops[instructions[i].peak] > 0)
            bt_buf_printf(json, "\"%s_gflops\":%.1f,", instructions[i].name,
                          r->flops[instructions[i].peak] * 1e-9);
    bt_buf_printf(json, "\"read_gbps\":%.2f}", r->read * 1e-9);
}

void bt_peaks_json(const bt_peaks *p, bt_buf *json)
{
    bt_buf_puts(json, "{\"one\":");
    rates_json(&p->one, json);
    bt_buf_printf(json, ",\"threads\":%d,\"all\":", p->threads);
    rates_json(&p->all, json);
    bt_buf_puts(json, "}");
}
