# SPDX-License-Identifier: MIT
"""Peak memory (VmHWM, mapped pages included) of whole processes: a 512x512 picture, 30 s of speech, 128 tokens.

usage: memory.py [--what text,image,speech] [--threads N] [--only ours|theirs]
Pictures and speech of the Python peers: the worker of their comparison after one call of each job (no text encoder: less
than a picture needs). Text: the difference to the file's size, llama.cpp with its defaults.
"""
import os

import common


def worker_peak(script, *args, jobs):
    w = common.Worker(f"{common.HERE}/{script}", *args)
    for job in jobs:
        w.run(job)
    return w.close()


def process_peak(*command):
    return common.run(list(command))[1]


def image(args, t):
    folder, out, both = common.sd15(), common.ROOT + "/memory.png", ("unet_s", "vae_s")
    yield "512x512 picture, 1 step", {
        "ours": lambda: process_peak(common.BOTTEGA, "image", "-m", folder, "-t", t, "-p", "a cat", "-W", "512", "-H", "512", "--steps", "1", "--cfg-scale", "1", "-o", out),
        "openvino": lambda: worker_peak("image_openvino.py", common.openvino(), "default", t, jobs=both),
        "torch bf16": lambda: worker_peak("image_torch.py", folder, t, jobs=both)}, 0


def speech(args, t):
    text = common.TEXTS["30 s"]
    yield "30 s of speech", {
        "ours": lambda: process_peak(common.BOTTEGA, "speak", "-m", common.VOICE, "-t", t, text, "-o", common.ROOT + "/memory.wav"),
        "onnxruntime": lambda: worker_peak("speech_ort.py", t, jobs=("30 s",)),
        "sherpa-onnx": lambda: worker_peak("speech_sherpa.py", common.sherpa_voice(), t, jobs=("30 s",))}, 0


def text(args, t):
    programs = common.ggml_build("llama")
    for kind in ("smollm2", "Q4_0", "Q4_K_M", "Q8_0"):
        path = common.SMOLLM2 if kind == "smollm2" else common.llama(kind)
        yield f"{kind}, 128 tokens, above the file", {
            "ours": lambda: process_peak(common.BOTTEGA, "text", "-m", path, "-t", t, "-p", "Hello", "-n", "128"),
            "llama.cpp": lambda: process_peak(programs + "/llama-completion", "-m", path, "-t", t, "-p", "Hello", "-n", "128", "-no-cnv")}, os.path.getsize(path) / 2 ** 20


def main():
    args = common.arguments(what="text, image, speech; all unless said")
    for part in (args.what or "text,image,speech").split(","):
        for work, engines, size in {"text": text, "image": image, "speech": speech}[part](args, str(args.threads)):
            figures = common.alternate(args, {name: lambda call=call: call() - size for name, call in engines.items()})
            common.row(work, figures, "MiB")


if __name__ == "__main__":
    main()
