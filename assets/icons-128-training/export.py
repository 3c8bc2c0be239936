#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the finished model as a diffusers folder in float16.

Reads   ckpt/unet.pt (its EMA), ckpt/vae_final.pt, data/tokenizer/
Writes  export/ (StableDiffusionPipeline's layout, safetensors), prints the parameter counts
"""
import argparse
import json
import shutil
from pathlib import Path

from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from common import CKPT, DATA, ROOT, load_weights
from encode_latents import SCALING
from train_unet import CHECKPOINT, SCHEDULER_CONFIG, build, count_parameters, load_tokenizer
from train_vae import VAE_CONFIG


def load_pipeline():
    """(pipeline in float16, training step)"""
    tokenizer = load_tokenizer()
    unet, text = build(tokenizer)
    state = load_weights(CHECKPOINT, "cpu")
    for p, e in zip([*unet.parameters(), *text.parameters()], state["ema"]):
        p.data.copy_(e)
    vae = AutoencoderKL(**VAE_CONFIG, scaling_factor=SCALING)
    vae.load_state_dict(load_weights(CKPT / "vae_final.pt", "cpu"))
    pipe = StableDiffusionPipeline(
        vae=vae.half(), text_encoder=text.half(), tokenizer=tokenizer, unet=unet.half(),
        scheduler=DDIMScheduler(**SCHEDULER_CONFIG), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False)
    return pipe, state["step"]


def prefix_text_encoder(path):
    """Name the text encoder's tensors "text_model.*", as in Stable Diffusion 1."""
    tensors = load_file(path)
    if not any(name.startswith("text_model.") for name in tensors):
        tensors = {"text_model." + name: t for name, t in tensors.items()}
        save_file(tensors, path, metadata={"format": "pt"})


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--out", type=Path, default=ROOT / "export")
    args = ap.parse_args()
    pipe, step = load_pipeline()
    partial = args.out.with_name(args.out.name + ".tmp")
    shutil.rmtree(partial, ignore_errors=True)
    pipe.save_pretrained(partial, safe_serialization=True)
    # vocab.json and merges.txt as in Stable Diffusion 1, not what save_pretrained writes
    shutil.rmtree(partial / "tokenizer")
    shutil.copytree(DATA / "tokenizer", partial / "tokenizer")
    prefix_text_encoder(partial / "text_encoder/model.safetensors")
    shutil.copy(ROOT.parent / "NOTICE.md", partial / "NOTICE.md")
    shutil.rmtree(args.out, ignore_errors=True)
    partial.rename(args.out)
    counts = {name: count_parameters(getattr(pipe, name))
              for name in ("unet", "text_encoder", "vae")}
    counts["total"] = sum(counts.values())
    counts["vae.decoder"] = count_parameters(pipe.vae.decoder)
    print("step", step, json.dumps(counts))


if __name__ == "__main__":
    main()
