"""lora.safetensors/.json: LoRAs of every form and learned words on tiny-sd/, through diffusers and PEFT in float32.

Versions: diffusers 0.42.1, peft 0.21.2, transformers 5.23.0, torch 2.15.0. Generator: torch.Generator('cpu').manual_seed(seed) per call.
Command: BOTTEGA_CLIP_BPE=<bpe_simple_vocab_16e6.txt.gz of open_clip_torch 3.3.0> python make_lora.py

Files are made from names, so that none is committed: value i of tensor t is mean + amp * (u - 1/2) in double, then float32, with
u = (splitmix64(fnv1a64(t) + i) >> 40) / 2^24. lora.json lists each file's tensors: name, shape, mean, amp.
Pictures: every one by diffusers with the file loaded by its own readers (load_lora_weights, load_textual_inversion), where they read the
form; else ("by": "formulas") with weights merged here by the formulas of the LyCORIS paper (arXiv 2309.14859) and its code's shapes. Where
diffusers reads the form, both must agree. "moved" is how far the final latents go from those without (relative L2); the bound is 1e-3.
Tensors: merged weights by the formulas, one linear layer and one convolution of each form,
the first 4 outputs. The last two pictures are on the tiny SDXL of make_families.py (families_models.json.gz).
"""
import gzip
import json
import os
import re
import tempfile

import numpy as np

from golden_common import HERE, model, save, torch_setup, versions

torch = torch_setup()
import diffusers
from diffusers import AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

diffusers.utils.logging.set_verbosity_error()
TINY = os.path.join(HERE, "tiny-sd")
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
    return torch.from_numpy(np.asarray(mean + amp * (u - 0.5)).astype(np.float32).reshape(shape))


class File:
    def __init__(self, metadata=None):
        self.rows, self.metadata = [], metadata or {}

    def add(self, name, shape, amp, mean=0.0):
        self.rows.append([name, list(shape), round(float(mean), 4), round(float(amp), 4)])

    def state(self):
        return {n: values(n, s, m, a) for n, s, m, a in self.rows}


def fresh():
    p = StableDiffusionPipeline.from_pretrained(TINY, torch_dtype=torch.float32, safety_checker=None)
    p.set_progress_bar_config(disable=True)
    p.scheduler = DDIMScheduler.from_config(p.scheduler.config)
    return p


base = fresh()
UNET = {n[:-7]: v.shape for n, v in base.unet.state_dict().items() if n.endswith(".weight") and v.dim() >= 2}
TEXT = {n[:-7]: v.shape for n, v in base.text_encoder.state_dict().items() if n.endswith(".weight") and v.dim() >= 2 and "embedding" not in n}
tname = lambda n: n if n.startswith("text_model.") else "text_model." + n
LINEAR, CONV = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k", "down_blocks.1.resnets.0.conv1"
ATTN = [n for n in UNET if re.search(r"attentions.*(to_[qkv]|to_out\.0|ff\.net|proj_)", n)]
CONVS = [n for n in UNET if re.search(r"resnets.*(conv1|conv2|time_emb_proj|shortcut)|samplers", n)]
T = [n for n in TEXT if re.search(r"q_proj|out_proj|fc", n)]
KOHYA = lambda n: "lora_unet_" + n.replace(".", "_")
KOHYA_T = lambda n: "lora_te_" + tname(n).replace(".", "_")
R = 3


def fan(n):
    return float(n) ** -0.5 * 12 ** 0.5


def lora(f, stem, shape, down, up, alpha, ups="", mid=None):
    """Every change has about 0.4 of a layer's unit gain; ups: what stands for a convolution's up, [out, r, 1, 1] or [out, r]."""
    out, inn, k = shape[0], shape[1], list(shape[2:])
    if mid:
        f.add(stem + down, [R, inn] + [1] * len(k), fan(inn))
        f.add(stem + mid, [R, R] + k, fan(R * np.prod(k)))
    else:
        f.add(stem + down, [R, inn] + k, fan(np.prod(shape[1:])))
    f.add(stem + up, [out, R] + [1] * len(k), fan(R) * 0.8)
    if alpha:
        f.add(stem + ".alpha", [], 0, alpha)


