"""Helpers shared by the make_*.py scripts: model paths from the environment, saving, one CPU thread."""
import json
import os
import sys

import numpy as np
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))


def model(var):
    """The path in environment variable var (BOTTEGA_ICONS, BOTTEGA_SMOLLM2 or BOTTEGA_JOE)."""
    p = os.environ.get(var)
    if not p:
        sys.exit(f"set {var} to the model's path")
    return p


def debug_dir():
    """Folder for the large files that are not committed; None when BOTTEGA_GOLDEN_DEBUG is unset."""
    return os.environ.get("BOTTEGA_GOLDEN_DEBUG")


def to_np(t):
    if hasattr(t, "detach"):
        t = t.detach().cpu().numpy()
    return np.ascontiguousarray(t)


def save(name, tensors, side=None, folder=HERE):
    tensors = {k: to_np(v) for k, v in tensors.items()}
    for k, v in tensors.items():
        if v.dtype.kind == "f" and not np.isfinite(v).all():
            print("note: non-finite values in", k)
    path = os.path.join(folder, name + ".safetensors")
    save_file(tensors, path)
    print(path, os.path.getsize(path), "bytes", len(tensors), "tensors")
    if side is not None:
        save_json(name, side, folder)


def save_json(name, obj, folder=HERE):
    path = os.path.join(folder, name + ".json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(obj, f, ensure_ascii=True, indent=None if len(json.dumps(obj)) > 20000 else 1)
        f.write("\n")
    print(path, os.path.getsize(path), "bytes")


def torch_setup():
    import torch
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    return torch


def versions(*mods):
    import importlib
    import platform
    d = {"python": platform.python_version()}
    for m in mods:
        d[m] = importlib.import_module(m).__version__
    return d
