# SPDX-License-Identifier: MIT
"""Data parallelism between single-threaded CPU processes.

Two OpenMP threads in one process lose most of their time at barriers when the machine is shared;
two processes that meet once a step do not. On a GPU use one process.
"""
import datetime
import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

TIMEOUT = datetime.timedelta(hours=2)


def _entry(rank, work, world, args, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world, timeout=TIMEOUT)
    work(rank, world, args)
    dist.destroy_process_group()


def launch(work, args, world, port=29511):
    """Run work(rank, world, args) in `world` processes; in this one if world is 1."""
    if world == 1:
        work(0, 1, args)
        return
    mp.start_processes(_entry, args=(work, world, args, port), nprocs=world, start_method="spawn")


def average_grads(params, world):
    """Replace every gradient by its mean over the processes (one flat all-reduce)."""
    if world == 1:
        return
    grads = [p.grad for p in params if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in grads])
    dist.all_reduce(flat)
    flat /= world
    offset = 0
    for g in grads:
        g.copy_(flat[offset:offset + g.numel()].view_as(g))
        offset += g.numel()


def agree(x, world):
    """The same number (the largest) on every rank."""
    if world == 1:
        return x
    t = torch.tensor([x], dtype=torch.float64)
    dist.all_reduce(t, op=dist.ReduceOp.MAX)
    return float(t)
