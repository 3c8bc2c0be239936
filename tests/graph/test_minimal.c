/* SPDX-License-Identifier: MIT
 * 1-D convolutions by minimal filtering against plain loops in double.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/minimal.h"
#include "graph/op.h"
#include "naive.h"

static const char *const isas[] = { "scalar", "avx2", "avx512", "neon" };
enum { N_ISAS = sizeof isas / sizeof *isas };

static bool have(const char *isa)
{
    const int64_t cap = bt_cpu_cap(isa);
    return cap >= 0 && (bt_cpu_flags() & cap) == cap;
}

typedef struct conv_case {
    int len, in, out, taps, left, right;
} conv_case;

/* Small and large filters, one row, rows that end within a group, many tiles. */
static const conv_case cases[] = {
    { 1, 3, 5, 3, 1, 1 },      { 2, 16, 16, 5, 2, 2 },    { 23, 20, 40, 3, 1, 1 },
    { 48, 32, 33, 5, 2, 2 },   { 49, 32, 100, 7, 3, 3 },  { 50, 8, 16, 7, 0, 0 },
    { 31, 16, 16, 5, 4, 0 },   { 31, 16, 16, 3, 0, 2 },   { 1500, 16, 70, 3, 1, 1 },
    { 67, 192, 192, 3, 1, 1 }, { 67, 192, 192, 5, 2, 2 }, { 530, 192, 180, 7, 3, 3 },
};
enum { N_CASES = sizeof cases / sizeof *cases };

/* leaky(conv(x) + b) + conv(x) + b, rows [len + left + right - taps + 1] */
static void naive(const conv_case *c, const float *x, const float *w, const float *b, double *y)
{
    const int rows = c->len + c->left + c->right - c->taps + 1;
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < c->out; o++) {
            double sum = (double)b[o];
            for (int t = 0; t < c->taps; t++)
                for (int i = 0, from = r + t - c->left; from >= 0 && from < c->len && i < c->in;
                     i++)
                    sum += (double)w[(o * c->in + i) * c->taps + t] * (double)x[from * c->in + i];
            y[r * c->out + o] = sum + (sum < 0.0 ? 0.25 * sum : sum);
        }
}

/* What the graph makes of the case; x and the weights too, for whoever wants them. */
static float *run_case(const conv_case *c, const char *isa, int threads, float **x, float **w,
                       float **b)
{
    fixture f;
    fixture_open(&f, isa, threads, BT_PREC_F32);
    bt_graph_precision(f.g, BT_PREC_MINIMAL);
    const bt_weight *wt = random_weight(&f, "w", 3, (int64_t[]){ c->out, c->in, c->taps }, 0, 1, w);
    const bt_weight *bs = random_weight(&f, "b", 1, (int64_t[]){ c->out }, 0, 2, b);
    const bt_conv p = { .left = c->left, .right = c->right };
    bt_node *in = bt_input(f.g, (bt_shape){ 1, 1, c->len, c->in });
    bt_node *y = bt_conv1d(f.g, in, wt, bs, p);
    assert_non_null(y);
    assert_string_equal(y->op->name, "conv_minimal");
    y = bt_add(f.g, bt_act_of(f.g, y, BT_ACT_LEAKY_RELU, 0.25f), bt_conv1d(f.g, in, wt, bs, p));
    y = bt_output(f.g, y);
    const size_t n = (size_t)bt_shape_of(y).w * (size_t)c->out, n_in = (size_t)(c->len * c->in);
    fixture_run(&f, in, 3);
    fill_noise(bt_plan_data(f.p, in), n_in, 4);
    assert_int_equal(bt_plan_run(f.p, NULL, NULL), BT_OK);
    float *copy = malloc(n * sizeof *copy);
    *x = malloc(n_in * sizeof **x);
    assert_true(copy && *x);
    memcpy(copy, bt_plan_data(f.p, y), n * sizeof *copy);
    memcpy(*x, bt_plan_data(f.p, in), n_in * sizeof **x);
    fixture_close(&f);
    return copy;
}

static void test_against_loops(void **state)
{
    (void)state;
    for (int i = 0; i < N_ISAS * N_CASES; i++) {
        const conv_case *c = &cases[i / N_ISAS];
        const char *isa = isas[i % N_ISAS];
        const size_t n = (size_t)((c->len + c->left + c->right - c->taps + 1) * c->out);
        float *x, *w, *b, *unused[3];
        if (!have(isa))
            continue;
        float *one = run_case(c, isa, 1, &x, &w, &b);
        float *many = run_case(c, isa, 3, &unused[0], &unused[1], &unused[2]);
        double *want = malloc(n * sizeof *want);
        assert_non_null(want);
        naive(c, x, w, b, want);
        const double e = relative_error(one, want, n);
        if (!(e < 5e-6)) /* 106 dB */
            fail_msg("%s %d taps, %d x %d: %g", isa, c->taps, c->in, c->out, e);
        assert_memory_equal(one, many, n * sizeof *one);
        float *all[] = { one, many, x, w, b, unused[0], unused[1], unused[2] };
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            free(all[k]);
        free(want);
    }
}

/* What has no form is an ordinary convolution. */
static void test_others_stay(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, "scalar", 1, BT_PREC_F32);
    bt_graph_precision(f.g, BT_PREC_MINIMAL);
    const bt_weight *w3 = random_weight(&f, "w3", 3, (int64_t[]){ 16, 16, 3 }, 0, 1, NULL);
    const bt_weight *w4 = random_weight(&f, "w4", 3, (int64_t[]){ 16, 16, 4 }, 0, 1, NULL);
    bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, 20, 16 });
    bt_node *all[] = {
        bt_conv1d(f.g, x, w4, NULL, (bt_conv){ .left = 1, .right = 2 }),
        bt_conv1d(f.g, x, w3, NULL, (bt_conv){ .left = 2, .right = 2, .dilation = 2 }),
        bt_conv1d(f.g, x, w3, NULL, (bt_conv){ .left = 1, .right = 1, .stride = 2 }),
    };
    for (int i = 0; i < 3; i++) {
        assert_non_null(all[i]);
        assert_string_equal(all[i]->op->name, "matmul");
        bt_output(f.g, all[i]);
    }
    fixture_run(&f, x, 1);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_loops),
        cmocka_unit_test(test_others_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
