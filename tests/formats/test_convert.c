/* SPDX-License-Identifier: MIT
 * Conversion: what becomes of each kind of tensor, and that values survive.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "formats/convert.h"
#include "golden.h"
#include "temp_dir.h"
#include "kernels/quant.h"

#define FOLDER BT_SOURCE_DIR "/tests/formats/golden/"

static bt_store *converted(const bt_store *in, const char *name, bt_dtype type)
{
    bt_error e = { 0 };
    if (bt_convert_store(in, temp_path(name), type, NULL, NULL, NULL, &e) != BT_OK)
        fail_msg("%s", e.text);
    return golden_open(temp_path(name));
}

static const bt_tensor *tensor(const bt_store *s, const char *name, bt_dtype type)
{
    const bt_tensor *t = bt_store_find(s, name);
    if (!t)
        fail_msg("no %s", name);
    if (t->dtype != type)
        fail_msg("%s is %s", name, bt_dtypes[t->dtype].name);
    return t;
}

/* Largest error of q8_0 in a block: half a step, and the step is a half float. */
static float q8_bound(const float *v, size_t i)
{
    float top = 0;
    for (size_t k = i / 32 * 32; k < i / 32 * 32 + 32; k++)
        top = fmaxf(top, fabsf(v[k]));
    return top * (0.5f / 127 + 1.0f / 2048);
}

/* dst[o][k][c] of src[o][c][k] */
static void reorder(const float *src, float *dst, size_t out, size_t in, size_t taps)
{
    for (size_t o = 0; o < out; o++)
        for (size_t c = 0; c < in; c++)
            for (size_t k = 0; k < taps; k++)
                dst[(o * taps + k) * in + c] = src[(o * in + c) * taps + k];
}

static void test_pictures(void **state)
{
    (void)state;
    bt_store *in = golden_open(FOLDER "pipe");
    bt_store *s = converted(in, "pipe.gguf", BT_Q8_0);
    assert_string_equal(bt_store_str(s, "general.architecture", NULL), "bottega-diffusion");
    assert_int_equal(bt_store_count(s), bt_store_count(in));
    for (size_t i = 0; i < bt_store_file_count(in); i++) {
        const char *name = bt_store_file_name(in, i);
        assert_string_equal(bt_store_file(s, name, NULL), bt_store_file(in, name, NULL));
    }
    const bt_tensor *t = tensor(s, "unet/mid.conv1.weight", BT_Q8_0);
    assert_true(t->channels_last && t->n_dims == 4 && t->dims[0] == 8 && t->dims[1] == 3 &&
                t->dims[2] == 3 && t->dims[3] == 32);
    assert_true(tensor(s, "unet/mid.shortcut.weight", BT_Q8_0)->channels_last);
    assert_false(tensor(s, "unet/mid.proj.weight", BT_Q8_0)->channels_last);
    t = tensor(s, "unet/mid.odd.weight", BT_F16); /* 20 inputs are no blocks */
    assert_false(t->channels_last);
    assert_memory_equal(t->data, bt_store_find(in, "unet/mid.odd.weight")->data, t->bytes);
    tensor(s, "unet/mid.narrow.weight", BT_F16);
    tensor(s, "unet/conv_in.weight", BT_F16);
    tensor(s, "unet/conv_in.bias", BT_F16);
    tensor(s, "unet/mid.norm.weight", BT_F16);
    tensor(s, "vae/decoder.conv_out.weight", BT_F32);

    size_t n;
    float *a = golden_floats(in, "unet/mid.conv1.weight", &n);
    float *b = golden_floats(s, "unet/mid.conv1.weight", &n), *want = malloc(n * sizeof *want);
    reorder(a, want, 8, 32, 9);
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(b[i] - want[i]) <= q8_bound(want, i)))
            fail_msg("[%zu] %g instead of %g", i, b[i], want[i]);

    /* Once more, to floats: the order stays and is still known. */
    bt_store *f = converted(s, "pipe32.gguf", BT_F32);
    t = tensor(f, "unet/mid.conv1.weight", BT_F32);
    assert_true(t->channels_last && t->dims[3] == 32);
    assert_memory_equal(t->data, b, n * sizeof *b);
    tensor(f, "unet/mid.norm.weight", BT_F32);
    assert_int_equal(bt_store_file_count(f), bt_store_file_count(in));
    free(a);
    free(b);
    free(want);
    bt_store_close(f);
    bt_store_close(s);
    bt_store_close(in);
}

static void test_pictures_f32(void **state)
{
    (void)state;
    bt_store *in = golden_open(FOLDER "pipe");
    bt_store *s = converted(in, "all32.gguf", BT_F32);
    for (size_t i = 0; i < bt_store_count(in); i++) {
        const char *name = bt_store_at(in, i)->name;
        size_t n, m;
        float *a = golden_floats(in, name, &n), *b = golden_floats(s, name, &m);
        assert_false(tensor(s, name, BT_F32)->channels_last);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n * sizeof *a);
        free(a);
        free(b);
    }
    assert_int_equal(bt_store_find(s, "unet/conv_in.weight")->dims[1], 4);
    bt_store_close(s);
    bt_store_close(in);
}

