#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Train the autoencoder on emoji over random flat backgrounds.

  python train_vae.py --minutes 17                                           CPU
  python train_vae.py --device cuda --procs 1 --minutes 30 --batch 64        GPU (untested)

Loss: L1, multi-scale gradients, a tiny KL term. The schedule follows the time spent.
Reads   data/rgba.npy, data/items.json, core.txt; ckpt/vae.pt if it exists (resumes)
Writes  ckpt/vae.pt (weights, EMA, optimizer, step, seconds), appends to log_vae.txt
"""
import argparse
import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

import dist
from common import (CKPT, DATA, ROOT, SIZE, compose, load_weights, palette, read_json, read_keys,
                    save_weights)
from optim import MuonAdam

VAE_CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (16, 32, 64, 128),
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 4,
    "sample_size": 128,
}
CHECKPOINT = CKPT / "vae.pt"
P_WHITE = 0.4  # share of white backgrounds, besides those drawn by chance
LOG_STEPS = 50  # steps between log lines; also between looks at the clock
SAVE_SECONDS = 120
MAX_STEP_SECONDS = 5.0  # a step that took longer was paused


def build():
    return AutoencoderKL(**VAE_CONFIG)


def init(model):
    """Residual branches start near zero (an almost linear network), the posterior narrow."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith(("conv2.weight", "to_out.0.weight")):
                p.mul_(0.1)
        model.quant_conv.bias[model.config.latent_channels:] -= 5


def gradients(x):
    """Differences along x and y of [..., H, W]."""
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def recon_loss(y, x):
    loss = (y - x).abs().mean() + 0.5 * F.mse_loss(y, x)
    for scale in (1, 2, 4):
        if scale > 1:
            y, x = F.avg_pool2d(y, 2), F.avg_pool2d(x, 2)
            loss = loss + 0.25 * (y - x).abs().mean()
        for a, b in zip(gradients(y), gradients(x)):
            loss = loss + 0.5 * (a - b).abs().mean()
    return loss


def kl_divergence(post):
    """To the unit normal, summed over a latent, averaged over the batch."""
    terms = post.mean.float() ** 2 + post.logvar.float().exp() - 1 - post.logvar.float()
    return 0.5 * terms.sum((1, 2, 3)).mean()


def row_weights(n, rest):
    """Sampling probability of each row of data/rgba.npy."""
    core = read_keys("core.txt")
    w = np.ones(n)
    for item in read_json(DATA / "items.json"):
        for style, row in item["styles"].items():
            w[row] = 4.0 if style == item["default"] else 1.0
            w[row] *= 1.0 if item["key"] in core else rest
    return w / w.sum()


class Batches:
    """Random pictures on random backgrounds, as crops or whole, half of them mirrored."""

    def __init__(self, args, rng):
        self.rgba = torch.from_numpy(np.load(DATA / "rgba.npy", mmap_mode="r")[:])
        self.weights = row_weights(len(self.rgba), args.rest)
        self.palette = palette()
        self.args, self.rng = args, rng

    def draw(self, whole):
        """float [B, 3, side, side] in -1..1."""
        args, rng = self.args, self.rng
        n = max(2, args.batch * args.crop ** 2 // SIZE ** 2) if whole else args.batch
        rows = torch.from_numpy(rng.choice(len(self.rgba), n, p=self.weights))
        grounds = torch.from_numpy(rng.integers(0, len(self.palette), n))
        grounds[torch.from_numpy(rng.random(n) < P_WHITE)] = 0
        x = compose(self.rgba[rows], self.palette[grounds])
        if not whole and args.crop < SIZE:
            top, left = rng.integers(0, (SIZE - args.crop) // 8 + 1, 2) * 8
            x = x[:, :, top:top + args.crop, left:left + args.crop]
        if rng.random() < 0.5:
            x = x.flip(3)
        return x.contiguous(memory_format=torch.channels_last)


class Trainer:
    def __init__(self, rank, world, args):
        self.rank, self.world, self.args = rank, world, args
        self.device = torch.device(args.device)
        torch.manual_seed(0)
        self.model = build()
        init(self.model)
        self.model = self.model.to(self.device, memory_format=torch.channels_last)
        self.ema = build().to(self.device).requires_grad_(False)
        self.ema.load_state_dict(self.model.state_dict())
        self.params = list(self.model.parameters())
        self.opt = MuonAdam(self.model.named_parameters(), lr=args.lr, rank=rank, world=world)
        self.step, self.spent = 0, 0.0
        if CHECKPOINT.exists():
            self.resume()

    def resume(self):
        s = load_weights(CHECKPOINT, self.device)
        self.model.load_state_dict(s["model"])
        self.ema.load_state_dict(s["ema"])
        self.opt.load_state_dict(s["opt"])
        self.step, self.spent = s["step"], s["spent"]

    def save(self):
        """Call on all ranks."""
        opt = self.opt.state_dict()
        if self.rank == 0:
            save_weights({"model": self.model.state_dict(), "ema": self.ema.state_dict(),
                          "opt": opt, "step": self.step, "spent": self.spent}, CHECKPOINT)

    def learning_rate(self, progress):
        """Linear warm-up over 100 steps, then a cosine down to 2 %."""
        warmup = min(1, (self.step + 1) / 100)
        return self.args.lr * warmup * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))

    def update(self, x, progress):
        """One optimizer step; (mean L1 error, loss, KL divergence, learning rate)."""
        lr = self.learning_rate(progress)
        self.opt.set_lr(lr)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bool(self.args.bf16)):
            post = self.model.encode(x).latent_dist
            z = post.mean + torch.randn_like(post.mean) * (0.5 * post.logvar).exp()
            y = self.model.decode(z).sample
        y = y.float()
        kl = kl_divergence(post)
        loss = recon_loss(y, x) + self.args.kl * kl
        loss.backward()
        dist.average_grads(self.params, self.world)
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.opt.step()
        self.opt.zero_grad()
        self.step += 1
        decay = min(0.998, self.step / (self.step + 30))
        with torch.no_grad():
            for e, p in zip(self.ema.parameters(), self.model.parameters()):
                e.lerp_(p, 1 - decay)
        return float((y - x).detach().abs().mean()), float(loss.detach()), float(kl.detach()), lr


