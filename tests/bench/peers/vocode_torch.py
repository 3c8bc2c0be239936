# SPDX-License-Identifier: MIT
"""A vocoder of published size against PyTorch, mel spectrogram to samples, both loaded, runs alternating.

usage: vocode_torch.py DIR [--rounds N] [--threads N] [--names v1,vocos]
DIR: what tests/golden/make_vocoders.py --full DIR made. Ours is libbottega through ctypes (BOTTEGA's build), `auto` and f32;
PyTorch runs in f32, weight norm folded beforehand, eager and as a traced, frozen graph; the best of its two counts.
"""
import argparse
import ctypes as C
import json
import os
import statistics
import sys

import common

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + "/../../golden")


class Audio(C.Structure):
    _fields_ = [("struct_size", C.c_size_t), ("rate", C.c_int), ("channels", C.c_int), ("n", C.c_size_t),
                ("samples", C.POINTER(C.c_float)), ("format", C.c_char_p), ("bits", C.c_char_p)]


def ours(lib, model, mel, threads, precision):
    """A function that vocodes; it returns the samples."""
    import numpy as np
    j = common.job_of(lib, model, threads, precision)
    assert lib.bt_job_set(j, b"mel", mel.encode()) == 0

    def run():
        assert lib.bt_job_run(j) == 0
        a = Audio(struct_size=C.sizeof(Audio))
        assert lib.bt_job_audio(j, C.byref(a)) == 0
        return np.ctypeslib.as_array(a.samples, (a.n,)).copy()
    return run


def theirs(model, mel, threads):
    import make_vocoders as mv
    import numpy as np
    import torch
    from safetensors.torch import load_file
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    config, t, x = json.load(open(model + ".json")), load_file(model), torch.from_numpy(np.load(mel))
    network = mv.vocos if "backbone" in config else mv.hifigan
    for name in [k[:-9] for k in t if k.endswith(".weight_v")]:
        t[name + ".weight"] = mv.folded(t, name)
        del t[name + ".weight_v"], t[name + ".weight_g"]
    graph = None
    if network is mv.hifigan:
        class Net(torch.nn.Module):
            def forward(self, x):
                return mv.hifigan(t, config, x)
        graph = torch.jit.freeze(torch.jit.trace(Net().eval(), x))
    return {"torch eager": lambda: network(t, config, x).numpy(), **({"torch graph": lambda: graph(x).numpy()} if graph else {})}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dir")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--names", default="v1,vocos")
    a = p.parse_args()
    lib = common.library()
    import numpy as np
    for name in a.names.split(","):
        model, mel, want = f"{a.dir}/{name}.safetensors", f"{a.dir}/{name}.npy", np.load(f"{a.dir}/{name}.wave.npy").astype(float)
        sides = {f"bottega {q}": ours(lib, model, mel, a.threads, q) for q in ("auto", "f32")}
        sides.update(theirs(model, mel, a.threads))
        for s, run in sides.items():  # the first run packs
            y = run()
            print(f"{name} {s}: SNR against the golden {10 * np.log10((want ** 2).sum() / max(((y - want) ** 2).sum(), 1e-30)):.1f} dB")
        times = common.timed(sides, a.rounds)
        best = min(statistics.median(times[s]) for s in times if s.startswith("torch"))
        rate = 24000 if name == "vocos" else 22050
        for s, v in times.items():
            m = statistics.median(v)
            print(f"{name} {a.threads} threads {s}: {m * 1e3:.1f} ms for {len(want) / rate:.2f} s of sound, "
                  f"RTF {m * rate / len(want):.4f}, {best / m:.2f}x the best torch")


if __name__ == "__main__":
    main()
