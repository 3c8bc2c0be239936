"""torch_randn.safetensors/.json: torch.randn on the CPU, float32, from torch.Generator('cpu').manual_seed(seed).

Versions: torch 2.15.0, run on x86-64 with AVX-512 (ATEN_CPU_CAPABILITY as found); also compared here, bit for bit,
with a plain Python mt19937 + Box-Muller rebuilding of the algorithm (largest difference is printed).
Seeds: 0, 7, 42, 2**32+5.  Command: python make_torch_randn.py
"""
import math

import numpy as np

from golden_common import save, torch_setup, versions

torch = torch_setup()
SEEDS = [0, 7, 42, 2**32 + 5]
SIZES = [1, 8, 15, 16, 17, 64, 1024]
SEQS = {"seq_5_16": [5, 16], "seq_16_5": [16, 5], "seq_1_1_1": [1, 1, 1], "seq_15_17_8": [15, 17, 8], "seq_1024_1024": [1024, 1024], "seq_17_64_1": [17, 64, 1], "seq_8_3_16": [8, 3, 16]}
out = {}
for s in SEEDS:
    for n in SIZES:
        out[f"s{s}.n{n}"] = torch.randn(n, generator=torch.Generator("cpu").manual_seed(s))
    for k, ns in SEQS.items():
        g = torch.Generator("cpu").manual_seed(s)
        for i, n in enumerate(ns):
            out[f"s{s}.{k}.{i}"] = torch.randn(n, generator=g)
    g = torch.Generator("cpu").manual_seed(s)
    a, b = torch.randn(1, 4, 16, 16, generator=g), torch.manual_seed(s) and torch.randn(1, 4, 16, 16)
    assert torch.equal(a, b) and torch.equal(a.flatten(), out[f"s{s}.n1024"])
    # raw engine words (32 bit) and torch.rand, to find bugs in the engine alone
    g = torch.Generator("cpu").manual_seed(s)
    out[f"s{s}.random_u32"] = torch.randint(0, 2**32, (8,), generator=g, dtype=torch.int64)
    out[f"s{s}.rand8"] = torch.rand(8, generator=torch.Generator("cpu").manual_seed(s))


class Rebuilt:
    def __init__(self, seed):
        self.mt = np.random.RandomState(seed & 0xffffffff)  # init_genrand(seed mod 2**32), as torch's mt19937
        self.next = None

    def u32(self):
        return int(self.mt.randint(0, 2**32, dtype=np.uint32))

    def u64(self):
        hi = self.u32()
        return hi << 32 | self.u32()

    def randn(self, n):
        f = np.float32
        if n < 16:  # normal_distribution<double>, pairs; the second of a pair is kept for the next scalar draw
            r = []
            for _ in range(n):
                if self.next is not None:
                    r.append(self.next)
                    self.next = None
                    continue
                u1 = (self.u64() & (2**53 - 1)) / 2**53
                u2 = (self.u64() & (2**53 - 1)) / 2**53
                rad, th = math.sqrt(-2 * math.log1p(-u2)), 2 * math.pi * u1
                self.next = rad * math.sin(th)
                r.append(rad * math.cos(th))
            return np.array(r, dtype=f)
        u = np.array([(self.u32() & (2**24 - 1)) / 2**24 for _ in range(n)], dtype=f)

        def fill(b):
            u1, u2 = f(1) - b[:8], b[8:].copy()
            rad = np.sqrt(f(-2) * np.log(u1))
            th = f(2.0) * f(math.pi) * u2
            return np.concatenate([rad * np.cos(th), rad * np.sin(th)])
        r = u.copy()
        for i in range(0, n - 15, 16):
            r[i:i + 16] = fill(u[i:i + 16])
        if n % 16:  # the last 16 are drawn again
            r[n - 16:] = fill(np.array([(self.u32() & (2**24 - 1)) / 2**24 for _ in range(16)], dtype=f))
        return r


worst = {}
for s in SEEDS:
    for n in SIZES:
        worst[n] = max(worst.get(n, 0), float(np.abs(Rebuilt(s).randn(n) - out[f"s{s}.n{n}"].numpy()).max()))
    for k, ns in SEQS.items():
        g = Rebuilt(s)
        for i, n in enumerate(ns):
            d = float(np.abs(g.randn(n) - out[f"s{s}.{k}.{i}"].numpy()).max())
            worst[k] = max(worst.get(k, 0), d)
print("largest difference of the rebuilding:", worst)
save("torch_randn", out, {"versions": versions("torch", "numpy"), "seeds": SEEDS, "sizes": SIZES, "sequences": SEQS, "capability": torch.backends.cpu.get_cpu_capability(), "rebuilt_max_abs_diff": worst})
