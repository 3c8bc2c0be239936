/* SPDX-License-Identifier: MIT
 * Reading: small files of every format made by golden/make_formats.py with the
 * formats' own Python packages, and the real weights.
 */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/json.h"
#include "golden.h"
#include "kernels/quant.h"

#define FOLDER BT_SOURCE_DIR "/tests/formats/golden/"

static void shape_is(const bt_store *s, const char *name, bt_dtype type, const char *want)
{
    char got[128] = "";
    const bt_tensor *t = bt_store_find(s, name);
    if (!t)
        fail_msg("%s: no %s", bt_store_path(s), name);
    for (int i = 0; i < t->n_dims; i++)
        sprintf(got + strlen(got), i ? ",%" PRId64 : "%" PRId64, t->dims[i]);
    assert_string_equal(got, want);
    assert_int_equal(t->dtype, type);
    for (int i = t->n_dims; i < BT_MAX_DIMS; i++)
        assert_int_equal(t->dims[i], 1);
}

/* 0, 1, 2, ... */
static void counts_up(const bt_store *s, const char *name)
{
    size_t n;
    float *v = golden_floats(s, name, &n);
    for (size_t i = 0; i < n; i++)
        if (v[i] != (float)i)
            fail_msg("%s[%zu] is %g", name, i, v[i]);
    free(v);
}

static void values_are(const bt_store *s, const char *name, const float *want, size_t n)
{
    size_t count;
    float *v = golden_floats(s, name, &count);
    assert_int_equal(count, n);
    for (size_t i = 0; i < n; i++)
        if (fabsf(v[i] - want[i]) > 1e-6f * fabsf(want[i]))
            fail_msg("%s[%zu] is %.9g, not %.9g", name, i, v[i], want[i]);
    free(v);
}

static void test_gguf_metadata(void **state)
{
    (void)state;
    bt_store *s = golden_open(FOLDER "small.gguf");
    uint64_t u = 0;
    int64_t i = 0;
    double f = 0;
    bool b = false;
    size_t n;
    assert_string_equal(bt_store_format(s), "gguf");
    assert_true(bt_store_u64(s, "t.u8", &u) && u == 200);
    assert_true(bt_store_i64(s, "t.i8", &i) && i == -100);
    assert_true(bt_store_u64(s, "t.u16", &u) && u == 60000);
    assert_true(bt_store_i64(s, "t.i16", &i) && i == -30000);
    assert_true(bt_store_i64(s, "t.u32", &i) && i == 4000000000);
    assert_true(bt_store_i64(s, "t.i32", &i) && i == -2000000000);
    assert_true(bt_store_u64(s, "t.u64", &u) && u == (UINT64_C(1) << 63) + 1);
    assert_true(bt_store_i64(s, "t.i64", &i) && i == -(INT64_C(1) << 62));
    assert_true(bt_store_f64(s, "t.f32", &f) && f == 0.5);
    assert_true(bt_store_f64(s, "t.f64", &f) && f == 1e300);
    assert_true(bt_store_f64(s, "t.i16", &f) && f == -30000);
    assert_true(bt_store_bool(s, "t.bool", &b) && b);
    assert_string_equal(bt_store_str(s, "t.str", &n), "gr\xc3\xbc\xc3\x9f dich");
    assert_int_equal(n, 11);
    /* What does not fit or is not there leaves the value alone. */
    i = 5;
    assert_false(bt_store_i64(s, "t.u64", &i) || bt_store_i64(s, "none", &i));
    assert_false(bt_store_i64(s, "t.f32", &i) || bt_store_u64(s, "t.i8", &u));
    assert_int_equal(i, 5);
    assert_null(bt_store_str(s, "t.u8", NULL));
    assert_false(bt_store_bool(s, "t.u8", &b) || bt_store_f64(s, "t.ints", &f));
    assert_true(bt_store_meta_count(s) >= 16);
    assert_string_equal(bt_store_meta_key(s, 0), "general.architecture");
    assert_string_equal(bt_store_file(s, "sub/config.json", &n), "{\"a\": 1}");
    assert_int_equal(n, 8);
    assert_int_equal(bt_store_file_count(s), 1);
    assert_null(bt_store_file(s, "config.json", NULL));
    bt_store_close(s);
}

