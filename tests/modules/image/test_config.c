/* SPDX-License-Identifier: MIT
 * Config files: defaults, what is refused and how it is said; infotext.
 */
#include "common.h"

extern const bt_module bt_module_diffusion;

/* Reads one file with one reader; returns the status, keeps the message. */
static bt_error last;

#define READ(fn, type, file, text)                                                                 \
    __extension__({                                                                                \
        const char *path = temp_model((const char *const[]){ file, text, NULL });                  \
        bt_store *s_ = NULL;                                                                       \
        type c_;                                                                                   \
        last = (bt_error){ 0 };                                                                    \
        bt_status st_ = bt_store_open(path, &s_, &last);                                           \
        if (st_ == BT_OK)                                                                          \
            st_ = fn(s_, &c_, &last);                                                              \
        bt_store_close(s_);                                                                        \
        remove_model(path);                                                                        \
        st_;                                                                                       \
    })

static bt_status clip_read(const bt_store *s, sd_clip_config *c, bt_error *err)
{
    return sd_clip_read(s, "text_encoder", c, err);
}

static bt_status unet(const char *text)
{
    return READ(sd_unet_read, sd_unet_config, "unet/config.json", text);
}

static bt_status vae(const char *text)
{
    return READ(sd_vae_read, sd_vae_config, "vae/config.json", text);
}

static bt_status clip(const char *text)
{
    return READ(clip_read, sd_clip_config, "text_encoder/config.json", text);
}

static void says(const char *what)
{
    if (!strstr(last.text, what))
        fail_msg("\"%s\" does not say %s", last.text, what);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *key;
        bt_status st;
    } bad[] = {
        { "[1,2]", "JSON object", BT_EFORMAT },
        { "{\"in_channels\":", "JSON object", BT_EFORMAT },
        { "{\"in_channels\":0}", "in_channels", BT_EFORMAT },
        { "{\"in_channels\":4.5}", "in_channels", BT_EFORMAT },
        { "{\"in_channels\":\"4\"}", "in_channels", BT_EFORMAT },
        { "{\"in_channels\":1e300}", "in_channels", BT_EFORMAT },
        { "{\"block_out_channels\":[]}", "block_out_channels", BT_EFORMAT },
        { "{\"block_out_channels\":[1,2,3,4,5,6,7,8,9]}", "block_out_channels", BT_EFORMAT },
        { "{\"block_out_channels\":[320,-640,3,4]}", "block_out_channels", BT_EFORMAT },
        { "{\"block_out_channels\":[320,640]}", "", BT_OK },
        { "{\"block_out_channels\":[320,640],\"down_block_types\":[\"DownBlock2D\"]}",
          "down_block_types", BT_EFORMAT },
        { "{\"down_block_types\":[\"A\",\"DownBlock2D\",\"DownBlock2D\",\"DownBlock2D\"]}",
          "down_block_types", BT_EUNSUPPORTED },
        { "{\"layers_per_block\":[1,2]}", "layers_per_block", BT_EFORMAT },
        { "{\"layers_per_block\":100}", "layers_per_block", BT_EFORMAT },
        { "{\"transformer_layers_per_block\":[[1],[2],[3],[4]]}", "transformer_layers_per_block",
          BT_EFORMAT },
        { "{\"transformer_layers_per_block\":[1,2]}", "transformer_layers_per_block", BT_EFORMAT },
        { "{\"transformer_layers_per_block\":[1,[1,[2]],1,1]}", "transformer_layers_per_block",
          BT_EUNSUPPORTED },
        { "{\"transformer_layers_per_block\":[1,[1,2],1,1]}", "transformer_layers_per_block",
          BT_EFORMAT }, /* what the way up has is not said */
        { "{\"transformer_layers_per_block\":[1,[1,2],1,1],"
          "\"reverse_transformer_layers_per_block\":[1,1,[1,2,3],1]}",
          "", BT_OK },
        { "{\"class_embed_type\":\"timestep\"}", "class_embed_type", BT_EUNSUPPORTED },
        { "{\"addition_embed_type\":\"image\"}", "addition_embed_type", BT_EUNSUPPORTED },
        { "{\"addition_embed_type\":\"text_time\",\"addition_time_embed_dim\":0}",
          "addition_time_embed_dim", BT_EFORMAT },
        { "{\"time_embedding_type\":\"fourier\"}", "time_embedding_type", BT_EUNSUPPORTED },
        { "{\"resnet_time_scale_shift\":\"scale_shift\"}", "resnet_time_scale_shift",
          BT_EUNSUPPORTED },
        { "{\"act_fn\":\"mish\"}", "mish", BT_EUNSUPPORTED },
        { "{\"_class_name\":\"UNet3DConditionModel\"}", "UNet3D", BT_EUNSUPPORTED },
        { "{\"only_cross_attention\":false,\"class_embed_type\":null}", "", BT_OK },
        { "{}", "", BT_OK },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bt_status st = unet(bad[i].text);
        if (st != bad[i].st)
            fail_msg("%s: status %d, \"%s\"", bad[i].text, st, last.text);
        says(bad[i].key);
        if (st != BT_OK)
            says("unet/config.json");
    }
    assert_int_equal(vae("{\"latents_mean\":[1]}"), BT_EUNSUPPORTED);
    says("latents_mean");
    assert_int_equal(vae("{\"scaling_factor\":0}"), BT_EFORMAT);
    assert_int_equal(vae("{\"act_fn\":7}"), BT_EFORMAT);
    assert_int_equal(clip("{\"model_type\":\"t5\"}"), BT_EUNSUPPORTED);
    assert_int_equal(clip("{\"hidden_size\":1e9}"), BT_EFORMAT);
    assert_int_equal(clip("{}"), BT_OK);
}

