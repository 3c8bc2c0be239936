/* SPDX-License-Identifier: MIT
 * numpy's arrays: every type and order as numpy writes them, what we write, what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "formats/npy.h"
#include "tests/temp_dir.h"

/* Version 1 with this header and data; the bytes in all. */
static size_t file_of(uint8_t *out, const char *header, const void *data, size_t bytes)
{
    const size_t n = strlen(header);
    memcpy(out, "\x93NUMPY\1\0", 8);
    out[8] = (uint8_t)n;
    out[9] = 0;
    memcpy(out + 10, header, n);
    memcpy(out + 10 + n, data, bytes);
    return 10 + n + bytes;
}

static void check(const char *header, const void *data, size_t bytes)
{
    uint8_t file[512];
    bt_npy a;
    bt_error err = { 0 };
    const size_t n = file_of(file, header, data, bytes);
    if (bt_npy_parse("x", file, n, &a, &err) != BT_OK)
        fail_msg("%s", err.text);
    assert_true(a.n_dims == 2 && a.dims[0] == 2 && a.dims[1] == 3 && a.count == 6);
    float *x = bt_npy_floats(&a, &err);
    assert_non_null(x);
    for (int i = 0; i < 6; i++)
        assert_true(x[i] == (float)(i + 1));
    bt_release(x);
    assert_int_equal(bt_npy_parse("x", file, n - 1, &a, &err), BT_EFORMAT);
}

static void types_and_orders_are_read(void **state)
{
    static const float f4[] = { 1, 2, 3, 4, 5, 6 }, columns[] = { 1, 4, 2, 5, 3, 6 };
    static const double f8[] = { 1, 2, 3, 4, 5, 6 };
    static const uint16_t f2[] = { 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600 };
    (void)state;
    check("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  \n", f4, sizeof f4);
    check("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3)}", f8, sizeof f8);
    check("{'shape':(2,3),'descr':'<f2','fortran_order':False}", f2, sizeof f2);
    check("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", columns, sizeof columns);
}

static void three_dimensions_turn(void **state)
{
    float x[24];
    uint8_t file[512];
    bt_npy a;
    (void)state;
    for (int i = 0; i < 24; i++)
        x[i] = (float)i;
    const char *header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3, 4), }";
    const size_t n = file_of(file, header, x, sizeof x);
    assert_int_equal(bt_npy_parse("x", file, n, &a, NULL), BT_OK);
    float *y = bt_npy_floats(&a, NULL);
    for (int i = 0; i < 24; i++)
        assert_true(y[i] == (float)(i / 12 + 2 * (i / 4 % 3) + 6 * (i % 4)));
    bt_release(y);
}

static void what_is_written_is_read(void **state)
{
    static const int64_t dims[] = { 3, 5 };
    float x[15];
    bt_map map;
    bt_npy a;
    bt_error err = { 0 };
    (void)state;
    for (int i = 0; i < 15; i++)
        x[i] = 1.0f / (float)(i + 1);
    assert_int_equal(bt_npy_write(temp_path("a.npy"), 2, dims, x, &err), BT_OK);
    assert_int_equal(bt_map_open(temp_path("a.npy"), &map, &err), BT_OK);
    assert_int_equal(bt_npy_parse("x", map.data, map.size, &a, &err), BT_OK);
    assert_true(a.n_dims == 2 && a.dims[0] == 3 && a.dims[1] == 5 && !a.fortran);
    assert_int_equal((a.data - map.data) % 64, 0);
    assert_memory_equal(a.data, x, sizeof x);
    bt_map_close(&map);
}

static void refuse(const char *header, bt_status want)
{
    static const float x[6];
    uint8_t file[512];
    bt_npy a;
    bt_error err = { 0 };
    const size_t n = file_of(file, header, x, sizeof x);
    if (bt_npy_parse("x", file, n, &a, &err) != want || strncmp(err.text, "x: ", 3) != 0)
        fail_msg("%s: \"%s\"", header, err.text);
}

static void bad_headers_are_refused(void **state)
{
    (void)state;
    refuse("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", BT_EUNSUPPORTED);
    refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }", BT_EUNSUPPORTED);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0), }", BT_EFORMAT);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1), }", BT_EFORMAT);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (7, 1), }", BT_EFORMAT);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (2, ", BT_EFORMAT);
    refuse("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 999999999999), }",
           BT_EFORMAT);
    refuse("{'descr': '<f4', 'shape': (2, 3), }", BT_EFORMAT);
    refuse("", BT_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_and_orders_are_read),
        cmocka_unit_test(three_dimensions_turn),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(bad_headers_are_refused),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
