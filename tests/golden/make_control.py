"""control.safetensors/.json, control_models.json.gz: tiny ControlNets beside the tiny models of make_families.py, through diffusers in float32; edges by OpenCV.

Versions: diffusers 0.42.1, transformers 5.23.0, torch 2.15.0, opencv-python-headless 5.0.0. Generator: torch.Generator('cpu').manual_seed(seed) per call.
Command: BOTTEGA_CLIP_BPE=<bpe_simple_vocab_16e6.txt.gz of open_clip_torch 3.3.0> python make_control.py

Weights are made from names as make_families.py says; names of a ControlNet begin with the net's own ("a/", "b/") there, not in its file. The "zero" convolutions
are not zero: each residual has as much variance as what it is added to. control_models.json.gz lists for each net the tensors, the settings, and of what the same
file in the original names consists; those names are checked by diffusers' own converter, which must give the same tensors back.
"moved" is how far the final latents go when a picture's controls have weight 0 (relative L2); the bound is 1e-3. Pictures that a control reads have the size
that is made, but one ("resized"), which PIL brings there.
Edges: cv2.Canny with its defaults (aperture 3, |dx| + |dy|), of colours and of grey.
"""
import gzip
import json
import os

import cv2
import numpy as np
from diffusers import (ControlNetModel, StableDiffusionControlNetImg2ImgPipeline, StableDiffusionControlNetInpaintPipeline, StableDiffusionControlNetPipeline,
                       StableDiffusionXLControlNetPipeline)
from PIL import Image

import make_families as fam
from golden_common import HERE, save, versions
from make_families import SCHED, SIZE, amplitude, fill, pipeline, torch, unet_name, values

PIPES = {"sdxl": StableDiffusionXLControlNetPipeline, "inpaint": StableDiffusionControlNetInpaintPipeline}
NETS = {"sd1": ("a", "b"), "sd2": ("a",), "sdxl": ("a", "b"), "inpaint": ("a",)}  # an inpainting model's is that of sd1
BASE = dict(prompt="a photo of a cat, red hat", negative="blurry", steps=6, cfg=5.0, seed=7)


def net(name, weight=1.0, start=0.0, end=1.0, picture="edges"):
    return dict(net=name, weight=weight, start=start, end=end, picture=picture)


JOBS = [
    dict(BASE, family="sd1", sampler="DDIM", controls=[net("a")]),
    dict(BASE, family="sd1", sampler="DPM++ 2M", controls=[net("a", 0.7, 0.2, 0.6, "depth")]),
    dict(BASE, family="sd1", sampler="Euler", controls=[net("a", 0.8, 0.0, 0.5), net("b", -0.5, 0.3, 1.0, "depth")]),
    dict(BASE, family="sd1", sampler="Euler", controls=[net("b", picture="resized")]),
    dict(BASE, family="sd1", sampler="DDIM", strength=0.7, controls=[net("b", 1.0, 0.25, 1.0)]),
    dict(BASE, family="sd2", sampler="DDIM", controls=[net("a")]),
    dict(BASE, family="sdxl", sampler="Euler", controls=[net("a")]),
    dict(BASE, family="sdxl", sampler="DPM++ 2M", controls=[net("b", 0.6), net("a", 0.9, 0.0, 0.5, "depth")]),
    dict(BASE, family="inpaint", sampler="DDIM", controls=[net("a")]),
]

# ---- pictures -----------------------------------------------------------------------------------------------------------
rng = np.random.default_rng(11)
y, x = np.mgrid[0:SIZE, 0:SIZE]
EDGES = np.repeat((255 * ((np.abs((x - 15.5) ** 2 + (y - 15.5) ** 2 - 100) < 25) | (np.abs(x - y) < 2)))[..., None], 3, 2).astype(np.uint8)
DEPTH = np.stack([x * 8, 255 - x * 8, y * 8], -1).astype(np.uint8)
RESIZED = cv2.GaussianBlur(rng.integers(0, 256, (40, 48, 3), dtype=np.uint8), (0, 0), 3)
RESIZED = np.clip((RESIZED.astype(int) - 128) * 5 + 128, 0, 255).astype(np.uint8)
PICTURES = {"edges": EDGES, "depth": DEPTH, "resized": RESIZED}

