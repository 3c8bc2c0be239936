# SPDX-License-Identifier: MIT
"""How our time grows with the work, beside the growth of the work itself; draws docs/growth.svg.

usage: grow.py [--what image,text,speech] [--threads N] [--isa ISA]
Work: UNet, 0.677 TFLOP a 64x64 latent in convolutions and linears (grows with the area) and 0.126 in attention (with its
square); prompt of the random 1.1B, 2.2 GFLOP a token and 88 kFLOP a pair of tokens; speech, the length of the sound.
The dashed line is the work, laid through the first point: a step that is worse than its operation's complexity would
bend our line away from it upwards.
"""
import json
import math
import os

import common

KEPT = common.ROOT + "/growth.json"


def image(args):
    for side in (32, 64, 96, 128):
        area = (side / 64) ** 2
        pixels = str(side * 8)
        r = common.bench(common.sd15(), args.threads, args.isa, "-W", pixels, "-H", pixels, "--steps", "2")
        yield side * side, r["unet_s"], 0.677 * area + 0.126 * area ** 2


def text(args):
    for n in (128, 256, 512, 1024, 2048, 4096, 8000):
        r = common.bench(common.llama("Q4_0"), args.threads, args.isa, "-p", str(n), "-n", "0")
        yield n, n / r["prompt_tps"], 2.2e9 * n + 88e3 * n * n


def speech(args):
    sentences = common.TEXTS["30 s"].split(". ")
    for n in (1, 2, 4, 8, 16, 32):
        said = ". ".join((sentences * 6)[:n]) + "."
        r = common.bench(common.VOICE, args.threads, args.isa, "--text", said)
        yield len(said), r["rtf"], 1


TITLES = {"image": ("UNet forward, s, by latent area", image), "text": ("prompt, 1.1B Q4_0, s, by tokens", text),
          "speech": ("speech, real-time factor, by characters", speech)}


def panel(points, title, left):
    """One log-log plot of 220x180 at x = left."""
    work = [points[0][1] * p[2] / points[0][2] for p in points]
    xs, ys = [math.log(p[0]) for p in points], [math.log(v) for v in [p[1] for p in points] + work]
    low, high = min(ys) - 0.2, max(ys) + 0.2

    def at(x, y):
        return f"{left + 40 + 160 * (math.log(x) - xs[0]) / (xs[-1] - xs[0]):.1f},{170 - 130 * (math.log(y) - low) / (high - low):.1f}"

    def line(values, style):
        return f'<polyline fill="none" {style} points="{" ".join(at(p[0], v) for p, v in zip(points, values))}"/>'

    out = [f'<text x="{left + 20}" y="20">{title}</text>', line(work, 'stroke="#999" stroke-dasharray="4 3"'), line([p[1] for p in points], 'stroke="#06c"')]
    for x, y, _ in points:
        px, py = at(x, y).split(",")
        out.append(f'<circle cx="{px}" cy="{py}" r="2.5" fill="#06c"/><text x="{px}" y="185" text-anchor="middle">{x}</text>')
        out.append(f'<text x="{px}" y="{float(py) - 6:.1f}" text-anchor="middle">{y:.3g}</text>')
    return "\n".join(out)


def main():
    args = common.arguments(what="image, text, speech; all unless said")
    kept = {}
    if os.path.exists(KEPT):  # panels can be measured one at a time
        with open(KEPT) as f:
            kept = json.load(f)
    for name in (args.what or "image,text,speech").split(","):
        kept[name] = list(TITLES[name][1](args))
        for x, y, w in kept[name]:
            print(f"{name:8} {x:8} {y:10.4g}  against the work {y / w / (kept[name][0][1] / kept[name][0][2]):.2f}", flush=True)
        with open(KEPT, "w") as f:
            json.dump(kept, f)
    panels = [panel(kept[name], TITLES[name][0], 230 * i) for i, name in enumerate(TITLES) if name in kept]
    with open(common.TREE + "/docs/growth.svg", "w") as f:
        f.write('<svg xmlns="http://www.w3.org/2000/svg" width="700" height="195" font-family="sans-serif" font-size="9">\n'
                '<rect width="700" height="195" fill="#fff"/>\n' + "\n".join(panels) + "\n</svg>\n")


if __name__ == "__main__":
    main()
