# SPDX-License-Identifier: MIT
"""Goldens of the upscalers: RRDBNet and SRVGGNetCompact in PyTorch with random weights, and resizing by Pillow.

usage: make_upscalers.py            the small ones, tests/golden/upscalers.safetensors and upscaler-*.safetensors
       make_upscalers.py --full DIR [SIDE]  the published sizes into DIR, each with a picture (SIDE x SIDE, default 128) and its result

The networks are written here from the papers and BasicSR's names of tensors. Each convolution's weights are scaled, where it is
first met, so that its output has unit variance; the last one's makes a picture's values.
"""
import argparse
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import golden_common as common

SEED = 20261123
FORMS = {"basicsr": ("conv_first", "body.{}.rdb{}.conv{}", "conv_body", "conv_up{}", "conv_hr", "conv_last"),
         "esrgan": ("conv_first", "RRDB_trunk.{}.RDB{}.conv{}", "trunk_conv", "upconv{}", "HRconv", "conv_last"),
         "numbered": ("model.0", "model.1.sub.{}.RDB{}.conv{}.0", None, None, None, None)}


class Weights(dict):
    """Tensors by name. A layer that is not there yet is drawn and fitted to what it meets."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def conv(self, x, name, out, std=1.0, mean=0.0):
        if f"{name}.weight" not in self:
            w = torch.randn(out, x.shape[1], 3, 3) / math.sqrt(9 * x.shape[1])
            y = F.conv2d(x, w, padding=1)
            self[f"{name}.weight"] = (w * std / y.std()).to(self.dtype)
            self[f"{name}.bias"] = (mean - y.mean() * std / y.std() + 0.1 * std * torch.randn(out)).to(self.dtype)
        return F.conv2d(x, self[f"{name}.weight"].to(x.dtype), self[f"{name}.bias"].to(x.dtype), padding=1)


def rrdb_net(t, c, x):
    first, block, body, up, hr, last = FORMS[c["form"]]
    if body is None:  # a torch.nn.Sequential: each doubling and each activation has a number too
        n = 3 * c["ups"]
        body, up, hr, last = f"model.1.sub.{c['blocks']}", None, f"model.{n + 2}", f"model.{n + 4}"
    f, g = c["features"], c["growth"]
    x = start = t.conv(F.pixel_unshuffle(x, c["unshuffle"]) if c["unshuffle"] > 1 else x, first, f)
    for b in range(c["blocks"]):
        before = x
        for r in (1, 2, 3):
            all_, inside = x, x
            for k in (1, 2, 3, 4):
                all_ = torch.cat((all_, F.leaky_relu(t.conv(all_, block.format(b, r, k), g), 0.2)), 1)
            x = inside + 0.2 * t.conv(all_, block.format(b, r, 5), f)
        x = before + 0.2 * x
    x = start + t.conv(x, body, f)
    for i in range(c["ups"]):
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.leaky_relu(t.conv(x, up.format(i + 1) if up else f"model.{3 * i + 3}", f), 0.2)
    return t.conv(F.leaky_relu(t.conv(x, hr, f), 0.2), last, 3, 0.2, 0.5)


def compact_net(t, c, x):
    y, n = x, c["convs"]
    for i in range(n + 1):
        y = t.conv(y, f"body.{2 * i}", c["features"])
        if f"body.{2 * i + 1}.weight" not in t:
            t[f"body.{2 * i + 1}.weight"] = (0.1 + 0.3 * torch.rand(c["features"])).to(t.dtype)
        y = F.prelu(y, t[f"body.{2 * i + 1}.weight"].to(y.dtype))
    y = F.pixel_shuffle(t.conv(y, f"body.{2 * n + 2}", 3 * c["scale"] ** 2, 0.1), c["scale"])
    return y + F.interpolate(x, scale_factor=c["scale"], mode="nearest")


def network(t, c, x):
    """An odd picture is continued by its reflection where the first layer takes squares of pixels."""
    n, h, w = c.get("unshuffle", 1), *x.shape[2:]
    y = (compact_net if "convs" in c else rrdb_net)(t, c, F.pad(x, (0, -w % n, 0, -h % n), "reflect"))
    return y[..., :y.shape[2] * h // (h + -h % n), :y.shape[3] * w // (w + -w % n)]


def rrdb(form, blocks, features, growth, ups, unshuffle=1):
    return {"form": form, "blocks": blocks, "features": features, "growth": growth, "ups": ups, "unshuffle": unshuffle}


SMALL = {"x4": rrdb("basicsr", 1, 12, 4, 2), "x2": rrdb("basicsr", 2, 8, 4, 2, 2), "x8": rrdb("esrgan", 1, 8, 4, 3),
         "numbered": rrdb("numbered", 1, 8, 4, 1), "compact": {"convs": 3, "features": 16, "scale": 4}}
FULL = {"x4plus": rrdb("basicsr", 23, 64, 32, 2), "x2plus": rrdb("basicsr", 23, 64, 32, 2, 2),
        "compact": {"convs": 32, "features": 64, "scale": 4}}


def picture(h, w):
    """Waves of all lengths, edges and noise, as bytes."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    c = np.stack([np.sin(x * (0.05 + 0.02 * x / w) * (i + 1)) + np.cos(y * 0.11 * (3 - i)) + 1.5 * ((x // 7 + y // 5) % 2) for i in range(3)], 2)
    c += np.random.RandomState(SEED).randn(h, w, 3) * 0.2
    return np.round((c - c.min()) / (c.max() - c.min()) * 255).astype(np.uint8)


def as_input(p):
    return torch.from_numpy(p.astype(np.float32) / 255).permute(2, 0, 1)[None]


def resized():
    from PIL import Image
    p = picture(23, 31)
    for name, (h, w) in {"smaller": (9, 14), "larger": (40, 37)}.items():
        planes = [np.asarray(Image.fromarray(p[:, :, c].astype(np.float32)).resize((w, h), Image.LANCZOS)) for c in range(3)]
        yield f"resize.{name}", np.clip(np.round(np.stack(planes, 2)), 0, 255)
    yield "resize.picture", p.astype(np.float32)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--full", metavar="DIR")
    p.add_argument("side", nargs="?", type=int, default=128)
    args = p.parse_args()
    common.torch_setup()
    torch.manual_seed(SEED)
    out = {}
    for name, c in (FULL if args.full else SMALL).items():
        p = picture(args.side, args.side) if args.full else picture(4, 6) if name == "x8" else picture(7, 9)
        t, x = Weights(torch.float32 if args.full else torch.float16), as_input(p)
        network(t, c, x)  # draws the weights
        y = network(t, c, x)[0]
        print(name, "mean", float(y.mean()), "std", float(y.std()))
        save_file(dict(t), os.path.join(args.full or common.HERE, f"upscaler-{name}.safetensors"))
        if args.full:
            np.savez(os.path.join(args.full, f"{name}.npz"), picture=p, result=y.permute(1, 2, 0).numpy())
        else:
            out[f"{name}.picture"], out[f"{name}.result"] = p.astype(np.float32), y.permute(1, 2, 0)
    if not args.full:
        out.update(resized())
        common.save("upscalers", out, {"script": "make_upscalers.py", "seed": SEED, **common.versions("torch", "numpy", "safetensors", "PIL")})


if __name__ == "__main__":
    main()