static bt_status schedule(const char *text, sd_schedule_config *c)
{
    const char *path =
        temp_model((const char *const[]){ "scheduler/scheduler_config.json", text, NULL });
    bt_store *s = NULL;
    last = (bt_error){ 0 };
    bt_status st = bt_store_open(path, &s, &last);
    if (st == BT_OK)
        st = sd_schedule_read(s, c, &last);
    bt_store_close(s);
    remove_model(path);
    return st;
}

static void test_schedules(void **state)
{
    (void)state;
    sd_schedule_config c;
    assert_int_equal(schedule("{\"_class_name\":\"FlowMatchEulerDiscreteScheduler\"}", &c),
                     BT_EUNSUPPORTED);
    says("_class_name");
    assert_int_equal(schedule("{\"thresholding\":true}", &c), BT_EUNSUPPORTED);
    assert_int_equal(schedule("{\"beta_schedule\":\"sigmoid\"}", &c), BT_EUNSUPPORTED);
    assert_int_equal(schedule("{\"num_train_timesteps\":1e9}", &c), BT_EFORMAT);
    assert_int_equal(schedule("{\"trained_betas\":[0.1,2]}", &c), BT_EFORMAT);
    assert_int_equal(schedule("{\"trained_betas\":[0.1,0.2,0.3],"
                              "\"beta_schedule\":\"squaredcos_cap_v2\"}",
                              &c),
                     BT_OK);
    assert_int_equal(c.steps, 3);
    sd_train t;
    assert_int_equal(sd_train_create(&c, &t, NULL), BT_OK);
    assert_true(fabs((double)t.abar[2] - 0.9 * 0.8 * 0.7) < 1e-6);
    sd_train_release(&t);
    sd_schedule_release(&c);
    assert_int_equal(schedule("{\"beta_start\":1,\"beta_end\":1}", &c), BT_OK);
    assert_int_equal(sd_train_create(&c, &t, NULL), BT_OK); /* all noise, but no crash */
    sd_train_release(&t);
    sd_schedule_release(&c);
}

/* A folder with good configs but hardly a tensor: the message names one. */
static void test_missing_tensors(void **state)
{
    (void)state;
    size_t n[7];
    static const char *const files[] = { "unet/config.json",
                                         "vae/config.json",
                                         "text_encoder/config.json",
                                         "scheduler/scheduler_config.json",
                                         "tokenizer/vocab.json",
                                         "tokenizer/merges.txt",
                                         "tokenizer/tokenizer_config.json" };
    const char *list[15] = { 0 };
    char *text[7], path[128];
    for (int i = 0; i < 7; i++) {
        snprintf(path, sizeof path, "tiny-sd/%s", files[i]);
        list[2 * i] = files[i];
        list[2 * i + 1] = text[i] = golden_text(path, &n[i]);
    }
    for (int missing = -1; missing < 6; missing++) {
        const char *some[15];
        memcpy(some, list, sizeof some);
        if (missing >= 0)
            memmove(some + 2 * missing, some + 2 * missing + 2,
                    sizeof *some * (size_t)(13 - 2 * missing));
        const char *root = temp_model(some);
        bt_kernels k;
        bt_kernels_init(&k, 0);
        bt_compute compute = { .kernels = &k, .threads = 1, .precision = BT_PREC_F32 };
        bt_store *s;
        void *model;
        assert_int_equal(bt_store_open(root, &s, &last), BT_OK);
        last = (bt_error){ 0 };
        assert_true(bt_module_diffusion.open(s, &compute, &model, &last) != BT_OK);
        assert_null(model);
        /* another file may bring the autoencoder */
        says(missing < 0 || missing == 1 ? "text_encoder/text_model" : files[missing]);
        bt_store_close(s);
        remove_model(root);
    }
    for (int i = 0; i < 7; i++)
        free(text[i]);
}

