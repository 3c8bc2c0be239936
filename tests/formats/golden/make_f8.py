# SPDX-License-Identifier: MIT
"""All 256 values of both kinds of 8-bit floats, and what PyTorch makes of them.

Versions: torch 2.15.0, safetensors 0.8.0.
Command: python make_f8.py
"""
import os

import torch
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
out = {}
for name, dtype in (("e4m3", torch.float8_e4m3fn), ("e5m2", torch.float8_e5m2)):
    values = torch.arange(256, dtype=torch.uint8).view(dtype)
    out[name], out[name + ".f32"] = values, values.float()
save_file(out, os.path.join(HERE, "f8.safetensors"))