def work(rank, world, args):
    trainer = Trainer(rank, world, args)
    batches = Batches(args, np.random.default_rng([trainer.step, rank]))
    torch.manual_seed(1000 * trainer.step + rank)
    log = open(ROOT / "log_vae.txt", "a", encoding="utf-8")
    total = args.minutes * 60
    last_save, progress = trainer.spent, trainer.spent / total
    l1_sum, steps, seen, since = 0.0, 0, 0, time.time()
    while trainer.step % LOG_STEPS or trainer.spent < total:
        start = time.time()
        if trainer.step % LOG_STEPS == 0:
            progress = trainer.spent / total  # agreed between the processes
        x = batches.draw(whole=progress >= args.full_from).to(trainer.device)
        l1, loss, kl, lr = trainer.update(x, progress)
        trainer.spent += min(time.time() - start, MAX_STEP_SECONDS)
        l1_sum += l1
        steps += 1
        seen += len(x)
        if trainer.step % LOG_STEPS:
            continue
        trainer.spent = dist.agree(trainer.spent, world)
        if rank == 0:
            print(f"step {trainer.step} spent {trainer.spent:.0f}s l1 {l1_sum / steps:.4f} "
                  f"loss {loss:.4f} kl {kl:.0f} lr {lr:.2e} "
                  f"{world * seen / (time.time() - since):.1f} samples/s", file=log, flush=True)
        l1_sum, steps, seen, since = 0.0, 0, 0, time.time()
        if trainer.spent - last_save > SAVE_SECONDS:
            trainer.save()
            last_save = trainer.spent
    trainer.save()
    log.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                 formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    ap.add_argument("--device", default="cpu", help="cpu or cuda")
    ap.add_argument("--minutes", type=float, default=20,
                    help="total training time, counted over resumes")
    ap.add_argument("--batch", type=int, default=6,
                    help="crops per process and step; whole-image steps use"
                         " batch * (crop / 128)^2, at least 2")
    ap.add_argument("--crop", type=int, default=64, help="side of the crops of the first part")
    ap.add_argument("--full-from", type=float, default=0.7,
                    help="share of the time after which whole images are used")
    ap.add_argument("--lr", type=float, default=1.5e-3, help="peak learning rate")
    ap.add_argument("--rest", type=float, default=0.3,
                    help="sampling weight of the icons outside core.txt")
    ap.add_argument("--kl", type=float, default=1e-5, help="weight of the KL term")
    ap.add_argument("--bf16", type=int, default=1, help="0: compute in float32")
    ap.add_argument("--procs", type=int, default=2,
                    help="single-threaded data-parallel processes; 1 on a GPU")
    args = ap.parse_args()
    CKPT.mkdir(exist_ok=True)
    dist.launch(work, args, args.procs)


if __name__ == "__main__":
    main()
