# SPDX-License-Identifier: MIT
"""A tiny model in Kokoro's form, random, and what network.py makes of it. tiny.onnx has the names
and the quantized weights of the int8 export; its nodes are only there to be read. (The test
writes it again under hexgrad's names.)

    python make_tiny.py

Written with torch 2.15.0, onnx 1.23.2, numpy 2.4.6, safetensors 0.6.
"""
import json
import math
import pathlib

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from safetensors.torch import save_file

import network

HERE = pathlib.Path(__file__).parent
HIDDEN, STYLE, BERT, EMB, TOKENS, POSITIONS, WIDE, GEN = 16, 8, 64, 8, 30, 24, 16, 16
RUNS = [("first", [0, 5, 9, 3, 28, 1, 17, 0], 1.0, 3), ("second", [0, *range(1, 8), 0], 1.3, 4)]


def shapes():
    s = {}

    def linear(name, n, k, bias=True):
        s[name + ".weight"] = (n, k)
        if bias:
            s[name + ".bias"] = (n,)

    def conv(name, n, k, taps, bias=True):
        s[name + ".weight"] = (n, k, taps)
        if bias:
            s[name + ".bias"] = (n,)

    def lstm(name, k):
        for end in ("", "_reverse"):
            s[name + ".weight_ih_l0" + end] = (2 * HIDDEN, k)
            s[name + ".weight_hh_l0" + end] = (2 * HIDDEN, HIDDEN // 2)
            s[name + ".bias_ih_l0" + end] = s[name + ".bias_hh_l0" + end] = (2 * HIDDEN,)

    def block(name, k, n, twice=False):
        linear(name + ".norm1.fc", 2 * k, STYLE)
        linear(name + ".norm2.fc", 2 * n, STYLE)
        conv(name + ".conv1", n, k, 3)
        conv(name + ".conv2", n, n, 3)
        if k != n:
            conv(name + ".conv1x1", n, k, 1, False)
        if twice:
            s[name + ".pool.weight"], s[name + ".pool.bias"] = (k, 1, 3), (k,)

    def res(name, c, taps):
        for i in range(3):
            for half in (1, 2):
                linear("%s.adain%d.%d.fc" % (name, half, i), 2 * c, STYLE)
                s["%s.alpha%d.%d" % (name, half, i)] = (1, c, 1)
                conv("%s.convs%d.%d" % (name, half, i), c, c, taps)

    e = "bert.embeddings."
    s[e + "word_embeddings.weight"], s[e + "position_embeddings.weight"] = (TOKENS, EMB), (POSITIONS, EMB)
    s[e + "token_type_embeddings.weight"] = (2, EMB)
    linear("bert.encoder.embedding_hidden_mapping_in", BERT, EMB)
    layer = "bert.encoder.albert_layer_groups.0.albert_layers.0."
    for n in ("query", "key", "value", "dense"):
        linear(layer + "attention." + n, BERT, BERT)
    linear(layer + "ffn", 2 * BERT, BERT)
    linear(layer + "ffn_output", BERT, 2 * BERT)
    for name, n in ((e + "LayerNorm", EMB), (layer + "attention.LayerNorm", BERT),
                    (layer + "full_layer_layer_norm", BERT)):
        s[name + ".weight"] = s[name + ".bias"] = (n,)
    linear("bert_encoder", HIDDEN, BERT)
    for i in (0, 2, 4):
        lstm("predictor.text_encoder.lstms.%d" % i, HIDDEN + STYLE)
        linear("predictor.text_encoder.lstms.%d.fc" % (i + 1), 2 * HIDDEN, STYLE)
    lstm("predictor.lstm", HIDDEN + STYLE)
    lstm("predictor.shared", HIDDEN + STYLE)
    linear("predictor.duration_proj.linear_layer", 50, HIDDEN)
    for name in ("F0", "N"):
        block("predictor.%s.0" % name, HIDDEN, HIDDEN)
        block("predictor.%s.1" % name, HIDDEN, HIDDEN // 2, True)
        block("predictor.%s.2" % name, HIDDEN // 2, HIDDEN // 2)
        conv("predictor.%s_proj" % name, 1, HIDDEN // 2, 1)
        conv("decoder.%s_conv" % name, 1, 1, 3)
    s["text_encoder.embedding.weight"] = (TOKENS, HIDDEN)
    for i in range(3):
        conv("text_encoder.cnn.%d.0" % i, HIDDEN, HIDDEN, 5)
        s["text_encoder.cnn.%d.1.gamma" % i] = s["text_encoder.cnn.%d.1.beta" % i] = (HIDDEN,)
    lstm("text_encoder.lstm", HIDDEN)
    conv("decoder.asr_res.0", 4, HIDDEN, 1)
    block("decoder.encode", HIDDEN + 2, WIDE)
    for i in range(4):
        block("decoder.decode.%d" % i, WIDE + 6, GEN if i == 3 else WIDE, i == 3)
    g = "decoder.generator."
    linear(g + "m_source.l_linear", 1, 9)
    for i, (k, c, taps) in enumerate(((GEN, GEN // 2, 20), (GEN // 2, GEN // 4, 12))):
        s[g + "ups.%d.weight" % i], s[g + "ups.%d.bias" % i] = (k, c, taps), (c,)
        conv(g + "noise_convs.%d" % i, c, 22, 1 if i else 12)
        res(g + "noise_res.%d" % i, c, 11 if i else 7)
        for j, taps in enumerate((3, 7, 11)):
            res(g + "resblocks.%d" % (3 * i + j), c, taps)
    conv(g + "conv_post", 22, GEN // 4, 7)
    return s


def random_weights():
    torch.manual_seed(1)
    w = {}
    for name, shape in shapes().items():
        fan = math.prod(shape[1:])
        if "alpha" in name:
            v = 0.5 + 2 * torch.rand(shape)
        elif "gamma" in name or ("LayerNorm" in name or "layer_norm" in name) and name.endswith("weight"):
            v = 1 + 0.1 * torch.randn(shape)
        elif len(shape) == 1:
            v = 0.1 * torch.randn(shape)
        else:
            v = torch.randn(shape) / math.sqrt(fan)
        w[name] = v.half().float()
    w["predictor.duration_proj.linear_layer.weight"] *= 40
    w["predictor.duration_proj.linear_layer.bias"] -= 28
    w["predictor.F0_proj.weight"] *= 60
    w["predictor.F0_proj.bias"] += 90
    w["decoder.generator.conv_post.weight"] *= 0.1
    w["decoder.generator.conv_post.bias"][:11] -= 2
    return {k: v.half().float() for k, v in w.items()}


class Export:
    """Initializers and nodes by the names of the int8 export."""

    def __init__(self):
        self.nodes, self.tensors, self.count, self.real = [], [], 0, {}

    def add(self, name, value):
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def made_up(self):
        self.count += 1
        return "onnx::Made_%d" % self.count

    def node(self, op, name, *inputs):
        self.nodes.append(helper.make_node(op, inputs, [name + "_output"], name))

    def product(self, module, name, v):
        """int8 per output, [in, out]"""
        scale = v.abs().amax(1) / 127
        q = torch.round(v / scale[:, None])
        self.real[name] = q * scale[:, None]
        own = "encoder." + name + "_quantized" if ".fc." in name and "predictor" in name else self.made_up() + "_quantized"
        self.add(own, q.T.numpy().astype(np.int8))
        self.add(own[:-10] + "_scale", scale.numpy())
        self.node("MatMulInteger", "/" + module + "/MatMul_quant", "x", own, "z", self.zero8)

    def conv(self, module, name, v):
        """uint8 with one scale and zero point"""
        low, high = min(v.min().item(), 0), max(v.max().item(), 0)
        scale = np.float32((high - low) / 255)
        zero = int(round(-low / float(scale)))
        q = torch.clamp(torch.round(v / float(scale)) + zero, 0, 255)
        self.real[name] = (q - zero) * float(scale)
        own = self.made_up()
        self.add(own + "_quantized", q.numpy().astype(np.uint8))
        self.add(own + "_scale", scale)
        z = self.add(own + "_zero_point", np.uint8(zero))
        self.node("ConvInteger", "/" + module + "/Conv_quant", "x", own + "_quantized", "z", z)

    def lstm(self, module, name, w):
        order, ends = (0, 3, 1, 2), ("", "_reverse")

        def gates(v):
            return torch.cat([v.chunk(4)[i] for i in order])

        inputs = [None] * 12
        for i, part in ((1, "ih"), (2, "hh")):
            both, scales = [], []
            for end in ends:
                key = "%s.weight_%s_l0%s" % (name, part, end)
                scale = w[key].abs().max() / 127
                q = torch.round(w[key] / scale)
                self.real[key] = q * scale
                both.append(gates(q).T)
                scales.append(scale.item())
            own = self.made_up()
            inputs[i] = self.add(own + "_quantized", torch.stack(both).numpy().astype(np.int8))
            inputs[6 + 2 * i] = self.add(own + "_scale", np.float32(scales))
            inputs[7 + 2 * i] = self.zero8
        inputs[3] = self.add(self.made_up(), torch.stack([
            torch.cat([gates(w["%s.bias_%s_l0%s" % (name, part, end)]) for part in ("ih", "hh")])
            for end in ends]).numpy())
        self.node("DynamicQuantizeLSTM", "/" + module + "/LSTM_quant", "x", *inputs[1:4], *[""] * 4, *inputs[8:])


def module_of(name):
    """Where the export's nodes are, for the module of a tensor."""
    if name.startswith("decoder."):
        return "decoder/" + name.replace("decoder.asr_res.0", "decoder.asr_res.asr_res.0").replace(".", "/", 1)
    if name.startswith("predictor.") and name.split(".")[1] in ("F0", "N", "F0_proj", "N_proj", "shared"):
        return "encoder/" + name.split(".", 1)[1]
    if name.startswith("text_encoder.cnn."):
        i, j = name.split(".")[2:4]
        return "encoder/text_encoder/cnn.%s/cnn.%s.%s" % (i, i, j)
    return "encoder/" + name.replace(".", "/", 1)


def export(w):
    e = Export()
    e.zero8 = e.add("shared_zero_point", np.int8(0))
    done = set()
    for name, v in w.items():
        module, leaf = name.rsplit(".", 1)
        wrapped = ("decoder." if name.startswith("decoder.") else "encoder.") + name
        if "_l0" in leaf:
            if module not in done:
                e.lstm(module_of(module), module, w)
                done.add(module)
        elif leaf == "weight" and "embedding" in name and "LayerNorm" not in name and "mapping" not in name:
            scale = np.float32(v.abs().max().item() / 127)
            q = torch.round(v / float(scale))
            e.real[name] = q * float(scale)
            e.add(wrapped + "_quantized", q.numpy().astype(np.int8))
            e.add(wrapped + "_scale", scale)
        elif leaf == "weight" and v.dim() == 2 and "l_linear" in name:
            e.node("MatMul", "/" + module_of(module) + "/MatMul", "x", e.add(e.made_up(), v.T.numpy()))
        elif leaf == "weight" and v.dim() == 2:
            e.product(module_of(module), name, v)
        elif leaf == "weight" and v.dim() == 3 and (".ups." in name or ".pool." in name or "conv_post" in name):
            op = "Conv" if "conv_post" in name else "ConvTranspose"
            e.node(op, "/" + module_of(module) + "/" + op, "x", e.add(e.made_up(), v.numpy()))
        elif leaf == "weight" and v.dim() == 3:
            e.conv(module_of(module), name, v)
        else:
            e.add(wrapped, v.numpy())
    graph = helper.make_graph(e.nodes, "tiny", [], [], e.tensors)
    return helper.make_model(graph), {**w, **e.real}


def golden(weights):
    net, tensors, runs = network.Network(weights), {}, []
    for run, ids, speed, seed in RUNS:
        torch.manual_seed(seed + 100)
        style = torch.randn(2 * STYLE)
        out = net.speak(ids, style, speed, seed)
        tensors[run + ".ids"], tensors[run + ".style"] = torch.tensor(ids, dtype=torch.int32), style
        for k, v in out.items():
            tensors[run + "." + k] = v.half() if k == "samples" else v.contiguous()
        runs.append({"name": run, "speed": speed, "seed": seed})
        print(run, out["durations"].tolist(), float(out["pitch"].max()), float(out["samples"].std()))
    save_file(tensors, HERE / "tiny.safetensors")
    (HERE / "tiny.json").write_text(json.dumps({"runs": runs}, indent=1) + "\n")


def main():
    with torch.no_grad():
        w = random_weights()
        model, real = export(w)
        onnx.save(model, HERE / "tiny.onnx")
        golden(real)


if __name__ == "__main__":
    main()
