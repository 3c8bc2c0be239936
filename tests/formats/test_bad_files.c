/* SPDX-License-Identifier: MIT
 * Foreign bytes: cut, empty, foreign, bit-flipped and lying files give one line
 * that names the file, and nothing else. Worth most in the sanitizer build.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "formats/store.h"
#include "golden.h"
#include "temp_dir.h"

#define FOLDER BT_SOURCE_DIR "/tests/formats/golden/"

static char path[256]; /* of the file under test */

static const char *const seeds[] = { "small.gguf", "small.safetensors", "small.onnx" };

static void put(const char *name, const void *data, size_t n)
{
    snprintf(path, sizeof path, "%s/%s", temp_dir, name);
    unlink(path); /* some file systems flush what is cut and written anew */
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(data, 1, n, f);
    assert_int_equal(fclose(f), 0);
}

/* Opens `path`, touches all that it says it holds, and closes it. */
static bt_status try_open(bt_error *e)
{
    bt_store *s = NULL;
    *e = (bt_error){ 0 };
    const bt_status st = bt_store_open(path, &s, e);
    unsigned sum = 0;
    for (size_t i = 0; s && i < bt_store_count(s); i++) {
        const bt_tensor *t = bt_store_at(s, i);
        for (size_t k = 0; k < t->bytes; k++)
            sum += t->data[k];
    }
    if (s) {
        bt_buf b = { 0 };
        assert_int_equal(bt_store_describe(s, &b), BT_OK);
        bt_buf_free(&b);
    } else {
        assert_true(st != BT_OK && sum == 0);
        if (!strstr(e->text, path))
            fail_msg("'%s' does not name %s", e->text, path);
        assert_null(strchr(e->text, '\n'));
    }
    bt_store_close(s);
    return st;
}

static void must_fail(const char *name, const void *data, size_t n, bt_status want, const char *why)
{
    bt_error e;
    put(name, data, n);
    const bt_status st = try_open(&e);
    if (st != want)
        fail_msg("%s: status %d (%s)", name, st, e.text);
    if (!strstr(e.text, why))
        fail_msg("%s: '%s' does not say '%s'", name, e.text, why);
}

static char *seed(size_t i, size_t *n)
{
    char name[256], *data;
    snprintf(name, sizeof name, FOLDER "%s", seeds[i]);
    assert_int_equal(bt_file_read(name, 1 << 20, &data, n, NULL), BT_OK);
    return data;
}

static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t n;
        bt_error e;
        char *data = seed(i, &n);
        for (size_t k = 0; k < n; k += k < 200 ? 1 : 13) {
            put(seeds[i], data, k);
            const bt_status st = try_open(&e);
            if (st != BT_EFORMAT)
                fail_msg("%s cut at %zu: %d %s", seeds[i], k, st, e.text);
        }
        bt_release(data);
    }
}

static void test_flipped(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        size_t n, failed = 0;
        bt_error e;
        char *data = seed(i, &n);
        for (size_t k = 0; k < n && k < 2200; k++)
            for (int bit = (int)(k % 3); bit < 8; bit += 3) {
                data[k] ^= (char)(1 << bit);
                put(seeds[i], data, n);
                const bt_status st = try_open(&e);
                assert_true(st == BT_OK || st == BT_EFORMAT || st == BT_EUNSUPPORTED);
                failed += st != BT_OK;
                data[k] ^= (char)(1 << bit);
            }
        assert_true(failed > 50);
        bt_release(data);
    }
}

static void test_foreign(void **state)
{
    static const char png[] = "\x89PNG\r\n\x1a\n________________";
    (void)state;
    must_fail("empty", "", 0, BT_EFORMAT, "is empty");
    must_fail("png", png, sizeof png, BT_EFORMAT, "is no GGUF");
    must_fail("text.gguf", "hello, this is text", 19, BT_EFORMAT, "is no GGUF");
    must_fail("text.safetensors", "hello, this is text", 19, BT_EFORMAT, "beyond the end");
    must_fail("text.onnx", "hello, this is text", 19, BT_EFORMAT, "malformed ONNX");
    must_fail("older.pt", "\x80\2\x8a\nl\xfc\x9c", 8, BT_EUNSUPPORTED, "PyTorch");
    must_fail("old.pt", "PK\3\4aaaaaaaaaaaaaaaaaaa", 23, BT_EUNSUPPORTED, "PyTorch");
    bt_error e;
    snprintf(path, sizeof path, "%s/none", temp_dir);
    assert_int_equal(try_open(&e), BT_ENOTFOUND);
    snprintf(path, sizeof path, "%s", temp_dir);
    assert_int_equal(try_open(&e), BT_EFORMAT);
    snprintf(path, sizeof path, "/dev/zero");
    assert_int_equal(try_open(&e), BT_EIO);
}

