"""tiny-vits-high.onnx(.json), tiny-vits-low.onnx(.json), tiny-vits-medium.gguf, tiny_vits.safetensors/.json: random Piper-shaped voices and their audio.

Versions: piper-tts 1.8.0 (only its VITS module, with pip --no-deps), torch 2.15.0 (TorchScript exporter), onnx 1.23.2, onnxruntime 1.31.1.
Seed: torch.manual_seed(99) for all weights.  Command: python make_tiny_vits.py
high: 3 speakers (gin 16), ResBlock1 (3,7,11; 1,3,5), upsampling 8,8,2,2, as Piper's high quality but small: hidden and inter 16, FFN 32, start 32.
low: 1 speaker, ResBlock2 (3,5,7), upsampling 8,8,4, hidden 12, inter 16, FFN 24, start 32, 16 kHz, as x_low.
medium: 4 speakers (gin 8), ResBlock2, hidden and inter 12, FFN 24, start 32, 22.05 kHz. Committed in Bottega's own form (`bottega convert`, f32; set BOTTEGA
to the program), which is a fifth of the ONNX file. check_vits_sizes.py has the sizes that Piper trains.
"""
import json
import os
import subprocess
import tempfile
import warnings

import numpy as np

from golden_common import HERE, debug_dir, save, torch_setup, versions

warnings.filterwarnings("ignore")
torch = torch_setup()
from onnx_noise import Voice
from piper.train.vits.models import SynthesizerTrn

V = 40


def randomize(m):
    """Every weight random, also those that VITS starts at zero; weight norm's g and v apart."""
    for n, p in m.named_parameters():
        if n.endswith("weight_g"):
            continue
        if n.endswith("gamma"):
            p.copy_(1 + 0.1 * torch.randn_like(p))
        elif n.startswith(("emb_g", "enc_p.emb.")):
            p.copy_(torch.randn_like(p) * (1 if n.startswith("emb_g") else p.shape[1] ** -0.5))
        elif "emb_rel" in n:
            p.copy_(torch.randn_like(p) * 0.4)
        elif n.endswith((".m", ".logs")):  # dp.flows.0: logw = (z - m) * exp(-logs)
            p.copy_(torch.tensor([[-0.9], [0.3]]) if n.endswith(".m") else torch.tensor([[0.6], [0.2]]))
        elif p.dim() <= 1 or n.endswith(("beta", "bias")):
            p.copy_(0.1 * torch.randn_like(p))
        elif ".ups." in n:
            p.copy_(torch.randn_like(p) * 1.2 / (p.shape[0] * 2) ** 0.5)  # [in, out, k], stride k / 2
        else:
            gain = 0.5 if (n.startswith("dp.") and n.endswith("proj.weight")) or ".post." in n else ((0.25 if "conv_post" in n else 0.6) if n.startswith("dec.") else 1.0)
            p.copy_(torch.randn_like(p) * gain / p[0].numel() ** 0.5)
    for n, p in m.named_parameters():
        if n.endswith("weight_g"):
            v = dict(m.named_parameters())[n[:-1] + "v"]
            p.copy_(v.flatten(1).norm(dim=1).reshape(p.shape) * (0.8 + 0.4 * torch.rand(p.shape)))


R1, R2 = ((1, 3, 5),) * 3, ((1, 2), (2, 6), (3, 12))
SYMBOLS = ["_", "^", "$", " ", "!", "'", "(", ")", ",", "-", ".", ":", ";", "?"] + [chr(c) for c in range(97, 123) if c != ord("g")] + ["æ"]
assert len(SYMBOLS) == V
IDS = [1, 0] + [x for i in (20, 30, 3, 14, 25, 33, 8, 3, 37, 39, 10) for x in (i, 0)] + [2]


