#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Encode icons on backgrounds with the trained autoencoder and whiten the latents.

  python encode_latents.py                                                          CPU
  python encode_latents.py --device cuda --procs 1 --subset all --extra-bg 8        GPU (untested)

The mean and deviation of each latent channel are folded into the 1x1 quant convolutions: the
stored autoencoder has latents of mean zero and deviation 1 / SCALING, so that the config's
scaling_factor = SCALING is exact.

Reads   data/rgba.npy, data/items.json, ckpt/vae.pt (its EMA), core.txt
Writes  data/latents.npy   float16 [latents, 4, 16, 16], mean 0 and deviation 1 per channel
        data/latents.json  [item, style, background] of each latent
        ckpt/vae_final.pt  the EMA weights with the whitening folded in
"""
import argparse
import random

import numpy as np
import torch

from common import (CKPT, DATA, compose, load_weights, palette, pictures, read_json, read_keys,
                    save_weights, write_json)
from train_vae import CHECKPOINT, build

SCALING = 0.18215
BATCH = 16
CHUNK = 512  # pictures that a process encodes at a time


def load_vae(device):
    model = build().to(device).eval()
    model.load_state_dict(load_weights(CHECKPOINT, device)["ema"])
    return model.to(memory_format=torch.channels_last)


def make_index(items, keep, extra_backgrounds, rng):
    """[item, style, background, row of rgba.npy]: each style on white and on other backgrounds.

    The default style gets all of them, the others `extra_backgrounds`. keep: keys, None for all.
    """
    coloured = range(1, len(palette()))
    index = []
    for n, item in enumerate(items):
        if keep is not None and item["key"] not in keep:
            continue
        for style, row in item["styles"].items():
            if style == item["default"]:
                backgrounds = list(coloured)
            else:
                backgrounds = rng.sample(coloured, extra_backgrounds)
            index += [(n, style, b, row) for b in [0] + backgrounds]
    return index


def encode(index, device):
    """Posterior means, float [len(index), 4, 16, 16], on the CPU."""
    torch.set_num_threads(1)
    model = load_vae(device)
    data = np.load(DATA / "rgba.npy", mmap_mode="r")
    colours = palette()
    z = []
    with torch.inference_mode():
        for i in range(0, len(index), BATCH):
            part = index[i:i + BATCH]
            x = compose(pictures(data, [row for *_, row in part]),
                        colours[[b for _, _, b, _ in part]]).to(device)
            x = x.contiguous(memory_format=torch.channels_last)
            with torch.autocast(torch.device(device).type, torch.bfloat16):
                z.append(model.encode(x).latent_dist.mean.float().cpu())
    return torch.cat(z)


def encode_all(index, device, procs):
    if procs == 1:
        return encode(index, device)
    chunks = [(index[i:i + CHUNK], device) for i in range(0, len(index), CHUNK)]
    with torch.multiprocessing.get_context("spawn").Pool(procs) as pool:
        return torch.cat(pool.starmap(encode, chunks, chunksize=1))


@torch.no_grad()
def fold_whitening(model, mean, std):
    """z -> (z - mean) / (std * SCALING) after the encoder, and back before the decoder."""
    scale = 1 / SCALING
    channels = len(mean)
    quant, post = model.quant_conv, model.post_quant_conv  # quant: means, then log variances
    weight, bias = quant.weight.clone(), quant.bias.clone()
    weight[:channels] *= (scale / std)[:, None, None, None]
    bias[:channels] = (bias[:channels] - mean) * scale / std
    bias[channels:] += 2 * torch.log(scale / std)
    quant.weight.copy_(weight)
    quant.bias.copy_(bias)
    post.bias.add_((post.weight[:, :, 0, 0] * mean[None]).sum(1))
    post.weight.mul_((std / scale)[None, :, None, None])


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                 formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    ap.add_argument("--device", default="cpu", help="cpu or cuda")
    ap.add_argument("--subset", default="core.txt", help="file with icon keys, or 'all'")
    ap.add_argument("--extra-bg", type=int, default=2,
                    help="coloured backgrounds for the other than the default style")
    ap.add_argument("--procs", type=int, default=2, help="processes; 1 on a GPU")
    args = ap.parse_args()
    torch.set_num_threads(1)
    keep = None if args.subset == "all" else read_keys(args.subset)
    index = make_index(read_json(DATA / "items.json"), keep, args.extra_bg, random.Random(0))
    print(len(index), "latents")
    z = encode_all(index, args.device, args.procs)
    mean, std = z.mean((0, 2, 3)), z.std((0, 2, 3))
    print("latent mean", mean.tolist(), "std", std.tolist())
    z = (z - mean[:, None, None]) / std[:, None, None]
    np.save(DATA / "latents.npy", z.half().numpy())
    write_json(DATA / "latents.json", [entry[:3] for entry in index])
    model = load_vae(args.device)
    fold_whitening(model, mean.to(args.device), std.to(args.device))
    save_weights(model.state_dict(), CKPT / "vae_final.pt")


if __name__ == "__main__":
    main()
