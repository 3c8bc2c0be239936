/* SPDX-License-Identifier: MIT
 * Linear layers and convolutions of every kind against plain loops, on every
 * instruction set and compute type; fusing, memory reuse, threads, errors.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/gguf_write.h"
#include "graph/naive.h"
#include "kernels/quant.h"
#include "temp_dir.h"

static const char *const isas[] = { "scalar",     "avx2", "avxvnni", "avx512", "avx512vnni",
                                    "avx512bf16", "amx",  "neon",    "dotprod" };
enum { N_ISA = sizeof isas / sizeof *isas };

/* All that the set names, but for how fast a processor is at it. */
static bool have(const char *isa)
{
    const uint32_t need = (uint32_t)bt_cpu_cap(isa) & ~(uint32_t)BT_CPU_FASTBF16;
    return (need & ~bt_cpu_flags()) == 0;
}

typedef struct conv_case {
    int n, h, w, in, out, kh, kw;
    bt_conv p;
    int transposed;
} conv_case;

static const conv_case cases[] = {
    { 1, 1, 1, 64, 48, 1, 1, { 0 }, 0 },
    { 1, 1, 5, 32, 17, 1, 1, { 0 }, 0 },
    { 1, 1, 300, 320, 130, 1, 1, { 0 }, 0 },
    { 2, 9, 7, 32, 20, 3, 3, { .top = 1, .left = 1, .bottom = 1, .right = 1 }, 0 },
    { 1, 8, 8, 4, 64, 3, 3, { .top = 1, .left = 1, .bottom = 1, .right = 1 }, 0 },
    { 3, 8, 10, 64, 33, 3, 3, { .stride = 2, .bottom = 1, .right = 1 }, 0 },
    { 1, 5, 6, 32, 16, 3, 3, { .top = 1, .left = 1, .bottom = 1, .right = 1, .upsample = 2 }, 0 },
    { 1, 1, 40, 32, 24, 1, 7, { .left = 9, .right = 9, .dilation = 3 }, 0 },
    { 1, 1, 150, 288, 40, 1, 11, { .left = 25, .right = 25, .dilation = 5 }, 0 },
    { 1, 1, 33, 64, 24, 1, 16, { .stride = 8, .left = 4 }, 1 },
    { 2, 1, 9, 32, 18, 1, 4, { .stride = 2, .left = 1 }, 1 },
    { 1, 1, 12, 32, 18, 1, 3, { .stride = 4, .left = 0 }, 1 }, /* holes: k < stride */
};

static int or1(int v) { return v ? v : 1; }

/* y[n,oh,ow,out] in double; w is torch's [out][in][kh][kw] or [in][out][k]. */
static void naive_conv(const conv_case *c, const float *x, const float *w, const float *bias,
                       double *y, int oh, int ow)
{
    int s = or1(c->p.stride), d = or1(c->p.dilation), u = or1(c->p.upsample);
    for (int i = 0; i < c->n * oh * ow; i++)
        for (int o = 0; o < c->out; o++)
            y[(size_t)i * c->out + o] = bias[o];
    for (int b = 0; b < c->n; b++)
        for (int oy = 0; oy < oh; oy++)
            for (int ox = 0; ox < ow; ox++)
                for (int t = 0; t < c->kh * c->kw; t++) {
                    int iy = oy * s + t / c->kw * d - c->p.top,
                        ix = ox * s + t % c->kw * d - c->p.left;
                    if (c->transposed) {
                        iy = 0;
                        ix = ox + c->p.left - t;
                        if (ix % s)
                            continue;
                        ix /= s;
                    }
                    if (iy < 0 || ix < 0 || iy >= c->h * u || ix >= c->w * u)
                        continue;
                    const float *row = x + ((size_t)(b * c->h + iy / u) * c->w + ix / u) * c->in;
                    double *out = y + ((size_t)(b * oh + oy) * ow + ox) * c->out;
                    for (int o = 0; o < c->out; o++)
                        for (int k = 0; k < c->in; k++) {
                            size_t at = c->transposed ? ((size_t)k * c->out + o) * c->kw + t
                                                      : ((size_t)o * c->in + k) * c->kh * c->kw + t;
                            out[o] += (double)row[k] * w[at];
                        }
                }
}

