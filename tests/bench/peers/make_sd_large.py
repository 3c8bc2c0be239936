# SPDX-License-Identifier: MIT
"""Random weights at the exact configurations of SDXL base and Stable Diffusion 2.1, in float16.

usage: make_sd_large.py DIR [sdxl|sd21 ...]
Writes DIR/sdxl-rand/ (6.9 GB) and DIR/sd21-rand/ (2.6 GB), diffusers folders. Weights as make_sd15.py's, made and rounded tensor by
tensor, so that no model is ever there in float32. Needs torch, diffusers, transformers, safetensors.
"""
import json
import os
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from make_sd15 import BOS, CLIP, EOS, SCHEDULER, UNET, VAE, random_state, write_tokenizer
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

OPEN = dict(vocab_size=49408, max_position_embeddings=77, hidden_act="gelu", layer_norm_eps=1e-5, bos_token_id=BOS, eos_token_id=EOS, pad_token_id=1)
BIG_G = dict(OPEN, hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20, projection_dim=1280)
VIT_H = dict(OPEN, hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16, projection_dim=512)
UNET_XL = dict(UNET, sample_size=128, block_out_channels=(320, 640, 1280), cross_attention_dim=2048, attention_head_dim=(5, 10, 20), transformer_layers_per_block=(1, 2, 10),
               down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2, up_block_types=("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",), use_linear_projection=True,
               addition_embed_type="text_time", addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816)
UNET_21 = dict(UNET, sample_size=96, cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True, upcast_attention=True)
EULER = dict(SCHEDULER, _class_name="EulerDiscreteScheduler", timestep_spacing="leading", prediction_type="epsilon")
TOKENIZER, TEXT = ["transformers", "CLIPTokenizer"], ["transformers", "CLIPTextModel"]
KINDS = {  # parts: class, configuration; then the scheduler, and what model_index.json says besides
    "sdxl": ({"unet": (UNet2DConditionModel, UNET_XL), "vae": (AutoencoderKL, dict(VAE, sample_size=1024, scaling_factor=0.13025, force_upcast=True)),
              "text_encoder": (CLIPTextModel, CLIP), "text_encoder_2": (CLIPTextModelWithProjection, BIG_G)}, EULER,
             {"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": True, "text_encoder": TEXT, "tokenizer": TOKENIZER,
              "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"], "tokenizer_2": TOKENIZER}),
    "sd21": ({"unet": (UNet2DConditionModel, UNET_21), "vae": (AutoencoderKL, dict(VAE, sample_size=768)), "text_encoder": (CLIPTextModel, VIT_H)},
             dict(SCHEDULER, prediction_type="v_prediction"), {"_class_name": "StableDiffusionPipeline", "text_encoder": TEXT, "tokenizer": TOKENIZER}),
}


def write_json(path, what):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(what, f)


def write_part(out, part, kind, config, gen):
    text = part.startswith("text_encoder")
    with torch.device("meta"):
        module = kind(CLIPTextConfig(**config)) if text else kind(**config)
    name = "model" if text else "diffusion_pytorch_model"
    also = {"architectures": [kind.__name__], "model_type": "clip_text_model"} if text else {"_class_name": kind.__name__, "_diffusers_version": "0.20.0"}
    write_json(f"{out}/{part}/config.json", {**config, **also})
    state = random_state(module, gen, torch.float16)
    if part == "vae":
        state["decoder.conv_out.weight"] *= 0.3  # pictures within -1..1 for the most part
    if text:  # the published files' names all begin so
        state = {k if k.startswith("text_") else "text_model." + k: v for k, v in state.items()}
    save_file(state, f"{out}/{part}/{name}.safetensors", metadata={"format": "pt"})


def main():
    for kind in sys.argv[2:] or KINDS:
        parts, scheduler, index = KINDS[kind]
        out, gen = f"{sys.argv[1]}/{kind}-rand", torch.Generator().manual_seed(21)
        for part, (cls, config) in parts.items():
            write_part(out, part, cls, config, gen)
        for folder in [k for k in index if k.startswith("tokenizer")]:
            write_tokenizer(f"{out}/{folder}")
        write_json(out + "/scheduler/scheduler_config.json", scheduler)
        library = {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], "scheduler": ["diffusers", scheduler["_class_name"]]}
        write_json(out + "/model_index.json", {"_diffusers_version": "0.20.0", **library, **index})


if __name__ == "__main__":
    with torch.no_grad():
        main()
