/* SPDX-License-Identifier: MIT
 * The config files of a diffusers folder. Defaults are those of diffusers 0.42
 * (models/unets/unet_2d_condition.py, models/autoencoders/autoencoder_kl.py,
 * schedulers/scheduling_*.py) and transformers 5 (CLIPTextConfig).
 */
#include "image/network/config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "image/network/fields.h"

enum { MAX_CHANNELS = 16384, MAX_TRAIN_STEPS = 100000 };

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* The names of both libraries; acts[] runs beside it. */
static const char *const act_names[] = {
    "silu", "swish", "gelu", "relu", "quick_gelu", "gelu_new", "gelu_pytorch_tanh", NULL
};
static const bt_act acts[] = { BT_ACT_SILU,       BT_ACT_SILU,      BT_ACT_GELU,     BT_ACT_RELU,
                               BT_ACT_QUICK_GELU, BT_ACT_GELU_TANH, BT_ACT_GELU_TANH };

bt_status sd_clip_read(const bt_store *s, const char *folder, sd_clip_config *c, bt_error *err)
{
    char file[64];
    snprintf(file, sizeof file, "%s/config.json", folder);
    sd_fields f = sd_fields_open(s, file, true, err);
    static const char *const types[] = { "clip_text_model", "clip", NULL };

    *c = (sd_clip_config){ .folder = folder };
    sd_choice(&f, "model_type", types, 0);
    c->vocab = sd_int(&f, "vocab_size", 49408, 1, 1 << 24);
    c->hidden = sd_int(&f, "hidden_size", 512, 1, MAX_CHANNELS);
    c->intermediate = sd_int(&f, "intermediate_size", 2048, 1, 4 * MAX_CHANNELS);
    c->layers = sd_int(&f, "num_hidden_layers", 12, 1, 256);
    c->heads = sd_int(&f, "num_attention_heads", 8, 1, 256);
    c->positions = sd_int(&f, "max_position_embeddings", 77, 2, 4096);
    c->act = acts[sd_choice(&f, "hidden_act", act_names, 4)];
    c->eps = (float)sd_number(&f, "layer_norm_eps", 1e-5, 0, 1);
    return sd_fields_close(&f);
}

/* Block names, one per level: which have cross attention. */
static void read_blocks(sd_fields *f, const char *key, const char *plain, const char *cross, int n,
                        bool *out)
{
    const cJSON *v = sd_fields_get(f, key), *item;
    int i = 0;
    if (!v)
        return;
    if (!cJSON_IsArray(v) || cJSON_GetArraySize(v) != n) {
        sd_fields_fail(f, BT_EFORMAT, key, "does not fit block_out_channels");
        return;
    }
    cJSON_ArrayForEach(item, v)
    {
        const char *name = cJSON_IsString(item) ? item->valuestring : "";
        out[i++] = !strcmp(name, cross);
        if (strcmp(name, cross) && strcmp(name, plain))
            sd_fields_fail(f, BT_EUNSUPPORTED, key, "names a block that is not supported");
    }
}

static void reverse_bools(bool *v, int n)
{
    for (int i = 0; i < n / 2; i++) {
        bool t = v[i];
        v[i] = v[n - 1 - i], v[n - 1 - i] = t;
    }
}

/* A number for all attentions, for those of a level, or for each. The way up has one
 * attention more per level. */
static void read_depths(sd_fields *f, sd_unet_config *c)
{
    static const char key[] = "transformer_layers_per_block";
    static const char up[] = "reverse_transformer_layers_per_block";
    const bool own = sd_fields_get(f, up) != NULL;
    int all[SD_MAX_LAYERS + 1] = { 0 };
    for (int i = 0; i < c->levels; i++) {
        const int n = c->layers[i];
        sd_item_ints(f, key, i, c->levels, 1, 1, 64, c->depth[i], n);
        sd_item_ints(f, own ? up : key, own ? c->levels - 1 - i : i, c->levels, 1, 1, 64, all,
                     n + 1);
        memcpy(c->up_depth[i], all, sizeof all);
    }
}

