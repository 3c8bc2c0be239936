"""hibari.safetensors/.json: hibari "heart" (PyPI hibari-tts 0.2.1) by onnxruntime and the package's own dsp.py.

Versions: hibari-tts 0.2.1, onnx 1.23.2, onnxruntime 1.31.1 (CPU, 1 thread), scipy 1.17.1 (the package's FFT).
The file's graph multiplies int8 weights by activations that are rounded to 8 bits over a whole sentence. Here every such
multiply is replaced by one of floats with the dequantized weights, so that what is compared is the network.
Noise: that of common/base/rng.c, bt_sum_noise, in place of numpy's generator.
Command: BOTTEGA_HIBARI=<folder of the unpacked wheel> python make_hibari.py
Audio is kept as float16, and of longer sentences a part only.
"""
import os
import sys

import numpy as np

from golden_common import model, save, versions

ROOT = model("BOTTEGA_HIBARI")
sys.path.insert(0, ROOT)
import onnx
import onnxruntime as ort
from hibari import Hibari, dsp
from onnx import helper, numpy_helper

ort.set_default_logger_severity(3)
PATH = os.path.join(ROOT, "hibari", "assets", "hibari.onnx")
RUNS = [  # name, phonemes, speed, seed, first and last sample kept
    ("hello", "həlˈO ðˈɛɹ.", 1.0, 0, 0, None),
    ("yes", "jˈɛs!", 1.0, 1, 0, None),
    ("fox", "ðə kwˈɪk bɹˈWn fˈɑks ʤˈʌmps ˈOvəɹ ðə lˈAzi dˈɔɡ.", 1.0, 2, 30000, 42000),
    ("shells", "ʃi sˈɛlz sˈi ʃˈɛlz bI ðə sˈi ʃˈɔɹ, ænd ðə ʃˈɛlz ʃi sˈɛlz ɑɹ sˈi ʃˈɛlz fˈɔɹ ʃˈʊɹ, ænd ʃi nˈɛvəɹ stˈɑps sˈɛlɪŋ ðˌɛm.", 1.0, 3, 160000, 172000),
    ("question", "wˌʌt ˈɪz ðˈɪs?", 1.0, 4, 12000, 24000),
    ("fast", "ðə kwˈɪk bɹˈWn fˈɑks ʤˈʌmps ˈOvəɹ ðə lˈAzi dˈɔɡ.", 1.7, 5, 12000, 24000),
    ("slow", "həlˈO ðˈɛɹ.", 0.6, 6, 24000, 36000),
]


def float_graph():
    """DynamicQuantizeLinear, MatMulInteger, Cast, Mul -> MatMul."""
    m = onnx.load(PATH)
    g = m.graph
    init = {i.name: i for i in g.initializer}
    made = {o: n for n in g.node for o in n.output}
    readers = {}
    for n in g.node:
        for i in n.input:
            readers.setdefault(i, []).append(n)
    out, gone = [], set()
    for n in g.node:
        if n.op_type != "MatMulInteger":
            continue
        stem = n.input[1].removesuffix("_quantized")
        w = numpy_helper.to_array(init[n.input[1]]).astype(np.float32) * numpy_helper.to_array(init[stem + "_scale"])
        if stem not in init:
            init[stem] = numpy_helper.from_array(w, stem)
            g.initializer.append(init[stem])
        cast, = readers[n.output[0]]
        mul, = readers[cast.output[0]]
        gone |= {id(cast)}
        n.CopyFrom(helper.make_node("MatMul", [made[n.input[0]].input[0], stem], [mul.output[0]], name=n.name))
        gone |= {id(mul)}
    for n in g.node:
        if n.op_type != "DynamicQuantizeLinear" and not n.name.endswith("scales_mul") and id(n) not in gone:
            out.append(n)
    del g.node[:]
    g.node.extend(out)
    g.output.append(helper.make_tensor_value_info("/Clip_output_0", onnx.TensorProto.FLOAT, None))
    return m


class Noise:
    """What dsp.synth asks of a numpy Generator."""

    def __init__(self, seed):
        self.seed = seed

    def standard_normal(self, shape, dtype):
        bins, frames = shape[0], shape[1] // 2
        step = np.uint64(0x9E3779B97F4A7C15)

        def mix(z):
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            return z ^ (z >> np.uint64(31))

        with np.errstate(over="ignore"):
            start = mix(np.array([self.seed], np.uint64) + step)
            z = mix(start + np.arange(1, frames * bins + 1, dtype=np.uint64) * step)
        byte = [((z >> np.uint64(8 * k)) & np.uint64(255)).astype(np.int64) for k in range(8)]
        pair = np.stack([sum(byte[0::2]), sum(byte[1::2])], -1) - 510
        pair = pair.astype(np.float32) * np.float32(6.76591684e-3)
        return np.ascontiguousarray(pair.reshape(frames, bins, 2).transpose(1, 0, 2).reshape(shape))


def main():
    graph = float_graph()
    voice = Hibari()
    names = ["lh", "theta", "ln", "lr", "phi", "f0", "/Clip_output_0"]
    s = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    out, side = {}, []
    for name, phonemes, speed, seed, lo, hi in RUNS:
        ids = voice.ids(phonemes)
        *o, beats = s.run(names, {"ids": np.int64([ids]), "speed": np.float32([speed])})
        a = dsp.synth(*(x[0] for x in o), Noise(seed))
        out[name + ".audio"] = a[lo:hi].astype(np.float16)
        side.append(dict(name=name, phonemes=phonemes, speed=speed, seed=seed, samples=len(a), first=lo, ids=ids,
                         beats=[int(b) for b in beats.reshape(-1)]))
        print(name, len(a), float(np.abs(a).max()))
    save("hibari", out, {"versions": versions("onnx", "onnxruntime", "scipy", "numpy"), "sample_rate": dsp.SR, "runs": side})


main()