/* A GGUF header with these counts, then bytes. */
static size_t gguf(char *p, unsigned version, uint64_t tensors, uint64_t entries, const void *more,
                   size_t n)
{
    memcpy(p, "GGUF", 4);
    memcpy(p + 4, &version, 4);
    memcpy(p + 8, &tensors, 8);
    memcpy(p + 16, &entries, 8);
    memcpy(p + 24, more, n);
    return 24 + n;
}

/* Version 2 differs from 3 in nothing that we read. */
static void test_gguf_version_2(void **state)
{
    size_t n;
    bt_error e;
    (void)state;
    char *data = seed(0, &n);
    data[4] = 2;
    put("v2.gguf", data, n);
    assert_int_equal(try_open(&e), BT_OK);
    bt_release(data);
}

static void test_gguf_lies(void **state)
{
    static const char key[] = "\1\0\0\0\0\0\0\0k";
    char b[512], more[256];
    (void)state;
    must_fail("v", b, gguf(b, 1, 0, 0, "", 0), BT_EUNSUPPORTED, "version 1");
    must_fail("v", b, gguf(b, 0x03000000, 0, 0, "", 0), BT_EUNSUPPORTED, "big endian");
    must_fail("n", b, gguf(b, 3, 0, UINT64_MAX, "", 0), BT_EFORMAT, "more metadata");
    must_fail("n", b, gguf(b, 3, UINT64_MAX, 0, "", 0), BT_EFORMAT, "more tensors");
    must_fail("n", b, gguf(b, 2, 1 << 20, 0, "", 0), BT_EFORMAT, "more tensors");
    /* A string of 2^63 bytes, an array of 2^61 numbers, an unknown type. */
    memcpy(more, key, 9);
    memcpy(more + 9, "\10\0\0\0\0\0\0\0\0\0\0\x80", 12);
    must_fail("s", b, gguf(b, 3, 0, 1, more, 21), BT_EFORMAT, "longer than the file");
    memcpy(more + 9, "\11\0\0\0\4\0\0\0\0\0\0\0\0\0\0\x20", 16);
    must_fail("a", b, gguf(b, 3, 0, 1, more, 25), BT_EFORMAT, "longer than the file");
    memcpy(more + 9, "\11\0\0\0\10\0\0\0\0\0\0\0\0\0\0\x20", 16);
    must_fail("a", b, gguf(b, 3, 0, 1, more, 25), BT_EFORMAT, "longer than the file");
    memcpy(more + 9, "\77\0\0\0\0\0\0\0\0", 9);
    must_fail("t", b, gguf(b, 3, 0, 1, more, 18), BT_EFORMAT, "unknown metadata type");
    /* The same key twice. */
    memcpy(more + 9, "\0\0\0\0\1", 5);
    memcpy(more + 14, more, 14);
    must_fail("d", b, gguf(b, 3, 0, 2, more, 28), BT_EFORMAT, "twice");
}

/* A tensor "k" of n_dims dimensions, type and offset. */
static size_t tensor(char *p, unsigned n_dims, const uint64_t *dims, unsigned type, uint64_t offset)
{
    size_t n = 9;
    memcpy(p, "\1\0\0\0\0\0\0\0k", 9);
    memcpy(p + n, &n_dims, 4);
    n += 4;
    for (unsigned i = 0; i < n_dims && i < 8; i++, n += 8)
        memcpy(p + n, &dims[i], 8);
    memcpy(p + n, &type, 4);
    memcpy(p + n + 4, &offset, 8);
    return n + 12;
}

