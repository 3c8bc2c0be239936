# SPDX-License-Identifier: MIT
"""Goldens of the vocoders: HiFi-GAN V1, V2 and V3 and Vocos in PyTorch with random weights, and mel spectrograms.

usage: make_vocoders.py            the small ones, tests/golden/vocoders.safetensors and vocoder-*.safetensors
       make_vocoders.py --full DIR [NAME]  the published sizes into DIR, with their mel (.npy) and samples (.wav, float)

The networks are written here from the papers and the published names of tensors (models.py of HiFi-GAN; models.py,
modules.py, heads.py of Vocos). Weights are drawn so that signals keep their size through the layers. The mel spectrograms are
numpy formulas in double; --check compares their filters with librosa's and torchaudio's, if those can be imported.
"""
import argparse
import json
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import golden_common as common

SEED = 20261122
V1 = {"resblock": "1", "upsample_rates": [8, 8, 2, 2], "upsample_kernel_sizes": [16, 16, 4, 4], "upsample_initial_channel": 512,
      "resblock_kernel_sizes": [3, 7, 11], "resblock_dilation_sizes": [[1, 3, 5]] * 3}
V2 = dict(V1, upsample_initial_channel=128)
V3 = {"resblock": "2", "upsample_rates": [8, 8, 4], "upsample_kernel_sizes": [16, 16, 8], "upsample_initial_channel": 256,
      "resblock_kernel_sizes": [3, 5, 7], "resblock_dilation_sizes": [[1, 2], [2, 6], [3, 12]]}
MEL = {"num_mels": 80, "n_fft": 1024, "hop_size": 256, "win_size": 1024, "sampling_rate": 22050, "fmin": 0, "fmax": 8000}
VOCOS = {"feature_extractor": {"init_args": {"sample_rate": 24000, "n_fft": 1024, "hop_length": 256, "n_mels": 100, "padding": "center"}},
         "backbone": {"init_args": {"input_channels": 100, "dim": 512, "intermediate_dim": 1536, "num_layers": 8}},
         "head": {"init_args": {"dim": 512, "n_fft": 1024, "hop_length": 256, "padding": "center"}}}


def draw(*shape, fan):
    return torch.randn(*shape) / math.sqrt(fan)


# ---- HiFi-GAN ---------------------------------------------------------------

