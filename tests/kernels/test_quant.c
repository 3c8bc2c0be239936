/* SPDX-License-Identifier: MIT
 * Half precision, and rows to blocks and back. */
#include "kcheck.h"

static void test_half(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float f = bt_f16_to_f32((uint16_t)h);
        if ((h & 0x7fff) > 0x7c00)
            assert_true(isnan(f) && (bt_f32_to_f16(f) & 0x7fff) > 0x7c00);
        else
            assert_int_equal(bt_f32_to_f16(f), h);
        if ((h & 0x7fff) < 0x7bff) { /* halfway to the next: to the even one */
            const float next = bt_f16_to_f32((uint16_t)(h + 1)), mid = f + (next - f) / 2;
            assert_int_equal(bt_f32_to_f16(mid), h + (h & 1));
            assert_int_equal(bt_f32_to_f16(nextafterf(mid, f)), h);
            assert_int_equal(bt_f32_to_f16(nextafterf(mid, next)), h + 1);
        }
    }
    assert_true(bt_f16_to_f32(0x3c01) == 1.0f + 0x1p-10f);
    assert_int_equal(bt_f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(bt_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(bt_f32_to_bf16(1.00390625f), 0x3f80); /* halfway, even below */
    assert_int_equal(bt_f32_to_bf16(1.01171875f), 0x3f82); /* halfway, even above */
    assert_int_equal(bt_f32_to_bf16(3.4e38f), 0x7f80);
    assert_true(isnan(bt_bf16_to_f32(bt_f32_to_bf16(NAN))));
}

/* The step between levels bounds the error of a round trip. */
static void test_round_trip(void **state)
{
    static const struct {
        bt_dtype type;
        double step; /* in units of the block's largest magnitude */
    } rows[] = { { BT_F32, 0 },          { BT_F16, 0x1p-11 },   { BT_BF16, 0x1p-8 },
                 { BT_Q8_0, 0.5 / 127 }, { BT_Q4_0, 1.0 / 8 },  { BT_Q4_1, 1.0 / 15 },
                 { BT_Q5_0, 1.0 / 16 },  { BT_Q5_1, 1.0 / 31 }, { BT_Q4_K, 2.0 / 15 },
                 { BT_Q5_K, 2.5 / 31 },  { BT_Q6_K, 1.5 / 32 } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int n = 0; n < 50; n++) {
            enum { N = 512 };
            float x[N], y[N], z[N];
            uint8_t b[N * 4], c[N * 4];
            kc_noise(x, N, 2.0f);
            assert_int_equal(bt_quantize_row(rows[i].type, x, b, N), 0);
            assert_int_equal(bt_dequantize_row(rows[i].type, b, y, N), 0);
            for (int j = 0; j < N; j++) /* 1e-3: the scale is a half */
                kc_close((double)y[j], (double)x[j],
                         2.0 * (rows[i].step + (rows[i].step > 0 ? 1e-3 : 0.0)),
                         bt_dtypes[rows[i].type].name);
            if (bt_dtypes[rows[i].type].block == 256)
                continue; /* the search for a scale may find another one */
            assert_int_equal(bt_quantize_row(rows[i].type, y, c, N), 0);
            assert_int_equal(bt_dequantize_row(rows[i].type, c, z, N), 0);
            for (int j = 0; j < N; j++)
                kc_close((double)z[j], (double)y[j], 4e-3, "second round trip");
        }
}

/* Scales found by a search: no worse than steps from -2 to 2 would be. */
static void test_squares(void **state)
{
    static const struct {
        bt_dtype type;
        int steps;
    } rows[] = { { BT_Q4_K, 15 }, { BT_Q5_K, 31 }, { BT_Q6_K, 63 } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float x[4096], y[4096];
        uint8_t b[4096];
        double sum = 0.0;
        kc_noise(x, 4096, 2.0f);
        assert_int_equal(bt_quantize_row(rows[i].type, x, b, 4096), 0);
        assert_int_equal(bt_dequantize_row(rows[i].type, b, y, 4096), 0);
        for (int j = 0; j < 4096; j++)
            sum += ((double)y[j] - (double)x[j]) * ((double)y[j] - (double)x[j]) / 4096;
        kc_close(sum, 0.0, 16.0 / rows[i].steps / rows[i].steps / 12, bt_dtypes[rows[i].type].name);
    }
}

/* Zeros, infinities and NaN make blocks too; no undefined conversions. */
static void test_extremes(void **state)
{
    static const float values[] = { 0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e38f, -1e-40f };
    (void)state;
    for (int t = 0; t < BT_DTYPE_COUNT; t++)
        for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
            float x[256];
            uint8_t b[2048];
            kc_noise(x, 256, 1.0f);
            x[5] = values[i];
            if (!bt_dtypes[t].name || bt_quantize_row((bt_dtype)t, x, b, 256))
                continue;
            assert_int_equal(bt_dequantize_row((bt_dtype)t, b, x, 256), 0);
        }
    static const bt_dtype zeros[] = { BT_Q4_1, BT_Q4_K, BT_Q5_K, BT_Q6_K };
    for (size_t i = 0; i < sizeof zeros / sizeof *zeros; i++) {
        float x[256] = { 0 };
        uint8_t b[256];
        assert_int_equal(bt_quantize_row(zeros[i], x, b, 256), 0);
        assert_int_equal(bt_dequantize_row(zeros[i], b, x, 256), 0);
        assert_true(x[31] == 0.0f);
    }
}

