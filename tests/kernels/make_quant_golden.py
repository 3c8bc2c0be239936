# SPDX-License-Identifier: MIT
"""Writes quant_golden.inc: sums over rows that the Python package gguf (0.19.0) dequantizes.

Run with gguf and numpy installed: python make_quant_golden.py > quant_golden.inc
"""
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

NAMES = "F16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS BF16".split()

print("/* SPDX-License-Identifier: MIT\n * Made by make_quant_golden.py (gguf 0.19.0). */")
for name in NAMES:
    block, size = GGML_QUANT_SIZES[T[name]]
    j = np.arange(1024 // block * size)
    raw = ((j * 37 + j // 256 * 11) & 0xBF).astype(np.uint8)
    if name == "F16":
        y = raw.view(np.float16).astype(np.float32)
    else:
        y = dequantize(raw.reshape(1, -1), T[name]).reshape(-1)
    y = y.astype(np.float64)
    assert np.isfinite(y).all(), name
    w = np.arange(1024) % 7 + 1
    print(f"{{ BT_{name}, {float(y.sum())!r}, {float((y * w).sum())!r} }},")
