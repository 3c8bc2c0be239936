/* SPDX-License-Identifier: MIT
 * Helpers of the graph tests: a weight set without a file, random values,
 * comparison with plain loops in double.
 */
#ifndef TESTS_GRAPH_NAIVE_H
#define TESTS_GRAPH_NAIVE_H

#include "graph/graph.h"

typedef struct fixture {
    bt_kernels kernels;
    bt_compute compute;
    bt_weights *ws;
    bt_graph *g;
    bt_plan *p;
    bt_node *row; /* a second input of one row, or NULL */
} fixture;

/* A fresh weight set and graph on `isa`; fails the test if there is none. */
void fixture_open(fixture *f, const char *isa, int threads, bt_precision precision);
void fixture_close(fixture *f);
/* Plans the graph, fills input x with random values of `seed`, runs. */
void fixture_run(fixture *f, bt_node *x, unsigned seed);

/* n values: small integers (never zero), or uniform in -1..1. */
void fill_ints(float *v, size_t n, unsigned seed);
void fill_noise(float *v, size_t n, unsigned seed);
/* A weight of random values under `name`; *values (if not NULL) gets a copy
 * that the caller frees. ints: small integers. */
const bt_weight *random_weight(fixture *f, const char *name, int n_dims, const int64_t *dims,
                               int ints, unsigned seed, float **values);
/* sqrt(sum (a-b)^2 / sum b^2) */
double relative_error(const float *a, const double *b, size_t n);

#endif
