"""Piper's sizes with random weights, ours against onnxruntime: nothing is kept (the voices are 30 to 120 MB).

Versions and seed: as make_tiny_vits.py.  Command: BOTTEGA=.../bottega python check_vits_sizes.py [size ...]
Prints the SNR in dB for each voice and kind of arithmetic.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np

from make_tiny_vits import IDS, R1, R2, SYMBOLS, build, torch
from onnx_noise import Voice

SMALL, LARGE = ("2", (3, 5, 7), R2, (8, 8, 4), 256, (16, 16, 8)), ("1", (3, 7, 11), R1, (8, 8, 2, 2), 512, (16, 16, 4, 4))
SIZES = {  # speakers, gin, hidden, inter, FFN, the decoder's, rate
    "x_low": (1, 0, 96, 96, 384, *SMALL, 16000), "low": (1, 0, 192, 192, 768, *SMALL, 16000), "medium": (1, 0, 192, 192, 768, *SMALL, 22050),
    "high": (1, 0, 192, 192, 768, *LARGE, 22050), "medium-speakers": (4, 512, 192, 192, 768, *SMALL, 22050), "high-speakers": (4, 512, 192, 192, 768, *LARGE, 22050)}
KINDS = (["--precision", "f32"], ["--isa", "avx512vnni"], ["--isa", "avx2"], [])


def ours(voice, out, seed, speaker, flags):
    text = "".join(SYMBOLS[i] for i in IDS[2:-1:2])
    who = ["--speaker", str(speaker)] if speaker is not None else []
    subprocess.run([os.environ["BOTTEGA"], "speak", "-q", "-m", voice, "--cache-dir", "none", "--phonemes", text, "--seed", str(seed), "--bits", "float", "-o", out, *who, *flags], check=True)
    data = open(out, "rb").read()
    at = data.index(b"data")
    return np.frombuffer(data, np.float32, int.from_bytes(data[at + 4:at + 8], "little") // 4, at + 8)


def main():
    for name in sys.argv[1:] or SIZES:
        a = SIZES[name]
        torch.manual_seed(99)
        with tempfile.TemporaryDirectory() as folder:
            path, _ = build(name, *a, folder)
            voice = Voice(path)
            sid = 2 if a[0] > 1 else None
            want = voice.run(IDS, [0.667, 1.0, 0.8], 5, ["audio"], channels=a[3], sid=sid)[0]["audio"].reshape(-1)
            for flags in KINDS:
                got = ours(path, folder + "/x.wav", 5, sid, flags)
                snr = 10 * np.log10((want ** 2).sum() / ((got - want) ** 2).sum()) if len(got) == len(want) else "other length"
                print(f"{name}: {len(want)} samples, rms {want.std():.3f}, {' '.join(flags) or 'auto'}: {snr if isinstance(snr, str) else round(float(snr), 1)}", flush=True)


if __name__ == "__main__":
    main()
