/* SPDX-License-Identifier: MIT
 * Latent diffusion in the Stable Diffusion shape: CLIP text encoder, UNet,
 * autoencoder, everything as its config files say.
 */
#include "module.h"

#include <string.h>

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
    { "hires_scale", NULL, "hr_scale,hires_upscale", BT_OPT_FLOAT, OFF(hires_scale), "1", 1, 8,
      NULL, NULL,
      "above 1: enlarge the picture so much and finish it at that size, in a second pass" },
    { "hires_upscaler", NULL, "hr_upscaler", BT_OPT_CHOICE, OFF(hires_upscaler), "latent", 0, 0,
      "latent=latent_(antialiased),latent_nearest=latent_(nearest)=latent_(nearest_exact),"
      "lanczos,nearest",
      NULL, "how to enlarge; all but latent go through a decoded picture" },
    { "hires_steps", NULL, "hr_second_pass_steps", BT_OPT_INT, OFF(hires_steps), "0", 0, 1000, NULL,
      NULL, "of the second pass; 0 = as many as of the first" },
    { "hires_strength", NULL, "hires_denoising_strength", BT_OPT_FLOAT, OFF(hires_strength), "0.7",
      0.01, 1, NULL, NULL, "how much of the enlarged picture the second pass may change" },
    { "mask_blur", NULL, NULL, BT_OPT_FLOAT, OFF(mask_blur), "4", 0, 64, NULL, "pixels",
      "with a mask: how soft its edge is" },
    { "mask_invert", NULL, "inpainting_mask_invert", BT_OPT_BOOL, OFF(mask_invert), "false", 0, 0,
      NULL, NULL, "repaint what is black in the mask, not what is white" },
    { "inpaint_fill", NULL, "inpainting_fill,masked_content", BT_OPT_CHOICE, OFF(inpaint_fill), "",
      0, 0, "original,fill,latent_noise,latent_nothing", NULL,
      "what stands under the mask before the first step; fill: colours from around it; without a "
      "choice original, or fill where the picture is extended" },
    { "inpaint_area", NULL, NULL, BT_OPT_CHOICE, OFF(inpaint_area), "whole", 0, 0,
      "whole=whole_picture,masked=only_masked", NULL,
      "masked: only the mask's surroundings are made, at full size, and pasted back" },
    { "inpaint_padding", NULL, "masked_padding,inpaint_full_res_padding", BT_OPT_INT,
      OFF(inpaint_padding), "32", 0, 4096, NULL, "pixels", "how much of them" },
    { "outpaint", NULL, NULL, BT_OPT_STRING, OFF(outpaint), "", 0, 0, NULL, "pixels",
      "extends the picture: left,right,top,bottom, or one number for all sides" },
    { "model_hash", NULL, NULL, BT_OPT_STRING, OFF(model_hash), "", 0, 0, NULL, NULL,
      "of the model's file, for the picture's text: A1111 takes 10 digits of its SHA-256" },
    { "eta", NULL, NULL, BT_OPT_FLOAT, OFF(eta), "", 0, 1, NULL, NULL,
      "share of fresh noise in a step; default: 1 for samplers that add some, 0.3 for tcd, 0 for "
      "ddim" },
    { "clip_skip", NULL, NULL, BT_OPT_INT, OFF(clip_skip), "1", 1, 64, NULL, NULL,
      "take the text encoder's layer this far from the end" },
    { "lora", NULL, "loras", BT_OPT_LIST, OFF(lora), "", 0, 0, NULL, NULL,
      "LoRAs: FILE, FILE:STRENGTH or FILE:STRENGTH:TEXT-STRENGTH; 1 = as trained" },
    { "lora_dir", NULL, "lora_model_dir", BT_OPT_STRING, OFF(lora_dir), "", 0, 0, NULL, NULL,
      "folder of the LoRAs that <lora:NAME:STRENGTH> in the prompt names" },
    { "embedding", NULL, "embeddings", BT_OPT_LIST, OFF(embedding), "", 0, 0, NULL, NULL,
      "words learned by textual inversion: FILE or FILE:NAME, NAME being the word" },
    { "control", NULL, "controlnet,control_net", BT_OPT_LIST, OFF(control), "", 0, 0, NULL, NULL,
      "ControlNets: FILE, FILE:WEIGHT, FILE:WEIGHT:START or FILE:WEIGHT:START:END; each has a "
      "picture (control_image); start and end: shares of the steps" },
    { "control_preprocess", NULL, NULL, BT_OPT_LIST, OFF(control_preprocess), "", 0, 0, NULL, NULL,
      "what is made of each of their pictures: none, canny or canny:LOW:HIGH (100:200)" },
    { "vae_tile", NULL, "vae_tile_size", BT_OPT_INT, OFF(vae_tile), "0", 0, 16384, NULL, "pixels",
      "side of the pieces in which pictures are decoded; 0 = whole, or as a memory budget asks" },
    { "vae", NULL, "vae_path,taesd", BT_OPT_STRING, OFF(vae), "", 0, 0, NULL, NULL,
      "file or folder of another autoencoder; a tiny one (TAESD) decodes in a hundredth of the "
      "time" },
    { "preview_vae", NULL, NULL, BT_OPT_STRING, OFF(preview_vae), "", 0, 0, NULL, NULL,
      "file or folder of another autoencoder for previews alone, best a tiny one" },
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

/* What a folder's index promises may be missing: that is for opening to say. */
static int probe(const bt_store *s)
{
    const char *index = bt_store_file(s, "model_index.json", NULL);
    const bool promised = index && strstr(index, "\"UNet2DConditionModel\"");
    return promised || bt_store_file(s, "unet/config.json", NULL) ? 100 : 0;
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
