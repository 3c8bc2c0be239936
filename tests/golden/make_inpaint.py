# SPDX-License-Identifier: MIT
"""inpaint.safetensors/.json: StableDiffusionInpaintPipeline on tiny-sd (a UNet of 4 channels), float32 on the CPU.

Versions: diffusers 0.42.1, transformers 5.23.0, torch 2.15.0. Generator: torch.Generator('cpu').manual_seed(seed) per call.
Command: BOTTEGA_ICONS=tests/golden/tiny-sd python make_inpaint.py
The first picture is 64x64, red 4x, green 4y, blue 0; the mask is white where x >= 24 and y < 40. rgb: the result where the
mask is white, the first picture elsewhere.
"""
import numpy as np

from golden_common import model, save, torch_setup, versions

torch = torch_setup()
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, StableDiffusionInpaintPipeline
from PIL import Image

S = 64
y, x = np.mgrid[:S, :S]
first = np.stack([4 * x, 4 * y, 0 * x], -1).astype("uint8")
mask = (x >= 24) & (y < 40)
pipe = StableDiffusionInpaintPipeline.from_pretrained(model("BOTTEGA_ICONS"), torch_dtype=torch.float32, safety_checker=None)
pipe.set_progress_bar_config(disable=True)
SCHED = {"ddim": DDIMScheduler, "euler": EulerDiscreteScheduler, "euler_a": EulerAncestralDiscreteScheduler, "dpmpp_2m": DPMSolverMultistepScheduler}
BASE = dict(pipe.scheduler.config)
out, side = {}, []
for sampler, strength in [("ddim", 0.6), ("ddim", 1.0), ("euler", 0.8), ("euler", 1.0), ("euler_a", 0.8), ("dpmpp_2m", 0.5)]:
    pipe.scheduler = SCHED[sampler].from_config(BASE)
    r = pipe("a red cat", image=Image.fromarray(first), mask_image=Image.fromarray((mask * 255).astype("uint8")), width=S, height=S, strength=strength,
             num_inference_steps=8, guidance_scale=4.0, generator=torch.Generator("cpu").manual_seed(5), output_type="np")
    made = (r.images[0] * 255).round().astype("uint8")
    name = f"picture{len(side):02d}"
    out[name + ".rgb"] = np.where(mask[..., None], made, first)
    side.append(dict(name=name, prompt="a red cat", sampler=sampler, seed=5, steps=8, cfg=4.0, strength=strength))
    print(side[-1], made[mask].mean(), abs(made.astype(int) - first)[~mask].mean())
save("inpaint", out, {"versions": versions("torch", "diffusers", "transformers", "numpy"), "pictures": side})