static void test_gguf_tensors(void **state)
{
    static const uint64_t small[] = { 4, 1, 1, 1, 1, 1, 1, 1 }, odd[] = { 33 };
    static const uint64_t huge[] = { 1u << 31, 1u << 31, 1u << 31, 4 }, big[] = { 1 << 20 };
    static const uint64_t negative[] = { UINT64_MAX };
    char b[512], more[256];
    (void)state;
    size_t n = tensor(more, 5, small, 0, 0);
    must_fail("t", b, gguf(b, 3, 1, 0, more, n), BT_EFORMAT, "number of dimensions");
    n = tensor(more, 4, huge, 0, 0);
    must_fail("t", b, gguf(b, 3, 1, 0, more, n), BT_EFORMAT, "impossible size");
    n = tensor(more, 1, negative, 0, 0);
    must_fail("t", b, gguf(b, 3, 1, 0, more, n), BT_EFORMAT, "bad dimension");
    n = tensor(more, 1, odd, BT_Q8_0, 0);
    must_fail("t", b, gguf(b, 3, 1, 0, more, n), BT_EFORMAT, "impossible size");
    n = tensor(more, 1, small, 16, 0);
    must_fail("t", b, gguf(b, 3, 1, 0, more, n), BT_EUNSUPPORTED, "type number 16");
    n = tensor(more, 1, small, BT_U8, 0);
    must_fail("t", b, gguf(b, 3, 1, 0, more, n), BT_EUNSUPPORTED, "type number 64");
    n = tensor(more, 1, big, 0, 0);
    must_fail("t", b, gguf(b, 3, 1, 0, more, n), BT_EFORMAT, "beyond the end");
    n = tensor(more, 1, small, 0, UINT64_MAX - 31);
    must_fail("t", b, gguf(b, 3, 1, 0, more, n), BT_EFORMAT, "beyond the end");
    n = tensor(more, 1, small, 0, 4);
    must_fail("t", b, gguf(b, 3, 1, 0, more, n), BT_EFORMAT, "alignment");
    /* Two tensors on the same bytes; the names must differ. */
    n = tensor(more, 1, small, 0, 0);
    size_t m = tensor(more + n, 1, small, 0, 0);
    more[n + 8] = 'l';
    memset(more + n + m, 0, 100);
    must_fail("o", b, gguf(b, 3, 2, 0, more, n + m + 100), BT_EFORMAT, "overlap");
    more[n + 8] = 'k';
    must_fail("o", b, gguf(b, 3, 2, 0, more, n + m + 100), BT_EFORMAT, "twice");
}

static void safetensors(const char *json, uint64_t header, bt_status want, const char *why)
{
    char b[1024];
    const size_t n = strlen(json);
    memcpy(b, &header, 8);
    memcpy(b + 8, json, n);
    memset(b + 8 + n, 0, 64);
    must_fail("x.safetensors", b, 8 + n + 64, want, why);
}

static void lie(const char *json, bt_status want, const char *why)
{
    safetensors(json, strlen(json), want, why);
}

static void test_safetensors_lies(void **state)
{
    (void)state;
    safetensors("{}", 1000, BT_EFORMAT, "beyond the end");
    safetensors("{}", UINT64_MAX, BT_EFORMAT, "beyond the end");
    lie("{\"a\":", BT_EFORMAT, "malformed JSON");
    lie("[1]", BT_EFORMAT, "no JSON object");
    lie("{\"a\":1}", BT_EFORMAT, "no dtype");
    lie("{\"a\":{\"dtype\":\"F8_E8M0\",\"shape\":[],\"data_offsets\":[0,1]}}", BT_EUNSUPPORTED,
        "F8_E8M0");
    lie("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", BT_EFORMAT, "data_offsets");
    lie("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", BT_EFORMAT,
        "whole number");
    lie("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", BT_EFORMAT,
        "impossible shape");
    lie("{\"a\":{\"dtype\":\"F32\",\"shape\":[1e15,1e15],\"data_offsets\":[0,4]}}", BT_EFORMAT,
        "impossible shape");
    lie("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", BT_EFORMAT,
        "do not fit");
    lie("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,4]}}", BT_EFORMAT,
        "bad data_offsets");
    lie("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[64,68]}}", BT_EFORMAT,
        "beyond the end");
    lie("{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", BT_EFORMAT,
        "too many dimensions");
    lie("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
        BT_EFORMAT, "overlap");
    lie("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
        BT_EFORMAT, "twice");
}

static void index_lie(const char *json, bt_status want, const char *why)
{
    bt_error e;
    put("model.safetensors.index.json", json, strlen(json));
    bt_store *s = NULL;
    assert_int_equal(bt_store_open(path, &s, &e), want);
    if (!strstr(e.text, why))
        fail_msg("'%s' does not say '%s'", e.text, why);
}

static void test_index_lies(void **state)
{
    (void)state;
    index_lie("{}", BT_EFORMAT, "no weight_map");
    index_lie("{\"weight_map\":{\"a\":1}}", BT_EFORMAT, "bad weight_map");
    index_lie("{\"weight_map\":{\"a\":\"../x\"}}", BT_EFORMAT, "outside its folder");
    index_lie("{\"weight_map\":{\"a\":\"/etc/passwd\"}}", BT_EFORMAT, "outside its folder");
    index_lie("{\"weight_map\":{\"a\":\"gone.safetensors\"}}", BT_ENOTFOUND, "gone.safetensors");
}