def hifigan_layers(c):
    """name -> (shape, fan, transposed)"""
    ch, out = c["upsample_initial_channel"], {"conv_pre": ((c["upsample_initial_channel"], c["num_mels"], 7), 7 * c["num_mels"])}
    for i, (u, k) in enumerate(zip(c["upsample_rates"], c["upsample_kernel_sizes"])):
        out[f"ups.{i}"] = ((ch, ch // 2, k), ch * k / u / 2)
        ch //= 2
        for j, (k, ds) in enumerate(zip(c["resblock_kernel_sizes"], c["resblock_dilation_sizes"])):
            for n in range(len(ds)):
                for kind in (("convs1", "convs2") if c["resblock"] == "1" else ("convs",)):
                    out[f"resblocks.{i * len(c['resblock_kernel_sizes']) + j}.{kind}.{n}"] = ((ch, ch, k), 2 * ch * k)
    out["conv_post"] = ((1, ch, 7), 70 * ch)  # so that tanh hides little
    return out


def hifigan_weights(c, form):
    t = {}
    for name, (shape, fan) in hifigan_layers(c).items():
        w = draw(*shape, fan=fan)
        t[f"{name}.bias"] = draw(shape[1] if name.startswith("ups") else shape[0], fan=100)
        norm = w.flatten(1).norm(dim=1).view(-1, 1, 1)
        if form == "folded":
            t[f"{name}.weight"] = w
            continue
        g, v = norm, w * (0.5 + torch.rand(shape[0], 1, 1)) # only v's direction counts
        names = ("weight_g", "weight_v") if form == "weight_norm" else ("parametrizations.weight.original0",
                                                                          "parametrizations.weight.original1")
        t[f"{name}.{names[0]}"], t[f"{name}.{names[1]}"] = g, v
    return t


def folded(t, name):
    if f"{name}.weight" in t:
        return t[f"{name}.weight"]
    g, v = ((t[f"{name}.weight_g"], t[f"{name}.weight_v"]) if f"{name}.weight_g" in t else
            (t[f"{name}.parametrizations.weight.original0"], t[f"{name}.parametrizations.weight.original1"]))
    return torch._weight_norm(v, g, 0)


def hifigan(t, c, mel):
    def conv(x, name, dilation=1):
        w = folded(t, name)
        return F.conv1d(x, w, t[f"{name}.bias"], padding=(w.shape[2] - 1) * dilation // 2, dilation=dilation)
    x, n = conv(mel, "conv_pre"), len(c["resblock_kernel_sizes"])
    for i, (u, k) in enumerate(zip(c["upsample_rates"], c["upsample_kernel_sizes"])):
        x = F.conv_transpose1d(F.leaky_relu(x, 0.1), folded(t, f"ups.{i}"), t[f"ups.{i}.bias"], stride=u, padding=(k - u) // 2)
        total = 0
        for j, ds in enumerate(c["resblock_dilation_sizes"]):
            y, block = x, f"resblocks.{i * n + j}"
            for m, d in enumerate(ds):
                if c["resblock"] == "1":
                    z = conv(F.leaky_relu(y, 0.1), f"{block}.convs1.{m}", d)
                    z = conv(F.leaky_relu(z, 0.1), f"{block}.convs2.{m}")
                else:
                    z = conv(F.leaky_relu(y, 0.1), f"{block}.convs.{m}", d)
                y = z + y
            total = total + y
        x = total / n
    return torch.tanh(conv(F.leaky_relu(x), "conv_post"))[0, 0]


# ---- Vocos ------------------------------------------------------------------

def vocos_weights(c):
    b, h = c["backbone"]["init_args"], c["head"]["init_args"]
    d, wide, t = b["dim"], b["intermediate_dim"], {}

    def linear(name, shape, fan):
        t[f"{name}.weight"], t[f"{name}.bias"] = draw(*shape, fan=fan), draw(shape[0], fan=100)

    def norm(name):
        t[f"{name}.weight"], t[f"{name}.bias"] = 1 + draw(d, fan=100), draw(d, fan=100)
    linear("backbone.embed", (d, b["input_channels"], 7), 7 * b["input_channels"])
    norm("backbone.norm")
    for i in range(b["num_layers"]):
        p = f"backbone.convnext.{i}"
        linear(f"{p}.dwconv", (d, 1, 7), 7)
        norm(f"{p}.norm")
        linear(f"{p}.pwconv1", (wide, d), d)
        linear(f"{p}.pwconv2", (d, wide), wide)
        t[f"{p}.gamma"] = 0.5 + torch.rand(d)
    norm("backbone.final_layer_norm")
    linear("head.out", (h["n_fft"] + 2, d), d)
    t["head.istft.window"] = torch.hann_window(h["n_fft"])
    return t


def istft_same(s, window, n_fft, hop):
    """spectral_ops.py's "same": overlap, cut (n_fft - hop) / 2 from both ends, divide by the squared windows' sum."""
    frames = torch.fft.irfft(s, n_fft, dim=0) * window[:, None]
    n, pad = (frames.shape[1] - 1) * hop + n_fft, (n_fft - hop) // 2
    y, e = torch.zeros(n, dtype=frames.dtype), torch.zeros(n, dtype=frames.dtype)
    for f in range(frames.shape[1]):
        y[f * hop:f * hop + n_fft] += frames[:, f]
        e[f * hop:f * hop + n_fft] += window ** 2
    return (y / e)[pad:n - pad]


def vocos(t, c, mel):
    h = c["head"]["init_args"]

    def norm(x, name):
        return F.layer_norm(x.transpose(1, 2), x.shape[1:2], t[f"{name}.weight"], t[f"{name}.bias"], 1e-6)
    x = F.conv1d(mel, t["backbone.embed.weight"], t["backbone.embed.bias"], padding=3)
    x = norm(x, "backbone.norm").transpose(1, 2)
    for i in range(c["backbone"]["init_args"]["num_layers"]):
        p = f"backbone.convnext.{i}"
        y = norm(F.conv1d(x, t[f"{p}.dwconv.weight"], t[f"{p}.dwconv.bias"], padding=3, groups=x.shape[1]), f"{p}.norm")
        y = F.gelu(F.linear(y, t[f"{p}.pwconv1.weight"], t[f"{p}.pwconv1.bias"]))
        y = t[f"{p}.gamma"] * F.linear(y, t[f"{p}.pwconv2.weight"], t[f"{p}.pwconv2.bias"])
        x = x + y.transpose(1, 2)
    x = F.linear(norm(x, "backbone.final_layer_norm"), t["head.out.weight"], t["head.out.bias"]).transpose(1, 2)
    mag, p = x.chunk(2, dim=1)
    mag = torch.clip(torch.exp(mag), max=1e2)
    s = mag * (torch.cos(p) + 1j * torch.sin(p))
    n_fft, hop = h["n_fft"], h["hop_length"]
    if h["padding"] == "center":
        return torch.istft(s, n_fft, hop, n_fft, t["head.istft.window"], center=True)[0]
    return istft_same(s[0], t["head.istft.window"], n_fft, hop)


# ---- mel spectrograms ---------------------------------------------------------

def mel_points(htk, fmin, fmax, n):
    def mel(f):
        return 2595 * np.log10(1 + f / 700) if htk else (f * 3 / 200 if f < 1000 else 15 + np.log(f / 1000) * 27 / np.log(6.4))
    m = np.linspace(mel(fmin), mel(fmax), n + 2)
    return 700 * (10 ** (m / 2595) - 1) if htk else np.where(m < 15, m * 200 / 3, 1000 * 6.4 ** ((m - 15) / 27))


def mel_filters(htk, rate, n_fft, n, fmin, fmax):
    p, f = mel_points(htk, fmin, fmax, n), np.arange(n_fft // 2 + 1) * rate / n_fft
    up, down = (f - p[:-2, None]) / np.diff(p)[:-1, None], (p[2:, None] - f) / np.diff(p)[1:, None]
    w = np.maximum(0, np.minimum(up, down))
    return w if htk else w * (2 / (p[2:] - p[:-2]))[:, None]


def mel_of(x, form, rate, n_fft, hop, n, fmin, fmax, pad):
    x = np.pad(x.astype(np.float64), pad, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = np.stack([x[i:i + n_fft] * window for i in range(0, len(x) - n_fft + 1, hop)], 1)
    power = np.abs(np.fft.rfft(frames, axis=0)) ** 2
    if form == "vocos":
        return np.log(np.maximum(mel_filters(True, rate, n_fft, n, fmin, fmax) @ np.sqrt(power), 1e-7))
    return np.log(np.maximum(mel_filters(False, rate, n_fft, n, fmin, fmax) @ np.sqrt(power + 1e-9), 1e-5))


def sound(rate, n):
    """A glide with harmonics, noise and a silence: what loud and quiet frames may be."""
    t = np.arange(n) / rate
    phase = 2 * np.pi * np.cumsum(120 + 60 * np.sin(2 * np.pi * 1.5 * t)) / rate
    x = sum(np.sin(h * phase) / h for h in range(1, 12)) * 0.1 + np.random.RandomState(7).randn(n) * 0.01
    x[n // 2:n // 2 + n // 8] *= 1e-4
    return x.astype(np.float32)


def check():
    import librosa
    ours = mel_filters(False, 22050, 1024, 80, 0, 8000)
    print("librosa", librosa.__version__, np.abs(ours - librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=0, fmax=8000)).max(), "of", ours.max())
    import torchaudio
    fb = torchaudio.functional.melscale_fbanks(513, 0.0, 12000.0, 100, 24000).numpy().T
    print("torchaudio", torchaudio.__version__, np.abs(mel_filters(True, 24000, 1024, 100, 0, 12000) - fb).max())


# ---- files --------------------------------------------------------------------

def put(folder, name, tensors, config, in_metadata):
    path = os.path.join(folder, f"{name}.safetensors")
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, {"config": json.dumps(config)} if in_metadata else None)
    if not in_metadata:
        with open(path + ".json", "w") as f:
            f.write(json.dumps(config) + "\n")
    print(path, os.path.getsize(path), "bytes")


def small():
    """(name, config, weights, form): every structure, few channels."""
    def mel(n, rates):
        return dict(MEL, num_mels=n, hop_size=int(np.prod(rates)))
    v1 = dict(V1, upsample_initial_channel=16, **mel(10, V1["upsample_rates"]))
    # rates and filters that do not follow from each other, odd channels
    v2 = dict(V2, upsample_initial_channel=20, upsample_rates=[5, 4, 2], upsample_kernel_sizes=[11, 8, 4], resblock_kernel_sizes=[3, 7],
              resblock_dilation_sizes=[[1, 3], [1, 2]], **mel(6, [5, 4, 2]))
    v3 = dict(V3, upsample_initial_channel=16, **mel(10, V3["upsample_rates"]))
    yield "v1", v1, hifigan_weights(v1, "weight_norm"), hifigan
    yield "v2", v2, hifigan_weights(v2, "parametrized"), hifigan
    yield "v3", v3, hifigan_weights(v3, "folded"), hifigan
    for padding in ("center", "same"):
        c = json.loads(json.dumps(VOCOS))
        c["feature_extractor"]["init_args"].update(n_fft=64, hop_length=16, n_mels=12, padding=padding)
        c["backbone"]["init_args"].update(input_channels=12, dim=24, intermediate_dim=48, num_layers=2)
        c["head"]["init_args"].update(dim=24, n_fft=64, hop_length=16, padding=padding)
        yield f"vocos-{padding}", c, vocos_weights(c), vocos


def full():
    for name, base in (("v1", V1), ("v2", V2), ("v3", V3)):
        c = dict(base, **MEL)
        yield name, c, hifigan_weights(c, "weight_norm"), hifigan
    yield "vocos", VOCOS, vocos_weights(VOCOS), vocos


def mels_of(c):
    return c["num_mels"] if "num_mels" in c else c["backbone"]["init_args"]["input_channels"]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--full", metavar="DIR")
    p.add_argument("--check", action="store_true")
    args = p.parse_args()
    if args.check:
        check()
    common.torch_setup()
    torch.manual_seed(SEED)
    out = {}
    for name, c, t, run in full() if args.full else small():
        mel = torch.randn(1, mels_of(c), 200 if args.full else 12) * 2 - 4
        wave = run(t, c, mel)
        print(name, "rms", float(wave.square().mean().sqrt()), "samples", wave.shape[0])
        if args.full:
            put(args.full, name, t, c, False)
            np.save(os.path.join(args.full, f"{name}.npy"), mel.numpy())
            np.save(os.path.join(args.full, f"{name}.wave.npy"), wave.numpy())
        else:
            put(common.HERE, f"vocoder-{name}", t, c, name in ("v2", "vocos-same"))
            out[f"{name}.mel"], out[f"{name}.wave"] = mel[0], wave
    if args.full:
        return
    for name, form, rate, n, fmax, pad in (("hifigan", "hifigan", 22050, 80, 8000, 384), ("vocos", "vocos", 24000, 100, 12000, 512)):
        x = sound(rate, 2400)
        out[f"mel.{name}.sound"] = x
        out[f"mel.{name}"] = mel_of(x, form, rate, 1024, 256, n, 0, fmax, pad).astype(np.float32)
    common.save("vocoders", out, {"script": "make_vocoders.py", "seed": SEED, **common.versions("torch", "numpy", "safetensors")})


if __name__ == "__main__":
    main()