static void test_infotext(void **state)
{
    (void)state;
    sd_info i = { .prompt = "a red apple, on a table",
                  .negative = "",
                  .sampler = "DDIM",
                  .scheduler = "Model",
                  .model = "icons-128",
                  .steps = 20,
                  .width = 128,
                  .height = 128,
                  .clip_skip = 1,
                  .cfg = 4,
                  .strength = NAN,
                  .eta = NAN,
                  .eta_ddim = true,
                  .controls = "",
                  .seed = 7,
                  .model_hash = "",
                  .masked_padding = -1 };
    char *t = sd_infotext(&i);
    assert_string_equal(t,
                        "a red apple, on a table\nSteps: 20, Sampler: DDIM, Schedule type: "
                        "Model, CFG scale: 4, Seed: 7, Size: 128x128, Model: icons-128, RNG: CPU, "
                        "Version: bottega " BT_VERSION);
    bt_release(t);
    i.negative = "green", i.model = "a: \"b\", c", i.strength = 0.5, i.clip_skip = 2;
    i.cfg = 7.25, i.eta = 1, i.philox = 1;
    t = sd_infotext(&i);
    assert_string_equal(t, "a red apple, on a table\nNegative prompt: green\nSteps: 20, Sampler: "
                           "DDIM, Schedule type: Model, CFG scale: 7.25, Seed: 7, Size: 128x128, "
                           "Model: \"a: \\\"b\\\", c\", Denoising strength: 0.5, Clip skip: 2, "
                           "Eta DDIM: 1, Version: bottega " BT_VERSION);
    bt_release(t);
    i.negative = "", i.model = "m", i.model_hash = "0123456789", i.clip_skip = 1, i.eta = NAN;
    i.hires_upscaler = "Latent", i.hires_scale = 1.5, i.hires_steps = 8;
    i.mask_blur = 4, i.mask_invert = 1, i.masked_padding = 32, i.masked_content = "fill";
    t = sd_infotext(&i);
    assert_string_equal(t, "a red apple, on a table\nSteps: 20, Sampler: DDIM, Schedule type: "
                           "Model, CFG scale: 7.25, Seed: 7, Size: 128x128, Model hash: "
                           "0123456789, Model: m, Denoising strength: 0.5, Hires upscale: 1.5, "
                           "Hires steps: 8, Hires upscaler: Latent, Mask blur: 4, Mask mode: "
                           "Inpaint not masked, Inpaint area: Only masked, Masked area padding: "
                           "32, Masked content: fill, Version: bottega " BT_VERSION);
    bt_release(t);
}

static void test_describe(void **state)
{
    (void)state;
    host *h = host_open(BT_SOURCE_DIR "/tests/golden/tiny-sd", 1, BT_PREC_F32);
    bt_buf b = { 0 };
    assert_int_equal(bt_module_diffusion.describe(h->model, &b), BT_OK);
    cJSON *j = cJSON_Parse(b.data);
    assert_non_null(j);
    assert_int_equal(cJSON_GetObjectItem(j, "width")->valueint, 128);
    assert_int_equal(cJSON_GetObjectItem(j, "prompt_tokens")->valueint, 77);
    assert_string_equal(cJSON_GetObjectItem(j, "sampler")->valuestring, "plms");
    assert_true(cJSON_GetObjectItem(j, "cfg_scale")->valuedouble == 7.5);
    cJSON_Delete(j);
    bt_buf_free(&b);

    int32_t *ids;
    char *text;
    size_t n, len;
    assert_int_equal(bt_module_diffusion.tokenize(h->model, "a red cat", 9, 0, &ids, &n, NULL),
                     BT_OK);
    assert_true(n >= 3);
    assert_int_equal(bt_module_diffusion.detokenize(h->model, ids, n, &text, &len, NULL), BT_OK);
    assert_string_equal(text, "a red cat ");
    bt_release(ids);
    bt_release(text);
    host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_missing_tensors), cmocka_unit_test(test_infotext),
        cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
