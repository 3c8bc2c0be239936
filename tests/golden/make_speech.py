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
import onnx
import onnxruntime as ort

from golden_common import HERE, debug_dir, model, save, torch_setup, versions

torch = torch_setup()
P = model("BOTTEGA_JOE")
m = onnx.load(P)
nodes = list(m.graph.node)
rnd = [n for n in nodes if n.op_type == "RandomNormalLike"]
by = {n.name: n for n in rnd}
for name, new, shape in (("/dp/RandomNormalLike", "noise_dur", [1, 2, "T"]), ("/RandomNormalLike", "noise_flow", [1, 192, "F"])):
    n = by[name]
    assert not [a for a in n.attribute if a.name in ("mean", "scale", "seed")]
    for o in nodes:
        for i, x in enumerate(o.input):
            if x == n.output[0]:
                o.input[i] = new
    m.graph.node.remove(n)
    m.graph.input.append(onnx.helper.make_tensor_value_info(new, onnx.TensorProto.FLOAT, shape))
assert len(rnd) == 2
prod = {o: n for n in m.graph.node for o in n.output}
ceil = next(n for n in m.graph.node if n.op_type == "Ceil").output[0]
add = next(n for n in m.graph.node if "noise_flow" in n.input)  # noise * exp(logs), then * noise_scale, then + m
muls = [n for n in m.graph.node if add.output[0] in n.input]
z_p = next(n for n in m.graph.node if muls[0].output[0] in n.input and n.op_type == "Add").output[0]
logs_p = prod[next(i for i in add.input if i != "noise_flow")].input[0]
dec = next(n for n in m.graph.node if n.name == "/dec/conv_pre/Conv")
z_dec = dec.input[0]
enc = next(n for n in m.graph.node if n.name == "/enc_p/Split" or (n.op_type == "Split" and n.name.startswith("/enc_p/") and n.name.count("/") == 2))
logw = next(n for n in m.graph.node if n.op_type == "Exp" and any(n.output[0] in k.input for k in m.graph.node if k.op_type == "Mul") and not n.name.startswith("/dp") and not n.name.startswith("/enc")).input[0]
extra = {"w_ceil": ceil, "m_p": enc.output[0], "logs_p": enc.output[1], "logw": logw, "z_p": z_p, "z": z_dec, "stats": enc.input[0], "w": prod[ceil].input[0]}
for v in dict.fromkeys(extra.values()):
    if v not in [o.name for o in m.graph.output]:
        m.graph.output.append(onnx.helper.make_empty_tensor_value_info(v))
print(extra)
so = ort.SessionOptions()
so.intra_op_num_threads = so.inter_op_num_threads = 1
s = ort.InferenceSession(m.SerializeToString(), so, providers=["CPUExecutionProvider"])
cfg = json.load(open(P + ".json"))
SENT = json.load(open(os.path.join(HERE, "speech_ids.json")))["sentences"]
D = [cfg["inference"]["noise_scale"], cfg["inference"]["length_scale"], cfg["inference"]["noise_w"]]


def run(ids, scales, seed, names):
    T = len(ids)
    feed = {"input": np.int64([ids]), "input_lengths": np.int64([T]), "scales": np.float32(scales)}
    g = torch.Generator("cpu").manual_seed(seed)
    feed["noise_dur"] = torch.randn(1, 2, T, generator=g).numpy()
    feed["noise_flow"] = np.zeros((1, 192, 1), np.float32)
    w = s.run([ceil], feed)[0]
    F = max(1, int(w.sum()))
    feed["noise_flow"] = torch.randn(1, 192, F, generator=g).numpy()
    r = dict(zip(names, s.run([{"audio": "output"}.get(n) or extra[n] for n in names], feed)))
    return w.reshape(-1), r, feed


out, side = {}, []
for i, e in enumerate(SENT):
    for kind, scales, seed in (("plain", [0.0, 1.0, 0.0], 0), ("noise", D, 100 + i)):
        if kind == "noise" and i == len(SENT) - 1:
            scales = [0.5, 1.3, 0.6]  # another speed for the last
        w, r, feed = run(e["ids"], scales, seed, ["audio", "w"])
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
o = ort.InferenceSession(P, so, providers=["CPUExecutionProvider"])
a = o.run(None, {"input": np.int64([SENT[3]["ids"]]), "input_lengths": np.int64([len(SENT[3]["ids"])]), "scales": np.float32([0, 1, 0])})[0].reshape(-1)
print("untouched model, largest difference:", np.abs(a - out["s3.plain.audio"]).max())
save("speech", out, {"versions": dict(versions("onnx", "onnxruntime", "torch", "numpy")), "sample_rate": 22050, "hop": 256, "runs": side,
                     "notes": "scales = [noise_scale, length_scale, noise_w]. audio: the model's raw float output, no peak normalization. Noise order: randn(1,2,T) for the durations, then randn(1,192,F) for the flow, one generator."})
if debug_dir():
    dbg = {}
    for kind, scales, seed in (("plain", [0.0, 1.0, 0.0], 0), ("noise", D, 101)):
        names = list(extra) + ["audio"]
        w, r, feed = run(SENT[1]["ids"], scales, seed, names)
        dbg.update({f"{kind}.{n}": v for n, v in r.items()})
        dbg.update({f"{kind}.{n}": feed[n] for n in ("noise_dur", "noise_flow")})
        dbg[f"{kind}.ids"] = np.int32(SENT[1]["ids"])
    for k2, v in dbg.items():
        print(k2, v.shape)
    save("debug_speech", dbg, folder=debug_dir())