/* Files list the way up coarsest first; here index 0 is the finest both ways. */
static void read_unet_levels(sd_fields *f, sd_unet_config *c)
{
    static const int channels[] = { 320, 640, 1280, 1280 };
    int n = c->levels = sd_count(f, "block_out_channels", 4, SD_MAX_BLOCKS);

    memcpy(c->channels, channels, sizeof channels);
    for (int i = 0; i < n; i++) {
        c->down_cross[i] = i < n - 1;
        c->up_cross[i] = i > 0;
    }
    if (sd_fields_get(f, "block_out_channels"))
        sd_ints(f, "block_out_channels", 320, 1, MAX_CHANNELS, c->channels, n);
    read_blocks(f, "down_block_types", "DownBlock2D", "CrossAttnDownBlock2D", n, c->down_cross);
    read_blocks(f, "up_block_types", "UpBlock2D", "CrossAttnUpBlock2D", n, c->up_cross);
    reverse_bools(c->up_cross, n);
    sd_ints(f, "layers_per_block", 2, 1, SD_MAX_LAYERS, c->layers, n);
    sd_ints(f, "attention_head_dim", 8, 1, MAX_CHANNELS, c->heads, n);
    read_depths(f, c);
}

/* Variants of the class that are not built here: a file that uses one is refused
 * by name, not drawn wrongly. */
static const sd_only unet_only[] = {
    { "only_cross_attention", NULL },
    { "dual_cross_attention", NULL },
    { "class_embed_type", NULL },
    { "num_class_embeds", NULL },
    { "class_embeddings_concat", NULL },
    { "addition_embed_type", "text_time" },
    { "encoder_hid_dim", NULL },
    { "encoder_hid_dim_type", NULL },
    { "time_embedding_act_fn", NULL },
    { "timestep_post_act", NULL },
    { "cross_attention_norm", NULL },
    { "num_attention_heads", NULL },
    { "resnet_skip_time_act", NULL },
    { "time_embedding_type", "positional" },
    { "resnet_time_scale_shift", "default" },
    { "attention_type", "default" },
    { "mid_block_only_cross_attention", NULL },
    { "global_pool_conditions", NULL },
    { "controlnet_conditioning_channel_order", "rgb" },
};

static sd_mid read_mid(sd_fields *f)
{
    static const char *const mids[] = { "UNetMidBlock2DCrossAttn", "UNetMidBlock2D", NULL };
    if (f->obj && cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(f->obj, "mid_block_type")))
        return SD_MID_NONE;
    return sd_choice(f, "mid_block_type", mids, 0) ? SD_MID_RESNET : SD_MID_CROSS;
}

/* A network of this class. */
static bt_status read_unet(const bt_store *s, const char *file, const char *class_name,
                           sd_unet_config *c, bt_error *err)
{
    sd_fields f = sd_fields_open(s, file, true, err);
    const char *const classes[] = { class_name, NULL };
    int sample[2] = { 64, 64 };

    *c = (sd_unet_config){ 0 };
    sd_choice(&f, "_class_name", classes, 0);
    sd_expect(&f, unet_only, COUNT(unet_only));
    read_unet_levels(&f, c);
    c->mid = read_mid(&f);
    c->mid_scale = (float)sd_number(&f, "mid_block_scale_factor", 1, 1e-3, 1e3);
    c->in = sd_int(&f, "in_channels", 4, 1, 256);
    c->out = sd_int(&f, "out_channels", 4, 1, 256);
    sd_ints(&f, "sample_size", 64, 1, 4096, sample, 2);
    c->sample_h = sample[0], c->sample_w = sample[1];
    c->groups = sd_int(&f, "norm_num_groups", 32, 1, MAX_CHANNELS);
    c->eps = (float)sd_number(&f, "norm_eps", 1e-5, 0, 1);
    c->act = acts[sd_choice(&f, "act_fn", act_names, 0)];
    c->context = sd_int(&f, "cross_attention_dim", 1280, 1, MAX_CHANNELS);
    c->time_dim = sd_int(&f, "time_embedding_dim", 4 * c->channels[0], 1, 4 * MAX_CHANNELS);
    if (sd_fields_get(&f, "addition_embed_type")) {
        c->added_dim = sd_int(&f, "addition_time_embed_dim", 256, 2, MAX_CHANNELS);
        c->added = sd_int(&f, "projection_class_embeddings_input_dim", 0, 1, 4 * MAX_CHANNELS);
    }
    c->guide_dim = sd_int(&f, "time_cond_proj_dim", 0, 4, MAX_CHANNELS);
    c->freq_shift = sd_int(&f, "freq_shift", 0, 0, 1);
    c->flip = sd_bool(&f, "flip_sin_to_cos", true);
    c->center = sd_bool(&f, "center_input_sample", false);
    c->pad = sd_int(&f, "downsample_padding", 1, 1, 1);
    c->kernel_in = sd_int(&f, "conv_in_kernel", 3, 1, 15);
    c->kernel_out = sd_int(&f, "conv_out_kernel", 3, 1, 15);
    if (c->channels[0] < 4 || c->channels[0] % 2)
        sd_fields_fail(&f, BT_EUNSUPPORTED, "block_out_channels",
                       "starts with an odd or tiny number");
    return sd_fields_close(&f);
}

