/* SPDX-License-Identifier: MIT
 * Models as people have them: weights in 8-bit floats, parts that lack, parts of which values are
 * no numbers. All are tests/golden/tiny-sd, changed.
 */
#include "common.h"

#include <sys/stat.h>

#include "formats/convert.h"
#include "kernels/quant.h"
#include "temp_dir.h"

#define TINY BT_SOURCE_DIR "/tests/golden/tiny-sd"

extern const bt_module bt_module_diffusion;

/* What becomes of the model. */
typedef struct change {
    const char *without; /* a part */
    bt_dtype kind;       /* values are rounded to this, if BT_F8_* */
    bool as_floats;      /* and stored as floats */
    const char *name;    /* this tensor's first value is .. */
    float value;
} change;

/* ---- 8-bit floats: both are halves cut short, one of them with a range of its own ---------- */

static uint8_t to_f8(bt_dtype kind, float v)
{
    const bool small = kind == BT_F8_E4M3;
    const uint32_t drop = small ? 7 : 8, half = (1u << (drop - 1)) - 1;
    const uint16_t h = bt_f32_to_f16(small ? v * 0x1p-8f : v);
    const uint32_t mag = h & 0x7fff;
    return (uint8_t)((h >> 8 & 0x80) | (mag + half + (mag >> drop & 1)) >> drop);
}

/* ---- files ------------------------------------------------------------------------------ */

static void write_file(const char *root, const char *name, const void *data, size_t n)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        mkdir(path, 0700);
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(data, 1, n, f);
    assert_int_equal(fclose(f), 0);
}

static bool is_in(const char *name, const char *part)
{
    return part && !strncmp(name, part, strlen(part)) && name[strlen(part)] == '/';
}