files = {}
f = files["kohya"] = File()
for n in ATTN + CONVS:
    lora(f, KOHYA(n), UNET[n], ".lora_down.weight", ".lora_up.weight", 1.5)
for n in T:
    lora(f, KOHYA_T(n), TEXT[n], ".lora_down.weight", ".lora_up.weight", 1.5)

f = files["peft"] = File({"lora_adapter_metadata": json.dumps({"unet.r": R, "unet.lora_alpha": 2, "unet.target_modules": sorted(ATTN[:20]), "unet.alpha_pattern": {ATTN[1]: 1.0},
                                                               "text_encoder.r": R, "text_encoder.lora_alpha": 4, "text_encoder.target_modules": sorted(T)})})
for n in ATTN[:20]:
    lora(f, "unet." + n, UNET[n], ".lora_A.weight", ".lora_B.weight", None)
for n in T:
    lora(f, "text_encoder." + n, TEXT[n], ".lora_A.weight", ".lora_B.weight", None)

f = files["processors"] = File()
for n in ATTN:
    m = re.fullmatch(r"(.*attn[12])\.(to_q|to_k|to_v|to_out)(\.0)?", n)
    if m:
        lora(f, f"unet.{m[1]}.processor.{m[2]}_lora", UNET[n], ".down.weight", ".up.weight", None)

f = files["dora"] = File()
for n in ATTN:
    lora(f, "unet." + n, UNET[n], ".lora_A.weight", ".lora_B.weight", None)
    f.add("unet." + n + ".lora_magnitude_vector", [UNET[n][0]] if len(UNET[n]) == 2 else [1, UNET[n][0], 1, 1], 0.3, 1.0)

# the names of the original code, as LoRAs for SDXL have them
OLD = {"down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q": "input_blocks_2_1_transformer_blocks_0_attn1_to_q", "mid_block.attentions.0.proj_in": "middle_block_1_proj_in",
       "up_blocks.1.attentions.2.proj_out": "output_blocks_5_1_proj_out", "down_blocks.1.resnets.0.conv1": "input_blocks_4_0_in_layers_2", "down_blocks.0.downsamplers.0.conv": "input_blocks_3_0_op",
       "up_blocks.0.upsamplers.0.conv": "output_blocks_2_1_conv", "mid_block.resnets.1.time_emb_proj": "middle_block_2_emb_layers_1", "up_blocks.0.resnets.1.conv_shortcut": "output_blocks_1_0_skip_connection",
       "conv_in": "input_blocks_0_0", "time_embedding.linear_2": "time_embed_2", "conv_out": "out_2"}
f = files["old_names"] = File()
for n, o in OLD.items():
    lora(f, "lora_unet_" + o, UNET[n], ".lora_down.weight", ".lora_up.weight", 2)