static bt_node *build(fixture *f, const conv_case *c, bt_node *x, const bt_weight *w,
                      const bt_weight *b)
{
    if (c->transposed)
        return bt_conv_transpose1d(f->g, x, w, b, c->p.stride, c->p.left);
    if (c->kh > 1)
        return bt_conv2d(f->g, x, w, b, c->p);
    return c->kw > 1 ? bt_conv1d(f->g, x, w, b, c->p) : bt_linear(f->g, x, w, b);
}

static void check_case(const conv_case *c, const char *isa, bt_precision precision)
{
    fixture f;
    fixture_open(&f, isa, 2, precision);
    const int ints = precision != BT_PREC_SPLIT;            /* whose low parts are to count */
    const int noise = !ints || precision == BT_PREC_ROWS24; /* whose weights must be whole */
    if (noise && f.kernels.gemm_bf16)
        f.kernels.cpu |= BT_CPU_AMX; /* where the processor has none too */
    int64_t dims[] = { c->transposed ? c->in : c->out, c->transposed ? c->out : c->in, c->kh,
                       c->kw };
    int64_t dims1[] = { dims[0], dims[1], c->kw }, n_out = c->out;
    float *wv, *bv;
    const bt_weight *w =
        random_weight(&f, "w", c->kh > 1 ? 4 : 3, c->kh > 1 ? dims : dims1, ints, 1, &wv);
    const bt_weight *b = random_weight(&f, "b", 1, &n_out, 1, 2, &bv);
    bt_node *x = bt_input(f.g, (bt_shape){ c->n, c->h, c->w, c->in });
    bt_node *y = bt_output(f.g, build(&f, c, x, w, b));
    bt_shape s = bt_shape_of(y);
    fixture_run(&f, x, 3);
    if (noise) {
        fill_noise(bt_plan_data(f.p, x), (size_t)c->n * c->h * c->w * c->in, 3);
        assert_int_equal(bt_plan_run(f.p, NULL, NULL), BT_OK);
    }
    size_t count = (size_t)(s.n * s.h * s.w * s.c);
    double *want = malloc(count * sizeof *want);
    naive_conv(c, bt_plan_data(f.p, x), wv, bv, want, (int)s.h, (int)s.w);
    const float *got = bt_plan_data(f.p, y);
    if (precision ==
        BT_PREC_INT8) { /* q8_0 weights of 1..4: scales of 4/127 round by up to half a step */
        double e = relative_error(got, want, count);
        if (!(e < 0.02))
            fail_msg("%s int8 %dx%d in %d: relative error %g", isa, c->kh, c->kw, c->in, e);
    } else if (noise) { /* what two bf16 numbers leave over: 2^-18 at most */
        double e = relative_error(got, want, count);
        if (!(e < 1e-5))
            fail_msg("%s precision %d %dx%d in %d: relative error %g", isa, precision, c->kh, c->kw,
                     c->in, e);
    } else { /* small integers: f32 and bf16 are exact */
        for (size_t i = 0; i < count; i++)
            if (got[i] != want[i])
                fail_msg("%s precision %d %dx%d in %d at %zu: %g, not %g", isa, precision, c->kh,
                         c->kw, c->in, i, got[i], want[i]);
    }
    free(want);
    free(wv);
    free(bv);
    fixture_close(&f);
}

static void test_against_loops(void **state)
{
    (void)state;
    const bt_precision all[] = { BT_PREC_F32, BT_PREC_BF16, BT_PREC_INT8, BT_PREC_SPLIT,
                                 BT_PREC_ROWS24 };
    for (int i = 0; i < N_ISA; i++)
        for (size_t c = 0; have(isas[i]) && c < sizeof cases / sizeof *cases; c++)
            for (int p = 0; p < 5; p++)
                check_case(&cases[c], isas[i], all[p]);
}

