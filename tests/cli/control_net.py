# SPDX-License-Identifier: MIT
"""A ControlNet for a small UNet, as training begins with one, but for its "zero" layers: control_net.py UNET-FOLDER TO-FOLDER"""
import json
import os
import random
import struct
import sys

unet, to = sys.argv[1:]
data = open(unet + "/diffusion_pytorch_model.safetensors", "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + size])
config = json.load(open(unet + "/config.json"))
config["_class_name"] = "ControlNetModel"
del config["up_block_types"]
parts = {n: (t["dtype"], t["shape"], data[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]]) for n, t in header.items()
         if n.split(".")[0] in ("conv_in", "time_embedding", "down_blocks", "mid_block")}
rng = random.Random(3)


def conv(name, out, inn, kernel, gain=1.0):
    n = out * inn * kernel * kernel
    amp = gain * (12 / (inn * kernel * kernel)) ** 0.5
    parts[name + ".weight"] = ("F32", [out, inn, kernel, kernel], struct.pack(f"<{n}f", *(amp * (rng.random() - 0.5) for _ in range(n))))
    parts[name + ".bias"] = ("F32", [out], bytes(4 * out))


channels, layers, hint = config["block_out_channels"], config["layers_per_block"], [4, 4, 8, 8]
skips = channels[:1]
for i, c in enumerate(channels):
    skips += [c] * (layers + (i + 1 < len(channels)))
conv("controlnet_cond_embedding.conv_in", hint[0], 3, 3, 3.0)
for i in range(len(hint) - 1):
    conv(f"controlnet_cond_embedding.blocks.{2 * i}", hint[i], hint[i], 3, 2.0)
    conv(f"controlnet_cond_embedding.blocks.{2 * i + 1}", hint[i + 1], hint[i], 3, 2.0)
conv("controlnet_cond_embedding.conv_out", channels[0], hint[-1], 3, 2.0)
for i, c in enumerate(skips):
    conv(f"controlnet_down_blocks.{i}", c, c, 1)
conv("controlnet_mid_block", channels[-1], channels[-1], 1)
os.makedirs(to)
json.dump(config, open(to + "/config.json", "w"))
table, at = {}, 0
for n, (dtype, shape, raw) in parts.items():
    table[n] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(raw)]}
    at += len(raw)
text = json.dumps(table).encode()
with open(to + "/diffusion_pytorch_model.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + b"".join(raw for _, _, raw in parts.values()))