static void test_gguf_arrays(void **state)
{
    (void)state;
    bt_store *s = golden_open(FOLDER "small.gguf");
    bt_meta_type type;
    size_t n, len;
    int64_t i;
    double f;
    const bt_meta *a = bt_store_array(s, "t.strs", &type, &n);
    assert_true(a && type == BT_META_STR && n == 4);
    assert_memory_equal(bt_store_array_str(a, 2, &len), "\xc3\xa4\xc3\xb6", 4);
    assert_int_equal(len, 4);
    bt_store_array_str(a, 3, &len);
    assert_int_equal(len, 100);
    assert_null(bt_store_array_str(a, 4, &len));
    assert_false(bt_store_array_i64(a, 0, &i));
    a = bt_store_array(s, "t.ints", &type, &n);
    assert_true(a && n == 25);
    for (size_t k = 0; k < n; k++)
        assert_true(bt_store_array_i64(a, k, &i) && i == (int64_t)k - 5);
    assert_false(bt_store_array_i64(a, n, &i));
    assert_null(bt_store_array_str(a, 0, &len));
    a = bt_store_array(s, "t.floats", NULL, &n);
    assert_true(a && n == 2 && bt_store_array_f64(a, 1, &f) && f == -1.5);
    a = bt_store_array(s, "t.bools", NULL, &n);
    assert_true(a && n == 2 && bt_store_array_i64(a, 0, &i) && i == 1);
    assert_null(bt_store_array(s, "t.u8", NULL, NULL));
    bt_store_close(s);
}

static void test_gguf_tensors(void **state)
{
    static const char *const types[] = { "q4_0", "q4_1", "q5_0", "q5_1",   "q8_0",   "q2_k", "q3_k",
                                         "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs", "bf16" };
    (void)state;
    bt_store *s = golden_open(FOLDER "small.gguf");
    bt_store *g = golden_open(FOLDER "quant_values.safetensors");
    assert_int_equal(bt_store_count(s), 16);
    shape_is(s, "f32", BT_F32, "2,3,4");
    shape_is(s, "f16", BT_F16, "5,7");
    shape_is(s, "vec", BT_F32, "9");
    counts_up(s, "f32");
    counts_up(s, "f16");
    counts_up(s, "vec");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char name[32];
        size_t n, m;
        snprintf(name, sizeof name, "q.%s", types[i]);
        float *got = golden_floats(s, name, &n), *want = golden_floats(g, types[i], &m);
        float top = 0;
        assert_int_equal(n, m);
        for (size_t k = 0; k < n; k++)
            top = fmaxf(top, fabsf(want[k]));
        /* Same formula; products and sums may be rounded in another order. */
        if (!(golden_max_abs(got, want, n) <= 4e-7 * top))
            fail_msg("%s is off by %g of %g", types[i], golden_max_abs(got, want, n), top);
        free(got);
        free(want);
    }
    assert_null(bt_store_find(s, "nothing"));
    bt_store_close(g);
    bt_store_close(s);
}

static void test_safetensors(void **state)
{
    static const char *const up[] = {
        "f64", "f32", "f16", "i64", "i32", "i16", "i8", "u8", "deep"
    };
    (void)state;
    bt_store *s = golden_open(FOLDER "small.safetensors");
    assert_string_equal(bt_store_format(s), "safetensors");
    assert_int_equal(bt_store_count(s), 12);
    for (size_t i = 0; i < sizeof up / sizeof *up; i++)
        counts_up(s, up[i]);
    shape_is(s, "f64", BT_F64, "2,5");
    shape_is(s, "bool", BT_U8, "3");
    shape_is(s, "deep", BT_F32, "1,2,1,3,1,2");
    shape_is(s, "scalar", BT_F32, "");
    shape_is(s, "none", BT_F32, "0,4");
    values_are(s, "scalar", (float[]){ 7 }, 1);
    values_are(s, "bool", (float[]){ 1, 0, 1 }, 3);
    assert_null(bt_store_find(s, "none")->data);
    assert_string_equal(bt_store_str(s, "made", NULL), "by hand");
    bt_store_close(s);
}

/* Both kinds of 8-bit floats: PyTorch's values of all 256 (golden/make_f8.py), bit by bit. */
static void test_f8(void **state)
{
    static const char *const kinds[] = { "e4m3", "e5m2" };
    (void)state;
    bt_store *s = golden_open(FOLDER "f8.safetensors");
    shape_is(s, "e4m3", BT_F8_E4M3, "256");
    shape_is(s, "e5m2", BT_F8_E5M2, "256");
    for (int k = 0; k < 2; k++) {
        char name[16];
        size_t n;
        snprintf(name, sizeof name, "%s.f32", kinds[k]);
        float *got = golden_floats(s, kinds[k], &n), *want = golden_floats(s, name, &n);
        assert_int_equal(n, 256);
        for (size_t i = 0; i < n; i++) {
            if (bt_f32_bits(got[i]) != bt_f32_bits(want[i]) && !(isnan(got[i]) && isnan(want[i])))
                fail_msg("%s %zu: %.9g, not %.9g", kinds[k], i, got[i], want[i]);
            if (!isnan(got[i])) /* halves hold each of them */
                assert_true(bt_f16_to_f32(bt_f32_to_f16(got[i])) == got[i]);
        }
        free(got);
        free(want);
    }
    bt_store_close(s);
}

