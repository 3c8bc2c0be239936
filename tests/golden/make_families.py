"""families.safetensors/.json, families_models.json.gz: tiny models of each family through diffusers' pipelines in float32.

Versions: diffusers 0.42.1, transformers 5.23.0, torch 2.15.0. Generator: torch.Generator('cpu').manual_seed(seed) per call.
Command: BOTTEGA_CLIP_BPE=<bpe_simple_vocab_16e6.txt.gz of open_clip_torch 3.3.0> python make_families.py [family ...]
With families named, only their figures are printed and nothing is written.

Weights are made from names, so that no model is committed: value i of tensor t is mean + amp * (u - 1/2) in double, then float32, with
u = (splitmix64(fnv1a64(t) + i) >> 40) / 2^24. amp = sqrt(12) / sqrt(fan in): every layer keeps unit variance. families_models.json.gz
lists names in diffusers, shapes, means and amps, and of which tensors the same checkpoint in one file consists ("ldm": the original code's names; "sdcpp":
stable-diffusion.cpp's). The original names are checked here by diffusers' own converters: they must give the same tensors back.
For each family and sampler, parts are zeroed in turn: "moved" is how far the final latents go (relative L2); the bound is 1e-3.
"""
import gzip
import json
import math
import os
import sys
import tempfile

import numpy as np

from golden_common import HERE, model, save, torch_setup, versions

torch = torch_setup()
import diffusers
from diffusers import (AutoencoderKL, AutoencoderTiny, DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler, PNDMScheduler, StableDiffusionInpaintPipeline,
                       StableDiffusionInstructPix2PixPipeline, StableDiffusionPipeline, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline, UNet2DConditionModel)
from diffusers.loaders import single_file_utils as single
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

diffusers.utils.logging.disable_progress_bar()
SIZE = 32  # of pictures; latents are half as large
M64 = (1 << 64) - 1


def fnv(s):
    h = 0xCBF29CE484222325
    for c in s.encode():
        h = ((h ^ c) * 0x100000001B3) & M64
    return h


def values(name, shape, mean, amp):
    z = np.uint64(fnv(name)) + np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    u = ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float64) / 2**24
    return torch.from_numpy((mean + amp * (u - 0.5)).astype(np.float32).reshape(shape))


def amplitude(name, shape):
    r = math.sqrt(12)
    if len(shape) == 1:
        return (1.0 if "norm" in name and name.endswith("weight") else 0.0), 0.1 * r
    if "embeddings" in name:
        return 0.0, 0.7 * r
    return 0.0, r / math.sqrt(np.prod(shape[1:]))


# ---- names of the original code -------------------------------------------------------------------------------------------
RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}
TOP = {"conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0",
       "add_embedding.linear_2": "label_emb.0.2", "conv_norm_out": "out.0", "conv_out": "out.2"}


def unet_name(n, c):
    layers = c.layers_per_block
    p = n.split(".")
    head, tail = ".".join(p[:-1]), p[-1]
    if head in TOP:
        return f"{TOP[head]}.{tail}"

    def rest(q):
        return [RESNET[q[0]]] + q[1:] if q[0] in RESNET else q
    if p[0] == "mid_block":
        at = 1 if p[1] == "attentions" else 2 * int(p[2])
        return ".".join(["middle_block", str(at)] + rest(p[3:]))
    b = int(p[1])
    if p[0] == "down_blocks":
        if p[2] == "downsamplers":
            return f"input_blocks.{(b + 1) * (layers + 1)}.0.op.{tail}"
        return ".".join([f"input_blocks.{1 + b * (layers + 1) + int(p[3])}", "0" if p[2] == "resnets" else "1"] + rest(p[4:]))
    if p[2] == "upsamplers":
        return f"output_blocks.{b * (layers + 1) + layers}.{2 if 'Cross' in c.up_block_types[b] else 1}.conv.{tail}"
    return ".".join([f"output_blocks.{b * (layers + 1) + int(p[3])}", "0" if p[2] == "resnets" else "1"] + rest(p[4:]))