/* conv -> act -> conv -> + x -> act -> slice -> gate -> + row */
static bt_node *small_net(fixture *f, bt_node *x)
{
    int64_t w[] = { 32, 32, 3, 3 }, row = 16;
    bt_conv p = { .top = 1, .left = 1, .bottom = 1, .right = 1 };
    bt_node *y = bt_conv2d(f->g, x, random_weight(f, "a", 4, w, 0, 1, NULL), NULL, p);
    y = bt_act_of(f->g, y, BT_ACT_SILU, 0);
    y = bt_conv2d(f->g, y, random_weight(f, "b", 4, w, 0, 2, NULL), NULL, p);
    y = bt_add(f->g, x, y);
    y = bt_act_of(f->g, y, BT_ACT_LEAKY_RELU, 0.1f);
    y = bt_gate(f->g, bt_slice(f->g, y, 0, 16), BT_ACT_TANH, bt_slice(f->g, y, 16, 32),
                BT_ACT_SIGMOID);
    f->row = bt_input(f->g, (bt_shape){ 1, 1, 1, row });
    return bt_output(f->g, bt_scale(f->g, bt_add(f->g, y, f->row), 2.0f));
}

static float *run_net(int threads, bt_precision precision, const char *isa, size_t *n)
{
    fixture f;
    fixture_open(&f, isa, threads, precision);
    bt_node *x = bt_input(f.g, (bt_shape){ 2, 11, 13, 32 });
    bt_node *y = small_net(&f, x);
    fixture_run(&f, x, 5);
    *n = 2 * 11 * 13 * 16;
    float *copy = malloc(*n * sizeof *copy);
    memcpy(copy, bt_plan_data(f.p, y), *n * sizeof *copy);
    fixture_close(&f);
    return copy;
}

static void test_threads_same_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < N_ISA; i++)
        for (int p = BT_PREC_AUTO; have(isas[i]) && p <= BT_PREC_F32; p++) {
            size_t n;
            float *one = run_net(1, p, isas[i], &n);
            for (int t = 2; t <= 3; t++) {
                float *many = run_net(t, p, isas[i], &n);
                assert_memory_equal(one, many, n * sizeof *one);
                free(many);
            }
            free(one);
        }
}

/* One row, or one row per picture, goes with every row of the other tensor. */
static void test_broadcast(void **state)
{
    (void)state;
    for (int64_t pictures = 1; pictures <= 2; pictures++) {
        fixture f;
        fixture_open(&f, "auto", 2, BT_PREC_F32);
        bt_node *x = bt_input(f.g, (bt_shape){ 2, 3, 5, 7 });
        bt_node *r = bt_input(f.g, (bt_shape){ pictures, 1, 1, 7 });
        bt_node *sum = bt_output(f.g, bt_add(f.g, x, r));
        bt_node *product = bt_output(f.g, bt_mul(f.g, sum, r));
        bt_error err = { 0 };
        assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
        float *xv = bt_plan_data(f.p, x), *rv = bt_plan_data(f.p, r);
        fill_ints(xv, 2 * 3 * 5 * 7, 1);
        fill_ints(rv, (size_t)pictures * 7, 2);
        assert_int_equal(bt_plan_run(f.p, NULL, &err), BT_OK);
        const float *s = bt_plan_data(f.p, sum), *p = bt_plan_data(f.p, product);
        for (int i = 0; i < 2 * 3 * 5 * 7; i++) {
            const float row = rv[(pictures == 2 ? i / 105 * 7 : 0) + i % 7];
            assert_true(s[i] == xv[i] + row && p[i] == (xv[i] + row) * row);
        }
        fixture_close(&f);
    }
}

/* A fused graph gives what the same ops give one by one. */
static void test_fused_equals_unfused(void **state)
{
    (void)state;
    float *got[2];
    size_t n = 6 * 24;
    for (int keep = 0; keep < 2; keep++) {
        fixture f;
        fixture_open(&f, "auto", 2, BT_PREC_F32);
        int64_t w[] = { 24, 24 };
        bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, 6, 24 });
        bt_node *y = bt_linear(f.g, x, random_weight(&f, "w", 2, w, 1, 1, NULL), NULL);
        if (keep)
            bt_output(f.g, y); /* an output cannot be absorbed */
        y = bt_act_of(f.g, y, BT_ACT_RELU, 0);
        y = bt_output(f.g, bt_add(f.g, y, x));
        fixture_run(&f, x, 9);
        got[keep] = malloc(n * sizeof(float));
        memcpy(got[keep], bt_plan_data(f.p, y), n * sizeof(float));
        fixture_close(&f);
    }
    assert_memory_equal(got[0], got[1], n * sizeof(float));
    free(got[0]);
    free(got[1]);
}

