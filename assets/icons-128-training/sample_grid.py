#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sample prompts with diffusers and write a labelled sheet.

Reads   export/, or another folder with --model
Writes  grid.png
"""
import argparse
import time

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from PIL import Image, ImageDraw

from common import ROOT, SIZE

PROMPTS = [
    "red apple", "a cat face, flat style, on a blue background", "rocket", "a dog face", "pizza",
    "red heart", "sunflower", "tree", "car", "airplane on a yellow background", "house",
    "birthday cake", "smiling face with sunglasses", "robot on a purple background",
    "ghost on a black background", "frog", "guitar", "crown on a green background",
    "panda, 3d style", "hamburger, 3d style, on a pink background", "strawberry, noto style",
    "butterfly", "sailboat, noto style", "octopus on an orange background",
]
BATCH = 12
COLUMNS = 6
CELL = (168, 170)  # pixels
LABEL = 27  # characters per line, two lines


def sample(pipe, prompts, args):
    """One picture per prompt; the seed of each depends on its place in the list."""
    images = []
    for i in range(0, len(prompts), BATCH):
        part = prompts[i:i + BATCH]
        generators = [torch.Generator("cpu").manual_seed(args.seed * 1000 + i + j)
                      for j in range(len(part))]
        images += pipe(part, num_inference_steps=args.steps, guidance_scale=args.cfg,
                       height=SIZE, width=SIZE, generator=generators).images
    return images


def sheet(images, labels):
    rows = (len(images) + COLUMNS - 1) // COLUMNS
    picture = Image.new("RGB", (COLUMNS * CELL[0], rows * CELL[1]), (225, 225, 225))
    draw = ImageDraw.Draw(picture)
    for i, (image, label) in enumerate(zip(images, labels)):
        x, y = (i % COLUMNS) * CELL[0], (i // COLUMNS) * CELL[1]
        picture.paste(image, (x + 20, y + 4))
        draw.text((x + 3, y + 134), label[:LABEL], fill=(0, 0, 0))
        draw.text((x + 3, y + 148), label[LABEL:2 * LABEL], fill=(0, 0, 0))
    return picture


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                 formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    ap.add_argument("--model", default=str(ROOT / "export"), help="diffusers folder")
    ap.add_argument("--out", default="grid.png")
    ap.add_argument("--steps", type=int, default=20)
    ap.add_argument("--cfg", type=float, default=4.0, help="guidance scale")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--sampler", choices=("ddim", "dpm"), default="ddim", help="dpm: DPM++ 2M")
    ap.add_argument("--device", default="cpu", help="cpu or cuda")
    ap.add_argument("--prompts", default="|".join(PROMPTS), help="separated by '|'")
    args = ap.parse_args()
    torch.set_num_threads(1)
    pipe = StableDiffusionPipeline.from_pretrained(args.model, torch_dtype=torch.float32,
                                                   safety_checker=None).to(args.device)
    pipe.set_progress_bar_config(disable=True)
    if args.sampler == "dpm":
        pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
    prompts = args.prompts.split("|")
    start = time.time()
    images = sample(pipe, prompts, args)
    print(f"{(time.time() - start) / len(prompts):.2f} s/image")
    sheet(images, prompts).save(args.out)


if __name__ == "__main__":
    main()
