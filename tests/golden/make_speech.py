"""speech.safetensors/.json: en_US-joe-medium by onnxruntime, with the graph's two noise nodes replaced by inputs.

Versions: onnx 1.23.2, onnxruntime 1.31.1 (CPU, 1 thread, default optimizations), torch 2.15.0 (noise only).
Noise: g = torch.Generator('cpu').manual_seed(seed); noise_dur = randn(1, 2, T), then noise_flow = randn(1, 192, F), T ids, F frames.
Command: BOTTEGA_JOE=<en_US-joe-medium.onnx> [BOTTEGA_GOLDEN_DEBUG=<folder>] python make_speech.py
With BOTTEGA_GOLDEN_DEBUG the inner tensors of one sentence go to debug_speech.safetensors and the audio to WAV files.
The ids of the sentences come from phonemes.json's method (piper-tts 1.8.0).
"""
import json
import os

import numpy as np

from golden_common import HERE, debug_dir, model, save, torch_setup, versions
from onnx_noise import Voice

torch = torch_setup()
P = model("BOTTEGA_JOE")
v = Voice(P)
cfg = json.load(open(P + ".json"))
SENT = json.load(open(os.path.join(HERE, "speech_ids.json")))["sentences"]
D = [cfg["inference"]["noise_scale"], cfg["inference"]["length_scale"], cfg["inference"]["noise_w"]]

out, side = {}, []
for i, e in enumerate(SENT):
    for kind, scales, seed in (("plain", [0.0, 1.0, 0.0], 0), ("noise", D, 100 + i)):
        if kind == "noise" and i == len(SENT) - 1:
            scales = [0.5, 1.3, 0.6]  # another speed for the last
        r, _ = v.run(e["ids"], scales, seed, ["audio", "w", "w_ceil"])
        w = r["w_ceil"].reshape(-1)
        a = r["audio"].reshape(-1)
        k = f"s{i}.{kind}"
        f = r["w"].reshape(-1)
        out[k + ".w"] = f  # before ceil
        out[k + ".w_ceil"], out[k + ".audio"] = w.astype(np.int32), a
        assert len(a) == 256 * int(w.sum())
        side.append(dict(name=k, text=e["text"], scales=scales, seed=None if kind == "plain" else seed, frames=int(w.sum()), samples=len(a), seconds=round(len(a) / 22050, 3), w_margin=float(np.minimum(f - np.floor(f), np.ceil(f) - f).min()), rms=float(np.sqrt((a**2).mean())), peak=float(np.abs(a).max())))
        print(side[-1])
        if debug_dir():
            import soundfile
            soundfile.write(os.path.join(debug_dir(), k + ".wav"), a, 22050)
    out[f"s{i}.ids"] = np.int32(e["ids"])
# the untouched model must give the same with scales 0, 1, 0
import onnxruntime as ort

o = ort.InferenceSession(P, providers=["CPUExecutionProvider"])
a = o.run(None, {"input": np.int64([SENT[3]["ids"]]), "input_lengths": np.int64([len(SENT[3]["ids"])]), "scales": np.float32([0, 1, 0])})[0].reshape(-1)
print("untouched model, largest difference:", np.abs(a - out["s3.plain.audio"]).max())
save("speech", out, {"versions": dict(versions("onnx", "onnxruntime", "torch", "numpy")), "sample_rate": 22050, "hop": 256, "runs": side,
                     "notes": "scales = [noise_scale, length_scale, noise_w]. audio: the model's raw float output, no peak normalization. Noise order: randn(1,2,T) for the durations, then randn(1,192,F) for the flow, one generator."})
if debug_dir():
    dbg = {}
    for kind, scales, seed in (("plain", [0.0, 1.0, 0.0], 0), ("noise", D, 101)):
        names = list(v.names)
        r, feed = v.run(SENT[1]["ids"], scales, seed, names)
        dbg.update({f"{kind}.{n}": x for n, x in r.items()})
        dbg.update({f"{kind}.{n}": feed[n] for n in ("noise_dur", "noise_flow")})
        dbg[f"{kind}.ids"] = np.int32(SENT[1]["ids"])
    for k2, x in dbg.items():
        print(k2, x.shape)
    save("debug_speech", dbg, folder=debug_dir())