static void test_onnx_lies(void **state)
{
    (void)state;
    must_fail("a.onnx", "\x08\x08", 2, BT_EFORMAT, "no graph");
    must_fail("a.onnx", "\x08\x08\x3a\x00", 4, BT_EFORMAT, "no weights");
    must_fail("a.onnx", "\x08\x08\x3a\x7f", 4, BT_EFORMAT, "longer than the file");
    must_fail("a.onnx", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11, BT_EFORMAT,
              "longer than the file");
    must_fail("a.onnx", "\x08\x08\x3b\x00", 4, BT_EFORMAT, "longer than the file");
    must_fail("a.onnx", "\x08\x08\x3a\x03\x28\x01\x00", 7, BT_EFORMAT, "bad graph");
    /* opset_import: 0, 99, 300; another domain's are not looked at */
    must_fail("a.onnx", "\x42\x02\x10\x00", 4, BT_EUNSUPPORTED, "ONNX opset 0 is none of 7 to");
    must_fail("a.onnx", "\x42\x04\x0a\x00\x10\x63", 6, BT_EUNSUPPORTED, "ONNX opset 99");
    must_fail("a.onnx",
              "\x42\x0c\x0a\x07"
              "ai.onnx"
              "\x10\xac\x02",
              14, BT_EUNSUPPORTED, "ONNX opset 300");
    must_fail("a.onnx",
              "\x42\x05\x0a\x01"
              "x\x10\x63",
              7, BT_EFORMAT, "no graph");
    /* One initializer: float[2^40] "a" without data, one in another file, one
     * of strings, raw data that is too short. */
    must_fail("a.onnx",
              "\x08\x08\x3a\x0e\x2a\x0c\x08\x80\x80\x80\x80\x80\x20\x10\x01\x42\x01"
              "a",
              18, BT_EFORMAT, "without its data");
    must_fail("a.onnx",
              "\x08\x08\x3a\x0b\x2a\x09\x08\x01\x10\x01\x42\x01"
              "a\x70\x01",
              15, BT_EUNSUPPORTED, "another file");
    must_fail("a.onnx",
              "\x08\x08\x3a\x09\x2a\x07\x08\x01\x10\x08\x42\x01"
              "a",
              13, BT_EUNSUPPORTED, "data type 8");
    must_fail("a.onnx",
              "\x08\x08\x3a\x0c\x2a\x0a\x08\x01\x10\x01\x42\x01"
              "a\x4a\x01x",
              16, BT_EFORMAT, "wrong length");
}

static void test_folder_lies(void **state)
{
    char command[600];
    bt_error e;
    (void)state;
    snprintf(command, sizeof command, "cp -r " FOLDER "pipe %s/p && echo x > %s/p/model_index.json",
             temp_dir, temp_dir);
    assert_int_equal(system(command), 0);
    bt_store *s = NULL;
    snprintf(path, sizeof path, "%s/p", temp_dir);
    assert_int_equal(bt_store_open(path, &s, &e), BT_EFORMAT);
    assert_non_null(strstr(e.text, "model_index.json"));
    snprintf(command, sizeof command,
             "cp " FOLDER "pipe/model_index.json %s/p/ && "
             "cd %s/p/unet && mv diffusion_pytorch_model.safetensors x.bin",
             temp_dir, temp_dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(bt_store_open(path, &s, &e), BT_EUNSUPPORTED);
    assert_non_null(strstr(e.text, "p/unet"));
    snprintf(command, sizeof command,
             "cd %s/p/unet && rm x.bin && head -c 5000 " FOLDER
             "pipe/unet/diffusion_pytorch_model.safetensors > model.safetensors",
             temp_dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(bt_store_open(path, &s, &e), BT_EFORMAT);
    assert_non_null(strstr(e.text, "p/unet/model.safetensors"));
    assert_null(s);
}

#ifdef BT_FAULTS
static void test_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (long n = 1;; n++) {
            bt_error e = { 0 };
            bt_store *s = NULL;
            snprintf(path, sizeof path, FOLDER "%s", seeds[i]);
            bt_fault_after(n);
            const bt_status st = bt_store_open(path, &s, &e);
            const bool fired = bt_fault_after(0) == 0;
            assert_int_equal(st, fired ? BT_ENOMEM : BT_OK);
            bt_store_close(s);
            if (!fired)
                break;
        }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),          cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_foreign),      cmocka_unit_test(test_gguf_lies),
        cmocka_unit_test(test_gguf_tensors), cmocka_unit_test(test_safetensors_lies),
        cmocka_unit_test(test_index_lies),   cmocka_unit_test(test_onnx_lies),
        cmocka_unit_test(test_folder_lies),  cmocka_unit_test(test_gguf_version_2),
#ifdef BT_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
