#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Train the UNet and the text encoder on cached latents.

  python train_unet.py --minutes 60 --batch 20 --lr 1.2e-3 --top 3                          CPU
  python train_unet.py --device cuda --procs 1 --minutes 30 --batch 512 --lr 1.5e-3         GPU
                                                                                     (untested)
v-prediction with zero terminal SNR, min-SNR loss weights. The schedule follows the time spent.
Reads   data/latents.npy, data/latents.json, data/items.json, data/tokenizer/, top.txt;
        ckpt/unet.pt if it exists (resumes; delete it to start again)
Writes  ckpt/unet.pt (weights, EMA, optimizer, step, seconds), appends to log_unet.txt
"""
import argparse
import math
import random
import time

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import captions
import dist
from common import CKPT, DATA, ROOT, load_weights, read_json, read_keys, save_weights
from optim import MuonAdam

MAXLEN = 32
UNET_CONFIG = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (64, 128, 256),
    "layers_per_block": 1,
    "attention_head_dim": (2, 4, 8),  # diffusers' name for the numbers of heads
    "cross_attention_dim": 192,
    "use_linear_projection": True,
    "norm_num_groups": 32,
}
TEXT_CONFIG = {
    "hidden_size": 192,
    "intermediate_size": 768,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "max_position_embeddings": MAXLEN,
    "hidden_act": "quick_gelu",
    "projection_dim": 192,
}
SCHEDULER_CONFIG = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}
CHECKPOINT = CKPT / "unet.pt"
LOG_STEPS = 25  # steps between log lines; also between looks at the clock
SAVE_SECONDS = 240
MAX_STEP_SECONDS = 10.0  # a step that took longer was paused


def load_tokenizer():
    return CLIPTokenizer.from_pretrained(str(DATA / "tokenizer"))


def build(tokenizer):
    """(UNet, text encoder) with random weights."""
    n = len(tokenizer)
    config = CLIPTextConfig(vocab_size=n, bos_token_id=n - 2, eos_token_id=n - 1,
                            pad_token_id=n - 1, **TEXT_CONFIG)
    config._attn_implementation = "eager"
    text = CLIPTextModel(config)
    return UNet2DConditionModel(**UNET_CONFIG), text


def count_parameters(model):
    return sum(p.numel() for p in model.parameters())


class Subjects:
    """Draws (row of latents.npy, caption): every subject once per round, in random order."""

    def __init__(self, args, rng):
        self.args, self.rng = args, rng
        self.items = read_json(DATA / "items.json")
        self.top = read_keys("top.txt")
        self.rows = {}  # item -> style -> background -> row
        for row, (n, style, background) in enumerate(read_json(DATA / "latents.json")):
            self.rows.setdefault(n, {}).setdefault(style, {})[background] = row
        self.round = []

    def _new_round(self):
        for n in sorted(self.rows):
            times = self.args.top if self.items[n]["key"] in self.top else 1
            self.round += [n] * times
        self.rng.shuffle(self.round)

    def draw(self):
        args, rng = self.args, self.rng
        if not self.round:
            self._new_round()
        n = self.round.pop()
        item, rows = self.items[n], self.rows[n]
        others = [s for s in rows if s != item["default"]]
        style = item["default"]
        if others and rng.random() >= args.p_default:
            style = rng.choice(others)
        background = 0
        if rng.random() >= args.p_white:
            background = rng.choice(list(rows[style]))
        text = ""
        if rng.random() >= args.drop:
            text = captions.caption(rng, item, style, captions.BG_NAMES[background])
        return rows[style][background], text


def draw_timesteps(n, device):
    """Stratified over 0..999; 2 % are 999, pure noise, where the prompt alone decides."""
    u = (torch.arange(n, device=device) + torch.rand(n, device=device)) / n
    t = (u * 1000).long().clamp(max=999)
    return torch.where(torch.rand(n, device=device) < 0.02, torch.full_like(t, 999), t)


class Trainer:
    def __init__(self, rank, world, args):
        self.rank, self.world, self.args = rank, world, args
        self.device = torch.device(args.device)
        torch.manual_seed(args.seed)
        self.tokenizer = load_tokenizer()
        unet, text = build(self.tokenizer)
        unet.set_attn_processor(AttnProcessor())  # faster than SDPA on a CPU at these sizes
        self.unet = unet.to(self.device, memory_format=torch.channels_last)
        self.text = text.to(self.device)
        self.params = [*self.unet.parameters(), *self.text.parameters()]
        self.ema = [p.detach().clone() for p in self.params]
        named = [("unet." + n, p) for n, p in self.unet.named_parameters()]
        named += [("text." + n, p) for n, p in self.text.named_parameters()]
        self.opt = MuonAdam(named, lr=args.lr, rank=rank, world=world)
        self.alphas = DDIMScheduler(**SCHEDULER_CONFIG).alphas_cumprod.to(self.device)
        self.latents = torch.from_numpy(np.load(DATA / "latents.npy"))
        self.step, self.spent = 0, 0.0
        if CHECKPOINT.exists():
            self.resume()

    def resume(self):
        s = load_weights(CHECKPOINT, self.device)
        self.unet.load_state_dict(s["unet"])
        self.text.load_state_dict(s["text"])
        self.opt.load_state_dict(s["opt"])
        for e, saved in zip(self.ema, s["ema"]):
            e.copy_(saved)
        self.step, self.spent = s["step"], s["spent"]
        print("resumed at step", self.step, "spent", self.spent)

    def save(self):
        """Call on all ranks."""
        opt = self.opt.state_dict()
        if self.rank == 0:
            save_weights({"unet": self.unet.state_dict(), "text": self.text.state_dict(),
                          "ema": self.ema, "opt": opt, "step": self.step,
                          "spent": self.spent}, CHECKPOINT)

    def learning_rate(self, progress):
        """Linear warm-up, then a cosine down to 3 %."""
        warmup = min(1, (self.step + 1) / self.args.warmup)
        return self.args.lr * warmup * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * progress)))

    def losses(self, rows, texts):
        """(squared error of v per sample, its min-SNR weight), each [B]."""
        x0 = self.latents[list(rows)].to(self.device).float()
        x0 = x0.contiguous(memory_format=torch.channels_last)
        ids = self.tokenizer(list(texts), padding="max_length", max_length=MAXLEN,
                             truncation=True, return_tensors="pt").input_ids.to(self.device)
        t = draw_timesteps(len(x0), self.device)
        alpha = self.alphas[t][:, None, None, None]
        noise = torch.randn_like(x0)
        xt = alpha.sqrt() * x0 + (1 - alpha).sqrt() * noise
        v = alpha.sqrt() * noise - (1 - alpha).sqrt() * x0
        with torch.autocast(self.device.type, torch.bfloat16):
            context = self.text(input_ids=ids).last_hidden_state
            predicted = self.unet(xt, t, context).sample
        snr = (alpha / (1 - alpha)).flatten()
        weight = (snr + 1).clamp(max=self.args.gamma + 1) / (snr + 1)
        return (predicted.float() - v).pow(2).mean((1, 2, 3)), weight

    def update(self, rows, texts, progress):
        """One optimizer step; (mean unweighted loss, learning rate)."""
        lr = self.learning_rate(progress)
        self.opt.set_lr(lr)
        loss, weight = self.losses(rows, texts)
        (loss * weight).mean().backward()
        dist.average_grads(self.params, self.world)
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.opt.step()
        self.opt.zero_grad()
        self.step += 1
        decay = min(self.args.ema, (self.step + 1) / (self.step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(self.ema, self.params, 1 - decay)
        return float(loss.detach().mean()), lr


def work(rank, world, args):
    trainer = Trainer(rank, world, args)
    subjects = Subjects(args, random.Random(f"{args.seed} {trainer.step} {rank}"))
    torch.manual_seed(args.seed + 7919 * trainer.step + rank)
    print(f"{len(subjects.rows)} subjects, {len(trainer.latents)} latents, parameters:"
          f" unet {count_parameters(trainer.unet) / 1e6:.2f} M,"
          f" text encoder {count_parameters(trainer.text) / 1e6:.2f} M")
    log = open(ROOT / "log_unet.txt", "a", encoding="utf-8")
    total = args.minutes * 60
    last_save, progress = trainer.spent, min(1, trainer.spent / total)
    loss_sum, steps, since, cpu = 0.0, 0, time.time(), time.process_time()
    while trainer.step % LOG_STEPS or trainer.spent < total:
        if args.max_steps and trainer.step >= args.max_steps:
            break
        start = time.time()
        if trainer.step % LOG_STEPS == 0:
            progress = min(1, trainer.spent / total)  # agreed between the processes
        rows, texts = zip(*(subjects.draw() for _ in range(args.batch)))
        loss, lr = trainer.update(rows, texts, progress)
        trainer.spent += min(time.time() - start, MAX_STEP_SECONDS)
        loss_sum += loss
        steps += 1
        if trainer.step % LOG_STEPS:
            continue
        trainer.spent = dist.agree(trainer.spent, world)
        if rank == 0:
            seconds = time.time() - since
            print(f"step {trainer.step} spent {trainer.spent:.0f}s loss {loss_sum / steps:.4f} "
                  f"lr {lr:.2e} {world * args.batch * steps / seconds:.1f} samples/s "
                  f"cpu {(time.process_time() - cpu) / seconds:.2f}", file=log, flush=True)
        loss_sum, steps, since, cpu = 0.0, 0, time.time(), time.process_time()
        if trainer.spent - last_save > SAVE_SECONDS:
            trainer.save()
            last_save = trainer.spent
    trainer.save()
    log.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                 formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    ap.add_argument("--device", default="cpu", help="cpu or cuda")
    ap.add_argument("--minutes", type=float, default=60,
                    help="total training time, counted over resumes")
    ap.add_argument("--max-steps", type=int, default=0, help="stop here at the latest; 0: no limit")
    ap.add_argument("--batch", type=int, default=32, help="per process")
    ap.add_argument("--lr", type=float, default=8e-4, help="peak learning rate")
    ap.add_argument("--warmup", type=int, default=100, help="steps")
    ap.add_argument("--ema", type=float, default=0.998, help="decay of the averaged weights")
    ap.add_argument("--p-default", type=float, default=0.7, help="share of the default style")
    ap.add_argument("--p-white", type=float, default=0.6,
                    help="share of white backgrounds, besides those drawn by chance")
    ap.add_argument("--top", type=int, default=1,
                    help="how often per round the icons of top.txt are drawn")
    ap.add_argument("--drop", type=float, default=0.1, help="share of empty prompts")
    ap.add_argument("--gamma", type=float, default=5.0, help="of the min-SNR weights")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--procs", type=int, default=2,
                    help="single-threaded data-parallel processes; 1 on a GPU")
    args = ap.parse_args()
    CKPT.mkdir(exist_ok=True)
    dist.launch(work, args, args.procs)


if __name__ == "__main__":
    main()
