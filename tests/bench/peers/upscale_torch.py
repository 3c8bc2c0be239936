# SPDX-License-Identifier: MIT
"""An upscaler of published size against PyTorch, picture to picture, both loaded, runs alternating.

usage: upscale_torch.py DIR [--rounds N] [--threads N] [--names x4plus,compact]
DIR: what tests/golden/make_upscalers.py --full DIR made. Ours is libbottega through ctypes (BOTTEGA's build), `auto` and f32, the
picture in one piece; PyTorch runs channels last, in f32 and bf16.
"""
import argparse
import ctypes as C
import os
import statistics
import sys

import common

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + "/../../golden")


class Image(C.Structure):
    _fields_ = [("struct_size", C.c_size_t), ("width", C.c_int), ("height", C.c_int), ("channels", C.c_int), ("pixels", C.c_void_p)]


def ours(lib, model, picture, threads, precision, tile):
    """A function that makes the picture larger; it returns bytes as floats of 0..1."""
    import numpy as np
    j = common.job_of(lib, model, threads, precision)
    assert lib.bt_job_set(j, b"tile", tile.encode()) == 0
    p = np.ascontiguousarray(picture)
    img = Image(C.sizeof(Image), p.shape[1], p.shape[0], 3, p.ctypes.data)
    assert lib.bt_job_set_image(j, b"init", C.byref(img)) == 0

    def run():
        assert lib.bt_job_run(j) == 0
        r = Image(struct_size=C.sizeof(Image))
        assert lib.bt_job_image(j, C.c_size_t(0), C.byref(r)) == 0
        return np.ctypeslib.as_array(C.cast(r.pixels, C.POINTER(C.c_uint8)), (r.height, r.width, 3)) / 255.0
    return run


def theirs(model, name, picture, dtype, threads):
    import make_upscalers as mu
    import torch
    from safetensors.torch import load_file
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    last = torch.channels_last
    t = mu.Weights(dtype)
    t.update({k: v.to(dtype).contiguous(memory_format=last) if v.dim() == 4 else v.to(dtype) for k, v in load_file(model).items()})
    x = mu.as_input(picture).to(dtype).contiguous(memory_format=last)
    return lambda: mu.network(t, mu.FULL[name], x)[0].float().clamp(0, 1).permute(1, 2, 0).numpy()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dir")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--names", default="x4plus,compact")
    p.add_argument("--tile", default="0")
    p.add_argument("--sides", default="bottega auto,bottega f32,torch f32,torch bf16")
    a = p.parse_args()
    import numpy as np
    import torch
    lib = common.library()
    for name in a.names.split(","):
        model, z = f"{a.dir}/upscaler-{name}.safetensors", np.load(f"{a.dir}/{name}.npz")
        want, picture = np.clip(z["result"], 0, 1).astype(float), z["picture"]
        sides = {f"bottega {q}": lambda q=q: ours(lib, model, picture, a.threads, q, a.tile) for q in ("auto", "f32")}
        sides.update({f"torch {q}": lambda d=d: theirs(model, name, picture, d, a.threads) for q, d in (("f32", torch.float32), ("bf16", torch.bfloat16))})
        runs = {s: sides[s]() for s in a.sides.split(",")}
        for s, run in runs.items():  # the first run packs
            print(f"{name} {s}: PSNR against the golden {-10 * np.log10(max(((run() - want) ** 2).mean(), 1e-30)):.1f} dB")
        times = common.timed(runs, a.rounds)
        for s, v in times.items():
            print(f"{name} {a.threads} threads {s}: {statistics.median(v) * 1e3:.0f} ms ({min(v) * 1e3:.0f}..{max(v) * 1e3:.0f}, n={len(v)})", flush=True)


if __name__ == "__main__":
    main()