yy, xx = np.mgrid[0:45, 0:64]
shapes = np.zeros((45, 64, 3), np.uint8)
shapes[5:30, 8:33] = (200, 40, 90)
shapes[(xx - 44) ** 2 + (yy - 24) ** 2 < 180] = (30, 160, 220)
shapes[(xx + 2 * yy > 120) & (xx > 30)] += 35
smooth = np.clip((cv2.GaussianBlur(rng.integers(0, 256, (45, 64, 3), dtype=np.uint8), (0, 0), 1.5).astype(int) - 128) * 3 + 128, 0, 255).astype(np.uint8)
CANNY = {"shapes": (shapes, 100, 200), "smooth": (smooth, 100, 200), "smooth_low": (smooth, 60, 150), "noise": (rng.integers(0, 256, (23, 31, 3), dtype=np.uint8), 100, 200),
         "noise_all": (rng.integers(0, 256, (23, 31, 3), dtype=np.uint8), 0, 0), "grey": (cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY), 100, 200), "line": (smooth[:1, :40], 30, 60),
         "column": (smooth[:, :1], 30, 60), "fraction": (smooth, 99.5, 180.5)}


# ---- networks -----------------------------------------------------------------------------------------------------------
def control_name(n, c):
    p = n.split(".")
    if p[0] == "controlnet_cond_embedding":
        last = 4 * len(c.conditioning_embedding_out_channels) - 2
        at = 0 if p[1] == "conv_in" else last if p[1] == "conv_out" else 2 * int(p[2]) + 2
        return f"input_hint_block.{at}.{p[-1]}"
    if p[0] == "controlnet_down_blocks":
        return f"zero_convs.{p[1]}.0.{p[-1]}"
    if p[0] == "controlnet_mid_block":
        return f"middle_block_out.0.{p[-1]}"
    return unet_name(n, c)


class Unlike:
    """A ControlNet's settings with what unet_name asks for besides."""

    def __init__(self, c):
        self.__dict__.update(dict(c), up_block_types=())


def make_net(unet, name):
    m = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(16, 32), load_weights_from_unet=False).eval()
    rows = []
    for n, p in m.state_dict().items():
        mean, amp = amplitude(n, p.shape)
        p.copy_(values(f"{name}/{n}", tuple(p.shape), mean, amp))
        rows.append([f"{name}/{n}", list(p.shape), mean, amp])
    old = {n: "control_model." + control_name(n, Unlike(m.config)) for n in m.state_dict()}
    assert len(set(old.values())) == len(old)
    check(m, {o: m.state_dict()[n] for n, o in old.items()})
    c = {k: v for k, v in m.config.items() if k not in m.config.get("_use_default_values", []) and isinstance(v, (int, float, str, bool, list, tuple)) and not k.startswith("_")}
    return m, {"tensors": rows, "ldm": [[o, "", [f"{name}/{n}"]] for n, o in old.items()], "config": dict(c, _class_name="ControlNetModel")}


def check(m, state):
    """diffusers' converter makes the same of the original names; it knows the published hint block alone, and no SDXL."""
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint
    last = max(int(n.split(".")[2]) for n in state if ".input_hint_block." in n)
    got = convert_controlnet_checkpoint({n.replace(f"input_hint_block.{last}.", "input_hint_block.14."): v for n, v in state.items()}, m.config)
    for n, v in m.state_dict().items():
        assert n.startswith("add_embedding.") or torch.equal(got[n], v), n


