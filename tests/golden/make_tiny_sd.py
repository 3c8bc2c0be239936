"""tiny-sd/: a random model in the folder layout of Stable Diffusion 1.5, with traits that icons-128 lacks.

Versions: diffusers 0.42.1, transformers 5.23.0, torch 2.15.0. Seed: torch.manual_seed(2024) for all weights.
Command: python make_tiny_sd.py ; then
  BOTTEGA_ICONS=$PWD/tiny-sd GOLDEN_NAME=tiny_sd_parts python make_image_parts.py
  BOTTEGA_ICONS=$PWD/tiny-sd GOLDEN_NAME=tiny_sd_pictures python make_pictures.py
Traits: epsilon; scheduler config as SD 1.5's (PNDM, no timestep_spacing or prediction_type key); convolutions as the transformers'
projections; 2 layers per block; attention_head_dim one number (= heads); gelu and 77 positions in the text encoder; padding
with "!" (id 0, as SD 2); names as in SD 1.5's files: text_model.* with position_ids, vae attention query/key/value/proj_attn;
no scaling_factor key; unet F16, vae F32, text encoder BF16.
"""
import json
import os

from golden_common import HERE, torch_setup

torch = torch_setup()
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

OUT = os.path.join(HERE, "tiny-sd")
torch.manual_seed(2024)


def randomize(m):
    for n, p in m.named_parameters():
        if "norm" in n.lower() and p.dim() == 1:
            p.copy_(torch.randn_like(p) * 0.1 + (1 if n.endswith("weight") else 0))
        elif p.dim() == 1:
            p.copy_(torch.randn_like(p) * 0.1)
        elif "embedding" in n:
            p.copy_(torch.randn_like(p) * 0.5) if "time_embedding" not in n else p.copy_(torch.randn_like(p) / p.shape[1] ** 0.5)
        else:
            p.copy_(torch.randn_like(p) / (p[0].numel() ** 0.5))
    return m


def write(folder, name, obj):
    os.makedirs(os.path.join(OUT, folder), exist_ok=True)
    p = os.path.join(OUT, folder, name)
    if name.endswith(".safetensors"):
        save_file({k: v.contiguous() for k, v in obj.items()}, p, metadata={"format": "pt"})
    elif name.endswith(".json"):
        json.dump(obj, open(p, "w"), indent=None if len(obj) > 100 else 2, ensure_ascii=False)
    else:
        open(p, "w", encoding="utf-8").write(obj)


# tokenizer: the 256 byte characters, the same with </w>, a few merges, two special texts
bs = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
cs = [chr(b) for b in bs] + [chr(256 + i) for i in range(256 - len(bs))]
merges = ["a t</w>", "c at</w>", "r e", "re d</w>", "d o", "do g</w>", "b l", "u e</w>", "bl ue</w>", "t h", "th e</w>", "i n", "in g</w>", "o n</w>"]
vocab = cs + [c + "</w>" for c in cs] + [m.replace(" ", "") for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
BOS, EOS = len(vocab) - 2, len(vocab) - 1
tok = lambda c: {"content": c, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
write("tokenizer", "vocab.json", {t: i for i, t in enumerate(vocab)})
write("tokenizer", "merges.txt", "#version: 0.2\n" + "\n".join(merges) + "\n")
write("tokenizer", "special_tokens_map.json", {"bos_token": tok("<|startoftext|>"), "eos_token": tok("<|endoftext|>"), "pad_token": "!", "unk_token": tok("<|endoftext|>")})
write("tokenizer", "tokenizer_config.json", {"add_prefix_space": False, "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "!", "unk_token": "<|endoftext|>", "do_lower_case": True, "errors": "replace", "model_max_length": 77, "tokenizer_class": "CLIPTokenizer"})

tc = dict(vocab_size=len(vocab), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=77, hidden_act="gelu", layer_norm_eps=1e-5, projection_dim=32, bos_token_id=BOS, eos_token_id=EOS, pad_token_id=1)
te = randomize(CLIPTextModel(CLIPTextConfig(**tc)))
sd = {(k if k.startswith("text_model.") else "text_model." + k): v.to(torch.bfloat16) for k, v in te.state_dict().items() if "position_ids" not in k}
sd["text_model.embeddings.position_ids"] = torch.arange(77)[None]
write("text_encoder", "model.safetensors", sd)
write("text_encoder", "config.json", dict(tc, architectures=["CLIPTextModel"], model_type="clip_text_model", attention_dropout=0.0, dropout=0.0, initializer_factor=1.0, initializer_range=0.02, torch_dtype="bfloat16"))

unet = randomize(UNet2DConditionModel(sample_size=16, block_out_channels=(16, 32), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), layers_per_block=2, cross_attention_dim=32, attention_head_dim=2, norm_num_groups=8))
KEYS = "act_fn attention_head_dim block_out_channels center_input_sample cross_attention_dim down_block_types downsample_padding flip_sin_to_cos freq_shift in_channels layers_per_block mid_block_scale_factor norm_eps norm_num_groups out_channels sample_size up_block_types".split()
write("unet", "diffusion_pytorch_model.safetensors", {k: v.half() for k, v in unet.state_dict().items()})
write("unet", "config.json", {"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.20.0", **{k: unet.config[k] for k in KEYS}})  # the keys of SD 1.5's file

vae = randomize(AutoencoderKL(block_out_channels=(8, 8, 16, 16), down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, norm_num_groups=4, sample_size=128))
OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
sd = {}
for k, v in vae.state_dict().items():
    if ".attentions." in k:
        for a, b in OLD.items():
            k = k.replace(f".{a}.", f".{b}.")
    sd[k] = v.float()
write("vae", "diffusion_pytorch_model.safetensors", sd)
KEYS = "act_fn block_out_channels down_block_types in_channels latent_channels layers_per_block norm_num_groups out_channels sample_size up_block_types".split()
write("vae", "config.json", {"_class_name": "AutoencoderKL", "_diffusers_version": "0.6.0", **{k: vae.config[k] for k in KEYS}})

write("scheduler", "scheduler_config.json", {"_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None, "clip_sample": False})
write("", "model_index.json", {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.6.0", "feature_extractor": [None, None], "safety_checker": [None, None], "scheduler": ["diffusers", "PNDMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]})

# what the libraries load must be what was written
t2 = CLIPTextModel.from_pretrained(OUT + "/text_encoder", dtype=torch.float32).state_dict()
assert all(torch.equal(t2[k], v.bfloat16().float()) for k, v in te.state_dict().items() if "position_ids" not in k)
v2 = AutoencoderKL.from_pretrained(OUT + "/vae").state_dict()
assert all(torch.equal(v2[k], v) for k, v in vae.state_dict().items())
u2 = UNet2DConditionModel.from_pretrained(OUT + "/unet").state_dict()
assert all(torch.equal(u2[k].float(), v.half().float()) for k, v in unet.state_dict().items())
for d, _, fs in os.walk(OUT):
    for f in fs:
        print(os.path.join(d, f), os.path.getsize(os.path.join(d, f)))
