# SPDX-License-Identifier: MIT
"""Paths and small helpers that the scripts share. Everything lies beside the scripts:

  npm/      the icon packages (README.md, step 1)
  data/     renderings, latents and the tokenizer (prepare_data.py, encode_latents.py)
  ckpt/     weights and optimizer states while training
  export/   the finished model (export.py)
"""
import json
import os
from pathlib import Path

import numpy as np
import torch

import captions

ROOT = Path(__file__).resolve().parent
NPM = ROOT / "npm/node_modules"
DATA = ROOT / "data"
CKPT = ROOT / "ckpt"
SIZE = 128  # pixels a side


def read_json(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def write_json(path, value, **options):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, **options)


def read_keys(name):
    """The icon keys in a text file beside the scripts (core.txt, top.txt)."""
    return set((ROOT / name).read_text().split())


def palette():
    """float [backgrounds, 3] in 0..255, in the order of captions.BACKGROUNDS."""
    return torch.tensor(list(captions.BACKGROUNDS.values()), dtype=torch.float32)


def compose(rgba, background):
    """uint8 [B, H, W, 4] over float [B, 3] in 0..255 -> float [B, 3, H, W] in -1..1."""
    x = rgba.float()
    alpha = x[..., 3:] / 255.0
    x = x[..., :3] * alpha + background[:, None, None, :] * (1 - alpha)
    return (x / 127.5 - 1).permute(0, 3, 1, 2)


def pictures(data, rows):
    """uint8 [rows, H, W, 4] from the memory-mapped data/rgba.npy."""
    return torch.from_numpy(np.stack([data[r] for r in rows]))


def load_weights(path, device):
    """Own checkpoints only: they hold optimizer states, and reading them runs pickle."""
    return torch.load(path, map_location=device, weights_only=False)


def save_weights(value, path):
    """Write beside the target, then rename: an interrupted run leaves the old file."""
    partial = path.with_name(path.name + ".tmp")
    torch.save(value, partial)
    os.replace(partial, path)
