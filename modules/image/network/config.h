/* SPDX-License-Identifier: MIT
 * What the config files of a diffusers folder say, checked. A key that a file
 * lacks has the default of the diffusers (or transformers) class.
 */
#ifndef BT_IMAGE_CONFIG_H
#define BT_IMAGE_CONFIG_H

#include <stdbool.h>

#include "formats/store.h"

enum {
    SD_MAX_BLOCKS = 8,
    SD_MAX_LAYERS = 8, /* resnets of a block */
    SD_MAX_TINY = 64,  /* layers of the tiny decoder */
};

/* text_encoder/config.json, text_encoder_2/config.json: CLIPTextModel, and with a
 * projection */
typedef struct sd_clip_config {
    const char *folder; /* "text_encoder": a literal */
    int vocab, hidden, intermediate, heads, layers, positions;
    bool inner;  /* the UNet listens to what comes out of the last layer but one (SDXL) */
    bool pooled; /* and to the projected last row of the text */
    bt_act act;
    float eps;
} sd_clip_config;

typedef enum sd_mid { SD_MID_NONE, SD_MID_RESNET, SD_MID_CROSS } sd_mid;

/* unet/config.json: UNet2DConditionModel. Arrays run over the levels, finest
 * first, also for the way up. */
typedef struct sd_unet_config {
    int in, out, levels, sample_h, sample_w;
    int channels[SD_MAX_BLOCKS], layers[SD_MAX_BLOCKS], heads[SD_MAX_BLOCKS];
    /* transformer blocks of each attention */
    int depth[SD_MAX_BLOCKS][SD_MAX_LAYERS], up_depth[SD_MAX_BLOCKS][SD_MAX_LAYERS + 1];
    bool down_cross[SD_MAX_BLOCKS], up_cross[SD_MAX_BLOCKS];
    sd_mid mid;
    float mid_scale; /* divides the sums of the middle's resnets */
    int groups, context, time_dim, freq_shift, pad, kernel_in, kernel_out;
    int added;     /* SDXL: values of pooled text and sizes; 0: none */
    int added_dim; /* of which each size takes so many */
    int guide_dim; /* LCM: of the embedded guidance; 0: none */
    bool flip, center;
    float eps;
    bt_act act;
} sd_unet_config;

/* controlnet/config.json: ControlNetModel, what it shares with a UNet. How it reads its picture,
 * tensors say. */
bt_status sd_control_read(const bt_store *s, sd_unet_config *c, bt_error *err);
/* The published family whose UNets, and what changes them, listen to so many channels of text;
 * NULL: none. */
const char *sd_family_name(int64_t context);

/* vae/config.json: AutoencoderKL; or AutoencoderTiny (TAESD), of which the decoder is used */
typedef struct sd_vae_config {
    bool none; /* the file has no autoencoder: this is what another one must be like */
    bool tiny; /* then what follows down to `factor` says nothing, but in, out and latent */
    int in, out, latent, levels, layers, groups;
    int channels[SD_MAX_BLOCKS];
    int factor; /* pixels per latent row */
    bool quant, post_quant, mid_attention;
    float scale, shift;
    bool scaled; /* the file says the scale */
    bt_act act;
} sd_vae_config;

typedef enum sd_prediction { SD_EPSILON, SD_V, SD_SAMPLE } sd_prediction;
typedef enum sd_spacing { SD_LEADING, SD_LINSPACE, SD_TRAILING, SD_SPACING_UNSET } sd_spacing;
typedef enum sd_betas { SD_LINEAR, SD_SCALED_LINEAR, SD_SQUAREDCOS } sd_betas;

/* scheduler/scheduler_config.json. -1, NAN and _UNSET: not in the file, the
 * class of the sampler decides. */
typedef struct sd_schedule_config {
    char class_name[64];
    int steps; /* of training */
    double beta_start, beta_end;
    sd_betas betas;
    float *trained; /* [steps] or NULL; owned */
    sd_prediction prediction;
    sd_spacing spacing;
    int offset;
    int zero_snr, alpha_to_one, clip_sample;
    double clip_range, sigma_min, sigma_max, lambda_min;
    bool karras, exponential, beta, log_linear;
    bool final_sigma_min; /* final_sigmas_type */
    bool lower_order_final, euler_at_final, heun, bh1;
    bool sde;      /* algorithm_type */
    bool skip_prk; /* PNDM */
    int order;
    int original_steps; /* LCM, TCD: of the distillation */
    double time_scale;  /* LCM */
} sd_schedule_config;

/* model_index.json: what the pipeline does besides */
typedef struct sd_pipeline_config {
    bool zero_empty; /* SDXL: an empty negative prompt is zeros, not the encoded empty text */
    bool aesthetic;  /* SDXL's refiner is told a score instead of a size */
} sd_pipeline_config;

/* tokenizer/tokenizer_config.json and special_tokens_map.json */
typedef struct sd_tokenizer_config {
    char bos[64], eos[64], pad[64], unk[64];
    int max_length;
} sd_tokenizer_config;

/* folder: a literal, "text_encoder" or "text_encoder_2". */
bt_status sd_clip_read(const bt_store *s, const char *folder, sd_clip_config *c, bt_error *err);
bt_status sd_unet_read(const bt_store *s, sd_unet_config *c, bt_error *err);
bt_status sd_vae_read(const bt_store *s, sd_vae_config *c, bt_error *err);
bt_status sd_schedule_read(const bt_store *s, sd_schedule_config *c, bt_error *err);
void sd_schedule_release(sd_schedule_config *c);
bt_status sd_pipeline_read(const bt_store *s, sd_pipeline_config *c, bt_error *err);
/* folder: "tokenizer" or "tokenizer_2" */
bt_status sd_tokenizer_read(const bt_store *s, const char *folder, sd_tokenizer_config *c,
                            bt_error *err);

#endif