# LyCORIS' forms: on a third of the layers each
f = files["lycoris"] = File()
forms = {}  # layer -> form
for i, n in enumerate(ATTN + CONVS):
    s, stem = UNET[n], KOHYA(n)
    out, inn, k = s[0], s[1], list(s[2:])
    taps = int(np.prod(k)) if k else 1
    core = taps > 1
    form = forms[n] = ("loha", "lokr", "mid", "lokr_full", "dora_out", "dora_in")[i % 6]
    if n == LINEAR or n == CONV:
        form = forms[n] = "loha"
    if form == "loha" and core:
        for w in "12":
            f.add(f"{stem}.hada_t{w}", [R, R] + k, fan(R))
            f.add(f"{stem}.hada_w{w}_a", [R, out], fan(R))
            f.add(f"{stem}.hada_w{w}_b", [R, inn], fan(inn * taps) ** 0.5)
    elif form == "loha":
        for w in "12":
            f.add(f"{stem}.hada_w{w}_a", [out, R], fan(R))
            f.add(f"{stem}.hada_w{w}_b", [R, inn * taps], fan(inn * taps) ** 0.5)
    elif form == "lokr":  # 4 x 2 times a product
        f.add(stem + ".lokr_w1", [4, 2], 1)
        if core:
            f.add(stem + ".lokr_t2", [R, R] + k, fan(R))
            f.add(stem + ".lokr_w2_a", [R, out // 4], fan(R))
            f.add(stem + ".lokr_w2_b", [R, inn // 2], fan(inn * taps))
        else:
            f.add(stem + ".lokr_w2_a", [out // 4, R], fan(R))
            f.add(stem + ".lokr_w2_b", [R, inn // 2 * taps], fan(inn * taps))
    elif form == "lokr_full":  # a product times a whole
        f.add(stem + ".lokr_w1_a", [2, R], 1)
        f.add(stem + ".lokr_w1_b", [R, 4], 1)
        f.add(stem + ".lokr_w2", [out // 2, inn // 4] + k, fan(inn * taps))
    else:
        lora(f, stem, s, ".lora_down.weight", ".lora_up.weight", None, mid=".lora_mid.weight" if form == "mid" and core else None)
        if form == "dora_out":
            f.add(stem + ".dora_scale", [out, 1] + [1] * len(k), 0.3, 1.0)
        if form == "dora_in":
            f.add(stem + ".dora_scale", [1, inn] + [1] * len(k), 0.3, (out / inn) ** 0.5)
    f.add(stem + ".alpha", [], 0, 1.5)

f = files["word"] = File()
f.add("emb_params", [3, 32], 1.5)
f = files["token"] = File()
f.add("<Blue-Thing>", [32], 1.5)


# ---- formulas -----------------------------------------------------------------------------------------------------------
def product(a, b):
    return a @ b.reshape(b.shape[0], -1)


def change(g, shape):
    """The change of one layer from its tensors by role, without DoRA; double."""
    out, inn = shape[0], shape[1]
    rank = None
    if "lora_down.weight" in g:
        up, down = g["lora_up.weight"], g["lora_down.weight"]
        rank = down.shape[0]
        if "lora_mid.weight" in g:
            d = torch.einsum("mnwh,im,nj->ijwh", g["lora_mid.weight"], up.flatten(1), down.flatten(1))
        else:
            d = product(up.flatten(1), down)
    elif "hada_w1_a" in g:
        rank = g["hada_w1_b"].shape[0]
        if "hada_t1" in g:
            d = [torch.einsum("ijkl,jr,ip->prkl", g[f"hada_t{w}"], g[f"hada_w{w}_b"], g[f"hada_w{w}_a"]) for w in "12"]
        else:
            d = [g[f"hada_w{w}_a"] @ g[f"hada_w{w}_b"] for w in "12"]
        d = d[0] * d[1]
    else:
        if "lokr_w1" in g:
            w1 = g["lokr_w1"]
        else:
            w1, rank = g["lokr_w1_a"] @ g["lokr_w1_b"], g["lokr_w1_b"].shape[0]
        if "lokr_w2" in g:
            w2 = g["lokr_w2"]
        elif "lokr_t2" in g:
            w2, rank = torch.einsum("ijkl,jr,ip->prkl", g["lokr_t2"], g["lokr_w2_b"], g["lokr_w2_a"]), g["lokr_w2_b"].shape[0]
        else:
            w2, rank = g["lokr_w2_a"] @ g["lokr_w2_b"], g["lokr_w2_b"].shape[0]
            w2 = w2.reshape([w2.shape[0], inn // w1.shape[1]] + list(shape[2:]))
        d = torch.kron(w1.reshape(list(w1.shape) + [1] * (w2.dim() - 2)), w2.contiguous())
    return d.reshape(list(shape)) * (float(g["alpha"]) / rank if "alpha" in g and rank else 1)


def merged(w, g, strength):
    w = w.double()
    new = w + change(g, w.shape)
    if "dora_scale" in g:
        m = g["dora_scale"]
        flat = new.flatten(2) if new.dim() > 2 else new[..., None]
        norm = flat.flatten(1).norm(dim=1).reshape(m.shape) if m.shape[0] == w.shape[0] else flat.transpose(0, 1).flatten(1).norm(dim=1).reshape(m.shape)
        new = m * new / norm
    return w + strength * (new - w)


def grouped(f):
    g = {}
    for n, v in f.state().items():
        stem, role = n.split(".", 1)
        g.setdefault(stem, {})[role] = v.double()
    return g


def apply_formulas(p, f, unet, text, names=KOHYA):
    g, seen = grouped(f), set()
    for module, name, key, s in [(p.unet, n, names(n), unet) for n in UNET] + [(p.text_encoder, n, KOHYA_T(n), text) for n in TEXT]:
        if key in g:
            w = module.get_submodule(name).weight
            w.copy_(merged(w, g[key], s))
            seen.add(key)
    assert seen == set(g), set(g) - seen


# ---- pictures -----------------------------------------------------------------------------------------------------------
def run(p, prompt="a red cat", negative="blue dog"):
    keep = {}

    def cb(_p, i, t, d):
        keep["latents"] = d["latents"].clone()
        return d
    r = p(prompt, negative_prompt=negative, num_inference_steps=6, guidance_scale=4.0, width=64, height=64, generator=torch.Generator("cpu").manual_seed(5), output_type="np", callback_on_step_end=cb)
    return keep["latents"][0], (r.images[0] * 255).round().astype("uint8")


def load(p, name, adapter, folder):
    path = os.path.join(folder, name + ".safetensors")
    save_file({k: v.contiguous() for k, v in files[name].state().items()}, path, metadata=files[name].metadata or None)
    p.load_lora_weights(folder, weight_name=name + ".safetensors", adapter_name=adapter)


def relative(a, b):
    return float((a - b).norm() / b.norm())


tensors, pictures = {}, []
plain, _ = run(base)


def keep(name, made, lora="", embedding="", prompt="a red cat", against=None, **kw):
    lat, img = made
    if against is None:
        against = run(fresh(), prompt)[0] if prompt != "a red cat" else plain
    moved = relative(lat, against)
    assert moved > 1e-2, (name, moved)
    tensors[name + ".latents"], tensors[name + ".rgb"] = lat, img
    pictures.append(dict(name=name, lora=lora, embedding=embedding, prompt=prompt, moved=moved, **kw))
    print(pictures[-1])


with tempfile.TemporaryDirectory() as folder:
    p = fresh()
    load(p, "kohya", "kohya", folder)
    p.set_adapters(["kohya"], [0.8])
    one = run(p)
    q = fresh()
    apply_formulas(q, files["kohya"], 0.8, 0.8)
    d = relative(run(q)[0], one[0])
    print("kohya: formulas and diffusers", d)
    assert d < 1e-4
    keep("kohya", one, lora="kohya:0.8", by="diffusers")

    p.set_adapters(["kohya"], [{"unet": 1.0, "text_encoder": -0.5}])
    keep("parts", run(p), lora="kohya:1:-0.5", by="diffusers")

    p = fresh()
    load(p, "peft", "peft", folder)
    keep("peft", run(p), lora="peft", by="diffusers")
    load(p, "kohya", "kohya", folder)
    p.set_adapters(["kohya", "peft"], [0.7, -0.5])
    keep("two", run(p), lora="kohya:0.7,peft:-0.5", by="diffusers")

    p = fresh()
    load(p, "processors", "processors", folder)
    keep("processors", run(p), lora="processors", by="diffusers")

    p = fresh()
    load(p, "dora", "dora", folder)
    keep("dora", run(p), lora="dora", by="diffusers")

    q = fresh()
    apply_formulas(q, files["lycoris"], 0.5, 0.5)
    keep("lycoris", run(q), lora="lycoris:0.5", by="formulas")

    q = fresh()
    apply_formulas(q, files["old_names"], 1, 1, lambda n: "lora_unet_" + OLD.get(n, "none"))
    keep("old_names", run(q), lora="old_names", by="formulas")

    p = fresh()
    save_file(files["word"].state(), os.path.join(folder, "word.safetensors"))
    save_file(files["token"].state(), os.path.join(folder, "token.safetensors"))
    p.load_textual_inversion(os.path.join(folder, "word.safetensors"), token="my-word")
    p.load_textual_inversion(os.path.join(folder, "token.safetensors"), token="<blue-thing>")
    keep("words", run(p, "a red my-word, on <blue-thing>."), embedding="word:my-word,token", prompt="a red my-word, on <blue-thing>.", by="diffusers")

# ---- SDXL ---------------------------------------------------------------------------------------------------------------
RECIPE = json.load(gzip.open(os.path.join(HERE, "families_models.json.gz")))["sdxl"]


def tokenizer(folder, pad):
    """CLIP's, as make_families.py has it."""
    lines = gzip.open(model("BOTTEGA_CLIP_BPE"), "rt", encoding="utf-8").read().split("\n")[1:49152 - 256 - 2 + 1]
    bs = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    chars = [chr(b) for b in bs] + [chr(256 + i) for i in range(256 - len(bs))]
    words = chars + [c + "</w>" for c in chars] + ["".join(x.split()) for x in lines] + ["<|startoftext|>", "<|endoftext|>"]
    json.dump({t: i for i, t in enumerate(words)}, open(folder + "/vocab.json", "w"), ensure_ascii=False)
    open(folder + "/merges.txt", "w", encoding="utf-8").write("#version: 0.2\n" + "\n".join(lines) + "\n")
    return CLIPTokenizer(folder + "/vocab.json", folder + "/merges.txt", pad_token=pad, model_max_length=77)


def xl():
    c = {k.split("/")[0]: v for k, v in RECIPE["files"].items() if k.endswith("config.json")}
    text = lambda n, kind: kind(CLIPTextConfig(**{k: v for k, v in c[n].items() if k not in ("architectures", "model_type")})).eval()
    parts = {"unet": UNet2DConditionModel.from_config(c["unet"]), "vae": AutoencoderKL.from_config(c["vae"]), "text_encoder": text("text_encoder", CLIPTextModel),
             "text_encoder_2": text("text_encoder_2", CLIPTextModelWithProjection)}
    state = {n: values(n, s, m, a) for n, s, m, a in RECIPE["tensors"]}
    for folder, m in parts.items():
        for n, p in m.state_dict().items():
            if not n.endswith("position_ids"):
                p.copy_(state[folder + "/" + (n if n.startswith("text_") or not folder.startswith("text") else "text_model." + n)])
    with tempfile.TemporaryDirectory() as d:
        parts["tokenizer"] = tokenizer(d, "<|endoftext|>")
        parts["tokenizer_2"] = tokenizer(d, "!")
    p = StableDiffusionXLPipeline(scheduler=EulerDiscreteScheduler.from_config(c["scheduler"]), add_watermarker=False, **parts)
    p.set_progress_bar_config(disable=True)
    return p


def run_xl(p, prompt="a photo of a cat, red hat"):
    keep = {}

    def cb(_p, i, t, d):
        keep["latents"] = d["latents"].clone()
        return {}
    r = p(prompt=prompt, negative_prompt="blurry", num_inference_steps=6, guidance_scale=5.0, generator=torch.Generator("cpu").manual_seed(7), output_type="np", callback_on_step_end=cb, height=32, width=32)
    return keep["latents"][0], (r.images[0] * 255).round().astype("uint8")


def xl_old(n):
    """Names of the original code; one resnet a level."""
    m = re.match(r"(down|up)_blocks\.(\d)\.attentions\.(\d)\.(.*)", n)
    if not m:
        return n.replace("mid_block.attentions.0.", "middle_block.1.")
    b, i = int(m[2]), int(m[3])
    return f"input_blocks.{1 + 2 * b + i}.1.{m[4]}" if m[1] == "down" else f"output_blocks.{2 * b + i}.1.{m[4]}"


p = xl()
XU = {n[:-7]: v.shape for n, v in p.unet.state_dict().items() if re.search(r"attentions.*(attn[12]\.to_[qv]|to_out\.0|proj_in)\.weight", n)}
f = files["xl"] = File()
for n, s in XU.items():
    lora(f, "lora_unet_" + xl_old(n).replace(".", "_"), s, ".lora_down.weight", ".lora_up.weight", 2)
XT = {}
for i, m in ((1, p.text_encoder), (2, p.text_encoder_2)):
    for n, v in m.state_dict().items():
        if re.search(r"(q_proj|out_proj|fc1)\.weight", n):
            XT[i, n[:-7]] = v.shape
            lora(f, f"lora_te{i}_" + tname(n[:-7]).replace(".", "_"), v.shape, ".lora_down.weight", ".lora_up.weight", 2)
f = files["xlword"] = File()
f.add("clip_l", [2, 32], 2.4)
f.add("clip_g", [2, 64], 2.4)
plain_xl = run_xl(p)[0]
g, seen = grouped(files["xl"]), set()
for module, key, n in [(p.unet, "lora_unet_" + xl_old(n).replace(".", "_"), n) for n in XU] + [((p.text_encoder, p.text_encoder_2)[i - 1], f"lora_te{i}_" + tname(n).replace(".", "_"), n) for i, n in XT]:
    w = module.get_submodule(n).weight
    w.copy_(merged(w, g[key], 0.8))
    seen.add(key)
assert seen == set(g)
made = run_xl(p)
try:
    with tempfile.TemporaryDirectory() as folder:
        q = xl()
        load(q, "xl", "xl", folder)
        q.set_adapters(["xl"], [0.8])
        d = relative(made[0], run_xl(q)[0])
        print("xl: formulas and diffusers", d)
        assert d < 1e-4
        by = "diffusers"
except ValueError as e:  # its mapping of original names knows SDXL's own number of layers
    print("xl: diffusers does not read it:", e)
    by = "formulas"
keep("xl", made, lora="xl:0.8", prompt="a photo of a cat, red hat", against=plain_xl, by=by, model="sdxl")
p = xl()
w = files["xlword"].state()
p.load_textual_inversion(w["clip_l"], token="xlword", text_encoder=p.text_encoder, tokenizer=p.tokenizer)
p.load_textual_inversion(w["clip_g"], token="xlword", text_encoder=p.text_encoder_2, tokenizer=p.tokenizer_2)
keep("xlword", run_xl(p, "a photo of xlword"), embedding="xlword", prompt="a photo of xlword", against=run_xl(xl(), "a photo of xlword")[0], by="diffusers", model="sdxl")

# ---- tensors ------------------------------------------------------------------------------------------------------------
layers = []
for form in ("loha", "lokr", "mid", "lokr_full", "dora_out", "dora_in"):
    for conv in (False, True):
        n = next(n for n in UNET if forms.get(n) == form and (UNET[n][-1] == 3) == conv)
        w = base.unet.get_submodule(n).weight
        new = merged(w, grouped(files["lycoris"])[KOHYA(n)], 0.5)
        tensors[f"layer{len(layers):02d}"] = new[:4].float()
        layers.append(dict(layer=n, form=form, lora="lycoris:0.5", moved=relative(new, w.double())))
        print(layers[-1], list(w.shape))

save("lora", tensors, {"versions": versions("torch", "diffusers", "transformers", "peft", "numpy"),
                       "files": {k: {"metadata": f.metadata, "tensors": f.rows} for k, f in files.items()}, "pictures": pictures, "layers": layers,
                       "notes": "64x64, ddim, 6 steps, cfg 4, seed 5, negative 'blue dog'. latents: final, scaled [4, 8, 8]."})
