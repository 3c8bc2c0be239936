# SPDX-License-Identifier: MIT
"""Random weights at the exact configuration of Stable Diffusion 1.5, in float16.

usage: make_sd15.py DIR [--outliers]
Writes DIR/sd15-rand/ (diffusers folder) and DIR/sd15-rand.safetensors (one file with the original LDM names); with
--outliers DIR/sd15-outliers/ alone. Needs torch, diffusers, transformers, safetensors.

Every linear and convolution has variance 1/fan_in, so that each branch keeps the variance of its input: activations stay
finite in float16 and attention is neither flat nor one-hot. The outliers: 1 % of the channels before each linear or
convolution are multiplied by 10 at their producer (norm scale and shift, v, the value half of GEGLU, the time
embedding, the text encoder's last norm) and the weights that read them divided by it. Where a SiLU stands between the two
the function changes a little; the comparison is against our own f32 of the same weights, so that does not matter.
Channels of the residual stream itself are left alone.
"""
import json
import os
import re
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

BOS, EOS = 49406, 49407
UNET = dict(sample_size=64, in_channels=4, out_channels=4, layers_per_block=2, block_out_channels=(320, 640, 1280, 1280),
            cross_attention_dim=768, attention_head_dim=8, norm_num_groups=32, norm_eps=1e-5, act_fn="silu",
            down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",), downsample_padding=1,
            up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3, center_input_sample=False, flip_sin_to_cos=True,
            freq_shift=0, mid_block_scale_factor=1)
VAE = dict(in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(128, 256, 512, 512), layers_per_block=2,
           down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, act_fn="silu",
           norm_num_groups=32, sample_size=512, scaling_factor=0.18215)
CLIP = dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
            max_position_embeddings=77, hidden_act="quick_gelu", projection_dim=768, layer_norm_eps=1e-5, bos_token_id=BOS,
            eos_token_id=EOS, pad_token_id=1)
SCHEDULER = {"_class_name": "DDIMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012, "beta_schedule": "scaled_linear",
             "beta_start": 0.00085, "num_train_timesteps": 1000, "set_alpha_to_one": False, "steps_offset": 1,
             "trained_betas": None, "clip_sample": False}


def random_state(module, gen, dtype=torch.float32):
    """A state dict for a module that was made on the meta device."""
    out = {}
    for name, p in module.state_dict().items():
        if "position_ids" in name:
            continue
        v = torch.randn(p.shape, generator=gen)
        if p.dim() == 1:
            v *= 0.1
            if "norm" in name and name.endswith("weight"):
                v += 1
        elif "embeddings" in name:
            v *= 0.5
        else:
            v *= p[0].numel() ** -0.5
        out[name] = v.to(dtype)
    return out


def clip_state(module, gen):
    """With the names of the published files, which all begin with text_model."""
    state = random_state(module, gen)
    return {k if k.startswith("text_model.") else "text_model." + k: v for k, v in state.items()}