def vae_name(n, c):
    last = len(c.block_out_channels) - 1
    for i in range(last + 1):
        n = n.replace(f"encoder.down_blocks.{i}.", f"encoder.down.{i}.").replace(f"decoder.up_blocks.{i}.", f"decoder.up.{last - i}.")
    for a, b in ((".resnets.", ".block."), (".downsamplers.0.", ".downsample."), (".upsamplers.0.", ".upsample."), ("mid_block.attentions.0.", "mid.attn_1."), ("group_norm", "norm"), ("to_out.0", "proj_out"),
                 ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("conv_norm_out", "norm_out"), ("conv_shortcut", "nin_shortcut")):
        n = n.replace(a, b)
    return n.replace("mid_block.block.0", "mid.block_1").replace("mid_block.block.1", "mid.block_2")


def open_name(n):
    for a, b in (("text_model.encoder.layers.", "transformer.resblocks."), ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"), (".fc1.", ".c_fc."), (".fc2.", ".c_proj."), (".self_attn.", ".attn."),
                 ("text_model.final_layer_norm.", "ln_final."), ("text_model.embeddings.token_embedding.", "token_embedding."), ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
                 ("text_projection.weight", "text_projection")):
        n = n.replace(a, b)
    return n


def text_rows(state, folder, prefix, sdcpp):
    """An OpenCLIP encoder: [name, operation, sources]; the three projections are one tensor, the last is turned."""
    rows = []
    for n in state:
        if ".k_proj." in n or ".v_proj." in n:
            continue
        src = [f"{folder}/{n}"]
        if ".q_proj." in n:
            src = [f"{folder}/{n.replace('q_proj', x)}" for x in ("q_proj", "k_proj", "v_proj")]
            to = n.replace(".q_proj.", ".in_proj.") if sdcpp else open_name(n).replace("q_proj.", "in_proj_")
            rows.append([prefix + to, "cat", src])
        elif n == "text_projection.weight":
            rows.append([prefix + ("text_model.text_projection" if sdcpp else "text_projection"), "turn", src])
        else:
            rows.append([prefix + (n if sdcpp else open_name(n)), "", src])
    return rows


# ---- models -------------------------------------------------------------------------------------------------------------
def clip(hidden, layers, act, second=False, pad=49407):
    c = CLIPTextConfig(vocab_size=49408, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers, num_attention_heads=max(1, hidden // 64), max_position_embeddings=77, hidden_act=act,
                       projection_dim=hidden, bos_token_id=49406, eos_token_id=49407, pad_token_id=pad)
    return (CLIPTextModelWithProjection if second else CLIPTextModel)(c)


def unet(channels, cross, context, heads, depth=1, linear=False, **kw):
    n = len(channels)
    down = tuple("CrossAttnDownBlock2D" if x else "DownBlock2D" for x in cross)
    up = tuple("CrossAttnUpBlock2D" if x else "UpBlock2D" for x in reversed(cross))
    return UNet2DConditionModel(sample_size=16, block_out_channels=channels, down_block_types=down, up_block_types=up, layers_per_block=1, cross_attention_dim=context, attention_head_dim=heads,
                                transformer_layers_per_block=depth, use_linear_projection=linear, **kw)


def vae(scale):
    return AutoencoderKL(block_out_channels=(32, 64), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, layers_per_block=1, norm_num_groups=32, sample_size=32, scaling_factor=scale)


BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000, steps_offset=1)
ALSO = dict(clip_sample=False, set_alpha_to_one=False)  # keys that the published files have, whatever the class
TEXT = dict(addition_embed_type="text_time", addition_time_embed_dim=256)


