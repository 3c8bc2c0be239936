# SPDX-License-Identifier: MIT
"""Muon for weight matrices and AdamW for the rest, in one object.

Muon: momentum, orthogonalised by a quintic Newton-Schulz iteration, scaled so that the update's RMS
is about AdamW's. Convolutions count as matrices [out, in * kh * kw]. Embeddings, the first and the
last convolution, biases, norms and matrices with a side below 16 go to AdamW.
"""
import torch
import torch.distributed as dist

EXCLUDED = ("embedding", "conv_in", "conv_out")
BETAS = (0.9, 0.98)
MOMENTUM = 0.9


def short_side(p):
    return min(p.shape[0], p[0].numel())


def long_side(p):
    return max(p.shape[0], p[0].numel())


@torch.no_grad()
def newton_schulz(g, steps=5):
    """[m, n] -> bfloat16 [m, n] with singular values near 1."""
    x = g.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.t()
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        a = x @ x.t()
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return x.t() if tall else x


def share_out(costs, world):
    """The owner of each job: the dearest first, each to the process with the least load."""
    load = [0] * world
    owner = [0] * len(costs)
    for i in sorted(range(len(costs)), key=lambda i: -costs[i]):
        owner[i] = load.index(min(load))
        load[owner[i]] += costs[i]
    return owner


class MuonAdam:
    """The part of the optimizer interface that the scripts need.

    named: (name, parameter) pairs. With world > 1 each process orthogonalises its share of the
    matrices and broadcasts the updates; gradients must already be equal on all processes.
    """

    def __init__(self, named, lr, rank=0, world=1):
        named = [(n, p) for n, p in named if p.requires_grad]
        self.matrices = [p for n, p in named if p.ndim >= 2 and short_side(p) >= 16
                         and not any(e in n for e in EXCLUDED)]
        ids = {id(p) for p in self.matrices}
        self.others = [p for _, p in named if id(p) not in ids]
        self.adam = torch.optim.AdamW(self.others, lr=lr, betas=BETAS, weight_decay=0.0, fused=True)
        self.momenta = [torch.zeros_like(p) for p in self.matrices]
        self.rank, self.world = rank, world
        self.owner = share_out([short_side(p) * p.numel() for p in self.matrices], world)
        self.set_lr(lr)

    def set_lr(self, lr):
        self.lr = lr
        for group in self.adam.param_groups:
            group["lr"] = lr

    def _orthogonalise(self):
        """Advance the momenta of this process; matrix index -> float update."""
        updates = {}
        for i, (p, m) in enumerate(zip(self.matrices, self.momenta)):
            if self.owner[i] != self.rank:
                continue
            m.lerp_(p.grad, 1 - MOMENTUM)
            u = p.grad.lerp(m, MOMENTUM)  # Nesterov
            updates[i] = newton_schulz(u.reshape(u.shape[0], -1)).float().reshape(p.shape)
        return updates

    def _exchange(self, updates):
        """Broadcast each process's updates to all the others."""
        for r in range(self.world):
            ids = [i for i, owner in enumerate(self.owner) if owner == r]
            if r == self.rank:
                flat = torch.cat([updates[i].reshape(-1) for i in ids])
            else:
                flat = torch.empty(sum(self.matrices[i].numel() for i in ids))
            dist.broadcast(flat, r)
            offset = 0
            for i in ids:
                p = self.matrices[i]
                updates[i] = flat[offset:offset + p.numel()].view(p.shape)
                offset += p.numel()

    @torch.no_grad()
    def step(self):
        self.adam.step()
        updates = self._orthogonalise()
        if self.world > 1:
            self._exchange(updates)
        for i, p in enumerate(self.matrices):
            p.add_(updates[i], alpha=-self.lr * 0.2 * long_side(p) ** 0.5)

    def zero_grad(self):
        for p in self.matrices + self.others:
            p.grad = None

    def state_dict(self):
        """Call on every process (the momenta live with their owners)."""
        if self.world > 1:
            for m, owner in zip(self.momenta, self.owner):
                dist.broadcast(m, owner)
        return {"adam": self.adam.state_dict(), "buf": self.momenta}

    def load_state_dict(self, state):
        self.adam.load_state_dict(state["adam"])
        for m, saved in zip(self.momenta, state["buf"]):
            m.copy_(saved)