static void test_voice(void **state)
{
    char path[1024];
    (void)state;
    bt_store *in = golden_open(golden_data("models/en_US-joe-medium.onnx", path, sizeof path));
    bt_store *s = converted(in, "joe.gguf", BT_Q8_0);
    size_t n;
    int64_t v;
    assert_string_equal(bt_store_str(s, "general.architecture", NULL), "bottega-vits");
    for (size_t i = 0; i < bt_store_count(s); i++) {
        const bt_tensor *t = bt_store_at(s, i), *from = bt_store_find(in, t->name);
        assert_non_null(from);
        const bool keeps = strncmp(t->name, "enc_p.", 6) == 0 || strncmp(t->name, "dp.", 3) == 0;
        if (!keeps && t->n_dims > 1)
            continue;
        assert_int_equal(t->dtype, BT_F32);
        assert_int_equal(t->bytes, from->bytes);
        assert_memory_equal(t->data, from->data, t->bytes);
    }
    const bt_tensor *t = tensor(s, "dec.resblocks.1.convs.0.weight", BT_Q8_0);
    assert_true(t->channels_last && t->n_dims == 3 && t->dims[1] == 5 && t->dims[2] == 128);
    assert_false(tensor(s, "dec.ups.0.weight", BT_F16)->channels_last);
    tensor(s, "flow.flows.6.enc.in_layers.0.weight", BT_F16);
    assert_null(bt_store_find(s, "/Constant_output_0"));
    const bt_meta *a = bt_store_array(s, "dec.ups.0.strides", NULL, &n);
    assert_true(a && n == 1 && bt_store_array_i64(a, 0, &v) && v == 8);
    assert_string_equal(bt_store_file(s, "voice.json", NULL),
                        bt_store_file(in, "voice.json", NULL));

    float *x = golden_floats(in, "dec.resblocks.1.convs.0.weight", &n);
    float *y = golden_floats(s, "dec.resblocks.1.convs.0.weight", &n);
    float *want = malloc(n * sizeof *want);
    reorder(x, want, 128, 128, 5);
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(y[i] - want[i]) <= q8_bound(want, i)))
            fail_msg("[%zu] %g instead of %g", i, y[i], want[i]);
    free(x);
    free(y);
    free(want);
    bt_store_close(s);
    bt_store_close(in);
}

static void test_text(void **state)
{
    char path[1024];
    (void)state;
    bt_store *in =
        golden_open(golden_data("models/SmolLM2-135M-Instruct.Q4_1.gguf", path, sizeof path));
    bt_store *s = converted(in, "text.gguf", BT_Q8_0);
    assert_int_equal(bt_store_count(s), bt_store_count(in));
    uint64_t type = 0;
    assert_true(bt_store_u64(s, "general.file_type", &type) && type == 7);
    /* Everything but what is restated is copied, the vocabulary included. */
    size_t n, m, l1, l2;
    const bt_meta *a = bt_store_array(in, "tokenizer.ggml.tokens", NULL, &n);
    const bt_meta *b = bt_store_array(s, "tokenizer.ggml.tokens", NULL, &m);
    assert_true(a && b && n == m && n == 49152);
    for (size_t i = 0; i < n; i += 997) {
        const char *p = bt_store_array_str(a, i, &l1), *q = bt_store_array_str(b, i, &l2);
        assert_int_equal(l1, l2);
        assert_memory_equal(p, q, l1);
    }
    for (size_t i = 0; i < bt_store_meta_count(in); i++) {
        const char *key = bt_store_meta_key(in, i);
        size_t k = 0;
        while (k < bt_store_meta_count(s) && strcmp(bt_store_meta_key(s, k), key) != 0)
            k++;
        if (k == bt_store_meta_count(s))
            fail_msg("%s is lost", key);
    }
    tensor(s, "blk.0.attn_norm.weight", BT_F32);
    const bt_tensor *t = tensor(s, "blk.3.ffn_down.weight", BT_Q8_0);
    assert_false(t->channels_last);
    float *x = golden_floats(in, "blk.3.ffn_down.weight", &n);
    float *y = golden_floats(s, "blk.3.ffn_down.weight", &n);
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(y[i] - x[i]) <= q8_bound(x, i)))
            fail_msg("[%zu] %g for %g", i, y[i], x[i]);
    free(x);
    free(y);
    bt_store_close(s);
    bt_store_close(in);
}

