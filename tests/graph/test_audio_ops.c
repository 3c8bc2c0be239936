/* SPDX-License-Identifier: MIT
 * Depthwise convolution, relative attention, flip and gather against plain
 * loops in double, on every instruction set.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/naive.h"

static const char *const isas[] = { "scalar", "avx2", "avx512" };

static int have(const char *isa)
{
    uint32_t need = (uint32_t)bt_cpu_cap(isa) & (BT_CPU_AVX2 | BT_CPU_AVX512);
    return (need & ~bt_cpu_flags()) == 0;
}

/* ---- depthwise --------------------------------------------------------- */

typedef struct depthwise_case {
    int batch, len, c, taps, stride, dilation, left, right;
} depthwise_case;

static void naive_depthwise(const depthwise_case *k, const float *x, const float *w,
                            const float *bias, double *y, int out)
{
    for (int b = 0; b < k->batch; b++)
        for (int i = 0; i < out; i++)
            for (int c = 0; c < k->c; c++) {
                double s = bias[c];
                for (int t = 0; t < k->taps; t++) {
                    int j = i * k->stride + t * k->dilation - k->left;
                    if (j >= 0 && j < k->len)
                        s += (double)x[(b * k->len + j) * k->c + c] * w[c * k->taps + t];
                }
                y[(b * out + i) * k->c + c] = s;
            }
}

static void depthwise_convolves(void **state)
{
    (void)state;
    static const depthwise_case cases[] = {
        { 1, 40, 192, 3, 1, 1, 1, 1 }, { 1, 40, 192, 3, 1, 9, 9, 9 }, { 2, 7, 5, 3, 1, 3, 3, 3 },
        { 1, 100, 17, 7, 2, 1, 3, 3 }, { 1, 1, 16, 3, 1, 9, 9, 9 },   { 1, 5, 33, 5, 1, 1, 0, 0 },
    };
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        for (size_t j = 0; have(isas[i]) && j < sizeof cases / sizeof *cases; j++) {
            const depthwise_case *k = &cases[j];
            fixture f;
            float *w, *bias;
            fixture_open(&f, isas[i], 2, BT_PREC_F32);
            bt_node *x = bt_input(f.g, (bt_shape){ k->batch, 1, k->len, k->c });
            int64_t dims[] = { k->c, 1, k->taps };
            const bt_weight *ww = random_weight(&f, "w", 3, dims, 1, 3, &w);
            const bt_weight *wb = random_weight(&f, "b", 1, dims, 1, 4, &bias);
            bt_conv p = { .stride = k->stride,
                          .dilation = k->dilation,
                          .left = k->left,
                          .right = k->right,
                          .groups = k->c };
            bt_node *y = bt_output(f.g, bt_conv1d(f.g, x, ww, wb, p));
            int out = (int)bt_shape_of(y).w;
            fixture_run(&f, x, 5);
            double *want = calloc((size_t)(k->batch * out * k->c), sizeof *want);
            naive_depthwise(k, bt_plan_data(f.p, x), w, bias, want, out);
            const float *got = bt_plan_data(f.p, y);
            for (int n = 0; n < k->batch * out * k->c; n++)
                assert_true(got[n] == want[n]); /* integers: exact in any order */
            free(want);
            free(w);
            free(bias);
            fixture_close(&f);
        }
}

static void depthwise_refuses(void **state)
{
    (void)state;
    static const int64_t bad[][3] = { { 8, 2, 3 }, { 7, 1, 3 }, { 8, 1, 65 } };
    for (int i = 0; i < 3; i++) {
        fixture f;
        bt_error err = { 0 };
        fixture_open(&f, "scalar", 1, BT_PREC_F32);
        bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, 9, 8 });
        const bt_weight *w = random_weight(&f, "w", 3, bad[i], 1, 1, NULL);
        assert_null(bt_conv1d(f.g, x, w, NULL, (bt_conv){ .groups = 8 }));
        assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_EFORMAT);
        fixture_close(&f);
    }
}

/* ---- relative attention ------------------------------------------------ */