def sd1(**kw):
    return dict(text_encoder=clip(32, 2, "quick_gelu"), unet=unet((32, 64), (True, False), 32, 8, **kw), vae=vae(0.18215), scheduler=PNDMScheduler(**BETAS, skip_prk_steps=True))


def sd2(scheduler):
    return dict(text_encoder=clip(128, 2, "gelu", pad=0), unet=unet((64, 128), (True, False), 128, (1, 2), linear=True), vae=vae(0.18215), scheduler=scheduler)


def xl():
    return dict(text_encoder=clip(32, 2, "quick_gelu"), text_encoder_2=clip(64, 3, "gelu", True, pad=0), vae=vae(0.13025), scheduler=EulerDiscreteScheduler(**BETAS, timestep_spacing="leading"),
                unet=unet((32, 64, 128), (False, True, True), 96, (1, 1, 2), (1, 1, 2), True, **TEXT, projection_class_embeddings_input_dim=64 + 6 * 256))


def vega():
    """SDXL with blocks left out: attentions of a level differ in depth, the middle has none (SSD-1B, Vega)."""
    return dict(xl(), unet=unet((32, 64, 64), (False, True, True), 96, (1, 1, 1), (1, (1,), (2,)), True, **TEXT, reverse_transformer_layers_per_block=((2, 3), (2, 1), 1), mid_block_type="UNetMidBlock2D",
                                projection_class_embeddings_input_dim=64 + 6 * 256))


def refiner():
    return dict(text_encoder_2=clip(64, 3, "gelu", True, pad=0), vae=vae(0.13025), scheduler=EulerDiscreteScheduler(**BETAS, timestep_spacing="leading"),
                unet=unet((32, 64, 64), (False, True, False), 64, (1, 1, 1), 2, True, **TEXT, projection_class_embeddings_input_dim=64 + 5 * 256))


FAMILIES = {
    "sd1": lambda: sd1(),
    "sd2": lambda: sd2(DDIMScheduler(**BETAS, prediction_type="v_prediction")),
    "turbo": lambda: sd2(EulerDiscreteScheduler(**BETAS, timestep_spacing="trailing")),
    "lcm": lambda: sd1(time_cond_proj_dim=64),
    "sdxl": xl,
    "vega": vega,
    "refiner": refiner,
    "inpaint": lambda: sd1(in_channels=9),
    "ip2p": lambda: sd1(in_channels=8),
}
XL = ("sdxl", "vega", "refiner")
PIPES = {"sdxl": StableDiffusionXLPipeline, "vega": StableDiffusionXLPipeline, "refiner": StableDiffusionXLImg2ImgPipeline, "inpaint": StableDiffusionInpaintPipeline, "ip2p": StableDiffusionInstructPix2PixPipeline}
ONE_FILE = ("sd1", "sd2", "sdxl", "vega", "refiner", "inpaint")  # of which the script gives the original names too
SCHED = {"DDIM": DDIMScheduler, "Euler": EulerDiscreteScheduler, "DPM++ 2M": DPMSolverMultistepScheduler}
BASE = dict(prompt="a photo of a cat, red hat", negative="blurry", steps=6, cfg=5.0, seed=7)
JOBS = {f: [dict(BASE, sampler=s) for s in SCHED] for f in FAMILIES}
JOBS["turbo"] = [dict(BASE, sampler="Euler", steps=n, cfg=1.0) for n in (1, 4)] + [dict(BASE, sampler="DPM++ 2M", steps=4, cfg=1.0)]
JOBS["sdxl"].append(dict(BASE, sampler="Euler", negative=""))  # zeros
JOBS["vega"] = JOBS["vega"][-1:]
for j in JOBS["refiner"]:
    j.update(strength=0.6)