static void test_refusals(void **state)
{
    float x[256] = { 0 };
    uint8_t b[256] = { 0 };
    (void)state;
    assert_int_equal(bt_quantize_row(BT_Q2_K, x, b, 256), -1);
    assert_int_equal(bt_quantize_row(BT_Q4_0, x, b, 31), -1);
    assert_int_equal(bt_dequantize_row(BT_Q6_K, b, x, 128), -1);
    assert_int_equal(bt_dequantize_row((bt_dtype)9, b, x, 32), -1);
    assert_int_equal(bt_dtype_from_name("Q4_k"), BT_Q4_K);
    assert_int_equal(bt_dtype_from_name("q9"), -1);
}

/* Bytes 0, 37, 74, ... as blocks; sums made with the Python package gguf
 * (gguf.quants.dequantize) by make_quant_golden.py. */
static void test_golden(void **state)
{
    static const struct {
        bt_dtype type;
        double sum, weighted; /* sum y[i], sum y[i] * (i % 7 + 1) */
    } rows[] = {
#include "quant_golden.inc"
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t b[2048];
        float y[1024];
        const size_t bytes = bt_row_bytes(rows[i].type, 1024);
        for (size_t j = 0; j < bytes; j++)
            b[j] = (uint8_t)((j * 37 + j / 256 * 11) & 0xbf); /* halves stay finite */
        double sum = 0.0, weighted = 0.0, mag = 0.0;
        assert_int_equal(bt_dequantize_row(rows[i].type, b, y, 1024), 0);
        for (int j = 0; j < 1024; j++) {
            sum += (double)y[j];
            weighted += (double)y[j] * (j % 7 + 1);
            mag += fabs((double)y[j]);
        }
        kc_close(sum, rows[i].sum, 1e-6 * mag, bt_dtypes[rows[i].type].name);
        kc_close(weighted, rows[i].weighted, 7e-6 * mag, bt_dtypes[rows[i].type].name);
    }
}

/* Halves away from zero; what is no number gives the least; rows of halves as one by one. */
static void test_rounding(void **state)
{
    float x[32] = { 127, 0.5f, -0.5f, 1.5f, -2.5f, 0x1.fffffep-2f, -126.5f, NAN, 126.49999f };
    static const int want[9] = { 127, 1, -1, 2, -3, 0, -127, -127, 126 };
    static uint16_t halves[0x10000];
    static float y[0x10000];
    uint8_t b[34];
    (void)state;
    assert_int_equal(bt_quantize_row(BT_Q8_0, x, b, 32), 0);
    assert_true(b[0] == 0 && b[1] == 0x3c); /* d = 1 */
    for (int i = 0; i < 9; i++)
        assert_int_equal((int8_t)b[2 + i], want[i]);
    for (uint32_t h = 0; h < 0x10000; h++)
        halves[h] = (uint16_t)h;
    assert_int_equal(bt_dequantize_row(BT_F16, halves, y, 0x10000), 0);
    for (uint32_t h = 0; h < 0x10000; h++)
        assert_int_equal(bt_f32_bits(y[h]), bt_f32_bits(bt_f16_to_f32((uint16_t)h)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half),     cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_squares),  cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