static void naive_attention(const float *q, const float *k, const float *v, const float *rk,
                            const float *rv, double *y, int rows, int heads, int d, int window)
{
    double *p = calloc((size_t)rows, sizeof *p);
    int c = heads * d;
    for (int h = 0; h < heads; h++)
        for (int i = 0; i < rows; i++) {
            double peak = -1e300, sum = 0;
            for (int j = 0; j < rows; j++) {
                p[j] = 0;
                for (int e = 0; e < d; e++) {
                    double key = k[j * c + h * d + e];
                    if (abs(j - i) <= window)
                        key += rk[(j - i + window) * d + e];
                    p[j] += q[i * c + h * d + e] * key;
                }
                p[j] /= sqrt(d);
                peak = fmax(peak, p[j]);
            }
            for (int j = 0; j < rows; j++)
                sum += p[j] = exp(p[j] - peak);
            for (int e = 0; e < d; e++) {
                double s = 0;
                for (int j = 0; j < rows; j++) {
                    double value = v[j * c + h * d + e];
                    if (abs(j - i) <= window)
                        value += rv[(j - i + window) * d + e];
                    s += p[j] / sum * value;
                }
                y[i * c + h * d + e] = s;
            }
        }
    free(p);
}

static void relative_attention_attends(void **state)
{
    (void)state;
    static const int cases[][4] = {
        /* rows, heads, d, window */
        { 1, 2, 8, 4 }, { 3, 1, 5, 4 }, { 16, 2, 96, 4 }, { 17, 2, 48, 4 }, { 130, 3, 20, 1 },
    };
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        for (size_t j = 0; have(isas[i]) && j < sizeof cases / sizeof *cases; j++) {
            int rows = cases[j][0], heads = cases[j][1], d = cases[j][2], w = cases[j][3];
            int c = heads * d;
            fixture f;
            float *rk, *rv;
            bt_error err = { 0 };
            fixture_open(&f, isas[i], 2, BT_PREC_F32);
            int64_t dims[] = { 1, 2 * w + 1, d };
            const bt_weight *wk = random_weight(&f, "k", 3, dims, 0, 6, &rk);
            const bt_weight *wv = random_weight(&f, "v", 3, dims, 0, 7, &rv);
            bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, rows, 3 * c });
            bt_node *y = bt_output(
                f.g, bt_attention_rel(f.g, bt_slice(f.g, x, 0, c), bt_slice(f.g, x, c, 2 * c),
                                      bt_slice(f.g, x, 2 * c, 3 * c), wk, wv, heads, w));
            assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
            float *in = bt_plan_data(f.p, x);
            fill_noise(in, (size_t)(rows * 3 * c), 9);
            assert_int_equal(bt_plan_run(f.p, NULL, &err), BT_OK);
            float *part[3];
            for (int n = 0; n < 3; n++) {
                part[n] = calloc((size_t)(rows * c), sizeof(float));
                for (int r = 0; r < rows; r++)
                    memcpy(part[n] + r * c, in + (r * 3 + n) * c, (size_t)c * sizeof(float));
            }
            double *want = calloc((size_t)(rows * c), sizeof *want);
            naive_attention(part[0], part[1], part[2], rk, rv, want, rows, heads, d, w);
            assert_true(relative_error(bt_plan_data(f.p, y), want, (size_t)(rows * c)) < 1e-6);
            for (int n = 0; n < 3; n++)
                free(part[n]);
            free(want);
            free(rk);
            free(rv);
            fixture_close(&f);
        }
}

/* ---- flip and gather --------------------------------------------------- */

static void flip_reverses(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, "scalar", 2, BT_PREC_F32);
    bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, 200, 7 });
    bt_node *y = bt_output(f.g, bt_flip(f.g, x));
    fixture_run(&f, x, 3);
    const float *in = bt_plan_data(f.p, x), *out = bt_plan_data(f.p, y);
    for (int i = 0; i < 200 * 7; i++)
        assert_true(out[i] == in[i / 7 * 7 + 6 - i % 7]);
    fixture_close(&f);
}

static void gather_picks_rows(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, "scalar", 2, BT_PREC_F32);
    bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, 5, 3 });
    bt_node *ids = bt_input_ids(f.g, 100);
    bt_node *y = bt_output(f.g, bt_gather(f.g, x, ids));
    bt_error err = { 0 };
    assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
    float *in = bt_plan_data(f.p, x);
    int32_t *id = bt_plan_data(f.p, ids);
    fill_ints(in, 15, 8);
    for (int i = 0; i < 100; i++)
        id[i] = i * 7 % 9 - 2; /* also outside: rows of zeros */
    assert_int_equal(bt_plan_run(f.p, NULL, &err), BT_OK);
    const float *out = bt_plan_data(f.p, y);
    for (int i = 0; i < 300; i++) {
        int r = id[i / 3];
        assert_true(out[i] == (r >= 0 && r < 5 ? in[r * 3 + i % 3] : 0));
    }
    fixture_close(&f);
}

