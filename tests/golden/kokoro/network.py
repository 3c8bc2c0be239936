# SPDX-License-Identifier: MIT
"""Kokoro's network in plain torch functions over a dict of tensors under hexgrad's names, for
models of any width: the reference of the tiny ones (make_tiny.py)."""
import math

import numpy as np
import torch
import torch.nn.functional as F

import float_graph


class Network:
    def __init__(self, weights):
        self.w = weights

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w.get(name + ".bias"))

    def conv(self, x, name, **settings):
        return F.conv1d(x, self.w[name + ".weight"], self.w.get(name + ".bias"), **settings)

    def lstm(self, x, name):
        names = ["%s_%s_l0%s" % (kind, part, end) for end in ("", "_reverse")
                 for kind in ("weight", "bias") for part in ("ih", "hh")]
        flat = [self.w[name + "." + n] for n in names]
        h = flat[1].shape[1]
        zero = torch.zeros(2, 1, h)
        return torch.lstm(x[None], (zero, zero), flat, True, 1, 0.0, False, True, True)[0][0]

    def norm(self, x, name, eps, leaf=("weight", "bias")):
        return F.layer_norm(x, x.shape[-1:], self.w[name + "." + leaf[0]], self.w[name + "." + leaf[1]], eps)

    # ---- text: rows are tokens ----

    def bert(self, ids):
        e = "bert.embeddings."
        x = self.w[e + "word_embeddings.weight"][ids] + self.w[e + "position_embeddings.weight"][: len(ids)]
        x = self.norm(x + self.w[e + "token_type_embeddings.weight"][0], e + "LayerNorm", 1e-12)
        x = self.linear(x, "bert.encoder.embedding_hidden_mapping_in")
        layer = "bert.encoder.albert_layer_groups.0.albert_layers.0."
        for _ in range(12):
            q, k, v = (self.linear(x, layer + "attention." + n).view(len(ids), -1, 64).transpose(0, 1)
                       for n in ("query", "key", "value"))
            a = (torch.softmax(q @ k.transpose(1, 2) / 8, -1) @ v).transpose(0, 1).reshape(len(ids), -1)
            x = self.norm(x + self.linear(a, layer + "attention.dense"), layer + "attention.LayerNorm", 1e-12)
            y = F.gelu(self.linear(x, layer + "ffn"), approximate="tanh")
            x = self.norm(x + self.linear(y, layer + "ffn_output"), layer + "full_layer_layer_norm", 1e-12)
        return self.linear(x, "bert_encoder")

    def durations(self, bert, style):
        rows = style.expand(len(bert), -1)
        x = torch.cat([bert, rows], 1)
        for i in (0, 2, 4):
            x = self.lstm(x, "predictor.text_encoder.lstms.%d" % i)
            gamma, beta = self.linear(style, "predictor.text_encoder.lstms.%d.fc" % (i + 1)).chunk(2)
            x = torch.cat([(1 + gamma) * F.layer_norm(x, x.shape[-1:], eps=1e-5) + beta, rows], 1)
        return x, self.linear(self.lstm(x, "predictor.lstm"), "predictor.duration_proj.linear_layer")

    def text(self, ids):
        x = self.w["text_encoder.embedding.weight"][ids]
        for i in range(3):
            x = self.conv(x.T[None], "text_encoder.cnn.%d.0" % i, padding=2)[0].T
            x = F.leaky_relu(self.norm(x, "text_encoder.cnn.%d.1" % i, 1e-5, ("gamma", "beta")), 0.2)
        return self.lstm(x, "text_encoder.lstm")

    # ---- frames: [1, channels, frames] ----

    def ada(self, x, style, name):
        gamma, beta = self.linear(style, name + ".fc").chunk(2)
        return (1 + gamma)[:, None] * F.instance_norm(x, eps=1e-5) + beta[:, None]

    def block(self, x, style, name, twice=False):
        y, short = F.leaky_relu(self.ada(x, style, name + ".norm1"), 0.2), x
        if twice:
            short = F.interpolate(x, scale_factor=2, mode="nearest")
            y = F.conv_transpose1d(y, self.w[name + ".pool.weight"], self.w[name + ".pool.bias"], stride=2,
                                   padding=1, output_padding=1, groups=y.shape[1])
        if name + ".conv1x1.weight" in self.w:
            short = self.conv(short, name + ".conv1x1")
        y = self.conv(y, name + ".conv1", padding=1)
        y = self.conv(F.leaky_relu(self.ada(y, style, name + ".norm2"), 0.2), name + ".conv2", padding=1)
        return (y + short) / math.sqrt(2)

    def curve(self, x, style, name):
        for i in range(3):
            x = self.block(x, style, "predictor.%s.%d" % (name, i), i == 1)
        return self.conv(x, "predictor.%s_proj" % name)

    def decoder(self, asr, f0, n, style):
        f0 = self.conv(f0, "decoder.F0_conv", stride=2, padding=1)
        n = self.conv(n, "decoder.N_conv", stride=2, padding=1)
        x = self.block(torch.cat([asr, f0, n], 1), style, "decoder.encode")
        again = self.conv(asr, "decoder.asr_res.0")
        for i in range(4):
            x = self.block(torch.cat([x, again, f0, n], 1), style, "decoder.decode.%d" % i, i == 3)
        return x

    def res(self, x, style, name):
        for i, d in enumerate((1, 3, 5)):
            y = x
            for half, dilation in ((1, d), (2, 1)):
                y = self.ada(y, style, "%s.adain%d.%d" % (name, half, i))
                a = self.w["%s.alpha%d.%d" % (name, half, i)]
                y = y + torch.sin(a * y) ** 2 / a
                conv = "%s.convs%d.%d" % (name, half, i)
                pad = (self.w[conv + ".weight"].shape[2] - 1) * dilation // 2
                y = self.conv(y, conv, padding=pad, dilation=dilation)
            x = x + y
        return x

    def generator(self, x, har, style):
        g = "decoder.generator."
        for s, (stride, settings) in enumerate(((10, dict(stride=6, padding=3)), (6, {}))):
            x = F.leaky_relu(x, 0.1)
            source = self.res(self.conv(har, g + "noise_convs.%d" % s, **settings), style, g + "noise_res.%d" % s)
            x = F.conv_transpose1d(x, self.w[g + "ups.%d.weight" % s], self.w[g + "ups.%d.bias" % s],
                                   stride=stride, padding=stride // 2)
            if s == 1:
                x = F.pad(x, (1, 0), mode="reflect")
            x = x + source
            x = sum(self.res(x, style, g + "resblocks.%d" % (3 * s + i)) for i in range(3)) / 3
        x = self.conv(F.leaky_relu(x, 0.01), g + "conv_post", padding=3)
        spectrum = torch.polar(torch.exp(x[:, :11]), torch.sin(x[:, 11:]))
        return torch.istft(spectrum, 20, 5, 20, torch.hann_window(20))[0]

    def speak(self, ids, style, speed, seed):
        """ids with the zeros at both ends; every stage by the names of the goldens."""
        ids, half = torch.as_tensor(ids, dtype=torch.long), len(style) // 2
        d, logits = self.durations(self.bert(ids), style[half:])
        frames = torch.round(torch.sigmoid(logits).sum(-1) / speed).clamp(min=1).long()
        text = self.text(ids)
        en = self.lstm(d.repeat_interleave(frames, 0), "predictor.shared").T[None]
        f0, n = (self.curve(en, style[half:], name) for name in ("F0", "N"))
        asr = text.repeat_interleave(frames, 0).T[None]
        torch.manual_seed(seed)
        pitch = f0.flatten().numpy()
        noise = torch.randn(len(pitch) * 300).double().numpy()
        linear = "decoder.generator.m_source.l_linear."
        _, har = float_graph.source(pitch, noise, self.w[linear + "weight"].numpy().ravel(),
                                    self.w[linear + "bias"].item())
        x = self.decoder(asr, f0, n, style[:half])
        return {"durations": frames.int(), "logits": logits, "text": text, "pitch": f0.flatten(),
                "energy": n.flatten(), "samples": self.generator(x, torch.from_numpy(np.ascontiguousarray(har))[None], style[:half])}
