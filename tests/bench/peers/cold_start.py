# SPDX-License-Identifier: MIT
"""Whole processes from their start to the first token, step or sound; files and pack cache warm.

usage: cold_start.py [--what text,image,speech] [--rounds N] [--threads N] [--only ours|theirs] [--isa ISA]
A step is that of a 64x64 picture (8x8 latent), so that loading, not the forward, is what counts.
"""
import common

WORD = "Hello."
SIZE = ["-W", "512", "-H", "512"]  # the exported network has no other
OPENVINO = """
import openvino, numpy as np, sys
core = openvino.Core()
net = core.read_model(sys.argv[1])
net = core.compile_model(net, "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": int(sys.argv[2])})
net([np.zeros((1, 4, 64, 64), np.float32), np.array([500], np.int64), np.zeros((1, 77, 768), np.float32)])
"""
SHERPA = """
import sherpa_onnx as s, sys
d, threads = sys.argv[1], int(sys.argv[2])
vits = s.OfflineTtsVitsModelConfig(model=d + "/model.onnx", tokens=d + "/tokens.txt")
tts = s.OfflineTts(s.OfflineTtsConfig(model=s.OfflineTtsModelConfig(vits=vits, num_threads=threads)))
g = s.GenerationConfig()
g.phoneme_codepoints = [[ord(c) for c in "h\\u0259l\\u02c8o\\u028a."]]
tts.generate("x", g)
"""


def text(args, t, isa):
    programs = common.ggml_build("llama")
    for name, path in (("SmolLM2", common.SMOLLM2), ("1.1B Q4_K_M", common.llama("Q4_K_M"))):
        yield f"first token, {name}", {
            "ours": [common.BOTTEGA, "text", "-m", path, "-t", t, *isa, "-p", "Hello", "-n", "1", "-c", "512"],
            "llama.cpp, 512 context": [programs + "/llama-completion", "-m", path, "-t", t, "-p", "Hello", "-n", "1", "-no-cnv", "--no-warmup", "-c", "512"],
            "llama.cpp, defaults": [programs + "/llama-completion", "-m", path, "-t", t, "-p", "Hello", "-n", "1", "-no-cnv"]}


def image(args, t, isa):
    folder, out = common.sd15(), common.ROOT + "/cold.png"
    yield "first step", {
        "ours": [common.BOTTEGA, "image", "-m", folder, "-t", t, *isa, "-p", "a cat", *SIZE, "--steps", "1", "--cfg-scale", "1", "-o", out],
        "sd.cpp": [common.ggml_build("sd") + "/sd-cli", "-m", folder + ".safetensors", "-t", t, "-p", "a cat", *SIZE, "--steps", "1", "--cfg-scale", "1", "-o", out],
        "openvino, UNet alone": [common.python(), "-c", OPENVINO, common.openvino() + "/unet.xml", t]}


def speech(args, t, isa):
    out = common.ROOT + "/cold.wav"
    yield "first sound (one word)", {
        "ours": [common.BOTTEGA, "speak", "-m", common.VOICE, "-t", t, *isa, WORD, "-o", out],
        "piper": [common.python(), "-m", "piper", "-m", common.VOICE, "-f", out, "--", WORD],
        "sherpa-onnx": [common.python(), "-c", SHERPA, common.sherpa_voice(), t]}


def main():
    args = common.arguments(what="text, image, speech; all unless said")
    for part in (args.what or "text,image,speech").split(","):
        for work, commands in {"text": text, "image": image, "speech": speech}[part](args, str(args.threads), ["--isa", args.isa or "auto"]):
            for name, command in commands.items():  # once before, for the files and our pack cache
                if args.only is None or (name == "ours") == (args.only == "ours"):
                    common.run(command)
            figures = common.alternate(args, {name: lambda c=command: common.run(c)[:2] for name, command in commands.items()})
            common.row(work, {name: [v[0] for v in runs] for name, runs in figures.items()})
            common.row(work + ", peak", {name: [v[1] for v in runs] for name, runs in figures.items()}, "MiB")


if __name__ == "__main__":
    main()