/* ---- transposed, depthwise ---------------------------------------------- */

static void depthwise_transposed_spreads(void **state)
{
    (void)state;
    static const struct {
        int len, c, taps, stride, pad, more;
    } cases[] = { { 20, 33, 3, 2, 1, 1 }, { 1, 16, 3, 2, 1, 1 }, { 9, 5, 6, 3, 2, 0 } };
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        for (size_t j = 0; have(isas[i]) && j < sizeof cases / sizeof *cases; j++) {
            const int len = cases[j].len, c = cases[j].c, taps = cases[j].taps;
            fixture f;
            float *w, *bias;
            fixture_open(&f, isas[i], 2, BT_PREC_F32);
            bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, len, c });
            const bt_weight *ww = random_weight(&f, "w", 3, (int64_t[]){ c, 1, taps }, 1, 3, &w);
            const bt_weight *wb = random_weight(&f, "b", 1, (int64_t[]){ c }, 1, 4, &bias);
            bt_node *y = bt_output(f.g, bt_depthwise_transpose1d(f.g, x, ww, wb, cases[j].stride,
                                                                 cases[j].pad, cases[j].more));
            const int out = (int)bt_shape_of(y).w;
            assert_int_equal(out,
                             (len - 1) * cases[j].stride - 2 * cases[j].pad + taps + cases[j].more);
            fixture_run(&f, x, 5);
            double *want = calloc((size_t)(out * c), sizeof *want);
            const float *in = bt_plan_data(f.p, x), *got = bt_plan_data(f.p, y);
            for (int n = 0; n < out * c; n++)
                want[n] = bias[n % c];
            for (int n = 0; n < len * taps; n++) { /* each input row gives `taps` output rows */
                const int to = n / taps * cases[j].stride - cases[j].pad + n % taps;
                for (int k = 0; to >= 0 && to < out && k < c; k++)
                    want[to * c + k] += (double)in[n / taps * c + k] * w[k * taps + n % taps];
            }
            for (int n = 0; n < out * c; n++)
                assert_true(got[n] == want[n]);
            free(want);
            free(w);
            free(bias);
            fixture_close(&f);
        }
}

/* ---- adaptive norm -------------------------------------------------------- */

static void naive_ada(const float *x, const float *style, const float *alpha, int rows, int c,
                      double *y)
{
    for (int k = 0; k < c; k++) {
        double mean = 0, var = 0;
        for (int r = 0; r < rows; r++)
            mean += x[r * c + k] / (double)rows;
        for (int r = 0; r < rows; r++)
            var += (x[r * c + k] - mean) * (x[r * c + k] - mean) / rows;
        for (int r = 0; r < rows; r++) {
            const double v = (1 + (double)style[k]) * (x[r * c + k] - mean) / sqrt(var + 1e-5) +
                             (double)style[c + k];
            const double s = alpha ? sin((double)alpha[k] * v) : 0;
            y[r * c + k] = alpha ? v + s * s / (double)alpha[k] : v < 0 ? 0.2 * v : v;
        }
    }
}

static void adaptive_norm_follows_a_style(void **state)
{
    (void)state;
    static const int sizes[][2] = { { 300, 70 }, { 5, 16 }, { 128, 3 }, { 1, 8 } };
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        for (int j = 0; have(isas[i]) && j < 8; j++) {
            const int rows = sizes[j / 2][0], c = sizes[j / 2][1], snake = j % 2;
            fixture f;
            float *alpha;
            fixture_open(&f, isas[i], 1 + j % 3, BT_PREC_F32);
            const bt_weight *a = random_weight(&f, "a", 3, (int64_t[]){ 1, c, 1 }, 1, 3, &alpha);
            bt_node *x = bt_output(f.g, bt_input(f.g, (bt_shape){ 1, 1, rows, c }));
            f.row = bt_input(f.g, (bt_shape){ 1, 1, 1, 2 * c });
            bt_node *y = bt_ada_norm(f.g, x, f.row, snake ? a : NULL, 1e-5f);
            bt_output(f.g, y = snake ? y : bt_act_of(f.g, y, BT_ACT_LEAKY_RELU, 0.2f));
            fixture_run(&f, x, 5);
            double *want = calloc((size_t)(rows * c), sizeof *want);
            naive_ada(bt_plan_data(f.p, x), bt_plan_data(f.p, f.row), snake ? alpha : NULL, rows, c,
                      want);
            /* one row: x * 316 - mean * 316 */
            assert_true(relative_error(bt_plan_data(f.p, y), want, (size_t)(rows * c)) < 1e-4);
            free(want);
            free(alpha);
            fixture_close(&f);
        }
}