def controlled(family, pipe, nets, job):
    kw = dict(pipe.components, controlnet=nets[0] if len(nets) == 1 else nets)
    kw.update(dict(add_watermarker=False) if family == "sdxl" else dict(requires_safety_checker=False))
    p = (StableDiffusionControlNetImg2ImgPipeline if "strength" in job else PIPES.get(family, StableDiffusionControlNetPipeline))(**kw)
    p.set_progress_bar_config(disable=True)
    return p


def make(family, pipe, base, nets, j, scale=1.0):
    keep = {}

    def cb(_p, i, t, d):
        keep["latents"] = d["latents"].clone()
        return {}
    p = controlled(family, pipe, [nets[c["net"]] for c in j["controls"]], j)
    p.scheduler = SCHED[j["sampler"]].from_config(base)
    one = len(j["controls"]) == 1
    pick = lambda v: v[0] if one else v
    images = pick([Image.fromarray(PICTURES[c["picture"]]) for c in j["controls"]])
    kw = dict(prompt=j["prompt"], negative_prompt=j["negative"], num_inference_steps=j["steps"], guidance_scale=j["cfg"], generator=torch.Generator("cpu").manual_seed(j["seed"]), output_type="np",
              callback_on_step_end=cb, height=SIZE, width=SIZE, controlnet_conditioning_scale=pick([c["weight"] * scale for c in j["controls"]]),
              control_guidance_start=[c["start"] for c in j["controls"]], control_guidance_end=[c["end"] for c in j["controls"]])
    if family == "inpaint":
        kw.update(image=Image.fromarray(fam.INIT), mask_image=Image.fromarray(fam.MASK), control_image=images, strength=1.0)
    elif "strength" in j:
        kw.update(image=Image.fromarray(fam.INIT), control_image=images, strength=j["strength"])
    else:
        kw.update(image=images)
    img = p(**kw).images[0]
    return (img * 255).round().astype("uint8"), keep["latents"][0]


def main():
    models, out, side = {}, dict(PICTURES), []
    for family, names in NETS.items():
        torch.manual_seed(0)
        parts = fam.FAMILIES[family]()
        fill(parts)
        pipe = pipeline(family, parts)
        base = dict(parts["scheduler"].config, **fam.ALSO)
        base["_use_default_values"] = [k for k in base.get("_use_default_values", []) if k not in fam.ALSO]
        nets = {}
        like = fam.FAMILIES["sd1"]()["unet"] if family == "inpaint" else parts["unet"]
        for n in names:
            nets[n], entry = make_net(like, n)
            if family != "inpaint":
                models[f"{family}.{n}"] = entry
        for i, j in enumerate(JOBS):
            if j["family"] != family:
                continue
            img, lat = make(family, pipe, base, nets, j)
            moved = float((make(family, pipe, base, nets, j, 0.0)[1] - lat).norm() / lat.norm())
            assert moved >= 1e-2, (i, moved)
            out[f"{i}.rgb"], out[f"{i}.latents"] = img, lat
            side.append(dict(name=str(i), **j, moved=moved))
            print(i, family, j["sampler"], "latents", float(lat.std()), "picture", img.mean(), img.std(), "moved", round(moved, 3))
    edges = []
    for n, (img, low, high) in CANNY.items():
        img = np.ascontiguousarray(img)
        out[f"canny.{n}"], out[f"canny.{n}.edges"] = img, cv2.Canny(img, low, high)
        edges.append(dict(name=n, low=low, high=high, found=int((out[f"canny.{n}.edges"] > 0).sum())))
        print(edges[-1])
    save("control", out, {"versions": dict(versions("torch", "diffusers", "transformers", "numpy"), cv2=cv2.__version__), "pictures": side, "canny": edges})
    data = json.dumps(models, separators=(",", ":")).encode()
    with open(os.path.join(HERE, "control_models.json.gz"), "wb") as f:
        f.write(gzip.compress(data, 9, mtime=0))
    print(len(data), os.path.getsize(f.name))


if __name__ == "__main__":
    main()
