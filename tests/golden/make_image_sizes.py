"""The parts of a picture model at its real size, each alone, float32, for `test_image_parts MODEL GOLDEN`: nothing is kept (models have 2 to 7 GB).

Versions: torch 2.15.0, diffusers 0.42.1, transformers 5.23.0. Seeds: torch.Generator('cpu').manual_seed(side) for the UNet's input, 77 for the rest.
Command: python make_image_sizes.py MODEL /path/golden.safetensors [--threads N] [text] [unet] [vae]
MODEL is a diffusers folder (tests/bench/peers/make_sd15.py, make_sd_large.py). Named parts are made anew, those that the file has stay.
Latents of 64 x 64, and of the model's own size; pictures of 512 x 512 and their latents.
"""
import json
import os
import sys

from golden_common import to_np, torch_setup

torch = torch_setup()
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.numpy import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection, logging

logging.disable_progress_bar()

SIDES, PIXELS, TOKENS, BOS, EOS = (64, None), 512, 77, 49406, 49407
F32 = dict(torch_dtype=torch.float32)


def rand(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator("cpu").manual_seed(seed))


def text(folder):
    """Two prompts: 20 random tokens, none. SDXL takes what comes out of the last layer but one, and the second one's projection."""
    ids = torch.full((2, TOKENS), EOS)
    ids[:, 0] = BOS
    ids[0, 1:21] = torch.randint(0, BOS, (20,), generator=torch.Generator("cpu").manual_seed(77))
    out, xl = {"text.ids": ids}, os.path.isdir(folder + "/text_encoder_2")
    for name, cls in (("text_encoder", CLIPTextModel), ("text_encoder_2", CLIPTextModelWithProjection)):
        if os.path.isdir(f"{folder}/{name}"):
            y = cls.from_pretrained(f"{folder}/{name}", dtype=torch.float32).eval()(ids, output_hidden_states=xl)
            out[name + ".rows"] = y.hidden_states[-2] if xl else y.last_hidden_state
            if "With" in cls.__name__:
                out[name + ".pooled"] = y.text_embeds
    return out


def unet(folder):
    net = UNet2DConditionModel.from_pretrained(folder + "/unet", **F32).eval()
    c, added = net.config, {}
    out = {"unet.context": rand(77, 1, TOKENS, c.cross_attention_dim)}
    if c.addition_embed_type:
        sizes = torch.tensor([[1024.0, 1024, 0, 0, 1024, 1024]])
        added = {"text_embeds": rand(78, 1, c.projection_class_embeddings_input_dim - 6 * c.addition_time_embed_dim), "time_ids": sizes}
        out.update({"unet.pooled": added["text_embeds"], "unet.sizes": sizes})
    for side in SIDES:
        x = rand(side or c.sample_size, 1, c.in_channels, side or c.sample_size, side or c.sample_size)
        name = "unet.small" if side else "unet.own"
        out[name + ".input"] = x
        out[name + ".output"] = net(x, torch.tensor(500), encoder_hidden_states=out["unet.context"], added_cond_kwargs=added).sample
    return out


def vae(folder):
    net = AutoencoderKL.from_pretrained(folder + "/vae", **F32).eval()
    z = rand(77, 1, net.config.latent_channels, PIXELS // 8, PIXELS // 8)
    pixels = ((rand(79, 1, 3, PIXELS, PIXELS) * 0.4).clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return {"vae.latent": z, "vae.decoded": net.decode(z / net.config.scaling_factor).sample, "vae.image_u8": pixels,
            "vae.moments": net.encode(pixels.float() / 255 * 2 - 1).latent_dist.parameters}


def main():
    args = sys.argv[1:]
    if "--threads" in args:
        at = args.index("--threads")
        torch.set_num_threads(int(args[at + 1]))
        del args[at:at + 2]
    folder, path = args[:2]
    out = load_file(path) if os.path.exists(path) else {}
    for part in args[2:] or ("text", "unet", "vae"):
        out.update({k: to_np(v) for k, v in {"text": text, "unet": unet, "vae": vae}[part](folder).items()})
        save_file(out, path)
        print(json.dumps({k: [list(v.shape), round(float(v.std()), 3)] for k, v in out.items() if k.startswith(part)}), flush=True)


if __name__ == "__main__":
    main()
