/* SPDX-License-Identifier: MIT
 * Tensors widened in place give the bytes of concatenations; a factor in a multiply's
 * epilogue those of a scaling; what cannot be widened is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/naive.h"

enum { H = 9, W = 13, C = 32, GROWTH = 32, LAYERS = 3 };
static const bt_shape shape = { 1, H, W, C };
static const bt_conv same = { .top = 1, .left = 1, .bottom = 1, .right = 1 };

typedef bt_node *(*beside_fn)(bt_graph *g, bt_node *a, bt_node *b);
typedef bt_node *(*net_fn)(fixture *f, bt_node *x, beside_fn beside);

static bt_node *layer(fixture *f, bt_node *x, int i, int64_t out)
{
    static const char *const names[] = { "conv0", "conv1", "conv2", "conv3" };
    const int64_t dims[] = { out, bt_shape_of(x).c, 3, 3 };
    const bt_weight *w = random_weight(f, names[i], 4, dims, 0, (unsigned)i + 3, NULL);
    return bt_conv2d(f->g, x, w, NULL, same);
}

/* Each layer reads what all before it made; the last one's output joins the input. */
static bt_node *dense(fixture *f, bt_node *x, beside_fn beside)
{
    bt_node *wide = x;
    for (int i = 0; i < LAYERS; i++) {
        bt_node *y = bt_act_of(f->g, layer(f, wide, i, GROWTH), BT_ACT_LEAKY_RELU, 0.2f);
        wide = beside(f->g, wide, y);
    }
    return bt_add(f->g, x, bt_scale(f->g, layer(f, wide, LAYERS, C), 0.2f));
}

/* A tensor that was widened before is widened twice: one of them must copy it. */
static bt_node *forked(fixture *f, bt_node *x, beside_fn beside)
{
    bt_node *a = beside(f->g, x, layer(f, x, 0, GROWTH));
    bt_node *one = beside(f->g, a, layer(f, a, 1, GROWTH));
    bt_node *two = beside(f->g, a, layer(f, a, 2, GROWTH));
    return layer(f, beside(f->g, one, bt_act_of(f->g, two, BT_ACT_LEAKY_RELU, 0.2f)), 3, C);
}

static float *run(const char *isa, int threads, bt_precision p, net_fn net, beside_fn beside,
                  uint64_t *arena)
{
    const size_t n = sizeof(float) * H * W * C;
    fixture f;
    fixture_open(&f, isa, threads, p);
    bt_node *x = bt_input(f.g, shape), *y = bt_output(f.g, net(&f, x, beside));
    fixture_run(&f, x, 1);
    float *copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, bt_plan_data(f.p, y), n);
    *arena = bt_plan_arena(f.p);
    fixture_close(&f);
    return copy;
}

static void check_widening(const char *isa, bt_precision p, net_fn net)
{
    uint64_t before, after, more;
    float *want = run(isa, 1, p, net, bt_concat, &before);
    float *got = run(isa, 1, p, net, bt_widen, &after);
    float *third = run(isa, 3, p, net, bt_widen, &more);
    assert_memory_equal(got, want, sizeof(float) * H * W * C);
    assert_memory_equal(third, want, sizeof(float) * H * W * C);
    assert_true(after < before || net == forked);
    free(third);
    free(want);
    free(got);
}

static void widening_changes_no_byte(void **state)
{
    static const char *const isas[] = { "scalar", "avx2", "auto" };
    static const bt_precision all[] = { BT_PREC_F32, BT_PREC_BF16, BT_PREC_INT8, BT_PREC_AUTO };
    (void)state;
    for (int i = 0; i < 3; i++)
        for (int p = 0; p < 4; p++) {
            check_widening(isas[i], all[p], dense);
            check_widening(isas[i], all[p], forked);
        }
}

/* y = scale * conv(x), and half of a scaled one that something else reads as well. */
static void factors_are_fused(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, "auto", 2, BT_PREC_F32);
    bt_node *x = bt_input(f.g, shape), *c = layer(&f, x, 0, C);
    bt_node *one = bt_output(f.g, layer(&f, x, 0, C));
    bt_node *fused = bt_output(f.g, bt_scale(f.g, c, -0.3f));
    fixture_run(&f, x, 1);
    const float *a = bt_plan_data(f.p, one), *b = bt_plan_data(f.p, fused);
    for (int i = 0; i < H * W * C; i++)
        assert_true(b[i] == -0.3f * a[i]);
    fixture_close(&f);
}

static void refuse(bt_node *(*build)(fixture *f, bt_node *x))
{
    fixture f;
    bt_error err = { 0 };
    fixture_open(&f, "auto", 1, BT_PREC_F32);
    bt_output(f.g, build(&f, bt_input(f.g, shape)));
    assert_int_not_equal(bt_plan_create(f.g, &f.p, &err), BT_OK);
    assert_string_not_equal(err.text, "");
    fixture_close(&f);
}

static bt_node *by_an_input(fixture *f, bt_node *x) { return bt_widen(f->g, x, x); }

static bt_node *by_a_slice(fixture *f, bt_node *x)
{
    return bt_widen(f->g, x, bt_slice(f->g, layer(f, x, 0, C), 0, 8));
}

static bt_node *twice(fixture *f, bt_node *x)
{
    bt_node *y = layer(f, x, 0, C);
    return bt_add(f->g, bt_widen(f->g, x, y), bt_widen(f->g, x, y));
}

static bt_node *by_another_size(fixture *f, bt_node *x)
{
    return bt_widen(f->g, x, bt_act_of(f->g, bt_input(f->g, (bt_shape){ 1, 4, 4, C }), 1, 0));
}

static bt_node *by_an_output(fixture *f, bt_node *x)
{
    return bt_widen(f->g, x, bt_output(f->g, layer(f, x, 0, C)));
}

static bt_node *reshaped(fixture *f, bt_node *x)
{
    bt_node *y = layer(f, x, 0, C);
    bt_widen(f->g, x, y);
    return bt_act_of(f->g, bt_reshape(f->g, y, (bt_shape){ 1, H, W * 2, C / 2 }), 1, 0);
}

static void bad_tensors_are_refused(void **state)
{
    (void)state;
    refuse(by_an_input);
    refuse(by_a_slice);
    refuse(twice);
    refuse(by_another_size);
    refuse(by_an_output);
    refuse(reshaped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widening_changes_no_byte),
        cmocka_unit_test(factors_are_fused),
        cmocka_unit_test(bad_tensors_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
