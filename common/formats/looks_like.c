/* SPDX-License-Identifier: MIT
 * What models that nothing here reads look like, by a name that only they have.
 */
#include <string.h>

#include "store.h"

static const struct {
    const char *part, *what; /* of a tensor's name */
} known[] = {
    { "double_blocks.0.img_attn.", "a FLUX model" },
    { "single_transformer_blocks.0.", "a FLUX model in diffusers' names" },
    { "joint_blocks.0.context_block.", "a Stable Diffusion 3 model" },
    { "transformer/transformer_blocks.0.", "a diffusion transformer (Stable Diffusion 3, PixArt)" },
    { "cap_embedder.", "a Lumina or Z-Image model" },
    { "individual_token_refiner.", "a HunyuanVideo model" },
    { "adaln_single.", "a PixArt model" },
    { "y_embedder.y_proj.", "a PixArt model" },
    { "head.modulation", "a Wan video model" },
    { "clip_txt_mapper.", "a Stable Cascade model" },
    { "edm_mean", "a Playground 2.5 model" },
    { "time_stack.", "a Stable Video Diffusion model" },
    { "motion_modules.", "an AnimateDiff motion module" },
    { ".lora_up.", "a LoRA, which changes another model" },
    { ".lora_A.", "a LoRA, which changes another model" },
    { ".lokr_w", "a LoKr, which changes another model" },
    { ".hada_w", "a LoHa, which changes another model" },
    { "lora_controlnet", "a ControlLoRA, which steers another model" },
    { "control_add_embedding.", "a union ControlNet, which steers another model" },
    { "task_embedding", "a union ControlNet, which steers another model" },
    { "controlnet_x_embedder.", "a ControlNet of a FLUX model" },
    { "lllite_", "a ControlLLLite, which steers another model" },
    { "image_proj.", "an IP-Adapter, which steers another model" },
    { "body.0.block1.", "a T2I-Adapter, which steers another model" },
    { "body.0.resnets.0.block1.", "a T2I-Adapter, which steers another model" },
    { "control_model.", "a ControlNet, which steers another model" },
    { "input_hint_block.", "a ControlNet, which steers another model" },
    { "controlnet_cond_embedding.", "a ControlNet, which steers another model" },
    { "emb_params", "a textual-inversion embedding" },
    { ".SelfAttention.", "a T5 text encoder" },
    { "model.layers.0.self_attn.", "a language model in transformers' names" },
    { "decoder.mid.block_1.", "an autoencoder alone" },
    { "vae/decoder.", "an autoencoder alone" },
    { "decoder.mid_block.resnets.", "an autoencoder alone" },
    { "decoder.layers.2.conv.0.", "a tiny autoencoder alone" },
    { "text_model.encoder.layers.", "a CLIP text encoder alone" },
    { "input_blocks.0.0.", "a UNet alone, without text encoder and autoencoder" },
    { "down_blocks.0.resnets.0.", "a UNet alone, without text encoder and autoencoder" },
};

const char *bt_store_looks_like(const bt_store *s)
{
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        for (size_t i = 0; i < bt_store_count(s); i++)
            if (strstr(bt_store_at(s, i)->name, known[k].part))
                return known[k].what;
    return NULL;
}
