# SPDX-License-Identifier: MIT
"""Kokoro's int8 ONNX as a graph of floats: the reference that Bottega is compared with.

Quantized weights become their float values, and what quantizes activations goes. Two
things that the export lost or broke are put back as hexgrad's PyTorch has them:
  - the source's spectrum is an input, "har" [1, 22, rows]: the export has no noise, its
    phases are sums of floats in the ten thousands, and the angle of a negative real number
    is -pi instead of +pi (torch.angle). source() makes it in double;
  - the overlap-add is divided by the sum of the squared windows everywhere, not in the
    first twenty samples alone.
"""
import numpy as np
import onnx
from onnx import helper, numpy_helper

SG = "/decoder/decoder/generator/m_source/l_sin_gen/"
GEN = "/decoder/decoder/generator/"
IS = GEN + "istft/stft/"
# What a run gives back, by our names: (tensor, how it lies there).
TAPS = {
    "bert": "/encoder/bert_encoder/Add_output_0",
    "d": "/encoder/predictor/text_encoder/Concat_4_output_0",
    "logits": "/encoder/predictor/duration_proj/linear_layer/Add_output_0",
    "durations": "/encoder/Clip_output_0",
    "t_en": "/encoder/text_encoder/Transpose_2_output_0",
    "f0": "/encoder/Reshape_output_0",
    "n": "/encoder/Reshape_1_output_0",
    "trunk": "/decoder/decoder/decode.3/Div_4_output_0",
    "har": GEN + "Concat_3_output_0",
    "wave": GEN + "m_source/l_tanh/Tanh_output_0",
    "spec": GEN + "conv_post/Conv_output_0",
}


def _integers(graph, values):
    """Multiplies by quantized weights: the whole numbers as floats; scales stay in the graph."""
    one = numpy_helper.from_array(np.float32(1), "float:one")
    graph.initializer.append(one)
    made = {}

    def weight(name, zero):
        if (name, zero) not in made:
            q = values[name].astype(np.float32)
            z = values[zero].astype(np.float32) if zero else np.float32(0)
            made[name, zero] = "float:%d" % len(made)
            graph.initializer.append(numpy_helper.from_array(q - z, made[name, zero]))
        return made[name, zero]

    out, renamed = [], {}
    for n in graph.node:
        if n.op_type == "DynamicQuantizeLinear":
            renamed[n.output[0]], renamed[n.output[1]] = n.input[0], "float:one"
            continue
        if n.op_type in ("MatMulInteger", "ConvInteger"):
            zero = n.input[3] if len(n.input) > 3 else ""
            m = helper.make_node(n.op_type[:-7], [n.input[0], weight(n.input[1], zero)], n.output, n.name)
            m.attribute.extend(n.attribute)
            n = m
        elif n.op_type == "DynamicQuantizeLSTM":
            n = lstm(graph, values, n)
        elif n.op_type == "Floor" and n.name.endswith("_quant_rounded"):
            renamed[n.output[0]] = n.input[0]
            continue
        elif n.op_type == "Cast" and n.name.endswith("bias_quantized_node"):
            renamed[n.output[0]] = n.input[0]
            continue
        out.append(n)
    del graph.value_info[:]  # types of what was quantized
    del graph.node[:]
    graph.node.extend(out)
    for n in graph.node:
        for i, name in enumerate(n.input):
            while name in renamed:
                name = renamed[name]
            n.input[i] = name



def lstm(graph, values, n):
    """Per direction: [inputs, 4 h] whole numbers times a scale -> [4 h, inputs]."""
    names = []
    for at, scale in ((1, 8), (2, 10)):
        w = values[n.input[at]].astype(np.float32) * values[n.input[scale]][:, None, None]
        names.append(n.input[at] + ":float")
        graph.initializer.append(numpy_helper.from_array(w.transpose(0, 2, 1).copy(), names[-1]))
    m = helper.make_node("LSTM", [n.input[0], *names, *n.input[3:7]], n.output, n.name)
    m.attribute.extend(n.attribute)
    return m


def _insert(graph, before, nodes):
    at = next(i for i, n in enumerate(graph.node) if n.name == before)
    for i, n in enumerate(nodes):
        graph.node.insert(at + i, n)