static void test_same_bytes(void **state)
{
    char *a, *b;
    size_t n, m;
    (void)state;
    bt_store *in = golden_open(FOLDER "pipe");
    bt_store_close(converted(in, "one.gguf", BT_Q4_0));
    bt_store_close(converted(in, "two.gguf", BT_Q4_0));
    assert_int_equal(bt_file_read(temp_path("one.gguf"), 1 << 20, &a, &n, NULL), BT_OK);
    assert_int_equal(bt_file_read(temp_path("two.gguf"), 1 << 20, &b, &m, NULL), BT_OK);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    bt_release(a);
    bt_release(b);
    bt_store_close(in);
}

typedef struct heard {
    int calls, stop_at;
    uint64_t in, out;
} heard;

static int hear(void *user, const char *name, const char *from, const char *to, uint64_t in,
                uint64_t out)
{
    heard *h = user;
    assert_true(name && from && to);
    h->in += in;
    h->out += out;
    return ++h->calls == h->stop_at;
}

static void test_callback(void **state)
{
    bt_error e = { 0 };
    heard h = { 0 };
    (void)state;
    bt_store *in = golden_open(FOLDER "pipe");
    assert_int_equal(bt_convert_store(in, temp_path("cb.gguf"), BT_Q8_0, NULL, hear, &h, &e),
                     BT_OK);
    assert_int_equal(h.calls, 10);
    assert_true(h.in == 17232 && h.out < h.in);
    h = (heard){ .stop_at = 3 };
    assert_int_equal(bt_convert_store(in, temp_path("no.gguf"), BT_Q8_0, NULL, hear, &h, &e),
                     BT_ECANCELLED);
    assert_int_equal(access(temp_path("no.gguf"), F_OK), -1);
    assert_int_equal(bt_convert_store(in, temp_path("no.gguf"), BT_Q2_K, NULL, NULL, NULL, &e),
                     BT_EUNSUPPORTED);
    assert_string_equal(e.text, "cannot write type q2_k yet");
    assert_int_equal(bt_convert_store(in, "/dev/full", BT_Q8_0, NULL, NULL, NULL, &e), BT_EIO);
    assert_int_equal(bt_convert_store(in, temp_path("a/b"), BT_Q8_0, NULL, NULL, NULL, &e), BT_EIO);
    bt_store_close(in);
}

#ifdef BT_FAULTS
static void test_faults(void **state)
{
    (void)state;
    for (long n = 1;; n++) {
        bt_error e = { 0 };
        bt_store *in = NULL;
        bt_fault_after(n);
        bt_status st = bt_store_open(FOLDER "pipe", &in, &e);
        if (st == BT_OK)
            st = bt_convert_store(in, temp_path("f.gguf"), BT_Q8_0, NULL, NULL, NULL, &e);
        const bool fired = bt_fault_after(0) == 0;
        assert_int_equal(st, fired ? BT_ENOMEM : BT_OK);
        bt_store_close(in);
        if (!fired)
            break;
        assert_int_equal(access(temp_path("f.gguf"), F_OK), -1);
    }
}
#endif

/* Names to types: the first rule that matches; even for what is kept otherwise. */
static void test_rules(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "unet", "=f16", "unet=q9", "(=f16", "nothing_like_it=f16", "unet=q2_k"
    };
    bt_store *in = golden_open(BT_SOURCE_DIR "/tests/golden/tiny-sd");
    bt_error e = { 0 };
    const char *rules = "^unet/.*attn1[.]to_q[.]weight=bf16,attn1=f32\n^unet/conv_in=bf16";
    if (bt_convert_store(in, temp_path("rules.gguf"), BT_F16, rules, NULL, NULL, &e) != BT_OK)
        fail_msg("%s", e.text);
    bt_store *s = golden_open(temp_path("rules.gguf"));
    const char *block = "unet/down_blocks.0.attentions.0.transformer_blocks.0.attn%d.to_%c.weight";
    const struct {
        int attention;
        char of;
        bt_dtype type;
    } want[] = { { 1, 'q', BT_BF16 }, { 1, 'k', BT_F32 }, { 2, 'q', BT_F16 } };
    for (int i = 0; i < 3; i++) {
        char name[128];
        snprintf(name, sizeof name, block, want[i].attention, want[i].of);
        tensor(s, name, want[i].type);
    }
    tensor(s, "unet/conv_in.weight", BT_BF16);
    tensor(s, "unet/conv_in.bias", bt_store_find(in, "unet/conv_in.bias")->dtype);
    bt_store_close(s);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const bt_status st =
            bt_convert_store(in, temp_path("no.gguf"), BT_Q8_0, wrong[i], NULL, NULL, &e);
        if (st != (i == 5 ? BT_EUNSUPPORTED : BT_EINVAL))
            fail_msg("%s: %d, %s", wrong[i], st, e.text);
        e = (bt_error){ 0 };
    }
    assert_int_not_equal(access(temp_path("no.gguf"), F_OK), 0);
    bt_store_close(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures),     cmocka_unit_test(test_rules),
        cmocka_unit_test(test_pictures_f32), cmocka_unit_test(test_voice),
        cmocka_unit_test(test_text),         cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_callback),
#ifdef BT_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
