#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Continue training the autoencoder's decoder alone, on the cached latents.

Sharper pictures, while the latents and the UNet stay valid.
Reads   data/rgba.npy, data/items.json, data/latents.npy, data/latents.json, ckpt/vae_final.pt
Writes  ckpt/vae_final.pt (averaged weights, at the end), appends to log_vae_dec.txt
"""
import argparse
import time

import numpy as np
import torch

import dist
from common import (CKPT, DATA, ROOT, compose, load_weights, palette, pictures, read_json,
                    save_weights)
from encode_latents import SCALING
from optim import MuonAdam
from train_vae import build, recon_loss

CLOCK_STEPS = 20  # steps between looks at the clock
LOG_STEPS = 100
MAX_STEP_SECONDS = 5.0  # a step that took longer was paused


class Batches:
    """Random cached latents with the pictures they came from."""

    def __init__(self, args, rng):
        self.rgba = np.load(DATA / "rgba.npy", mmap_mode="r")
        self.latents = np.load(DATA / "latents.npy", mmap_mode="r")
        self.index = read_json(DATA / "latents.json")
        self.items = read_json(DATA / "items.json")
        self.palette = palette()
        self.args, self.rng = args, rng
        w = np.array([2.0 if style == self.items[n]["default"] else 1.0
                      for n, style, _ in self.index])
        w *= [3.0 if background == 0 else 1.0 for *_, background in self.index]
        self.weights = w / w.sum()

    def draw(self):
        """(pictures [B, 3, 128, 128] in -1..1, latents [B, 4, 16, 16])."""
        chosen = self.rng.choice(len(self.index), self.args.batch, p=self.weights)
        entries = [self.index[i] for i in chosen]
        rows = [self.items[n]["styles"][style] for n, style, _ in entries]
        x = compose(pictures(self.rgba, rows), self.palette[[b for *_, b in entries]])
        z = np.stack([self.latents[i] for i in chosen]).astype(np.float32)
        return x, torch.from_numpy(z)


class Trainer:
    def __init__(self, rank, world, args):
        self.world, self.args = world, args
        self.device = torch.device(args.device)
        self.model = build().to(self.device, memory_format=torch.channels_last)
        self.model.load_state_dict(load_weights(CKPT / "vae_final.pt", self.device))
        named = [(n, p) for n, p in self.model.named_parameters()
                 if n.startswith(("decoder.", "post_quant"))]
        self.params = [p for _, p in named]
        self.ema = [p.detach().clone() for p in self.params]
        self.opt = MuonAdam(named, lr=args.lr, rank=rank, world=world)
        self.step = 0

    def update(self, x, z, progress):
        """One optimizer step; the mean L1 error."""
        x, z = x.to(self.device), z.to(self.device)
        z = (z + self.args.noise * torch.randn_like(z)) / SCALING
        self.opt.set_lr(self.args.lr * min(1, (self.step + 1) / 20) * (1 - 0.98 * progress))
        with torch.autocast(self.device.type, torch.bfloat16):
            y = self.model.decode(z.contiguous(memory_format=torch.channels_last)).sample
        y = y.float()
        recon_loss(y, x).backward()
        dist.average_grads(self.params, self.world)
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.opt.step()
        self.opt.zero_grad()
        self.step += 1
        with torch.no_grad():
            decay = min(0.99, self.step / (self.step + 5))
            torch._foreach_lerp_(self.ema, self.params, 1 - decay)
        return float((y - x).abs().mean().detach())

    def save(self):
        with torch.no_grad():
            for p, e in zip(self.params, self.ema):
                p.copy_(e)
        save_weights(self.model.state_dict(), CKPT / "vae_final.pt")


def work(rank, world, args):
    trainer = Trainer(rank, world, args)
    batches = Batches(args, np.random.default_rng([1, rank]))
    torch.manual_seed(rank)
    log = open(ROOT / "log_vae_dec.txt", "a", encoding="utf-8")
    spent, total, progress = 0.0, args.minutes * 60, 0.0
    l1_sum, steps = 0.0, 0
    while trainer.step % CLOCK_STEPS or spent < total:
        start = time.time()
        if trainer.step % CLOCK_STEPS == 0:
            progress = min(1, spent / total)  # agreed between the processes
        l1_sum += trainer.update(*batches.draw(), progress)
        steps += 1
        spent += min(time.time() - start, MAX_STEP_SECONDS)
        if trainer.step % CLOCK_STEPS == 0:
            spent = dist.agree(spent, world)
        if rank == 0 and trainer.step % LOG_STEPS == 0:
            print(f"step {trainer.step} spent {spent:.0f}s l1 {l1_sum / steps:.4f}", file=log,
                  flush=True)
            l1_sum, steps = 0.0, 0
    if rank == 0:
        trainer.save()
        print("done", trainer.step, file=log)
    log.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                 formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    ap.add_argument("--device", default="cpu", help="cpu or cuda")
    ap.add_argument("--minutes", type=float, default=5)
    ap.add_argument("--batch", type=int, default=3, help="per process")
    ap.add_argument("--lr", type=float, default=5e-4, help="peak learning rate")
    ap.add_argument("--noise", type=float, default=0.05,
                    help="latent noise, as robustness to the UNet's imperfect latents")
    ap.add_argument("--procs", type=int, default=2,
                    help="single-threaded data-parallel processes; 1 on a GPU")
    args = ap.parse_args()
    dist.launch(work, args, args.procs, port=29512)


if __name__ == "__main__":
    main()