/* What follows a gate is fused behind it: act(gate(x W)) + row. */
static void test_fused_behind_gate(void **state)
{
    (void)state;
    float *got[2];
    const size_t n = 6 * 48;
    for (int keep = 0; keep < 2; keep++) {
        fixture f;
        fixture_open(&f, "auto", 2, BT_PREC_F32);
        int64_t w[] = { 96, 32 }, bias = 96;
        bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, 6, 32 });
        bt_node *y = bt_linear(f.g, x, random_weight(&f, "w", 2, w, 0, 1, NULL),
                               random_weight(&f, "b", 1, &bias, 0, 2, NULL));
        if (keep)
            bt_output(f.g, y);
        y = bt_gate(f.g, bt_slice(f.g, y, 0, 48), BT_ACT_SILU, bt_slice(f.g, y, 48, 96),
                    BT_ACT_NONE);
        if (keep)
            bt_output(f.g, y);
        y = bt_act_of(f.g, y, BT_ACT_TANH, 0);
        if (keep)
            bt_output(f.g, y);
        f.row = bt_input(f.g, (bt_shape){ 1, 1, 1, 48 });
        y = bt_output(f.g, bt_add(f.g, y, f.row));
        fixture_run(&f, x, 9);
        got[keep] = malloc(n * sizeof(float));
        memcpy(got[keep], bt_plan_data(f.p, y), n * sizeof(float));
        fixture_close(&f);
    }
    assert_memory_equal(got[0], got[1], n * sizeof(float));
    free(got[0]);
    free(got[1]);
}

/* ---- weights of several types in one multiply --------------------------- */

enum { MIXED_IN = 64, MIXED_OUT = 48 };

/* Small integers times 1 are exact in Q8_0 if a row's largest is 127. */
static void mixed_values(float *v, unsigned seed)
{
    fill_ints(v, MIXED_OUT * MIXED_IN, seed);
    for (int i = 0; i < MIXED_OUT * MIXED_IN; i += 32)
        v[i] = 127;
}

static bt_tensor listed(const char *name, bt_dtype type, uint64_t bytes)
{
    bt_tensor t = { .name = name, .dtype = type, .n_dims = 2, .bytes = bytes };
    t.dims[0] = MIXED_OUT;
    t.dims[1] = MIXED_IN;
    return t;
}