static void test_sharded(void **state)
{
    static const char *const paths[] = { FOLDER "sharded",
                                         FOLDER "sharded/model.safetensors.index.json" };
    (void)state;
    for (int i = 0; i < 2; i++) {
        bt_store *s = golden_open(paths[i]);
        assert_int_equal(bt_store_count(s), 3);
        counts_up(s, "a");
        counts_up(s, "b");
        shape_is(s, "c", BT_F16, "4");
        counts_up(s, "c");
        assert_true(bt_store_find(s, "c")->in_file);
        bt_tensor_drop(bt_store_find(s, "c"));
        counts_up(s, "c");
        assert_int_equal(bt_store_file(s, "config.json", NULL) != NULL, i == 0);
        bt_store_close(s);
    }
}

static void test_folder(void **state)
{
    (void)state;
    bt_store *s = golden_open(FOLDER "pipe");
    assert_string_equal(bt_store_format(s), "diffusers");
    assert_int_equal(bt_store_count(s), 10);
    shape_is(s, "unet/conv_in.weight", BT_F16, "32,4,3,3");
    shape_is(s, "vae/decoder.conv_out.weight", BT_F32, "3,32,3,3");
    assert_string_equal(bt_store_file(s, "unet/config.json", NULL), "{\"n\": 1}");
    assert_string_equal(bt_store_file(s, "tokenizer/merges.txt", NULL), "#version: 0.2\na b\n");
    assert_non_null(bt_store_file(s, "scheduler/scheduler_config.json", NULL));
    assert_non_null(bt_store_file(s, "model_index.json", NULL));
    bt_store_close(s);
}

static void test_onnx(void **state)
{
    static const char *const up[] = {
        "/c/Constant_output_0",
        "/x/Typed_floats",
        "enc_p.emb.weight",
        "flow.flows.6.enc.in_layers.0.weight",
        "flow.flows.6.enc.in_layers.0.bias",
        "dec.ups.0.weight",
        "dec.ups.0.bias",
        "gemm_a.weight",
        "enc_p.norm_1.0.gamma",
        "dec.ups.1.weight",
        "dec.ups.1.bias",
        "gemm_a.bias",
    };
    (void)state;
    bt_store *s = golden_open(FOLDER "small.onnx");
    int64_t v;
    size_t n;
    assert_string_equal(bt_store_format(s), "onnx");
    for (size_t i = 0; i < sizeof up / sizeof *up; i++)
        counts_up(s, up[i]);
    shape_is(s, "lin.weight", BT_F32, "4,3"); /* a Linear comes transposed */
    values_are(s, "lin.weight", (float[]){ 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11 }, 12);
    assert_false(bt_store_find(s, "lin.weight")->in_file);
    values_are(s, "gemm_b.weight", (float[]){ 0, 3, 1, 4, 2, 5 }, 6);
    values_are(s, "dp.flows.0.logs", (float[]){ 0.5f, -0.25f }, 2);
    values_are(s, "ints", (float[]){ 0, 1, -2 }, 3);
    values_are(s, "bytes", (float[]){ 7, 255 }, 2);
    values_are(s, "halves", (float[]){ 0.5f, -2 }, 2);
    values_are(s, "doubles", (float[]){ 0.5f, -2 }, 2);
    const bt_meta *a = bt_store_array(s, "dec.ups.0.strides", NULL, &n);
    assert_true(a && n == 1 && bt_store_array_i64(a, 0, &v) && v == 3);
    a = bt_store_array(s, "dec.ups.0.pads", NULL, &n);
    assert_true(a && n == 2 && bt_store_array_i64(a, 1, &v) && v == 2);
    a = bt_store_array(s, "flow.flows.6.enc.in_layers.0.dilations", NULL, &n);
    assert_true(a && bt_store_array_i64(a, 0, &v) && v == 2);
    assert_null(bt_store_array(s, "flow.flows.6.enc.in_layers.0.strides", NULL, NULL));
    assert_string_equal(bt_store_str(s, "sample_rate", NULL), "22050");
    assert_non_null(strstr(bt_store_file(s, "voice.json", NULL), "22050"));
    bt_store_close(s);
}