bt_status sd_unet_read(const bt_store *s, sd_unet_config *c, bt_error *err)
{
    return read_unet(s, "unet/config.json", "UNet2DConditionModel", c, err);
}

bt_status sd_control_read(const bt_store *s, sd_unet_config *c, bt_error *err)
{
    return read_unet(s, "controlnet/config.json", "ControlNetModel", c, err);
}

const char *sd_family_name(int64_t context)
{
    switch (context) {
    case 768: return "Stable Diffusion 1";
    case 1024: return "Stable Diffusion 2";
    case 1280: return "SDXL's refiner";
    case 2048: return "SDXL";
    default: return NULL;
    }
}

/* What nearly all models of these families have (diffusers' settings of SD 1 and SDXL). */
static sd_vae_config usual_vae(const bt_store *s)
{
    const bool xl = bt_store_file(s, "text_encoder_2/config.json", NULL);
    return (sd_vae_config){
        .none = true, .in = 3, .out = 3, .latent = 4, .factor = 8, .scale = xl ? 0.13025f : 0.18215f
    };
}

/* Layers of the tiny decoder are numbered; a number without weights doubles. */
static int tiny_doublings(const bt_store *s)
{
    char name[96];
    int doublings = 0;
    for (int i = 2; i < SD_MAX_TINY; i++) {
        snprintf(name, sizeof name, "vae/decoder.layers.%d.conv.0.weight", i);
        if (bt_store_find(s, name))
            continue;
        snprintf(name, sizeof name, "vae/decoder.layers.%d.weight", i);
        if (bt_store_find(s, name))
            break;
        doublings++;
        i++;
    }
    return doublings < SD_MAX_BLOCKS ? doublings : SD_MAX_BLOCKS;
}

static bt_status read_tiny(sd_fields *f, const bt_store *s, sd_vae_config *c)
{
    c->tiny = true;
    c->in = c->out = 3;
    c->latent = sd_int(f, "latent_channels", 4, 1, 256);
    c->factor = 1 << tiny_doublings(s);
    c->scaled = sd_fields_get(f, "scaling_factor") != NULL;
    c->scale = (float)sd_number(f, "scaling_factor", 1, 1e-6, 1e6);
    c->shift = (float)sd_number(f, "shift_factor", 0, -1e6, 1e6);
    return sd_fields_close(f);
}

bt_status sd_vae_read(const bt_store *s, sd_vae_config *c, bt_error *err)
{
    if (!bt_store_file(s, "vae/config.json", NULL)) {
        *c = usual_vae(s);
        return BT_OK;
    }
    sd_fields f = sd_fields_open(s, "vae/config.json", true, err);
    static const char *const classes[] = { "AutoencoderKL", "AutoencoderTiny", NULL };
    static const sd_only only[] = { { "latents_mean", NULL }, { "latents_std", NULL } };
    bool unused[SD_MAX_BLOCKS];

    *c = (sd_vae_config){ 0 };
    if (sd_choice(&f, "_class_name", classes, 0) == 1)
        return read_tiny(&f, s, c);
    sd_expect(&f, only, COUNT(only));
    c->levels = sd_count(&f, "block_out_channels", 1, SD_MAX_BLOCKS);
    sd_ints(&f, "block_out_channels", 64, 1, MAX_CHANNELS, c->channels, c->levels);
    read_blocks(&f, "down_block_types", "DownEncoderBlock2D", "", c->levels, unused);
    read_blocks(&f, "up_block_types", "UpDecoderBlock2D", "", c->levels, unused);
    c->factor = 1 << (c->levels - 1);
    c->in = sd_int(&f, "in_channels", 3, 3, 3);
    c->out = sd_int(&f, "out_channels", 3, 3, 3);
    c->latent = sd_int(&f, "latent_channels", 4, 1, 256);
    c->layers = sd_int(&f, "layers_per_block", 1, 1, SD_MAX_LAYERS);
    c->groups = sd_int(&f, "norm_num_groups", 32, 1, MAX_CHANNELS);
    c->act = acts[sd_choice(&f, "act_fn", act_names, 0)];
    c->scaled = sd_fields_get(&f, "scaling_factor") != NULL;
    c->scale = (float)sd_number(&f, "scaling_factor", 0.18215, 1e-6, 1e6);
    c->shift = (float)sd_number(&f, "shift_factor", 0, -1e6, 1e6);
    c->quant = sd_bool(&f, "use_quant_conv", true);
    c->post_quant = sd_bool(&f, "use_post_quant_conv", true);
    c->mid_attention = sd_bool(&f, "mid_block_add_attention", true);
    return sd_fields_close(&f);
}