/* A tensor's entry and data. */
static void add_tensor(const change *c, const bt_tensor *t, const char *name, bt_buf *head,
                       bt_buf *data)
{
    const size_t n = (size_t)bt_tensor_count(t), at = data->len;
    const bool bytes = c->kind && !c->as_floats;
    float *v = malloc(n * sizeof *v);
    assert_int_equal(bt_dequantize_row(t->dtype, t->data, v, n), 0);
    if (c->name && !strcmp(c->name, t->name))
        v[0] = c->value;
    for (size_t i = 0; i < n; i++) {
        const uint8_t b = c->kind ? to_f8(c->kind, v[i]) : 0;
        if (c->kind)
            bt_dequantize_row(c->kind, &b, &v[i], 1);
        bt_buf_add(data, bytes ? (const char *)&b : (const char *)&v[i], bytes ? 1 : sizeof *v);
    }
    bt_buf_printf(head, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", head->len ? "," : "{", name,
                  !bytes                  ? "F32"
                  : c->kind == BT_F8_E4M3 ? "F8_E4M3"
                                          : "F8_E5M2");
    for (int d = 0; d < t->n_dims; d++)
        bt_buf_printf(head, d ? ",%d" : "%d", (int)t->dims[d]);
    bt_buf_printf(head, "],\"data_offsets\":[%zu,%zu]}", at, data->len);
    free(v);
}

static void write_part(const char *root, const bt_store *s, const char *part, const change *c)
{
    bt_buf head = { 0 }, data = { 0 }, all = { 0 };
    char name[128];
    for (size_t i = 0; i < bt_store_count(s); i++)
        if (is_in(bt_store_at(s, i)->name, part))
            add_tensor(c, bt_store_at(s, i), bt_store_at(s, i)->name + strlen(part) + 1, &head,
                       &data);
    bt_buf_puts(&head, "}");
    const uint64_t n = head.len;
    bt_buf_add(&all, (const char *)&n, 8);
    bt_buf_add(&all, head.data, head.len);
    bt_buf_add(&all, data.data, data.len);
    assert_false(all.failed);
    snprintf(name, sizeof name, "%s/model.safetensors", part);
    write_file(root, name, all.data, all.len);
    bt_buf_free(&head), bt_buf_free(&data), bt_buf_free(&all);
}

/* The folder of the changed model; stays valid for four calls. */
static const char *changed(const char *name, change c)
{
    static const char *const parts[] = { "unet", "vae", "text_encoder" };
    const char *root = temp_path(name);
    bt_store *s = golden_open(TINY);
    mkdir(root, 0700);
    for (size_t i = 0; i < bt_store_file_count(s); i++) {
        size_t n;
        const char *file = bt_store_file_name(s, i), *text = bt_store_file(s, file, &n);
        if (!is_in(file, c.without))
            write_file(root, file, text, n);
    }
    for (int i = 0; i < 3; i++)
        if (!c.without || strcmp(parts[i], c.without) != 0)
            write_part(root, s, parts[i], &c);
    bt_store_close(s);
    return root;
}

/* ---- pictures --------------------------------------------------------------------------- */

enum { SIDE = 64, BYTES = 3 * SIDE * SIDE };

static host *open_small(const char *path, bt_precision p)
{
    host *h = host_open(path, 1, p);
    h->o.prompt = "a cat";
    h->o.width = h->o.height = SIDE;
    h->o.steps = 2;
    return h;
}

static void draw(const char *path, const char *vae, bt_precision p, uint8_t *rgb)
{
    host *h = open_small(path, p);
    h->o.vae = vae;
    host_must_run(h);
    memcpy(rgb, h->pictures[0].rgb, BYTES);
    host_close(h);
}

static void must_differ_by(const uint8_t *a, const uint8_t *b, bool differ, const char *what)
{
    if ((memcmp(a, b, BYTES) != 0) != differ)
        fail_msg("%s: %s", what, differ ? "the same picture" : "another picture");
}

/* Weights in 8-bit floats draw what the same values in other types draw, converted ones too. */
static void test_f8(void **state)
{
    static const bt_dtype kinds[] = { BT_F8_E4M3, BT_F8_E5M2 };
    static const bt_precision types[] = { BT_PREC_F32, BT_PREC_AUTO, BT_PREC_INT8 };
    static uint8_t want[BYTES], got[BYTES], last[BYTES];
    (void)state;
    for (int k = 0; k < 2; k++) {
        bt_store *s;
        bt_error err = { 0 };
        const char *floats = changed("floats", (change){ .kind = kinds[k], .as_floats = true });
        const char *bytes = changed("bytes", (change){ .kind = kinds[k] });
        const char *gguf = temp_path("f8.gguf");
        for (int i = 0; i < (GOLDEN_BRIEF ? 1 : 3); i++) {
            draw(floats, NULL, types[i], want);
            draw(bytes, NULL, types[i], got);
            must_differ_by(got, want, false, "8-bit floats");
        }
        assert_int_equal(bt_store_open(bytes, &s, &err), BT_OK);
        assert_int_equal(bt_store_find(s, "unet/conv_in.weight")->dtype, kinds[k]);
        assert_int_equal(bt_convert_store(s, gguf, BT_F16, NULL, NULL, NULL, &err), BT_OK);
        bt_store_close(s);
        draw(floats, NULL, BT_PREC_F32, want);
        draw(gguf, NULL, BT_PREC_F32, got);
        must_differ_by(got, want, false, "converted");
        must_differ_by(got, last, true, "the two kinds");
        memcpy(last, got, BYTES);
    }
}

static void refused(host *h, bt_status want, const char *why)
{
    const bt_status st = host_run(h);
    if (st != want || !strstr(h->error.text, why) || h->n_pictures)
        fail_msg("%d: %s", st, h->error.text);
}

/* Another file brings the autoencoder, or the error says so. */
static void test_without_vae(void **state)
{
    static uint8_t init[3];
    static uint8_t want[BYTES], got[BYTES];
    (void)state;
    const char *path = changed("no_vae", (change){ .without = "vae" });
    draw(TINY, NULL, BT_PREC_F32, want);
    draw(path, TINY, BT_PREC_F32, got);
    must_differ_by(got, want, false, "--vae");
    host *h = open_small(path, BT_PREC_F32);
    bt_estimate e;
    refused(h, BT_EINVAL, "--vae");
    assert_int_equal(host_estimate(h, &e), BT_EINVAL);
    h->o.vae = TINY;
    h->init = (bt_image){ sizeof h->init, 1, 1, 3, init };
    host_must_run(h);
    host_close(h);
}

static void cannot_open(const char *path, const char *why)
{
    bt_store *s;
    void *model;
    host *h = host_new(1, BT_PREC_F32);
    assert_int_equal(bt_store_open(path, &s, &h->error), BT_OK);
    assert_int_equal(bt_module_diffusion.probe(s), 100);
    assert_true(bt_module_diffusion.open(s, &h->compute, &model, &h->error) != BT_OK);
    if (!strstr(h->error.text, path) || !strstr(h->error.text, why))
        fail_msg("\"%s\" does not say %s", h->error.text, why);
    bt_store_close(s);
    host_close(h);
}

static void test_without_part(void **state)
{
    (void)state;
    cannot_open(changed("no_unet", (change){ .without = "unet" }), "unet/config.json");
    cannot_open(changed("no_text", (change){ .without = "text_encoder" }), "text_encoder");
    cannot_open(changed("no_words", (change){ .without = "tokenizer" }), "vocabulary");
}

/* In any type, in any part: the error names the file, and there is no picture. */
static void test_no_numbers(void **state)
{
    static const char *const names[] = {
        "text_encoder/text_model.embeddings.position_embedding.weight",
        "text_encoder/text_model.encoder.layers.0.mlp.fc1.weight",
        "unet/time_embedding.linear_1.weight",
        "unet/down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight",
        "unet/mid_block.resnets.0.conv1.weight",
        "vae/decoder.mid_block.resnets.0.conv1.weight",
    };
    static const bt_precision types[] = { BT_PREC_INT8, BT_PREC_F32, BT_PREC_BF16 };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const float value = i % 2 ? INFINITY : NAN;
        const char *path = changed("nan", (change){ .name = names[i], .value = value });
        for (int k = 0; k < (GOLDEN_BRIEF ? 1 : 3); k++) {
            host *h = open_small(path, types[k]);
            refused(h, BT_EFORMAT, "no numbers");
            assert_non_null(strstr(h->error.text, path));
            host_close(h);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f8),
        cmocka_unit_test(test_without_vae),
        cmocka_unit_test(test_without_part),
        cmocka_unit_test(test_no_numbers),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