/* A file with "a" in Q8_0 and "b" in F32. */
static const char *mixed_file(const float *a, const float *b)
{
    enum { COUNT = MIXED_OUT * MIXED_IN };
    uint8_t packed[COUNT / 32 * 34];
    bt_gguf_writer w = { 0 };
    const char *path = temp_path("mixed.gguf");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (int i = 0; i < MIXED_OUT; i++)
        bt_quantize_row(BT_Q8_0, a + i * MIXED_IN, packed + i * (MIXED_IN / 32 * 34), MIXED_IN);
    const bt_tensor ta = listed("a", BT_Q8_0, sizeof packed), tb = listed("b", BT_F32, COUNT * 4);
    assert_int_equal(bt_gguf_list(&w, &ta, NULL), BT_OK);
    assert_int_equal(bt_gguf_list(&w, &tb, NULL), BT_OK);
    assert_int_equal(bt_gguf_begin(&w, f, NULL), BT_OK);
    bt_gguf_data(&w, packed, sizeof packed);
    bt_gguf_pad(&w);
    bt_gguf_data(&w, b, COUNT * 4);
    bt_gguf_pad(&w);
    assert_int_equal(bt_gguf_end(&w, NULL), BT_OK);
    bt_gguf_writer_free(&w);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void check_mixed(fixture *f, bt_store *s, const char *const *names, const float *const *want)
{
    bt_error err = { 0 };
    bt_graph_free(f->g);
    bt_weights_free(f->ws);
    assert_int_equal(bt_weights_create(s, &f->compute, &f->ws, &err), BT_OK);
    assert_int_equal(bt_graph_create(f->ws, &f->g), BT_OK);
    const bt_weight *w[] = { bt_w(f->g, "%s", names[0]), bt_w(f->g, "%s", names[1]) },
                    *none[] = { NULL, NULL };
    bt_node *x = bt_input(f->g, (bt_shape){ 1, 1, 70, MIXED_IN }), *y[2];
    bt_linears(f->g, x, 2, w, none, y);
    for (int i = 0; i < 2; i++)
        y[i] = bt_output(f->g, bt_act_of(f->g, y[i], BT_ACT_RELU, 0));
    fixture_run(f, x, 4);
    const float *in = bt_plan_data(f->p, x);
    for (int i = 0; i < 2; i++)
        for (int r = 0; r < 70 * MIXED_OUT; r++) {
            float sum = 0; /* exact: integers */
            for (int k = 0; k < MIXED_IN; k++)
                sum += in[r / MIXED_OUT * MIXED_IN + k] * want[i][r % MIXED_OUT * MIXED_IN + k];
            assert_true(((const float *)bt_plan_data(f->p, y[i]))[r] == (sum > 0 ? sum : 0));
        }
}

static void test_mixed_types(void **state)
{
    (void)state;
    float a[MIXED_OUT * MIXED_IN], b[MIXED_OUT * MIXED_IN];
    mixed_values(a, 1);
    mixed_values(b, 2);
    const char *path = mixed_file(a, b);
    const char *names[] = { "a", "b", "a" };
    const float *values[] = { a, b, a };
    for (int i = 0; i < N_ISA; i++)
        for (int k = 0; have(isas[i]) && k < 4; k++) { /* both orders, f32 and bf16 */
            fixture f;
            bt_store *s;
            fixture_open(&f, isas[i], 2, k & 2 ? BT_PREC_BF16 : BT_PREC_F32);
            assert_int_equal(bt_store_open(path, &s, NULL), BT_OK);
            check_mixed(&f, s, names + (k & 1), values + (k & 1));
            fixture_close(&f);
            bt_store_close(s);
        }
}

/* A long chain needs room for a few tensors, not for all. */
static void test_memory_is_reused(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, "auto", 1, BT_PREC_F32);
    int64_t w[] = { 64, 64 };
    const bt_weight *m = random_weight(&f, "w", 2, w, 0, 1, NULL);
    bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, 256, 64 }), *y = x;
    for (int i = 0; i < 50; i++)
        y = bt_act_of(f.g, bt_linear(f.g, y, m, NULL), BT_ACT_TANH, 0);
    bt_output(f.g, y);
    bt_error err = { 0 };
    assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
    assert_true(bt_plan_arena(f.p) < 6 * 256 * 64 * sizeof(float) + 200000);
    assert_true(bt_plan_flops(f.p) == 50 * 2.0 * 256 * 64 * 64);
    fixture_close(&f);
}

static void test_errors_are_sticky(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, "auto", 1, BT_PREC_F32);
    int64_t w[] = { 8, 9 };
    bt_node *x = bt_input(f.g, (bt_shape){ 1, 1, 4, 8 });
    assert_null(bt_linear(f.g, x, bt_w(f.g, "no.%s", "such"), NULL));
    assert_null(bt_linear(f.g, x, random_weight(&f, "w", 2, w, 0, 1, NULL), NULL));
    bt_output(f.g, bt_act_of(f.g, NULL, BT_ACT_TANH, 0));
    bt_error err = { 0 };
    assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_EFORMAT);
    assert_string_equal(err.text, "tensor no.such is missing");
    fixture_close(&f);
}

static void test_cancel(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, "auto", 2, BT_PREC_F32);
    bt_node *x = bt_input(f.g, (bt_shape){ 2, 11, 13, 32 });
    small_net(&f, x);
    bt_error err = { 0 };
    assert_int_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
    atomic_bool cancel = true;
    assert_int_equal(bt_plan_run(f.p, &cancel, &err), BT_ECANCELLED);
    atomic_store(&cancel, false);
    assert_int_equal(bt_plan_run(f.p, &cancel, &err), BT_OK);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_loops),    cmocka_unit_test(test_threads_same_bytes),
        cmocka_unit_test(test_broadcast),        cmocka_unit_test(test_fused_equals_unfused),
        cmocka_unit_test(test_memory_is_reused), cmocka_unit_test(test_errors_are_sticky),
        cmocka_unit_test(test_cancel),           cmocka_unit_test(test_fused_behind_gate),
        cmocka_unit_test(test_mixed_types),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
