"""prompt_pictures.safetensors/.json: pictures of tiny-sd whose prompts have weights, chunks, turns and AND, by PyTorch.

The text encoder, UNet, VAE, tokenizer and DDIM scheduler are transformers' and diffusers'; the prompt's syntax is read by A1111's
own parser (see make_prompts.py); chunks, weights and guidance below are written from what its sd_hijack_clip.py, sd_emphasis.py
and sd_samplers_cfg_denoiser.py do. Each prompt has a run of the UNet of its own, with a context of its own length.
Versions: diffusers 0.42.1, transformers 5.23.0, torch 2.15.0, lark 1.3.1. Generator: torch.Generator('cpu').manual_seed(seed).
Command: python make_prompt_pictures.py <prompt_parser.py>
"""
import importlib.util
import os
import sys
import types

from golden_common import HERE, save, torch_setup, versions

torch = torch_setup()
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

spec = importlib.util.spec_from_file_location("prompt_parser", sys.argv[1])
A = importlib.util.module_from_spec(spec)
spec.loader.exec_module(A)
M = os.path.join(HERE, "tiny-sd")
tok = CLIPTokenizer.from_pretrained(M + "/tokenizer")
te = CLIPTextModel.from_pretrained(M + "/text_encoder", dtype=torch.float32)
unet = UNet2DConditionModel.from_pretrained(M + "/unet", torch_dtype=torch.float32)
vae = AutoencoderKL.from_pretrained(M + "/vae", torch_dtype=torch.float32)
sched = DDIMScheduler.from_pretrained(M + "/scheduler", prediction_type="v_prediction")  # of the random network, v keeps latents small
ROOM, COMMA, BOS, EOS, PAD = 75, tok.get_vocab()[",</w>"], tok.bos_token_id, tok.eos_token_id, tok.pad_token_id
STEPS, SIDE = 6, 48


def chunks_of(text):
    """[(77 ids, 77 weights)]: a chunk ends after 75 ids, or at its last comma if that is at most 20 back, or at BREAK."""
    done, ids, ws, comma = [], [], [], -1

    def close():
        nonlocal ids, ws, comma
        fill = ROOM - len(ids)
        done.append(([BOS] + ids + [EOS] * (fill + 1), [1.0] + ws + [1.0] * (fill + 1)))
        ids, ws, comma = [], [], -1
    for part, w in A.parse_prompt_attention(text):
        if part == "BREAK" and w == -1:
            close()
            continue
        for t in tok(part, add_special_tokens=False, truncation=False)["input_ids"] if part else []:
            if t == COMMA:
                comma = len(ids)
            elif len(ids) == ROOM and comma != -1 and len(ids) - comma <= 20:
                keep, keep_w = ids[comma + 1:], ws[comma + 1:]
                ids, ws = ids[:comma + 1], ws[:comma + 1]
                close()
                ids, ws = keep, keep_w
            if len(ids) == ROOM:
                close()
            ids.append(t)
            ws.append(w)
    if ids or not done:
        close()
    return done


def encode(texts, skip):
    """One prompt's texts at all its turns: [texts, 77 * chunks, channels]."""
    all_chunks = [chunks_of(t) for t in texts]
    most = max(map(len, all_chunks))
    empty = ([BOS] + [EOS] * 76, [1.0] * 77)
    rows = []
    for i in range(most):
        now = [c[i] if i < len(c) else empty for c in all_chunks]
        ids = torch.tensor([c[0] for c in now])
        if PAD != EOS:
            for row in ids:
                row[row.tolist().index(EOS) + 1:] = PAD
        out = te(ids, output_hidden_states=True)
        z = out.last_hidden_state if skip == 1 else te.final_layer_norm(out.hidden_states[-skip]) if hasattr(te, "final_layer_norm") else te.text_model.final_layer_norm(out.hidden_states[-skip])
        mean = z.mean()
        z = z * torch.tensor([c[1] for c in now])[..., None]
        rows.append(z * (mean / z.mean()))
    return torch.cat(rows, 1)


