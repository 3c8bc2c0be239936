"""image_parts.safetensors/.json: text encoder, UNet and autoencoder of icons-128, each alone, float32.

Versions: torch 2.15.0, diffusers 0.42.1, transformers 5.23.0 (requirements.txt). One thread, CPU.
Seeds: latents, timesteps and the picture come from torch.Generator('cpu') seeds named in the sidecar.
Command: BOTTEGA_ICONS=<folder icons-128> [BOTTEGA_GOLDEN_DEBUG=<folder>] python make_image_parts.py
With BOTTEGA_GOLDEN_DEBUG the inner tensors go to <folder>/debug_image.safetensors (not committed).
Second use: BOTTEGA_ICONS=tests/golden/tiny-sd GOLDEN_NAME=tiny_sd_parts (see make_tiny_sd.py).
"""
import os

from golden_common import debug_dir, model, save, torch_setup, versions

torch = torch_setup()
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

M = model("BOTTEGA_ICONS")
NAME = os.environ.get("GOLDEN_NAME", "image_parts")
F32 = dict(torch_dtype=torch.float32)
tok = CLIPTokenizer.from_pretrained(M + "/tokenizer")
te = CLIPTextModel.from_pretrained(M + "/text_encoder", dtype=torch.float32).eval()
unet = UNet2DConditionModel.from_pretrained(M + "/unet", **F32).eval()
vae = AutoencoderKL.from_pretrained(M + "/vae", **F32).eval()
dbg = {}


def hook(name):
    def f(mod, args, out):
        o = out
        if hasattr(o, "last_hidden_state"):
            o = o.last_hidden_state
        if isinstance(o, tuple):
            for i, s in enumerate(o[1]) if len(o) > 1 and isinstance(o[1], tuple) else ():
                dbg[f"{name}.skip{i}"] = s.clone()
            o = o[0]
        if hasattr(o, "sample"):
            o = o.sample
        if torch.is_tensor(o):
            dbg[name] = o.clone()
    return f


def watch(prefix, root, names):
    mods = dict(root.named_modules())
    return [mods[n].register_forward_hook(hook(prefix + n)) for n in names if n in mods]


def pick(root, tests):
    return [n for n, m in root.named_modules() if n and any(t(n, type(m).__name__) for t in tests)]


prompts = ["", "red apple", "rocket, noto style, on a blue background", "Sleeping  Face 3d style", "a cat and a dog in the rain with " + "many very " * 20 + "big umbrellas"]
L = tok.model_max_length
ids = tok(prompts, padding="max_length", max_length=L, truncation=True, return_tensors="pt").input_ids
h = watch("clip.", te, pick(te, [lambda n, c: c in ("CLIPTextEmbeddings", "CLIPEncoderLayer", "LayerNorm", "CLIPAttention", "CLIPMLP")]))
hid = te(ids).last_hidden_state
[x.remove() for x in h]
out = {"clip.ids": ids, "clip.last_hidden_state": hid}

C, S = unet.config.in_channels, unet.config.sample_size
g = torch.Generator("cpu").manual_seed(1234)
x = torch.randn(2, C, S, S, generator=g)
ctx = torch.stack([hid[0], hid[2]])  # [uncond, cond]: the order used by the pipelines
blocks = [lambda n, c: n in ("conv_in", "time_proj", "time_embedding", "mid_block", "conv_norm_out", "conv_out"),
          lambda n, c: c in ("ResnetBlock2D", "Transformer2DModel", "Downsample2D", "Upsample2D", "BasicTransformerBlock", "Attention"),
          lambda n, c: n.startswith(("down_blocks.", "up_blocks.")) and n.count(".") == 1]
for i, t in enumerate([999, 500, 0]):
    h = watch("unet.", unet, pick(unet, blocks)) if i == 1 else []
    y = unet(x, torch.tensor(t), encoder_hidden_states=ctx).sample
    [v.remove() for v in h]
    out[f"unet.output.t{t}"] = y
# euler and karras schedules give fractional timesteps
out["unet.output.t123.456"] = unet(x, torch.tensor(123.456), encoder_hidden_states=ctx).sample
# a size that is not the training size (rows x columns = 24 x 8)
x2 = torch.randn(1, C, 24, 8, generator=g)
out["unet.input.24x8"] = x2
out["unet.output.24x8.t500"] = unet(x2, torch.tensor(500), encoder_hidden_states=ctx[1:]).sample
out["unet.input"] = x
out["unet.context"] = ctx

g = torch.Generator("cpu").manual_seed(77)
F = 2 ** (len(vae.config.block_out_channels) - 1)
R = S * F
z = torch.randn(1, C, S, S, generator=g) * 0.8
h = watch("vae.", vae, pick(vae, [lambda n, c: c in ("ResnetBlock2D", "Attention", "Upsample2D", "Downsample2D", "GroupNorm") or n.split(".")[-1] in ("conv_in", "conv_out", "quant_conv", "post_quant_conv", "mid_block")]))
img = vae.decode(z / vae.config.scaling_factor).sample
yy, xx = torch.meshgrid(torch.arange(R, dtype=torch.float32), torch.arange(R, dtype=torch.float32), indexing="ij")
pic = torch.stack([xx / (R - 1), yy / (R - 1), ((xx - R / 2) ** 2 + (yy - R / 2) ** 2 < (R / 4) ** 2).float()])[None] * 2 - 1
pic = (pic + 0.1 * torch.randn(pic.shape, generator=g)).clamp(-1, 1)
pic8 = ((pic + 1) * 127.5).round().to(torch.uint8)  # so that a C test can feed bytes
pic = pic8.float() / 255 * 2 - 1
d = vae.encode(pic).latent_dist
[v.remove() for v in h]
out.update({"vae.latent": z, "vae.decoded": img, "vae.image_u8": pic8, "vae.moments": d.parameters, "vae.mean": d.mean, "vae.logvar": d.logvar})
side = {"versions": versions("torch", "diffusers", "transformers", "numpy"), "prompts": prompts, "tokenizer_class": type(tok).__name__, "timesteps": [999, 500, 0, 123.456],
        "scaling_factor": vae.config.scaling_factor, "seeds": {"unet.input": 1234, "vae.latent": 77},
        "notes": "vae.latent is scaled: the decoder's input is vae.latent / scaling_factor. vae.moments is the quant_conv output [1, 2*C, h, w]; logvar is clamped to [-30, 20]. image = u8 / 255 * 2 - 1."}
save(NAME, out, side)
if debug_dir():
    save("debug_" + ("image" if NAME == "image_parts" else NAME), dbg, folder=debug_dir())