def source(pitch, noise, weight, bias, hop=300, fft=20, rate=24000):
    """The wave and the spectrum of pitch [frames], noise [frames * hop] (hexgrad's istftnet.py,
    SineGen, SourceModuleHnNSF, TorchSTFT). The nine harmonics' noise, summed by l_linear, is
    one normal number with the weights' norm as its deviation."""
    frames, n = len(pitch), len(pitch) * hop
    h = np.arange(1, len(weight) + 1)
    turns = pitch.astype(np.float32)[:, None] * h.astype(np.float32) / np.float32(rate)
    turns = (turns - np.floor(turns)).astype(np.float64)
    phase = np.cumsum(turns, 0) * hop
    at = np.clip((np.arange(n) + 0.5) / hop - 0.5, 0, frames - 1)
    low = np.minimum(np.floor(at).astype(int), max(frames - 2, 0))
    part = (at - low)[:, None]
    phase = phase[low] * (1 - part) + phase[np.minimum(low + 1, frames - 1)] * part
    voiced = np.repeat(pitch > 10, hop)
    sines = 0.1 * np.sin(2 * np.pi * phase) * voiced[:, None]
    scale = np.where(voiced, 0.003, 0.1 / 3) * np.linalg.norm(weight.astype(np.float64))
    wave = np.tanh(sines @ weight.astype(np.float64) + scale * noise + np.float64(bias))
    padded = np.pad(wave, fft // 2, mode="reflect")
    rows = n // (fft // 4) + 1
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(fft) / fft)
    pieces = np.stack([padded[r * (fft // 4):][:fft] * window for r in range(rows)])
    spectrum = np.fft.rfft(pieces)
    # What is zero but for rounding (frames that mirror themselves) must not choose the sign of pi.
    imag = np.where(np.abs(spectrum.imag) > 1e-9 * np.abs(spectrum.real), spectrum.imag, 0.0)
    spectrum = spectrum.real + 1j * imag
    return wave, np.concatenate([np.abs(spectrum), np.angle(spectrum)], 1).T.astype(np.float32)


def _source_input(graph):
    """What read the source's spectrum reads the input "har"."""
    graph.input.append(helper.make_tensor_value_info("har", 1, [1, 22, "rows"]))
    for n in graph.node:
        for i, name in enumerate(n.input):
            if name == TAPS["har"]:
                n.input[i] = "har"


def _windows(graph):
    """Twenty values of the window's sum become the sum over all frames; IS/Mul_4 multiplies by
    n_fft / hop, which the inverse basis was divided by."""
    last = next(n for n in graph.node if n.name == IS + "Unsqueeze_3")
    raw = IS + "Squeeze_1_output_0"
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(20) / 20)
    graph.initializer.append(numpy_helper.from_array((window ** 2).astype(np.float32)[None, None], "win:sq"))
    graph.initializer.append(numpy_helper.from_array(np.float32(1e-11), "win:tiny"))
    # One channel of ones, transposed convolution by the squared window.
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "win:zero"))
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "win:one"))
    graph.initializer.append(numpy_helper.from_array(np.float32(0), "win:nil"))
    graph.initializer.append(numpy_helper.from_array(np.float32(1), "win:unit"))
    _insert(graph, last.name, [
        helper.make_node("Slice", [GEN + "Exp_output_0", "win:zero", "win:one", "win:one"], ["win:bin"]),
        helper.make_node("Mul", ["win:bin", "win:nil"], ["win:nils"]),
        helper.make_node("Add", ["win:nils", "win:unit"], ["win:ones"]),
        helper.make_node("ConvTranspose", ["win:ones", "win:sq"], ["win:sum"], strides=[5]),
        helper.make_node("Squeeze", ["win:sum", "win:one"], ["win:sum2"]),
        helper.make_node("Max", ["win:sum2", "win:tiny"], ["win:safe"]),
        helper.make_node("Div", [raw, "win:safe"], ["win:out"]),
    ])
    last.input[0] = "win:out"


def rewrite(path, repair=True, taps=TAPS):
    """The float model; with repair=False as the export has it."""
    model = onnx.load(path)
    graph = model.graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    _integers(graph, values)
    if repair:
        _source_input(graph)
        _windows(graph)
    for name in taps.values():
        graph.output.append(helper.make_empty_tensor_value_info(name))
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)])
    return model