static void test_describe(void **state)
{
    static const char *const paths[] = { FOLDER "small.gguf", FOLDER "small.safetensors",
                                         FOLDER "pipe", FOLDER "small.onnx" };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        bt_buf b = { 0 };
        bt_error e = { 0 };
        cJSON *json;
        int64_t n;
        bt_store *s = golden_open(paths[i]);
        assert_int_equal(bt_store_describe(s, &b), BT_OK);
        assert_int_equal(bt_json_parse("describe", b.data, b.len, &json, &e), BT_OK);
        assert_string_equal(bt_json_str(json, "format"), bt_store_format(s));
        const cJSON *tensors = cJSON_GetObjectItem(json, "tensors");
        assert_int_equal(cJSON_GetArraySize(tensors), bt_store_count(s));
        assert_true(bt_json_i64(cJSON_GetObjectItem(json, "totals"), "tensors", &n));
        assert_int_equal(n, bt_store_count(s));
        if (i == 0) {
            const cJSON *m = cJSON_GetObjectItem(json, "metadata");
            const cJSON *ints = cJSON_GetObjectItem(m, "t.ints");
            assert_true(bt_json_i64(ints, "length", &n) && n == 25);
            assert_non_null(strstr(b.data, "\"t.u64\":9223372036854775809"));
        }
        cJSON_Delete(json);
        bt_buf_free(&b);
        bt_store_close(s);
    }
}

/* The first values of some tensors of the real files, as Python reads them. */
static void test_real(void **state)
{
    (void)state;
    char path[1024];
    bt_store *g = golden_open(FOLDER "real_values.safetensors");
    bt_store *joe = golden_open(golden_data("models/en_US-joe-medium.onnx", path, sizeof path));
    bt_store *text =
        golden_open(golden_data("models/SmolLM2-135M-Instruct.Q4_1.gguf", path, sizeof path));
    size_t seen = 0;
    for (size_t i = 0; i < bt_store_count(g); i++) {
        const char *name = bt_store_at(g, i)->name;
        const char *colon = strchr(name, ':');
        const bt_store *s = name[0] == 'j' ? joe : text;
        const bt_tensor *t = bt_store_find(s, colon + 1);
        size_t n;
        if (!t)
            fail_msg("no tensor %s", name);
        float *want = golden_floats(g, name, &n);
        float got[64];
        assert_int_equal(bt_dequantize_row(t->dtype, t->data, got, n), 0);
        for (size_t k = 0; k < n; k++)
            if (fabsf(got[k] - want[k]) > 1e-6f * fabsf(want[k]))
                fail_msg("%s[%zu] is %.9g, not %.9g", name, k, got[k], want[k]);
        free(want);
        seen++;
    }
    assert_int_equal(seen, 18);
    shape_is(joe, "flow.flows.6.enc.in_layers.0.weight", BT_F32, "384,192,5");
    shape_is(text, "token_embd.weight", BT_Q8_0, "49152,576");
    assert_non_null(bt_store_file(joe, "voice.json", NULL));
    uint64_t layers = 0;
    assert_true(bt_store_u64(text, "llama.block_count", &layers) && layers == 30);
    bt_store_close(text);
    bt_store_close(joe);
    bt_store_close(g);
}

/* Every weight of the voice must be there under its module's name. */
static void test_voice_names(void **state)
{
    static const char *const per_flow[] = { "pre",
                                            "post",
                                            "enc.in_layers.0",
                                            "enc.in_layers.3",
                                            "enc.res_skip_layers.0",
                                            "enc.res_skip_layers.3" };
    char path[1024], name[128];
    (void)state;
    bt_store *s = golden_open(golden_data("models/en_US-joe-medium.onnx", path, sizeof path));
    for (int f = 0; f < 8; f += 2)
        for (size_t k = 0; k < sizeof per_flow / sizeof *per_flow; k++) {
            snprintf(name, sizeof name, "flow.flows.%d.%s.weight", f, per_flow[k]);
            assert_non_null(bt_store_find(s, name));
            snprintf(name, sizeof name, "flow.flows.%d.%s.bias", f, per_flow[k]);
            assert_non_null(bt_store_find(s, name));
        }
    shape_is(s, "enc_p.emb.weight", BT_F32, "256,192");
    shape_is(s, "dp.flows.0.logs", BT_F32, "2,1");
    shape_is(s, "dp.flows.0.m", BT_F32, "2,1");
    /* No float tensor with more than one value is left without a module. */
    for (size_t i = 0; i < bt_store_count(s); i++) {
        const bt_tensor *t = bt_store_at(s, i);
        if (t->dtype == BT_F32 && bt_tensor_count(t) > 1 && strpbrk(t->name, "/:"))
            fail_msg("%s has no module's name", t->name);
    }
    bt_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf_metadata),
        cmocka_unit_test(test_gguf_arrays),
        cmocka_unit_test(test_gguf_tensors),
        cmocka_unit_test(test_safetensors),
        cmocka_unit_test(test_sharded),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_onnx),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_voice_names),
        cmocka_unit_test(test_f8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
