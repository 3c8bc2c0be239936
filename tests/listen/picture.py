# SPDX-License-Identifier: MIT
"""What a paragraph looks like: docs/speech.png, and its pauses, joins and ends in figures.

    BOTTEGA=build/bottega PYTHON picture.py docs/speech.png      (PYTHON with numpy, scipy and matplotlib 3.11)

A pause is at least 40 ms of 5 ms frames 45 dB under the loudest one. A join is where one sentence's samples end and the
next one's begin, found in the middle of its pause where a voice tells no times; a click there would be a step from
sample to sample that is large beside those of the speech.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
import scipy.io.wavfile
import scipy.signal

BOTTEGA = os.environ.get("BOTTEGA", str(pathlib.Path(__file__).resolve().parent / "../../build/bottega"))
VOICES = ("hibari", "en_US-joe-medium", "kokoro")
TEXT = ("Dr. Brown paid $45.20 on March 3rd, 1984, for the old clock. It was late, cold, and quiet; nobody spoke. "
        "Did anyone see the 12 ships leave the harbour? Not one of them came back.")
FRAME = 0.005


def speak(voice, *flags):
    with tempfile.TemporaryDirectory() as folder:
        command = [BOTTEGA, "speak", TEXT, "-q", "-m", voice, "-o", "x.wav", "--bits", "float", *flags]
        subprocess.run(command, cwd=folder, check=True)
        rate, x = scipy.io.wavfile.read(folder + "/x.wav")
        times = pathlib.Path(folder + "/t.json")
        return rate, x, json.loads(times.read_text()) if times.exists() else None


def levels(rate, x):
    n = int(rate * FRAME)
    frames = x[:len(x) // n * n].reshape(-1, n)
    return 10 * np.log10(np.mean(frames ** 2, 1) + 1e-12)


def pauses(rate, x):
    """[begin, end) in seconds."""
    level = levels(rate, x)
    quiet = np.concatenate([[0], (level < level.max() - 45).astype(int), [0]])
    edges = np.flatnonzero(np.diff(quiet))
    return [(a * FRAME, b * FRAME) for a, b in zip(edges[::2], edges[1::2]) if (b - a) * FRAME >= 0.04]


def step(x, at=None, around=0):
    part = x if at is None else x[max(at - around, 0):at + around]
    return float(np.abs(np.diff(part)).max())


def tell(voice, rate, x, times):
    level, found = levels(rate, x), pauses(rate, x)
    print(f"{voice}: {len(x) / rate:.2f} s, peak {20 * np.log10(np.abs(x).max()):.1f} dBFS, largest step {step(x):.3f}")
    print("  pauses:", ", ".join(f"{a:.2f} s {1000 * (b - a):.0f} ms" for a, b in found))
    print(f"  level in them {np.median([level[int(a / FRAME):int(b / FRAME)].mean() for a, b in found]) - level.max():.0f} dB of the loudest frame")
    if times:
        for s in times["sentences"][1:]:
            at = round(s["begin"] * rate)
            around = next((f"{1000 * (b - a):.0f} ms" for a, b in found if a - 0.01 <= s["begin"] <= b + 0.01), "none")
            print(f"  join at {s['begin']:.2f} s: pause {around}, step {abs(x[at] - x[at - 1]):.5f}, largest within 10 ms {step(x, at, rate // 100):.5f}")
    print(f"  first sample {abs(x[0]):.5f}, last {abs(x[-1]):.5f}; silent for {1000 * found[0][1] if found[0][0] == 0 else 0:.0f} ms before, "
          f"{1000 * (len(x) / rate - found[-1][0]) if found[-1][1] >= len(x) / rate - 0.01 else 0:.0f} ms after")


def main(path):
    figure, axes = plt.subplots(len(VOICES), 1, figsize=(9, 6.6), dpi=90, sharex=True)
    for axis, voice in zip(axes, VOICES):
        try:
            rate, x, times = speak(voice, "--timings", "t.json")
        except subprocess.CalledProcessError:
            rate, x, times = speak(voice)
        tell(voice, rate, x, times)
        f, t, s = scipy.signal.spectrogram(x, rate, "hann", 512, 384)
        db = 10 * np.log10(s + 1e-14)
        axis.imshow(db[f <= 10000], origin="lower", aspect="auto", cmap="gray_r", vmin=db.max() - 75, vmax=db.max() - 5,
                    extent=(t[0], t[-1], 0, 10))
        axis.set_title(f"{voice}, {rate / 1000:g} kHz", fontsize=9, loc="left", pad=2)
        axis.set_ylabel("kHz", fontsize=8)
        axis.tick_params(labelsize=7)
        for s in times["sentences"][1:] if times else []:
            axis.axvline(s["begin"], color="tab:red", lw=0.7)
    axes[-1].set_xlabel("s", fontsize=8)
    figure.tight_layout(pad=0.5)
    figure.canvas.draw()
    picture = PIL.Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    picture.quantize(24, dither=PIL.Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1])
