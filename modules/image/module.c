/* SPDX-License-Identifier: MIT
 * Latent diffusion in the Stable Diffusion shape: CLIP text encoder, UNet,
 * autoencoder, everything as its config files say.
 */
#include "module.h"

#include "image/diffusion.h"

#define OFF(field) offsetof(sd_options, field)

/* Defaults written "": width and height are those the UNet was made for (or of
 * the picture to start from); 20 steps; guidance 7.5, or 4 for models with zero
 * terminal SNR; sampler and scheduler "model" follow scheduler_config.json. */
const bt_option sd_option_table[] = {
    { "prompt", "p", NULL, BT_OPT_STRING, OFF(prompt), "", 0, 0, NULL, NULL,
      "what the picture shows" },
    { "negative", "n", "negative_prompt", BT_OPT_STRING, OFF(negative), "", 0, 0, NULL, NULL,
      "what it should not show" },
    { "prompt_syntax", NULL, NULL, BT_OPT_CHOICE, OFF(plain), "a1111", 0, 0, "a1111,plain", NULL,
      "a1111: (x:1.2), [x], [a:b:0.5], [a|b], AND, BREAK, {a|b}, __x__, <lora:x:1> have a "
      "meaning" },
    { "wildcards", NULL, "wildcards_dir", BT_OPT_STRING, OFF(wildcards), "", 0, 0, NULL, NULL,
      "folder of NAME.txt: __NAME__ in a prompt becomes one of its lines, chosen by the seed" },
    { "width", "W", NULL, BT_OPT_INT, OFF(width), "", 8, 16384, NULL, "pixels", "width" },
    { "height", "H", NULL, BT_OPT_INT, OFF(height), "", 8, 16384, NULL, "pixels", "height" },
    { "steps", NULL, "num_inference_steps", BT_OPT_INT, OFF(steps), "", 1, 1000, NULL, NULL,
      "denoising steps" },
    { "cfg_scale", NULL, "guidance,guidance_scale,cfg", BT_OPT_FLOAT, OFF(cfg), "", 0, 100, NULL,
      NULL, "how strictly to follow the prompt; 1 = off and twice as fast" },
    { "image_cfg_scale", NULL, "img_cfg_scale,image_guidance_scale", BT_OPT_FLOAT, OFF(image_cfg),
      "1.5", 1, 100, NULL, NULL, "models that change a picture: how strictly to keep to it" },
    { "sampler", NULL, "sampling_method,sampler_name", BT_OPT_CHOICE, OFF(sampler), "model", 0, 0,
      sd_sampler_choices, NULL, "how steps are taken; model = as the model's scheduler" },
    { "scheduler", NULL, "schedule,schedule_type", BT_OPT_CHOICE, OFF(scheduler), "model", 0, 0,
      sd_grid_choices, NULL, "noise levels of the steps; model = as the model's scheduler" },
    { "seed", "s", NULL, BT_OPT_INT, OFF(seed), "42", -1, 9223372036854774784.0, NULL, NULL,
      "of the noise; picture i of a batch has seed + i; -1 = random" },
    { "batch", "b", "batch_count,batch_size", BT_OPT_INT, OFF(batch), "1", 1, 10000, NULL,
      "pictures", "how many to make" },
    { "strength", NULL, "denoising_strength", BT_OPT_FLOAT, OFF(strength), "0.75", 0, 1, NULL, NULL,
      "with a picture to start from: share of the steps that are taken" },
    { "eta", NULL, NULL, BT_OPT_FLOAT, OFF(eta), "", 0, 1, NULL, NULL,
      "share of fresh noise in a step; default: 1 for samplers that add some, 0.3 for tcd, 0 for "
      "ddim" },
    { "clip_skip", NULL, NULL, BT_OPT_INT, OFF(clip_skip), "1", 1, 64, NULL, NULL,
      "take the text encoder's layer this far from the end" },
    { "vae_tile", NULL, "vae_tile_size", BT_OPT_INT, OFF(vae_tile), "0", 0, 16384, NULL, "pixels",
      "side of the pieces in which pictures are decoded; 0 = whole, or as a memory budget asks" },
    { "vae", NULL, "vae_path", BT_OPT_STRING, OFF(vae), "", 0, 0, NULL, NULL,
      "file or folder of another autoencoder; a tiny one (TAESD) decodes in a hundredth of the "
      "time" },
    { "prediction", NULL, "prediction_type,parameterization", BT_OPT_CHOICE, OFF(prediction),
      "model", 0, 0, "model,eps=epsilon,v=v_prediction,sample", NULL,
      "what the network was trained to answer, where a file does not say" },
    { "rng", NULL, NULL, BT_OPT_CHOICE, OFF(rng), "torch", 0, 0, "torch=cpu,cuda=gpu=philox", NULL,
      "whose noise: torch on a CPU (diffusers), or on a GPU (A1111)" },
    { "sampler_rng", NULL, NULL, BT_OPT_CHOICE, OFF(sampler_rng), "same", 0, 0,
      "same,torch=cpu,cuda=gpu=philox", NULL,
      "whose noise the steps add; same = the picture's generator goes on" },
    { "sampler_seed", NULL, NULL, BT_OPT_INT, OFF(sampler_seed), "", 0, 9223372036854774784.0, NULL,
      NULL, "of the noise that steps add; default: the picture's" },
    { "ensd", NULL, "eta_noise_seed_delta", BT_OPT_INT, OFF(ensd), "0", -4294967296.0, 4294967296.0,
      NULL, NULL, "is added to the seed for the noise that steps add" },
    { "variation_strength", NULL, "subseed_strength", BT_OPT_FLOAT, OFF(variation), "0", 0, 1, NULL,
      NULL, "how far the first noise goes towards that of variation_seed" },
    { "variation_seed", NULL, "subseed", BT_OPT_INT, OFF(variation_seed), "-1", -1,
      9223372036854774784.0, NULL, NULL,
      "of picture i: this + i, all having one seed; -1 = random" },
    { 0 }
};

static int probe(const bt_store *s)
{
    return bt_store_file(s, "unet/config.json", NULL) && bt_store_file(s, "vae/config.json", NULL)
               ? 100
               : 0;
}

const bt_module bt_module_diffusion = {
    .abi = BT_MODULE_ABI,
    .version = BT_VERSION,
    .name = "diffusion",
    .kind = BT_KIND_IMAGE,
    .options = sd_option_table,
    .options_size = sizeof(sd_options),
    .probe = probe,
    .open = sd_model_open,
    .close = sd_model_close,
    .describe = sd_model_describe,
    .job_open = sd_job_open,
    .job_close = sd_job_close,
    .estimate = sd_job_estimate,
    .run = sd_job_run,
    .tokenize = sd_model_tokenize,
    .detokenize = sd_model_detokenize,
};
