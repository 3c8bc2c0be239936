/* SPDX-License-Identifier: MIT */
#include "kcheck.h"

#include <stdio.h>

/* A problem with rows farther apart than d; nothing lies behind the last row. */
static bt_attn make(const bt_kernels *t, int nq, int nk, int d, int causal)
{
    const size_t ld = (size_t)d + 3;
    bt_attn a = { .ldo = ld, .ldq = ld, .ldk = ld, .ldv = ld, .nq = nq, .nk = nk, .d = d,
                  .causal = causal, .scale = 1.0f / sqrtf((float)d) };
    float *q = kc_floats(ld * (size_t)(nq - 1) + (size_t)d);
    float *k = kc_floats(ld * (size_t)(nk - 1) + (size_t)d);
    float *v = kc_floats(ld * (size_t)(nk - 1) + (size_t)d);
    kc_noise(q, ld * (size_t)(nq - 1) + (size_t)d, 3.0f);
    kc_noise(k, ld * (size_t)(nk - 1) + (size_t)d, 3.0f);
    kc_noise(v, ld * (size_t)(nk - 1) + (size_t)d, 1.0f);
    a.out = kc_floats(ld * (size_t)(nq - 1) + (size_t)d);
    a.q = q;
    a.k = k;
    a.v = v;
    a.scratch = kc_bytes((t->attention_scratch(nq, d) + 63) & ~(size_t)63);
    return a;
}

static int seen(const bt_attn *a, int i)
{
    return a->causal >= 0 && a->causal + i + 1 < a->nk ? a->causal + i + 1 : a->nk;
}

/* Rounding of a score is at most 4 sqrt(d) eps sum|q k| scale; it moves every
 * weight by that factor (twice: numerator and sum), and |v| <= 1. */
static void check_row(const bt_attn *a, int i)
{
    const int nk = seen(a, i);
    double *p = malloc(sizeof *p * (size_t)nk), max = -1e300, sum = 0.0, mag = 0.0;
    assert_non_null(p);
    for (int j = 0; j < nk; j++) {
        double s = 0.0, m = 0.0;
        for (int x = 0; x < a->d; x++) {
            const double v = (double)a->q[(size_t)i * a->ldq + (size_t)x] *
                             (double)a->k[(size_t)j * a->ldk + (size_t)x];
            s += v;
            m += fabs(v);
        }
        p[j] = s * (double)a->scale;
        max = fmax(max, p[j]);
        mag = fmax(mag, m * (double)a->scale);
    }
    for (int j = 0; j < nk; j++)
        sum += p[j] = exp(p[j] - max);
    const double bound = 2 * kc_sum_bound(a->d, mag) + kc_sum_bound(nk, 1.0) + 1e-6;
    for (int x = 0; x < a->d; x++) {
        double want = 0.0;
        for (int j = 0; j < nk; j++)
            want += p[j] / sum * (double)a->v[(size_t)j * a->ldv + (size_t)x];
        kc_close((double)a->out[(size_t)i * a->ldo + (size_t)x], want, bound, "attention");
    }
    free(p);
}

/* Row i alone, with the keys it does not see cut off: the same bytes. */
static void check_alone(const bt_kernels *t, const bt_attn *a, int i)
{
    bt_attn one = *a;
    float out[256];
    one.out = out;
    one.q = a->q + (size_t)i * a->ldq;
    one.nq = 1;
    one.nk = seen(a, i);
    one.causal = -1;
    one.scratch = kc_bytes((t->attention_scratch(1, a->d) + 63) & ~(size_t)63);
    t->attention(&one);
    kc_same(out, a->out + (size_t)i * a->ldo, (size_t)a->d * sizeof *out, "attention row alone");
    if (i + 1 < a->nq) { /* the rows from i on, in place of all */
        bt_attn some = *a;
        some.out = kc_floats(a->ldo * (size_t)(a->nq - i - 1) + (size_t)a->d);
        some.q = one.q;
        some.nq = a->nq - i;
        some.causal = a->causal < 0 ? -1 : a->causal + i;
        t->attention(&some);
        kc_same(some.out, a->out + (size_t)i * a->ldo, (size_t)a->d * sizeof *out,
                "attention from a later row");
    }
}

static void attention_case(const bt_kernels *t, int nq, int nk, int d, int causal)
{
    bt_attn a = make(t, nq, nk, d, causal);
    t->attention(&a);
    for (int i = 0; i < nq; i++)
        check_row(&a, i);
    for (int i = 0; i < nq; i += 1 + i)
        check_alone(t, &a, i);
    kc_release();
}

/* Equal scores: the mean of whole numbers over 2^n keys is exact. */
static void check_mean(const bt_kernels *t, int nk, int d)
{
    bt_attn a = make(t, 3, nk, d, -1);
    float *v = kc_floats(a.ldv * (size_t)nk);
    kc_ints(v, a.ldv * (size_t)nk, 100);
    a.v = v;
    a.scale = 0.0f;
    t->attention(&a);
    for (int i = 0; i < 3; i++)
        for (int x = 0; x < d; x++) {
            double sum = 0.0;
            for (int j = 0; j < nk; j++)
                sum += (double)v[(size_t)j * a.ldv + (size_t)x];
            kc_close((double)a.out[(size_t)i * a.ldo + (size_t)x], sum / nk, 0.0,
                     "attention mean");
        }
    kc_release();
}

void check_attention(const bt_kernels *t)
{
    static const int dims[] = { 1, 3, 16, 40, 64, 80, 129, 256 };
    static const int nqs[] = { 1, 5, 17, 40 };
    static const int nks[] = { 1, 15, 63, 64, 65, 200 };
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (size_t q = 0; q < sizeof nqs / sizeof *nqs; q++)
            for (size_t k = 0; k < sizeof nks / sizeof *nks; k++) {
                attention_case(t, nqs[q], nks[k], dims[d], -1);
                if (nks[k] >= nqs[q]) {
                    attention_case(t, nqs[q], nks[k], dims[d], 0);
                    attention_case(t, nqs[q], nks[k], dims[d], nks[k] - nqs[q]);
                }
            }
    for (int nk = 1; nk <= 256; nk *= 4)
        check_mean(t, nk, 40);
}

/* ---- speed ---- */

typedef struct job {
    const bt_kernels *t;
    bt_attn a;
} job;

static void run(void *arg)
{
    const job *j = arg;
    j->t->attention(&j->a);
}

void bench_attention(const bt_kernels *t)
{
    static const int shapes[][3] = { { 64, 1024, 64 }, { 64, 1024, 40 }, { 256, 256, 64 },
                                     { 64, 77, 64 },   { 1, 1024, 64 } };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int nq = shapes[i][0], nk = shapes[i][1], d = shapes[i][2];
        char name[64];
        job j = { t, make(t, nq, nk, d, -1) };
        snprintf(name, sizeof name, "attention %d x %d, d %d", nq, nk, d);
        const double s = kc_time(run, &j);
        kc_print_flops(name, 4.0 * nq * nk * d / s);
        if (nq == 1)
            kc_print("  of keys and values", 8.0 * nk * d * 1e-9 / s, "GB/s");
        kc_release();
    }
}