def fill(parts):
    rows = []
    for folder, m in parts.items():
        for n, p in (m.state_dict().items() if hasattr(m, "state_dict") else ()):
            if n.endswith("position_ids"):
                continue
            if folder.startswith("text_encoder") and not n.startswith("text_"):
                n = "text_model." + n
            mean, amp = amplitude(n, p.shape)
            p.copy_(values(f"{folder}/{n}", tuple(p.shape), mean, amp))
            rows.append([f"{folder}/{n}", list(p.shape), mean, amp])
        if hasattr(m, "eval"):
            m.eval()
    return rows


def state(m):
    return {(n if n.startswith("text_") else "text_model." + n) if hasattr(m.config, "hidden_act") else n: p for n, p in m.state_dict().items() if not n.endswith("position_ids")}


def one_file(family, parts, sdcpp):
    rows = [["model.diffusion_model." + unet_name(n, parts["unet"].config), "", ["unet/" + n]] for n in state(parts["unet"])]
    for n, p in state(parts["vae"]).items():
        rows.append(["first_stage_model." + vae_name(n, parts["vae"].config), "conv" if ".attentions." in n and p.dim() == 2 else "", ["vae/" + n]])
    second = "conditioner.embedders.1.model." if "text_encoder" in parts else "conditioner.embedders.0.model."
    for f in ("text_encoder", "text_encoder_2"):
        if f not in parts:
            continue
        is_open = f == "text_encoder_2" or family == "sd2"
        if sdcpp:
            prefix = "cond_stage_model.1.transformer." if f == "text_encoder_2" else "cond_stage_model.transformer."
        elif family == "sd2":
            prefix = "cond_stage_model.model."
        else:
            prefix = second if f == "text_encoder_2" else "conditioner.embedders.0.transformer." if family in XL else "cond_stage_model.transformer."
        rows += text_rows(state(parts[f]), f, prefix, sdcpp) if is_open else [[prefix + n, "", [f + "/" + n]] for n in state(parts[f])]
    if family == "sd2":  # the layer that SD 2 does not use
        last = "cond_stage_model.transformer.text_model.encoder.layers.1." if sdcpp else "cond_stage_model.model.transformer.resblocks.1."
        rows += [[n.replace(".1.", ".2.") if n.startswith(last) else n, o, s] for n, o, s in rows if n.startswith(last)]
    return rows


def check_names(rows, parts):
    """diffusers' converters make the same tensors of the original names."""
    full = {f + "/" + n: p for f in ("unet", "vae", "text_encoder", "text_encoder_2") if f in parts for n, p in state(parts[f]).items()}
    ops = {"": lambda t: t[0], "conv": lambda t: t[0][:, :, None, None], "turn": lambda t: t[0].T, "cat": torch.cat}
    ckpt = {n: ops[o]([full[x] for x in src]).clone() for n, o, src in rows}
    got = {"unet": single.convert_ldm_unet_checkpoint(dict(ckpt), parts["unet"].config), "vae": single.convert_ldm_vae_checkpoint(dict(ckpt), parts["vae"].config)}
    for f in ("text_encoder", "text_encoder_2"):
        if f in parts:
            keys = [n for n, _, src in rows if src[0].startswith(f + "/")]
            prefix = next(p for p in ("conditioner.embedders.0.transformer.", "cond_stage_model.transformer.", "conditioner.embedders.1.model.", "conditioner.embedders.0.model.", "cond_stage_model.model.") if keys[0].startswith(p))
            sub = {k: ckpt[k] for k in keys}
            got[f] = single.convert_ldm_clip_checkpoint(sub) if "transformer.text" in keys[0] else single.convert_open_clip_checkpoint(parts[f], sub, prefix=prefix)
    for f, st in got.items():
        for n, p in state(parts[f]).items():
            assert torch.equal(st[n], p), (f, n)