def grow(state, producer, readers, gen):
    """Multiplies 1 % of the producer's output channels by 10 and divides what reads them; a producer may be a row range."""
    name, rows = producer if isinstance(producer, tuple) else (producer, None)
    n = rows or state[name + ".weight"].shape[0]
    pick = torch.randperm(n, generator=gen)[:max(1, n // 100)]
    for part in (".weight", ".bias"):
        if name + part in state:
            state[name + part][pick] *= 10
    for r in readers:
        state[r + ".weight"][:, pick] /= 10


def outliers_resnet(state, gen):
    for k in [k[:-len(".conv1.weight")] for k in state if k.endswith(".conv1.weight")]:
        grow(state, k + ".norm1", [k + ".conv1"], gen)
        grow(state, k + ".norm2", [k + ".conv2"], gen)
    grow(state, "conv_norm_out" if "conv_norm_out.weight" in state else "decoder.conv_norm_out",
         ["conv_out" if "conv_out.weight" in state else "decoder.conv_out"], gen)


def outliers_unet(state, gen):
    outliers_resnet(state, gen)
    for k in [k[:-len(".proj_in.weight")] for k in state if k.endswith(".proj_in.weight")]:
        b = k + ".transformer_blocks.0"
        grow(state, k + ".norm", [k + ".proj_in"], gen)
        grow(state, b + ".norm1", [b + ".attn1.to_q", b + ".attn1.to_k", b + ".attn1.to_v"], gen)
        grow(state, b + ".norm2", [b + ".attn2.to_q"], gen)
        grow(state, b + ".norm3", [b + ".ff.net.0.proj"], gen)
        for a in ("attn1", "attn2"):
            grow(state, f"{b}.{a}.to_v", [f"{b}.{a}.to_out.0"], gen)
        inner = state[b + ".ff.net.2.weight"].shape[1]  # rows 0..inner-1 of the projection are the value half
        grow(state, (b + ".ff.net.0.proj", inner), [b + ".ff.net.2"], gen)
    grow(state, "time_embedding.linear_2", [k[:-7] for k in state if k.endswith("time_emb_proj.weight")], gen)


def outliers_vae(state, gen):
    outliers_resnet(state, gen)
    for k in [k[:-len(".group_norm.weight")] for k in state if k.endswith(".group_norm.weight")]:
        grow(state, k + ".group_norm", [k + ".to_q", k + ".to_k", k + ".to_v"], gen)
        grow(state, k + ".to_v", [k + ".to_out.0"], gen)


def outliers_clip(state, unet, gen):
    for k in [k[:-len(".layer_norm1.weight")] for k in state if k.endswith(".layer_norm1.weight")]:
        grow(state, k + ".layer_norm1", [f"{k}.self_attn.{p}_proj" for p in "qkv"], gen)
        grow(state, k + ".layer_norm2", [k + ".mlp.fc1"], gen)
        grow(state, k + ".self_attn.v_proj", [k + ".self_attn.out_proj"], gen)
    norm = next(k[:-7] for k in state if k.endswith("final_layer_norm.weight"))
    pick = torch.randperm(768, generator=gen)[:7]
    for part in (".weight", ".bias"):
        state[norm + part][pick] *= 10
    for k in unet:
        if re.search(r"attn2\.to_[kv]\.weight", k):
            unet[k][:, pick] /= 10


def write_tokenizer(folder):
    """CLIP's format and number of entries with no merges worth naming: bytes, bytes with </w>, fillers, two special texts."""
    os.makedirs(folder, exist_ok=True)
    codes = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    chars = [chr(c) for c in codes] + [chr(256 + i) for i in range(256 - len(codes))]
    merges = ["a t</w>", "c at</w>", "r e", "re d</w>", "t h", "th e</w>"]
    vocab = chars + [c + "</w>" for c in chars] + [m.replace(" ", "") for m in merges]
    vocab += [f"<unused{i}>" for i in range(BOS - len(vocab))] + ["<|startoftext|>", "<|endoftext|>"]
    with open(folder + "/vocab.json", "w", encoding="utf-8") as f:
        json.dump({t: i for i, t in enumerate(vocab)}, f, ensure_ascii=False)
    with open(folder + "/merges.txt", "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "\n".join(merges) + "\n")
    with open(folder + "/tokenizer_config.json", "w", encoding="utf-8") as f:
        json.dump({"add_prefix_space": False, "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
                   "pad_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "do_lower_case": True, "errors": "replace",
                   "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}, f)


def write_folder(out, states):
    write_tokenizer(out + "/tokenizer")
    configs = {"unet": dict(UNET, _class_name="UNet2DConditionModel", _diffusers_version="0.20.0"),
               "vae": dict(VAE, _class_name="AutoencoderKL", _diffusers_version="0.6.0"),
               "text_encoder": dict(CLIP, architectures=["CLIPTextModel"], model_type="clip_text_model", torch_dtype="float16")}
    for part, config in configs.items():
        os.makedirs(f"{out}/{part}", exist_ok=True)
        with open(f"{out}/{part}/config.json", "w", encoding="utf-8") as f:
            json.dump(config, f)
        name = "model" if part == "text_encoder" else "diffusion_pytorch_model"
        save_file({k: v.half().contiguous() for k, v in states[part].items()}, f"{out}/{part}/{name}.safetensors", metadata={"format": "pt"})
    os.makedirs(out + "/scheduler", exist_ok=True)
    with open(out + "/scheduler/scheduler_config.json", "w", encoding="utf-8") as f:
        json.dump(SCHEDULER, f)
    with open(out + "/model_index.json", "w", encoding="utf-8") as f:
        json.dump({"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.6.0", "scheduler": ["diffusers", "DDIMScheduler"],
                   "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
                   "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}, f)


def ldm_unet(state):
    """The names of the original file: input_blocks, middle_block, output_blocks."""
    top = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "conv_in": "input_blocks.0.0",
           "conv_norm_out": "out.0", "conv_out": "out.2"}
    layers = {"mid_block.attentions.0.": "middle_block.1.", "mid_block.resnets.0.": "middle_block.0.", "mid_block.resnets.1.": "middle_block.2."}
    for i in range(4):
        for j in range(3):
            layers[f"down_blocks.{i}.resnets.{j}."] = f"input_blocks.{3 * i + j + 1}.0."
            layers[f"down_blocks.{i}.attentions.{j}."] = f"input_blocks.{3 * i + j + 1}.1."
            layers[f"up_blocks.{i}.resnets.{j}."] = f"output_blocks.{3 * i + j}.0."
            layers[f"up_blocks.{i}.attentions.{j}."] = f"output_blocks.{3 * i + j}.1."
        layers[f"down_blocks.{i}.downsamplers.0.conv."] = f"input_blocks.{3 * i + 3}.0.op."
        layers[f"up_blocks.{i}.upsamplers.0."] = f"output_blocks.{3 * i + 2}.{1 if i == 0 else 2}."
    inner = {"norm1.": "in_layers.0.", "conv1.": "in_layers.2.", "norm2.": "out_layers.0.", "conv2.": "out_layers.3.",
             "time_emb_proj.": "emb_layers.1.", "conv_shortcut.": "skip_connection."}
    out = {}
    for k, v in state.items():
        stem, part = k.rsplit(".", 1)
        if stem in top:
            new = top[stem] + "." + part
        else:
            old = next(p for p in layers if k.startswith(p))
            rest = k[len(old):]
            if ".resnets." in old:
                rest = next(b + rest[len(a):] for a, b in inner.items() if rest.startswith(a))
            new = layers[old] + rest
        out["model.diffusion_model." + new] = v
    return out


def ldm_vae(state):
    swap = [("mid_block.attentions.0.", "mid.attn_1."), ("mid_block.resnets.0.", "mid.block_1."), ("mid_block.resnets.1.", "mid.block_2."),
            ("conv_shortcut", "nin_shortcut"), ("conv_norm_out", "norm_out")]
    for i in range(4):
        swap += [(f"encoder.down_blocks.{i}.resnets.{j}.", f"encoder.down.{i}.block.{j}.") for j in range(2)]
        swap += [(f"decoder.up_blocks.{i}.resnets.{j}.", f"decoder.up.{3 - i}.block.{j}.") for j in range(3)]
        swap += [(f"encoder.down_blocks.{i}.downsamplers.0.", f"encoder.down.{i}.downsample."),
                 (f"decoder.up_blocks.{i}.upsamplers.0.", f"decoder.up.{3 - i}.upsample.")]
    attn = [("group_norm.", "norm."), ("to_q.", "q."), ("to_k.", "k."), ("to_v.", "v."), ("to_out.0.", "proj_out.")]
    out = {}
    for k, v in state.items():
        new = k
        for a, b in swap + (attn if ".attentions." in k else []):
            new = new.replace(a, b)
        if ".attentions." in k and v.dim() == 2:
            v = v.reshape(*v.shape, 1, 1)
        out["first_stage_model." + new] = v
    return out


def write_single(path, states):
    out = {**ldm_unet(states["unet"]), **ldm_vae(states["vae"])}
    out.update({"cond_stage_model.transformer." + k: v for k, v in states["text_encoder"].items()})
    save_file({k: v.half().contiguous() for k, v in out.items()}, path)


def main():
    folder, outliers = sys.argv[1], "--outliers" in sys.argv[2:]
    with torch.device("meta"):
        modules = {"unet": UNet2DConditionModel(**UNET), "vae": AutoencoderKL(**VAE), "text_encoder": CLIPTextModel(CLIPTextConfig(**CLIP))}
    gen = torch.Generator().manual_seed(15)
    states = {part: (clip_state if part == "text_encoder" else random_state)(m, gen) for part, m in modules.items()}
    states["vae"]["decoder.conv_out.weight"] *= 0.3  # pictures within -1..1 for the most part
    if outliers:
        outliers_unet(states["unet"], gen)
        outliers_vae(states["vae"], gen)
        outliers_clip(states["text_encoder"], states["unet"], gen)
    write_folder(folder + ("/sd15-outliers" if outliers else "/sd15-rand"), states)
    if not outliers:
        write_single(folder + "/sd15-rand.safetensors", states)


if __name__ == "__main__":
    with torch.no_grad():
        main()
