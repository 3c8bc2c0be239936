/* SPDX-License-Identifier: MIT
 * The transforms of minimal filtering. */
#include "kcheck.h"

#include <stdbool.h>
#include <stdio.h>

/* Coefficients of any kind: the formulas hold whether or not they make a filter. */
static bt_points points_of(int pairs, int outs, int exact)
{
    bt_points t = { .pairs = pairs, .outs = outs };
    float *rows[] = { t.at, t.all };
    for (int i = 0; i < 2; i++)
        exact ? kc_ints(rows[i], BT_MAX_PAIRS, 3) : kc_noise(rows[i], BT_MAX_PAIRS, 2.0f);
    for (int a = 0; a < BT_MAX_PAIRS; a++)
        exact ? kc_ints(t.but[a], BT_MAX_PAIRS, 3) : kc_noise(t.but[a], BT_MAX_PAIRS, 2.0f);
    for (int o = 0; o < BT_MAX_OUTS; o++)
        exact ? kc_ints(t.power[o], BT_MAX_PAIRS, 3) : kc_noise(t.power[o], BT_MAX_PAIRS, 2.0f);
    return t;
}

typedef struct sum {
    double value, mag;
} sum;

static void add(sum *s, double a, double b)
{
    s->value += a * b;
    s->mag += fabs(a * b);
}

/* Value i of block b at a point, from x[rows][n]. */
static sum in_of(const bt_points *t, int point, const float *x, int n)
{
    const int p = t->pairs, a = (point - 1) / 2;
    const bool top = point == 2 * p + 1;
    sum s = { 0 };
    if (point == 0 || top) {
        for (int j = 0; j <= p; j++)
            add(&s, j < p ? (double)t->all[j] : 1.0, (double)x[(2 * j + top) * n]);
        return s;
    }
    const double at = point % 2 ? (double)t->at[a] : -(double)t->at[a];
    for (int j = 0; j < p; j++) {
        const double c = j < p - 1 ? (double)t->but[a][j] : 1.0;
        add(&s, c, (double)x[(2 * j + 2) * n]);
        add(&s, c * at, (double)x[(2 * j + 1) * n]);
    }
    return s;
}

static sum out_of(const bt_points *t, int o, const float *v, size_t ldv)
{
    sum s = { 0 };
    for (int a = 0; a < t->pairs; a++) {
        add(&s, (double)t->power[o][a], (double)v[(size_t)(2 * a + 1) * ldv]);
        add(&s, o % 2 ? -(double)t->power[o][a] : (double)t->power[o][a],
            (double)v[(size_t)(2 * a + 2) * ldv]);
    }
    if (o == 0)
        add(&s, 1.0, (double)v[0]);
    if (o == t->outs - 1)
        add(&s, 1.0, (double)v[(size_t)(2 * t->pairs + 1) * ldv]);
    return s;
}

static double bound(sum s, int exact) { return exact ? 0.0 : kc_sum_bound(16, s.mag); }

/* All values against double; one block, and the last value, alone: the same bytes. */
static void minimal_case(const bt_kernels *k, int pairs, int outs, int blocks, int n, int exact)
{
    const bt_points t = points_of(pairs, outs, exact);
    const int count = 2 * pairs + 2, rows = outs * (blocks - 1) + count;
    const size_t ldv = (size_t)(blocks * n + 3), n_v = (size_t)(count - 1) * ldv + blocks * n;
    float *x = kc_floats((size_t)rows * n), *v = kc_floats(n_v), *alone = kc_floats(n_v);
    exact ? kc_ints(x, (size_t)rows * n, 4) : kc_noise(x, (size_t)rows * n, 1.0f);
    k->minimal_in(&t, blocks, n, x, v, ldv);
    for (int b = 0; b < blocks; b++) {
        k->minimal_in(&t, 1, n, x + (size_t)b * outs * n, alone, ldv);
        for (int p = 0; p < count; p++)
            for (int i = 0; i < n; i++) {
                const float got = v[(size_t)p * ldv + b * n + i];
                const sum want = in_of(&t, p, x + (size_t)b * outs * n + i, n);
                kc_close((double)got, want.value, bound(want, exact), "minimal_in");
                kc_same(&got, alone + (size_t)p * ldv + i, sizeof got, "minimal_in alone");
            }
    }
    kc_release();
}

/* `rows` rows back, each value against double; rows alone: the same bytes. with: which of
 * bias, a, b, z there are. */
