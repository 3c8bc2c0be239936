# SPDX-License-Identifier: MIT
"""hires.safetensors/.json: A1111's hires fix out of diffusers' parts, on tiny-sd, float32 on the CPU.

Versions: diffusers 0.42.1, transformers 5.23.0, torch 2.15.0. Generator: torch.Generator('cpu').manual_seed(seed) for each pass.
Command: BOTTEGA_ICONS=tests/golden/tiny-sd python make_hires.py
Text to latent at 64x64, torch's bilinear interpolation, then the last 4 steps of a grid of int(4 / strength) at 96x96.
"""
from golden_common import model, save, torch_setup, versions

torch = torch_setup()
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline

pipe = StableDiffusionPipeline.from_pretrained(model("BOTTEGA_ICONS"), torch_dtype=torch.float32, safety_checker=None)
parts = ("vae", "text_encoder", "tokenizer", "unet", "scheduler", "safety_checker", "feature_extractor", "image_encoder")
second = StableDiffusionImg2ImgPipeline(**{k: v for k, v in pipe.components.items() if k in parts}, requires_safety_checker=False)
pipe.set_progress_bar_config(disable=True)
second.set_progress_bar_config(disable=True)
SCHED = {"ddim": DDIMScheduler, "euler": EulerDiscreteScheduler, "dpmpp_2m": DPMSolverMultistepScheduler}
BASE = dict(pipe.scheduler.config)
out, side = {}, []
for sampler, strength in [("ddim", 0.5), ("euler", 0.7), ("dpmpp_2m", 0.5)]:
    pipe.scheduler = SCHED[sampler].from_config(BASE)
    first = pipe("a red cat", width=64, height=64, num_inference_steps=6, guidance_scale=4.0, generator=torch.Generator("cpu").manual_seed(5), output_type="latent").images
    second.scheduler = SCHED[sampler].from_config(BASE)
    big = torch.nn.functional.interpolate(first, scale_factor=1.5, mode="bilinear", antialias=False)
    total = int(4 / strength)
    r = second("a red cat", image=big, num_inference_steps=total, strength=(4 + 1e-6) / total, guidance_scale=4.0, generator=torch.Generator("cpu").manual_seed(5), output_type="np")
    name = f"picture{len(side):02d}"
    out[name + ".rgb"] = (r.images[0] * 255).round().astype("uint8")
    side.append(dict(name=name, sampler=sampler, strength=strength))
    print(side[-1], out[name + ".rgb"].shape, out[name + ".rgb"].mean())
save("hires", out, {"versions": versions("torch", "diffusers", "transformers", "numpy"), "pictures": side})