static void read_trained(sd_fields *f, sd_schedule_config *c)
{
    const cJSON *v = sd_fields_get(f, "trained_betas"), *item;
    if (!v)
        return;
    int n = cJSON_GetArraySize(v), i = 0;
    if (!cJSON_IsArray(v) || n < 2 || n > MAX_TRAIN_STEPS) {
        sd_fields_fail(f, BT_EFORMAT, "trained_betas", "is not an array of betas");
        return;
    }
    c->trained = bt_calloc((size_t)n, sizeof *c->trained);
    if (!c->trained) {
        f->st = bt_fail(f->err, BT_ENOMEM, "%s: out of memory", f->store);
        return;
    }
    cJSON_ArrayForEach(item, v)
    {
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 1))
            sd_fields_fail(f, BT_EFORMAT, "trained_betas", "holds a value out of range");
        c->trained[i++] = (float)item->valuedouble;
    }
    c->steps = n;
}

/* Only the solvers that an ODE or SDE of the variance-preserving kind has. */
static const sd_only schedule_only[] = {
    { "thresholding", NULL },        { "use_lu_lambdas", NULL },
    { "use_flow_sigmas", NULL },     { "variance_type", "fixed_small" },
    { "timestep_type", "discrete" }, { "use_dynamic_shifting", NULL },
};

static void read_solver(sd_fields *f, sd_schedule_config *c)
{
    static const char *const finals[] = { "zero", "sigma_min", NULL };
    static const char *const kinds[] = { "midpoint", "heun", "logrho", "bh1", "bh2", NULL };
    static const char *const interpolations[] = { "linear", "log_linear", NULL };
    static const char *const algorithms[] = { "dpmsolver++", "deis", "sde-dpmsolver++", NULL };

    c->sde = sd_choice(f, "algorithm_type", algorithms, 0) == 2;
    c->karras = sd_bool(f, "use_karras_sigmas", false);
    c->exponential = sd_bool(f, "use_exponential_sigmas", false);
    c->log_linear = sd_choice(f, "interpolation_type", interpolations, 0) == 1;
    c->final_sigma_min = sd_choice(f, "final_sigmas_type", finals, 0) == 1;
    c->beta = sd_bool(f, "use_beta_sigmas", false);
    const int kind = sd_choice(f, "solver_type", kinds, 0);
    c->heun = kind == 1;
    c->bh1 = kind == 3;
    c->skip_prk = sd_bool(f, "skip_prk_steps", false);
    c->lower_order_final = sd_bool(f, "lower_order_final", true);
    c->euler_at_final = sd_bool(f, "euler_at_final", false);
    c->order = sd_int(f, "solver_order", 2, 1, 3);
    const cJSON *lambda = sd_fields_get(f, "lambda_min_clipped"); /* "-inf" is not JSON */
    c->lambda_min = cJSON_IsNumber(lambda) ? lambda->valuedouble : -INFINITY;
    c->sigma_min = sd_number(f, "sigma_min", NAN, 0, 1e6);
    c->sigma_max = sd_number(f, "sigma_max", NAN, 0, 1e6);
}