static void back_case(const bt_kernels *k, const bt_points *t, int dilation, int c, int rows,
                      int exact, int with)
{
    const int block = t->outs * dilation, blocks = (rows + block - 1) / block;
    const size_t ldv = (size_t)(blocks * dilation * c + 3), n = (size_t)rows * c;
    const size_t n_v = (size_t)(2 * t->pairs + 1) * ldv + (size_t)(blocks * dilation * c);
    float *v = kc_floats(n_v), *part[3], *y = kc_floats(n), *z = kc_floats(n);
    exact ? kc_ints(v, n_v, 50) : kc_noise(v, n_v, 1.0f);
    for (int i = 0; i < 3; i++) {
        part[i] = kc_floats(i ? n : (size_t)c);
        exact ? kc_ints(part[i], i ? n : (size_t)c, 50)
              : kc_noise(part[i], i ? n : (size_t)c, 1.0f);
    }
    memcpy(y, part[2], n * sizeof *y);
    bt_minimal_rows to = { .y = y, .alpha = 0.25f };
    to.bias = with & 1 ? part[0] : NULL;
    to.a = with & 2 ? part[1] : NULL;
    to.b = with & 4 ? y : NULL;
    to.z = with & 8 ? z : NULL;
    k->minimal_out(t, dilation, c, rows, v, ldv, &to);
    for (size_t i = 0; i < n; i++) {
        const int r = (int)(i / c), at = r % block, group = r / block * dilation + at % dilation;
        sum want = out_of(t, at / dilation, v + (size_t)(group * c) + i % c, ldv);
        for (int p = 0; p < 3; p++)
            if (with & 1 << p)
                add(&want, 1.0, (double)part[p][p ? i : i % c]);
        kc_close((double)y[i], want.value, bound(want, exact), "minimal_out");
        if (to.z)
            assert_float_equal(z[i], y[i] < 0.0f ? 0.25f * y[i] : y[i], 0.0f);
    }
    for (int r = block; r < rows; r += block) { /* from a block on: the same */
        float *alone = kc_floats(n - (size_t)r * c);
        const size_t from = (size_t)r * c;
        memcpy(alone, part[2] + from, (n - from) * sizeof *alone);
        bt_minimal_rows rest = { .y = alone, .bias = to.bias, .alpha = 0.25f };
        rest.a = to.a ? to.a + from : NULL;
        rest.b = to.b ? alone : NULL;
        k->minimal_out(t, dilation, c, 1, v + (size_t)(r / t->outs * c), ldv, &rest);
        kc_same(alone, y + from, (size_t)c * sizeof *alone, "minimal_out alone");
    }
    kc_release();
}

void check_minimal(const bt_kernels *k)
{
    static const int ns[] = { 1, 4, 15, 16, 17, 48 };
    for (int pairs = 1; pairs <= BT_MAX_PAIRS; pairs++)
        for (int outs = 2; outs <= BT_MAX_OUTS && outs <= 2 * pairs + 1; outs++)
            for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) {
                minimal_case(k, pairs, outs, 1 + (int)i % 3, ns[i], 1);
                minimal_case(k, pairs, outs, 1 + (int)i % 3, ns[i], 0);
            }
    minimal_case(k, 3, 6, 1, 384, 0);
    for (int i = 0; i < 96; i++) {
        const int pairs = 1 + i % BT_MAX_PAIRS, most = 2 * pairs + 1;
        const bt_points t = points_of(pairs, most < BT_MAX_OUTS ? most : BT_MAX_OUTS, i % 2);
        back_case(k, &t, 1 + i % 3, ns[i % 6], 1 + i % 40, i % 2, i / 2 % 16);
    }
}

typedef struct job {
    const bt_kernels *k;
    bt_points t;
    float *x, *v;
} job;

enum { BLOCKS = 12, N = 64 };

static void run_in(void *arg)
{
    const job *j = arg;
    j->k->minimal_in(&j->t, BLOCKS, N, j->x, j->v, BLOCKS * N);
}

static void run_out(void *arg)
{
    const job *j = arg;
    j->k->minimal_out(&j->t, 1, N, BLOCKS * j->t.outs, j->v, BLOCKS * N,
                      &(bt_minimal_rows){ .y = j->x });
}

void bench_minimal(const bt_kernels *k)
{
    for (int pairs = 2; pairs <= BT_MAX_PAIRS; pairs++) {
        const int count = 2 * pairs + 2;
        job j = { .k = k, .t = points_of(pairs, 6 < count ? 6 : count - 1, 0) };
        j.x = kc_floats((size_t)(BLOCKS * j.t.outs + count) * N);
        j.v = kc_floats((size_t)count * BLOCKS * N);
        const double values = (double)count * BLOCKS * N;
        char name[48];
        snprintf(name, sizeof name, "minimal_in, %d points", count);
        kc_print(name, values / kc_time(run_in, &j) * 1e-9, "Gvalues/s");
        snprintf(name, sizeof name, "minimal_out, %d points", count);
        kc_print(name, values / kc_time(run_out, &j) * 1e-9, "Gvalues/s");
        kc_release();
    }
}
