/* SPDX-License-Identifier: MIT
 * Checkpoints in one file, as the store shows them: names and settings. The files hold zeros;
 * what models make of such files, tests/modules/image/test_families.c says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/store.h"
#include "temp_dir.h"

/* A file of these tensors (ends with NULL): each of shape [4], or as "name:[2,3]" says, of 8-bit
 * floats. */
static bt_status open_with(const char *const *names, bt_store **s, bt_error *err)
{
    const char *path = temp_path("x.safetensors");
    bt_buf b = { 0 };
    size_t at = 0;
    for (int i = 0; names[i]; i++) {
        const char *shape = strchr(names[i], ':');
        const int n = (int)(shape ? shape - names[i] : (long)strlen(names[i]));
        size_t values = shape ? 1 : 4;
        for (const char *p = shape; p && *p; p++)
            if (p[-1] == '[' || p[-1] == ',')
                values *= (size_t)atoi(p);
        bt_buf_printf(&b, "%s\"%.*s\":{\"dtype\":\"F8_E5M2\",\"shape\":%s,", i ? "," : "{", n,
                      names[i], shape ? shape + 1 : "[4]");
        bt_buf_printf(&b, "\"data_offsets\":[%zu,%zu]}", at, at + values);
        at += values;
    }
    bt_buf_puts(&b, "}");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    const uint64_t header = b.len;
    fwrite(&header, 8, 1, f);
    fwrite(b.data, 1, b.len, f);
    for (; at > 0; at--)
        fputc(0, f);
    assert_int_equal(fclose(f), 0);
    bt_buf_free(&b);
    *err = (bt_error){ 0 };
    return bt_store_open(path, s, err);
}

static bt_store *must_open(const char *const *names)
{
    bt_store *s;
    bt_error err;
    if (open_with(names, &s, &err) != BT_OK)
        fail_msg("%s", err.text);
    return s;
}

static void says(const bt_store *s, const char *file, const char *what)
{
    const char *text = bt_store_file(s, file, NULL);
    if (!text || !strstr(text, what))
        fail_msg("%s: \"%s\" does not say %s", file, text ? text : "(none)", what);
}

#define UNET "model.diffusion_model."

/* What lies beside an autoencoder is another model's. */
static void test_autoencoder_among_others(void **state)
{
    (void)state;
    bt_store *s = must_open((const char *const[]){
        "first_stage_model.decoder.up.0.block.0.conv1.weight:[4,4,1,1]",
        "first_stage_model.decoder.conv_in.weight:[4,16,1,1]", "first_stage_model.logvar",
        UNET "joint_blocks.0.context_block.mlp.fc1.weight", UNET "time_embed.0.weight",
        "cond_stage_model.transformer.text_model.final_layer_norm.weight", NULL });
    says(s, "vae/config.json", "\"latent_channels\":16");
    assert_null(bt_store_file(s, "unet/config.json", NULL));
    assert_string_equal(bt_store_at(s, 0)->name, "vae/decoder.up_blocks.0.resnets.0.conv1.weight");
    assert_string_equal(bt_store_at(s, 1)->name, "vae/decoder.conv_in.weight");
    assert_string_equal(bt_store_at(s, 2)->name, "first_stage_model.logvar");
    assert_string_equal(bt_store_at(s, 4)->name, UNET "time_embed.0.weight");
    assert_string_equal(bt_store_at(s, 5)->name,
                        "cond_stage_model.transformer.text_model.final_layer_norm.weight");
    assert_string_equal(bt_store_looks_like(s), "a Stable Diffusion 3 model");
    bt_store_close(s);
    s = must_open((const char *const[]){ "decoder.up_blocks.0.resnets.0.conv1.weight:[4,4,1,1]",
                                         "quant_conv.bias", "double_blocks.0.img_attn.x", NULL });
    assert_string_equal(bt_store_at(s, 0)->name, "vae/decoder.up_blocks.0.resnets.0.conv1.weight");
    assert_string_equal(bt_store_at(s, 1)->name, "vae/quant_conv.bias");
    assert_string_equal(bt_store_at(s, 2)->name, "double_blocks.0.img_attn.x");
    bt_store_close(s);
}

static void test_without_autoencoder(void **state)
{
    (void)state;
    bt_store *s = must_open((const char *const[]){
        UNET "input_blocks.0.0.weight:[4,4,3,3]", UNET "time_embed.0.weight",
        "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight:[9,4]", NULL });
    assert_non_null(bt_store_file(s, "unet/config.json", NULL));
    assert_non_null(bt_store_file(s, "text_encoder/config.json", NULL));
    assert_null(bt_store_file(s, "vae/config.json", NULL));
    assert_string_equal(bt_store_at(s, 1)->name, "unet/time_embedding.linear_1.weight");
    bt_store_close(s);
}

static void test_scaled(void **state)
{
    (void)state;
    bt_store *s;
    bt_error err;
    assert_int_equal(open_with((const char *const[]){ UNET "input_blocks.0.0.weight:[4,4,3,3]",
                                                      UNET "time_embed.0.weight",
                                                      UNET "time_embed.0.scale_weight:[1]",
                                                      "scaled_fp8:[2]", NULL },
                               &s, &err),
                     BT_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "time_embed.0.scale_weight"));
}

#ifdef BT_FAULTS
static void test_faults(void **state)
{
    (void)state;
    static const char *const names[] = {
        UNET "input_blocks.0.0.weight:[4,4,3,3]",
        "first_stage_model.decoder.up.0.block.0.conv1.weight:[4,4,1,1]",
        "cond_stage_model.model.token_embedding.weight:[9,4]",
        "cond_stage_model.model.text_projection:[4,4]",
        "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight:[12,4]",
        NULL
    };
    bt_store_close(must_open(names));
    for (long n = 1;; n++) {
        bt_store *s = NULL;
        bt_error err = { 0 };
        bt_fault_after(n);
        const bt_status st = bt_store_open(temp_path("x.safetensors"), &s, &err);
        const bool fired = bt_fault_after(0) == 0;
        if (st != (fired ? BT_ENOMEM : BT_OK))
            fail_msg("allocation %ld: %d %s", n, (int)st, err.text);
        bt_store_close(s);
        if (!fired)
            break;
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_autoencoder_among_others),
        cmocka_unit_test(test_without_autoencoder),
        cmocka_unit_test(test_scaled),
#ifdef BT_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