bt_status sd_schedule_read(const bt_store *s, sd_schedule_config *c, bt_error *err)
{
    sd_fields f = sd_fields_open(s, "scheduler/scheduler_config.json", true, err);
    static const char *const betas[] = { "linear", "scaled_linear", "squaredcos_cap_v2", NULL };
    static const char *const predictions[] = { "epsilon", "v_prediction", "sample", NULL };
    static const char *const spacings[] = { "leading", "linspace", "trailing", NULL };

    *c = (sd_schedule_config){ 0 };
    const char *name = sd_string(&f, "_class_name");
    snprintf(c->class_name, sizeof c->class_name, "%s", name ? name : "");
    if (strstr(c->class_name, "Flow"))
        sd_fields_fail(&f, BT_EUNSUPPORTED, "_class_name", "is a flow matching scheduler");
    sd_expect(&f, schedule_only, COUNT(schedule_only));
    c->steps = sd_int(&f, "num_train_timesteps", 1000, 2, MAX_TRAIN_STEPS);
    c->beta_start = sd_number(&f, "beta_start", 0.0001, 0, 1);
    c->beta_end = sd_number(&f, "beta_end", 0.02, 0, 1);
    c->betas = (sd_betas)sd_choice(&f, "beta_schedule", betas, SD_LINEAR);
    read_trained(&f, c);
    c->prediction = (sd_prediction)sd_choice(&f, "prediction_type", predictions, SD_EPSILON);
    c->spacing = (sd_spacing)sd_choice(&f, "timestep_spacing", spacings, SD_SPACING_UNSET);
    c->offset = sd_int(&f, "steps_offset", 0, 0, 1000);
    c->zero_snr = sd_bool(&f, "rescale_betas_zero_snr", false);
    c->alpha_to_one = sd_bool3(&f, "set_alpha_to_one");
    c->clip_sample = sd_bool3(&f, "clip_sample");
    c->clip_range = sd_number(&f, "clip_sample_range", 1, 0, 1e6);
    c->original_steps =
        sd_int(&f, "original_inference_steps", c->steps < 50 ? c->steps : 50, 1, c->steps);
    c->time_scale = sd_number(&f, "timestep_scaling", 10, 0, 1e6);
    read_solver(&f, c);
    if (sd_fields_close(&f) != BT_OK)
        sd_schedule_release(c);
    return f.st;
}

void sd_schedule_release(sd_schedule_config *c)
{
    bt_release(c->trained);
    c->trained = NULL;
}

/* A special token: a string, or an object with "content". */
static void read_token(const sd_fields *f, const char *key, char *out, size_t size)
{
    const cJSON *v = sd_fields_get(f, key);
    if (cJSON_IsObject(v))
        v = cJSON_GetObjectItemCaseSensitive(v, "content");
    if (cJSON_IsString(v) && strlen(v->valuestring) < size)
        snprintf(out, size, "%s", v->valuestring);
}

bt_status sd_pipeline_read(const bt_store *s, sd_pipeline_config *c, bt_error *err)
{
    sd_fields f = sd_fields_open(s, "model_index.json", false, err);
    c->zero_empty = sd_bool(&f, "force_zeros_for_empty_prompt", true);
    c->aesthetic = sd_bool(&f, "requires_aesthetics_score", false);
    return sd_fields_close(&f);
}

bt_status sd_tokenizer_read(const bt_store *s, const char *folder, sd_tokenizer_config *c,
                            bt_error *err)
{
    static const char *const files[] = { "special_tokens_map.json", "tokenizer_config.json" };
    char path[64];
    *c = (sd_tokenizer_config){ "<|startoftext|>", "<|endoftext|>", "", "<|endoftext|>", 77 };
    for (size_t i = 0; i < COUNT(files); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        sd_fields f = sd_fields_open(s, path, false, err);
        read_token(&f, "bos_token", c->bos, sizeof c->bos);
        read_token(&f, "eos_token", c->eos, sizeof c->eos);
        read_token(&f, "pad_token", c->pad, sizeof c->pad);
        read_token(&f, "unk_token", c->unk, sizeof c->unk);
        const cJSON *n = sd_fields_get(&f, "model_max_length"); /* may be 1e30: no limit */
        if (cJSON_IsNumber(n) && n->valuedouble >= 2)
            c->max_length = n->valuedouble > 4096 ? 4096 : (int)n->valuedouble;
        if (sd_fields_close(&f) != BT_OK)
            return f.st;
    }
    if (!c->pad[0])
        memcpy(c->pad, c->eos, sizeof c->pad);
    return BT_OK;
}