/* ---- LSTM --------------------------------------------------------------------- */

static double logistic(double x) { return 1 / (1 + exp(-x)); }

/* One direction into y [rows][2 h] at column d h; w: w_ih, w_hh, b_ih, b_hh. */
static void naive_lstm(const float *x, int rows, int in, int h, float *const w[4], int d, double *y)
{
    double *cell = calloc((size_t)h * 6, sizeof *cell), *state = cell + h, *gates = state + h;
    for (int i = 0; i < rows; i++) {
        const int r = d ? rows - 1 - i : i;
        for (int g = 0; g < 4 * h; g++) {
            gates[g] = (double)w[2][g] + (double)w[3][g];
            for (int k = 0; k < in; k++)
                gates[g] += (double)w[0][g * in + k] * (double)x[r * in + k];
            for (int k = 0; k < h; k++)
                gates[g] += (double)w[1][g * h + k] * state[k];
        }
        for (int k = 0; k < h; k++) {
            cell[k] =
                logistic(gates[h + k]) * cell[k] + logistic(gates[k]) * tanh(gates[2 * h + k]);
            state[k] = logistic(gates[3 * h + k]) * tanh(cell[k]);
            y[r * 2 * h + d * h + k] = state[k];
        }
    }
    free(cell);
}

static void lstm_remembers(void **state)
{
    (void)state;
    static const int sizes[][3] = { { 40, 24, 32 }, { 1, 5, 3 }, { 17, 10, 9 } };
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++)
        for (int j = 0; have(isas[i]) && j < 3; j++) {
            const int rows = sizes[j][0], in = sizes[j][1], h = sizes[j][2];
            float *w[2][4];
            bt_lstm both[2];
            fixture f;
            fixture_open(&f, isas[i], 1 + j, BT_PREC_F32);
            for (int d = 0; d < 2; d++) {
                const int64_t ih[] = { 4 * h, in }, hh[] = { 4 * h, h };
                both[d].w_ih = random_weight(&f, d ? "a1" : "a0", 2, ih, 0, 3, &w[d][0]);
                both[d].w_hh = random_weight(&f, d ? "b1" : "b0", 2, hh, 0, 4, &w[d][1]);
                both[d].b_ih = random_weight(&f, d ? "c1" : "c0", 1, ih, 0, 5, &w[d][2]);
                both[d].b_hh = random_weight(&f, d ? "d1" : "d0", 1, ih, 0, 6, &w[d][3]);
            }
            bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, rows, in });
            bt_node *y = bt_output(f.g, bt_lstm_rows(f.g, x, 2, both));
            fixture_run(&f, x, 7);
            double *want = calloc((size_t)(rows * 2 * h), sizeof *want);
            for (int d = 0; d < 2; d++)
                naive_lstm(bt_plan_data(f.p, x), rows, in, h, w[d], d, want);
            assert_true(relative_error(bt_plan_data(f.p, y), want, (size_t)(rows * 2 * h)) < 1e-5);
            for (int k = 0; k < 8; k++)
                free(w[k / 4][k % 4]);
            free(want);
            fixture_close(&f);
        }
}

static void lstm_refuses(void **state)
{
    (void)state;
    fixture f;
    bt_error err = { 0 };
    fixture_open(&f, "scalar", 1, BT_PREC_F32);
    bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, 4, 6 });
    const bt_weight *ih = random_weight(&f, "ih", 2, (int64_t[]){ 12, 6 }, 0, 1, NULL);
    const bt_weight *hh = random_weight(&f, "hh", 2, (int64_t[]){ 12, 4 }, 0, 1, NULL);
    const bt_weight *b = random_weight(&f, "b", 1, (int64_t[]){ 12 }, 0, 1, NULL);
    assert_null(bt_lstm_rows(f.g, x, 1, &(bt_lstm){ ih, hh, b, b }));
    assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_EFORMAT);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depthwise_convolves),
        cmocka_unit_test(depthwise_refuses),
        cmocka_unit_test(relative_attention_attends),
        cmocka_unit_test(flip_reverses),
        cmocka_unit_test(gather_picks_rows),
        cmocka_unit_test(depthwise_transposed_spreads),
        cmocka_unit_test(adaptive_norm_follows_a_style),
        cmocka_unit_test(lstm_remembers),
        cmocka_unit_test(lstm_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