def build(name, speakers, gin, hidden, inter, ffn, rb, kern, dil, ups, start, upk, rate, folder=HERE):
    m = SynthesizerTrn(V, 33, 32, inter, hidden, ffn, 2, 6, 3, 0.1, rb, kern, dil, ups, start, upk, n_speakers=speakers, gin_channels=gin, use_sdp=True).eval()
    m.dec.remove_weight_norm()
    randomize(m)
    f = lambda text, lens, scales, sid=None: m.infer(text, lens, noise_scale=scales[0], length_scale=scales[1], noise_scale_w=scales[2], sid=sid)[0].unsqueeze(1)
    m.forward = f
    args = (torch.randint(0, V, (1, 50)), torch.LongTensor([50]), torch.FloatTensor([0.667, 1.0, 0.8]), torch.LongTensor([0]) if speakers > 1 else None)
    p = os.path.join(folder, name + ".onnx")
    torch.onnx.export(m, args, p, opset_version=15, input_names=["input", "input_lengths", "scales", "sid"], output_names=["output"], dynamo=False,
                      dynamic_axes={"input": {0: "batch_size", 1: "phonemes"}, "input_lengths": {0: "batch_size"}, "output": {0: "batch_size", 2: "time"}})
    import onnx
    g = onnx.load(p)  # the exporter's notes hold source paths of the machine
    for n in g.graph.node:
        n.ClearField("doc_string")
        del n.metadata_props[:]
    g.producer_version = g.producer_version.split("+")[0]
    onnx.save(g, p)
    cfg = {"audio": {"sample_rate": rate, "quality": "high" if rb == "1" else "medium" if speakers > 1 else "x_low"}, "espeak": {"voice": "en-us"}, "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8}, "phoneme_type": "text",
           "phoneme_map": {}, "phoneme_id_map": {s: [i] for i, s in enumerate(SYMBOLS)}, "num_symbols": V, "num_speakers": speakers, "speaker_id_map": dict(list({"ann": 0, "bob": 1, "eve": 2, "zoe": 3}.items())[:speakers]) if speakers > 1 else {}, "piper_version": "1.0.0"}
    json.dump(cfg, open(p + ".json", "w"), indent=1)
    print(p, os.path.getsize(p))
    return p, m


def own_form(p):
    """The voice at p as a GGUF file beside this script."""
    out = os.path.join(HERE, os.path.basename(p).replace(".onnx", ".gguf"))
    subprocess.run([os.environ["BOTTEGA"], "convert", p, out, "--type", "f32"], check=True)
    return out


def main():
    torch.manual_seed(99)
    out, side = {}, {"versions": versions("torch", "onnx", "onnxruntime", "numpy"), "runs": [], "notes": "noise as in speech: one generator, randn(1,2,T), randn(1,inter,F)"}
    voices = {"high": (3, 16, 16, 16, 32, "1", (3, 7, 11), R1, (8, 8, 2, 2), 32, (16, 16, 4, 4), 22050), "low": (1, 0, 12, 16, 24, "2", (3, 5, 7), R2, (8, 8, 4), 32, (16, 16, 8), 16000),
              "medium": (4, 8, 12, 12, 24, "2", (3, 5, 7), R2, (8, 8, 4), 32, (16, 16, 8), 22050)}
    for name, a in voices.items():
        folder = tempfile.mkdtemp() if name == "medium" else HERE
        p, m = build("tiny-vits-" + name, *a, folder)
        file = own_form(p) if name == "medium" else p
        v = Voice(p)
        print(v.inputs, v.names)
        ids = IDS
        jobs = [("plain", [0.0, 1.0, 0.0], 0, 0), ("noise", [0.667, 1.0, 0.8], 5, 0)] + ([("speaker2", [0.667, 1.2, 0.8], 6, 2)] if a[0] > 1 else [])
        out[name + ".ids"] = np.int32(ids)
        for kind, scales, seed, sid in jobs:
            r, feed = v.run(ids, scales, seed, list(v.names), channels=a[3], sid=sid if a[0] > 1 else None)
            k = f"{name}.{kind}"
            for n in ("audio",) if name == "medium" else ("w", "w_ceil", "audio", "m_p", "logs_p", "z_p", "z"):
                x = r[n].reshape(-1) if n in ("w", "w_ceil", "audio") else r[n][0]
                out[f"{k}.{n}"] = x.astype(np.int32) if n == "w_ceil" else x
            w = r["w"].reshape(-1)
            side["runs"].append(dict(name=k, file=os.path.basename(file), scales=scales, seed=seed, sid=sid, frames=int(r["w_ceil"].sum()), w_margin=float(np.minimum(w - np.floor(w), np.ceil(w) - w).min()), rms=float(r["audio"].std()), peak=float(abs(r["audio"]).max()), logw=[float(r["logw"].min()), float(r["logw"].max())], z_std=float(r["z"].std())))
            print(side["runs"][-1], r["audio"].shape)
        # the exported graph against the module itself, without noise
        y = m.infer(torch.tensor([ids]), torch.tensor([len(ids)]), noise_scale=0.0, length_scale=1.0, noise_scale_w=0.0, sid=torch.tensor([0]) if a[0] > 1 else None)[0]
        print("module against graph:", np.abs(y.numpy().reshape(-1) - out[name + ".plain.audio"]).max())
    save("tiny_vits", out, side)


if __name__ == "__main__":
    main()