def at(turns, call):
    return next((i for i, (until, _) in enumerate(turns) if call <= until), 0)


def make(prompt, negative="", seed=5, cfg=4.0, skip=1):
    lists, flat, _ = A.get_multicond_prompt_list([prompt])
    turns = A.get_learned_conditioning_prompt_schedules(flat, STEPS)
    conds = [encode([t for _, t in ts], skip) for ts in turns]
    none_turns = A.get_learned_conditioning_prompt_schedules([negative], STEPS)[0]
    none = encode([t for _, t in none_turns], skip)
    longest = max(c.shape[1] for c in conds)
    conds = [torch.cat([c, c[:, -1:].repeat(1, longest - c.shape[1], 1)], 1) for c in conds]
    x = torch.randn((1, 4, SIDE // 8, SIDE // 8), generator=torch.Generator("cpu").manual_seed(seed))
    sched.set_timesteps(STEPS)
    first = None
    for call, t in enumerate(sched.timesteps):
        u = unet(x, t, encoder_hidden_states=none[at(none_turns, call)][None]).sample
        y = u.clone()
        for i, w in lists[0]:
            c = conds[i][at(turns[i], call)][None]
            first = c if first is None else first
            y = y + (unet(x, t, encoder_hidden_states=c).sample - u) * (w * cfg)
        x = sched.step(y, t, x, eta=0.0).prev_sample
    img = vae.decode(x / vae.config.scaling_factor).sample[0].permute(1, 2, 0)
    return first[0], ((img / 2 + 0.5).clamp(0, 1) * 255).round().byte()


LONG = ", ".join(f"the {a} {b}" for a in ("red", "blue", "green", "orange", "grey") for b in ("cat", "dog", "house"))
jobs = [
    dict(prompt="a (red:1.4) cat, [blue] ((dog))", negative="a (dog:0.7)", context=True),
    dict(prompt="LONG", context=True), dict(prompt="a red cat", negative="LONG"),
    dict(prompt="LONG, (LONG:1.3), a cat", negative="LONG", context=True),
    dict(prompt="a red cat AND a blue dog :0.6"), dict(prompt="a red cat :1.5 AND LONG :-0.4 AND a dog", negative="the (dog:1.2)"),
    dict(prompt="the [red cat:blue dog:2], on the in"), dict(prompt="[red|(blue:1.5)|] cat", negative="[dog:cat:.5]", context=True),
    dict(prompt="[a (cat:1.3):LONG:0.5]", context=True), dict(prompt="a red cat BREAK (the dog:1.2)", context=True),
    dict(prompt="a (red:1.4) cat", skip=2, context=True), dict(prompt="a cat AND a dog :0.5", cfg=1.0),
]
base = make("a red cat")[1]
print(len(tok(LONG, add_special_tokens=False)["input_ids"]), "ids in LONG")
out, side = {"plain.rgb": base}, []
for j in jobs:
    kw = {k: v for k, v in j.items() if k != "context"}
    kw = {a: b.replace("LONG", LONG) if isinstance(b, str) else b for a, b in kw.items()}
    ctx, rgb = make(**kw)
    k = f"picture{len(side):02d}"
    out[k + ".rgb"] = rgb
    if j.get("context"):
        out[k + ".context"] = ctx
    side.append(dict(name=k, **{**j, **kw}))
    print(k, tuple(ctx.shape), "differs from the plain one by", round((rgb.float() - base.float()).abs().mean().item(), 2), {a: b for a, b in kw.items() if len(str(b)) < 60})
save("prompt_pictures", out, {"versions": versions("torch", "diffusers", "transformers", "lark"), "steps": STEPS, "size": SIDE, "seed": 5, "pictures": side,
                              "notes": "DDIM, v prediction; cfg 4 and clip skip 1 if not given. context: what the first prompt of AND gives the UNet at its first call."})