def tokenizer(folder, pad):
    lines = gzip.open(model("BOTTEGA_CLIP_BPE"), "rt", encoding="utf-8").read().split("\n")[1:49152 - 256 - 2 + 1]
    bs = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    chars = [chr(b) for b in bs] + [chr(256 + i) for i in range(256 - len(bs))]
    words = chars + [c + "</w>" for c in chars] + ["".join(x.split()) for x in lines] + ["<|startoftext|>", "<|endoftext|>"]
    json.dump({t: i for i, t in enumerate(words)}, open(folder + "/vocab.json", "w"), ensure_ascii=False)
    open(folder + "/merges.txt", "w", encoding="utf-8").write("#version: 0.2\n" + "\n".join(lines) + "\n")
    return CLIPTokenizer(folder + "/vocab.json", folder + "/merges.txt", pad_token=pad, model_max_length=77)


def pipeline(family, parts):
    kw = {k: v for k, v in parts.items() if k != "tiny"}
    with tempfile.TemporaryDirectory() as d:
        if "text_encoder" in parts:
            kw["tokenizer"] = tokenizer(d, "!" if parts["text_encoder"].config.pad_token_id == 0 else "<|endoftext|>")
        if "text_encoder_2" in parts:
            kw["tokenizer_2"] = tokenizer(d, "!")
    if family == "refiner":
        kw.update(text_encoder=None, tokenizer=None, requires_aesthetics_score=True, force_zeros_for_empty_prompt=False)
    if family in XL:
        kw.update(add_watermarker=False)
    else:
        kw.update(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    p = PIPES.get(family, StableDiffusionPipeline)(**kw)
    p.set_progress_bar_config(disable=True)
    return p


y, x = np.mgrid[0:SIZE, 0:SIZE]
INIT = np.stack([x * 8 % 256, y * 8 % 256, (x * y) % 256], -1).astype(np.uint8)  # of image to image
MASK = np.zeros((SIZE, SIZE), np.uint8)
MASK[8:24, 12:28] = 255


def make(family, pipe, base, j, zero_text=False):
    pipe.scheduler = SCHED[j["sampler"]].from_config(base)
    keep = {}

    def cb(_p, i, t, d):
        keep["latents"] = d["latents"].clone()
        return {}
    kw = dict(prompt=j["prompt"], negative_prompt=j["negative"] or None, num_inference_steps=j["steps"], guidance_scale=j["cfg"], generator=torch.Generator("cpu").manual_seed(j["seed"]), output_type="np", callback_on_step_end=cb)
    if family == "refiner":
        kw.update(image=Image.fromarray(INIT), strength=j["strength"])
    elif family == "inpaint":
        kw.update(image=Image.fromarray(INIT), mask_image=Image.fromarray(MASK), height=SIZE, width=SIZE, strength=1.0)
    elif family == "ip2p":
        kw.update(image=Image.fromarray(INIT), image_guidance_scale=1.5)
    else:
        kw.update(height=SIZE, width=SIZE)
    img = pipe(**kw).images[0]
    return (img * 255).round().astype("uint8"), keep["latents"][0]


def zeroed(parts):
    """name -> the tensors that a part's effect passes through"""
    z = {}
    for f in ("text_encoder", "text_encoder_2"):
        if f in parts:
            z[f] = [p for n, p in parts[f].named_parameters() if "embeddings" in n or n.endswith("bias")]
    u = parts["unet"].named_parameters()
    z["cross attention"] = [p for n, p in u if ".attn2.to_out.0." in n]
    z["time embedding"] = list(parts["unet"].time_embedding.linear_2.parameters())
    if parts["unet"].config.addition_embed_type:
        z["added conditioning"] = list(parts["unet"].add_embedding.linear_2.parameters())
    if parts["unet"].config.time_cond_proj_dim:
        z["embedded guidance"] = list(parts["unet"].time_embedding.cond_proj.parameters())
    if parts["unet"].config.in_channels > 4:
        z["further channels"] = [parts["unet"].conv_in.weight[:, 4:]]
    return z


def moved(family, pipe, base, parts, j, want):
    out = {}
    for name, ps in zeroed(parts).items():
        was = [p.clone() for p in ps]
        for p in ps:
            p.zero_()
        _, lat = make(family, pipe, base, j)
        for p, w in zip(ps, was):
            p.copy_(w)
        out[name] = float((lat - want).norm() / want.norm())
        assert out[name] >= 1e-2, (family, name, out[name])
    return out


def configs(family, parts, pipe):
    files = {}
    for f, m in parts.items():
        c = dict(m.config) if f == "scheduler" or not hasattr(m.config, "to_dict") else m.config.to_dict()
        # what the class decides is not written: another class may decide otherwise
        c = {k: v for k, v in c.items() if k not in c.get("_use_default_values", []) and isinstance(v, (int, float, str, bool, list, tuple)) and not (k.startswith("_") and k != "_class_name")}
        if f == "scheduler":
            c.update(_class_name=type(m).__name__, **ALSO)
            files["scheduler/scheduler_config.json"] = c
        else:
            c["_class_name"] = type(m).__name__ if not f.startswith("text") else "CLIPTextModel"
            files[f + "/config.json"] = c
    index = {"_class_name": type(pipe).__name__}
    for f in parts:
        index[f] = ["diffusers", type(parts[f]).__name__]
    for t in ("tokenizer", "tokenizer_2"):
        if getattr(pipe, t, None) is not None:
            index[t] = ["transformers", "CLIPTokenizer"]
            files[t + "/special_tokens_map.json"] = {"pad_token": getattr(pipe, t).pad_token}
    if family in XL:
        index["force_zeros_for_empty_prompt"] = family != "refiner"
        index["requires_aesthetics_score"] = family == "refiner"
    files["model_index.json"] = index
    return files


def main():
    wanted = sys.argv[1:] or list(FAMILIES)
    models, out, side = {}, {"init": INIT, "mask": MASK}, []
    for family in wanted:
        torch.manual_seed(0)
        parts = FAMILIES[family]()
        rows = fill(parts)
        pipe = pipeline(family, parts)
        base = dict(parts["scheduler"].config, **ALSO)
        base["_use_default_values"] = [k for k in base.get("_use_default_values", []) if k not in ALSO]
        entry = {"tensors": rows, "files": configs(family, parts, pipe)}
        if family in ONE_FILE:
            entry["ldm"], entry["sdcpp"] = one_file(family, parts, False), one_file(family, parts, True)
            check_names(entry["ldm"], parts)
        models[family] = entry
        for i, j in enumerate(JOBS[family]):
            img, lat = make(family, pipe, base, j)
            name = f"{family}{i}"
            out[name + ".rgb"], out[name + ".latents"] = img, lat
            side.append(dict(name=name, family=family, **j, moved=moved(family, pipe, base, parts, j, lat)))
            print(name, j["sampler"], "latents", float(lat.std()), "picture", img.mean(), img.std(), {k: round(v, 3) for k, v in side[-1]["moved"].items()})
    if wanted == list(FAMILIES):
        # the tiny autoencoder decodes what sd1 made first
        tiny = AutoencoderTiny(encoder_block_out_channels=(16, 16), decoder_block_out_channels=(16, 16), num_encoder_blocks=(1, 2), num_decoder_blocks=(2, 1))
        models["taesd"] = {"tensors": fill({"vae": tiny})}
        img = (tiny.decode(out["sd10.latents"][None]).sample[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()
        out["taesd.rgb"] = (img * 255).round().astype("uint8")
        print("taesd", img.mean(), img.std())
        save("families", out, {"versions": versions("torch", "diffusers", "transformers", "numpy"), "pictures": side})
        data = json.dumps(models, separators=(",", ":")).encode()
        with open(os.path.join(HERE, "families_models.json.gz"), "wb") as f:
            f.write(gzip.compress(data, 9, mtime=0))
        print(len(data), os.path.getsize(f.name))


if __name__ == "__main__":
    main()
