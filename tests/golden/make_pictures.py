"""pictures.safetensors/.json: whole pictures by diffusers' StableDiffusionPipeline in float32 on the CPU.

Versions: diffusers 0.42.1, transformers 5.23.0, torch 2.15.0. Generator: torch.Generator('cpu').manual_seed(seed) per call.
Command: BOTTEGA_ICONS=<folder icons-128> [BOTTEGA_GOLDEN_DEBUG=<folder for a PNG sheet>] python make_pictures.py
Second use: BOTTEGA_ICONS=tests/golden/tiny-sd GOLDEN_NAME=tiny_sd_pictures (see make_tiny_sd.py).
"""
import os

import numpy as np

from golden_common import debug_dir, model, save, torch_setup, versions

torch = torch_setup()
from diffusers import (DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline)
from PIL import Image

M = model("BOTTEGA_ICONS")
NAME = os.environ.get("GOLDEN_NAME", "pictures")
TINY = NAME != "pictures"
pipe = StableDiffusionPipeline.from_pretrained(M, torch_dtype=torch.float32, safety_checker=None)
pipe.set_progress_bar_config(disable=True)
SCHED = {"ddim": DDIMScheduler, "euler": EulerDiscreteScheduler, "euler_a": EulerAncestralDiscreteScheduler, "dpmpp_2m": DPMSolverMultistepScheduler}
BASE = dict(pipe.scheduler.config)


def make(sampler, prompt, seed, steps, cfg, negative="", spacing=None, p=None, **kw):
    p = p or pipe
    p.scheduler = SCHED[sampler].from_config(BASE, **({"timestep_spacing": spacing} if spacing else {}))
    keep = {}

    def cb(_p, i, t, d):
        keep["latents"] = d["latents"].clone()
        return d
    r = p(prompt, num_inference_steps=steps, guidance_scale=cfg, negative_prompt=negative or None, generator=torch.Generator("cpu").manual_seed(seed), output_type="np", callback_on_step_end=cb, **kw)
    lat = keep["latents"]
    img = r.images[0]
    return (img * 255).round().astype("uint8"), lat[0]  # numpy_to_pil's rounding


if TINY:
    jobs = [dict(prompt=q, sampler=s, seed=5, steps=8, cfg=4.0) for q in ["a red cat", ""] for s in ("ddim", "euler", "euler_a", "dpmpp_2m")]
    jobs.append(dict(prompt="a red cat", sampler="dpmpp_2m", seed=5, steps=20, cfg=7.5, negative="blue dog"))
    jobs += [dict(prompt="a red cat", sampler=s, seed=5, steps=8, cfg=4.0, spacing="leading") for s in ("euler", "dpmpp_2m")]
else:
    P = [("red apple", 1, "euler"), ("rocket", 11, "euler_a"), ("sleeping face", 3, "euler"), ("grinning cat, 3d style", 21, "euler_a"), ("sunflower, noto style, on a blue background", 5, "euler")]
    jobs = []
    for q, seed, e in P:
        jobs += [dict(prompt=q, sampler="ddim", seed=seed, steps=20, cfg=4.0), dict(prompt=q, sampler=e, seed=seed, steps=15, cfg=4.0), dict(prompt=q, sampler="dpmpp_2m", seed=seed, steps=12, cfg=4.0)]
    jobs += [dict(prompt="pizza", sampler="ddim", seed=s, steps=10, cfg=4.0) for s in (100, 101, 102)]  # a batch of seeds, each made alone
    jobs.append(dict(prompt="red apple", sampler="dpmpp_2m", seed=1, steps=16, cfg=4.0, negative="green apple"))
    jobs.append(dict(prompt="red apple", sampler="ddim", seed=1, steps=10, cfg=1.0))
    jobs.append(dict(prompt="red heart", sampler="dpmpp_2m", seed=8, steps=12, cfg=4.0, width=192, height=64))
out, side = {}, []
for j in jobs:
    kw = {k: v for k, v in j.items()}
    img, lat = make(kw.pop("sampler"), kw.pop("prompt"), kw.pop("seed"), kw.pop("steps"), kw.pop("cfg"), **kw)
    k = f"{len(side):02d}"
    out[f"picture{k}.rgb"], out[f"picture{k}.latents"] = img, lat
    side.append(dict(name=f"picture{k}", **j))
    print(side[-1], img.shape, img.mean())
# image to image: the first picture is the start
i2i = StableDiffusionImg2ImgPipeline(**{k: v for k, v in pipe.components.items() if k in ("vae", "text_encoder", "tokenizer", "unet", "scheduler", "safety_checker", "feature_extractor", "image_encoder")}, requires_safety_checker=False)
i2i.set_progress_bar_config(disable=True)
for sampler, strength in (("ddim", 0.6), ("euler", 0.6), ("dpmpp_2m", 0.5)):
    j = dict(prompt="a red cat" if TINY else "green apple", sampler=sampler, seed=9, steps=10, cfg=4.0, strength=strength, init="picture00")
    img, lat = make(sampler, j["prompt"], 9, 10, 4.0, p=i2i, image=Image.fromarray(out["picture00.rgb"]), strength=strength)
    k = f"{len(side):02d}"
    out[f"picture{k}.rgb"], out[f"picture{k}.latents"] = img, lat
    side.append(dict(name=f"picture{k}", **j))
    print(side[-1], img.shape, img.mean())
save(NAME, out, {"versions": versions("torch", "diffusers", "transformers", "numpy"), "pictures": side,
                 "notes": "latents: the final scaled latents [C,h,w]; the decoder's input is latents / scaling_factor. rgb = round(clip(decoded / 2 + 0.5, 0, 1) * 255), ties to even. The negative prompt is the empty text if not given; with cfg 1.0 the network runs once per step, without the empty prompt."})
if debug_dir():
    big = [np.array(Image.fromarray(out[s["name"] + ".rgb"]).resize((128, 128))) for s in side]
    while len(big) % 6:
        big.append(np.full_like(big[0], 255))
    Image.fromarray(np.concatenate([np.concatenate(big[i:i + 6], 1) for i in range(0, len(big), 6)], 0)).save(os.path.join(debug_dir(), NAME + ".png"))
