/* SPDX-License-Identifier: MIT */
#include "graph/naive.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void fixture_open(fixture *f, const char *isa, int threads, bt_precision precision)
{
    memset(f, 0, sizeof *f);
    int64_t cap = bt_cpu_cap(isa);
    assert_true(cap >= 0);
    bt_kernels_init(&f->kernels, bt_cpu_flags() & (uint32_t)cap);
    f->compute = (bt_compute){ .kernels = &f->kernels, .threads = threads, .precision = precision };
    assert_int_equal(bt_weights_create(NULL, &f->compute, &f->ws, NULL), BT_OK);
    assert_int_equal(bt_graph_create(f->ws, &f->g), BT_OK);
}

void fixture_close(fixture *f)
{
    bt_plan_free(f->p);
    bt_weights_free(f->ws);
}

static uint32_t next(uint32_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 17;
    *s ^= *s << 5;
    return *s;
}

void fill_ints(float *v, size_t n, unsigned seed)
{
    uint32_t s = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++) {
        uint32_t r = next(&s);
        v[i] = (float)(1 + (r >> 8) % 4) * (r & 64 ? 1 : -1);
    }
}

void fill_noise(float *v, size_t n, unsigned seed)
{
    uint32_t s = seed * 2654435761u + 1;
    for (size_t i = 0; i < n; i++)
        v[i] = (float)next(&s) / 2147483648.0f - 1.0f;
}

const bt_weight *random_weight(fixture *f, const char *name, int n_dims, const int64_t *dims,
                               int ints, unsigned seed, float **values)
{
    size_t n = 1;
    for (int i = 0; i < n_dims; i++)
        n *= (size_t)dims[i];
    float *v = malloc(n * sizeof *v);
    assert_non_null(v);
    (ints ? fill_ints : fill_noise)(v, n, seed);
    const bt_weight *w = bt_weight_make(f->ws, name, v, n_dims, dims);
    assert_non_null(w);
    if (values)
        *values = v;
    else
        free(v);
    return w;
}

void fixture_run(fixture *f, bt_node *x, unsigned seed)
{
    bt_error err = { 0 };
    bt_status st = bt_plan_create(f->g, &f->p, &err);
    f->g = NULL;
    if (st != BT_OK)
        fail_msg("%s", err.text);
    bt_shape s = bt_shape_of(x);
    fill_ints(bt_plan_data(f->p, x), (size_t)(s.n * s.h * s.w * s.c), seed);
    if (f->row)
        fill_ints(bt_plan_data(f->p, f->row), (size_t)bt_shape_of(f->row).c, seed + 1);
    st = bt_plan_run(f->p, NULL, &err);
    if (st != BT_OK)
        fail_msg("%s", err.text);
}

double relative_error(const float *a, const double *b, size_t n)
{
    double d = 0, s = 0;
    for (size_t i = 0; i < n; i++) {
        d += (a[i] - b[i]) * (a[i] - b[i]);
        s += b[i] * b[i];
    }
    return s > 0 ? sqrt(d / s) : sqrt(d);
}
