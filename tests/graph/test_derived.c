/* SPDX-License-Identifier: MIT
 * Weights that are computed: products of matrices, and rows that are made a few at a time
 * are packed as those that are made at once.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/naive.h"

/* ---- products -------------------------------------------------------------- */

/* y + s a b, in whole numbers exact. */
static void check_product(const bt_kernels *k, int m, int depth, int n)
{
    float *a = malloc(sizeof *a * (size_t)(m * depth)),
          *b = malloc(sizeof *b * (size_t)(depth * n));
    float *y = malloc(sizeof *y * (size_t)(m * n)), *part = malloc(sizeof *part * (size_t)n);
    assert_true(a && b && y && part);
    fill_ints(a, (size_t)(m * depth), 1);
    fill_ints(b, (size_t)(depth * n), 2);
    fill_ints(y, (size_t)(m * n), 3);
    memcpy(part, y + (m - 1) * n, sizeof *part * (size_t)n);
    float *was = memcpy(malloc(sizeof *was * (size_t)(m * n)), y, sizeof *was * (size_t)(m * n));
    assert_true(bt_product_add(k, y, a, b, m, depth, n, 2));
    for (int i = 0; i < m; i++)
        for (int c = 0; c<n; c += n> 100 ? 7 : 1) {
            float sum = was[i * n + c];
            for (int j = 0; j < depth; j++)
                sum += 2 * a[i * depth + j] * b[j * n + c];
            assert_true(y[i * n + c] == sum);
        }
    assert_true(bt_product_add(k, part, a + (m - 1) * depth, b, 1, depth, n, 2));
    assert_memory_equal(part, y + (m - 1) * n, sizeof *part * (size_t)n);
    free(a), free(b), free(y), free(part), free(was);
}

static void products_are_exact(void **state)
{
    static const char *const isas[] = { "scalar", "avx2", "auto" };
    (void)state;
    for (int i = 0; i < 3; i++) {
        bt_kernels k;
        bt_kernels_init(&k, bt_cpu_flags() & (uint32_t)bt_cpu_cap(isas[i]));
        check_product(&k, 1, 1, 1);
        check_product(&k, 64, 3, 15);
        check_product(&k, 65, 32, 48);
        check_product(&k, 3, 256, 17);
        check_product(&k, 5, 300, 100);
        check_product(&k, 2, 7, 4096 + 32 + 3);
    }
}

/* ---- rows ------------------------------------------------------------------ */

typedef struct making {
    int64_t row, all;
    int calls;
    int64_t next; /* the first row that was not made yet */
} making;

static bt_status rows_of(const void *from, int64_t first, int64_t n, float *out, bt_error *err)
{
    making *m = (making *)(uintptr_t)from;
    (void)err;
    assert_true(first == m->next && first + n <= m->all);
    m->next = first + n;
    m->calls++;
    for (int64_t i = 0; i < n * m->row; i++)
        out[i] = (float)((first * m->row + i) * 37 % 113 - 56) / 64;
    return BT_OK;
}

/* One convolution (taps x 1) or linear layer with a replaced weight; free() what it makes. */
static float *run(bt_precision p, bool whole, const int64_t dims[4], size_t *count, int *calls)
{
    fixture f;
    bt_weights *over;
    bt_error err = { 0 };
    fixture_open(&f, "auto", 1, p);
    const bt_weight *w = random_weight(&f, "w", 4, dims, 0, 5, NULL);
    making m = { .row = dims[1] * dims[2] * dims[3], .all = dims[0] };
    assert_int_equal(bt_weights_create_over(f.ws, &over, &err), BT_OK);
    w = bt_weight_replace(over, w, rows_of, whole, &m);
    assert_non_null(w);
    bt_node *x = bt_input(f.g, (bt_shape){ 1, 3, 3, dims[1] });
    bt_node *y = bt_output(f.g, bt_conv2d(f.g, x, w, NULL, (bt_conv){ 0 }));
    fixture_run(&f, x, 1);
    const bt_shape s = bt_shape_of(y);
    *count = (size_t)(s.h * s.w * s.c) * sizeof(float);
    *calls = m.calls;
    assert_int_equal(m.next, m.all);
    float *copy = memcpy(malloc(*count), bt_plan_data(f.p, y), *count);
    bt_weights_free(over);
    fixture_close(&f);
    return copy;
}

static void rows_are_packed_as_a_whole(void **state)
{
    static const int64_t shapes[][4] = { { 50, 16384, 1, 1 }, { 37, 2048, 3, 3 }, { 8, 32, 1, 1 } };
    static const int parts[] = { 2, 3, 1 };
    static const bt_precision all[] = { BT_PREC_F32, BT_PREC_BF16, BT_PREC_INT8 };
    (void)state;
    for (int i = 0; i < 3; i++)
        for (int p = 0; p < 3; p++) {
            size_t n;
            int one, some;
            float *want = run(all[p], true, shapes[i], &n, &one);
            float *got = run(all[p], false, shapes[i], &n, &some);
            assert_memory_equal(got, want, n);
            assert_true(one == 1 && some == parts[i]);
            free(want), free(got);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_exact),
        cmocka_unit_test(rows_are_packed_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
