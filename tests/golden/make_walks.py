"""walks.safetensors/.json: k-diffusion's samplers and A1111's time grids, as A1111 puts them together, without a network.

Versions: k-diffusion 0.1.1.post1, torchsde 0.2.6, diffusers 0.42.1, torch 2.15.0, numpy 2.4.6, scipy 1.17.1. Seeds: every walk uses
torch.Generator('cpu').manual_seed(42): first randn(1,4,4,4) times the grid's first level, then whatever the sampler draws; Brownian trees have
entropy 42. Command: python make_walks.py (beside make_samplers.py's output; k_diffusion without its evaluation packages).
The model's output is f(x, t) of make_samplers.py, in "sd15" taken as noise, in "sd21" as v. What A1111 has beside k-diffusion (its time grids;
DDIM, PLMS, UniPC, LCM, Restart) is written here anew from the papers and from what its settings say, the timesteps in numpy doubles, UniPC by
diffusers' class with order 3 and bh1.
"""
import importlib
import inspect
import os
import sys
import types

import numpy as np
from scipy import stats

from golden_common import save, torch_setup, versions

torch = torch_setup()
from diffusers import UniPCMultistepScheduler

# k_diffusion's package imports what only its evaluation needs.
for name, members in {"torchdiffeq": ["odeint"], "torchvision": ["transforms"], "torchvision.transforms": ["functional"]}.items():
    try:
        importlib.import_module(name)
    except ImportError:
        sys.modules[name] = types.ModuleType(name)
        for m in members:
            setattr(sys.modules[name], m, None)
package = sys.modules["k_diffusion"] = types.ModuleType("k_diffusion")
package.__path__ = [p + "/k_diffusion" for p in sys.path if os.path.isdir(p + "/k_diffusion")]
from k_diffusion import external, sampling

T, SHAPE, N = 1000, (1, 4, 4, 4), 8
betas = torch.linspace(0.00085**0.5, 0.012**0.5, T, dtype=torch.float32) ** 2
abar = torch.cumprod(1 - betas, 0)
ab = abar.double().numpy()


def f(x, t):
    t = float(t)
    return x * float(np.float32(t / (t + 1) - 0.5 * t / 1000))


class Eps(external.DiscreteEpsDDPMDenoiser):
    def get_eps(self, x, t):
        return f(x, t)


class V(external.DiscreteVDDPMDenoiser):
    def get_v(self, x, t):
        return f(x, t)


models = {"sd15": Eps(None, abar, False), "sd21": V(None, abar, False)}
model = models["sd15"]
low, high = model.sigmas[0].item(), model.sigmas[-1].item()
out = {}

# ---- grids ------------------------------------------------------------------
AYS = {"sd": [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029],
       "xl": [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029]}  # published by the paper's authors


def zero(s):
    return torch.tensor([float(x) for x in s] + [0.0], dtype=torch.float32)


def of_t(ts):
    return zero(model.t_to_sigma(torch.tensor(float(t))) for t in ts)


def ays(n, kind):
    x = np.linspace(0, 1, n)
    return zero(np.exp(np.interp(x, np.linspace(0, 1, 11), np.log(AYS[kind]))))


def linear_quadratic(n, bend=0.025):
    half = n // 2
    rest = n - half
    a = (half - bend * n) / (half * rest**2)
    b = bend / half - 2 * (half - bend * n) / rest**2
    y = [i * bend / half for i in range(half)] + [a * i * i + b * i + a * half**2 for i in range(half, n)]
    return zero(high * (1 - v) for v in y)


GRIDS = {
    "uniform": model.get_sigmas,
    "karras": lambda n: sampling.get_sigmas_karras(n, low, high),
    "exponential": lambda n: sampling.get_sigmas_exponential(n, low, high),
    "polyexponential": lambda n: sampling.get_sigmas_polyexponential(n, low, high),
    "sgm_uniform": lambda n: of_t(torch.linspace(T - 1, 0, n + 1)[:-1]),
    "simple": lambda n: zero(model.sigmas[-(1 + int(i * T / n))] for i in range(n)),
    "normal": lambda n: of_t(torch.linspace(T - 1, 0, n)),
    "ddim_uniform": lambda n: zero(model.sigmas[range(1, T, T // n)].flip(0)),
    "kl_optimal": lambda n: torch.tan(torch.arange(n + 1) / n * torch.arctan(torch.tensor(low)) + (1.0 - torch.arange(n + 1) / n) * torch.arctan(torch.tensor(high))),
    "align_your_steps": lambda n: ays(n, "sd"),
    "align_your_steps.xl": lambda n: ays(n, "xl"),
    "beta": lambda n: zero(low + stats.beta.ppf(p, 0.6, 0.6) * (high - low) for p in 1 - np.linspace(0, 1, n)),
    "linear_quadratic": linear_quadratic,
    "trailing": lambda n: zero(model.sigmas[int(t)] for t in np.arange(T, 0, -T / n).round() - 1),
}
for name, make in GRIDS.items():
    for n in (2, 10, 11, 20, 33, 50):
        out[f"grid.{name}.n{n}"] = make(n).float()

# ---- k-diffusion --------------------------------------------------------------
DISCARD = ("dpm2", "dpm2_a", "dpm++3m_sde")


def grid(sampler, name, n):
    s = GRIDS[name](n + (sampler in DISCARD))
    return torch.cat([s[:-2], s[-1:]]) if sampler in DISCARD else s


def walk(key, fn, sigmas, den, brownian=False, **kw):
    g = torch.Generator("cpu").manual_seed(42)
    x = torch.randn(SHAPE, generator=g) * sigmas[0]
    tr = []
    if brownian:  # a path tells levels apart to 1e-6, and torch's exp may round the last digit otherwise than libm's
        out[key + ".sigmas"] = sigmas
        kw["noise_sampler"] = sampling.BrownianTreeNoiseSampler(x, sigmas[sigmas > 0].min(), sigmas.max(), seed=[42])
    elif "noise_sampler" in inspect.signature(fn).parameters:
        kw["noise_sampler"] = lambda a, b: torch.randn(SHAPE, generator=g)
    y = fn(den, x, sigmas, callback=lambda d: tr.append(d["x"].clone()), disable=True, **kw)
    out[key] = torch.stack(tr + [y]).reshape(len(tr) + 1, -1)


K = {
    "euler": (sampling.sample_euler, "uniform", {}), "euler_a": (sampling.sample_euler_ancestral, "uniform", {}),
    "euler_a.eta0.5": (sampling.sample_euler_ancestral, "karras", {"eta": 0.5}),
    "heun": (sampling.sample_heun, "uniform", {}), "dpm2": (sampling.sample_dpm_2, "karras", {}),
    "dpm2_a": (sampling.sample_dpm_2_ancestral, "karras", {}), "lms": (sampling.sample_lms, "uniform", {}),
    "dpm++2s_a": (sampling.sample_dpmpp_2s_ancestral, "karras", {}), "dpm++2m": (sampling.sample_dpmpp_2m, "karras", {}),
    "dpm++sde": (sampling.sample_dpmpp_sde, "karras", {"brownian": True}),
    "dpm++2m_sde": (sampling.sample_dpmpp_2m_sde, "exponential", {"brownian": True}),
    "dpm++2m_sde_heun": (sampling.sample_dpmpp_2m_sde, "exponential", {"brownian": True, "solver_type": "heun"}),
    "dpm++3m_sde": (sampling.sample_dpmpp_3m_sde, "exponential", {"brownian": True}),
}
for m, den in models.items():
    for key, (fn, auto, kw) in K.items():
        s = key.split(".")[0]
        for kind in {"automatic": auto, "simple": "simple"}.items():
            if m == "sd15" or kind[0] == "automatic":
                walk(f"{m}.{key}.{kind[0]}", fn, grid(s, kind[1], N), den, **kw)


# Restart: of the n levels of Karras a part is kept for climbing from 0.1 to 2 again.
def restart(den, x, sigmas, callback, disable, g):
    n = len(sigmas) - 1
    length, times = (n // 4, 2) if n >= 36 else (9, 1) if n >= 20 else (0, 0)
    s = sampling.get_sigmas_karras(n - length * times, sigmas[-2].item(), sigmas[0].item()) if times else sigmas
    at, top = int((s - 0.1).abs().argmin()), int((s - 2).abs().argmin())
    parts, s = [s[: at + 1], s[at:]] if times else [s], s
    for i, part in enumerate(parts):
        for j in range(len(part) - 1):
            x = sampling.sample_heun(den, x, part[j : j + 2], disable=True)
        for _ in range(times if i == 0 else 0):
            r = sampling.get_sigmas_karras(length + 1, s[at].item(), s[top].item())[:-1]
            x = x + torch.randn(SHAPE, generator=g) * (r[0] ** 2 - s[at] ** 2) ** 0.5
            for j in range(length):
                x = sampling.sample_heun(den, x, r[j : j + 2], disable=True)
    return x


for n in (N, 20, 40):
    g = torch.Generator("cpu").manual_seed(42)
    s = GRIDS["karras"](n)
    x = torch.randn(SHAPE, generator=g) * s[0]
    out[f"sd15.restart.n{n}"] = restart(model, x, s, None, True, g).reshape(1, -1)


# ---- A1111's samplers over timesteps, in doubles --------------------------------
def noise_of(m, x, t):
    v = x * (t / (t + 1) - 0.5 * t / 1000)
    return v if m == "sd15" else ab[t] ** 0.5 * v + (1 - ab[t]) ** 0.5 * x


def ddim_move(x, e, a, b, std=0.0, z=0.0):
    x0 = (x - (1 - a) ** 0.5 * e) / a**0.5
    return b**0.5 * x0 + (1 - b - std**2) ** 0.5 * e + std * z


def timesteps(n):
    return np.clip(np.arange(0, T, T // n) + 1, 0, T - 1)


for m in models:
    for n in (8, 15):
        ts = timesteps(n)
        for eta in (0.0, 1.0):
            g = torch.Generator("cpu").manual_seed(42)
            x = torch.randn(SHAPE, generator=g).double().numpy()
            for k in range(len(ts) - 1, 0, -1):
                a, b = ab[ts[k]], ab[ts[k - 1]]
                z = torch.randn(SHAPE, generator=g).double().numpy() if eta else 0.0
                x = ddim_move(x, noise_of(m, x, ts[k]), a, b, eta * ((1 - b) / (1 - a) * (1 - a / b)) ** 0.5, z)
            out[f"{m}.ddim.n{n}.eta{eta:.0f}"] = np.float32(x).reshape(1, -1)
        x, old = torch.randn(SHAPE, generator=torch.Generator("cpu").manual_seed(42)).double().numpy(), []
        for k in range(len(ts) - 1, 0, -1):
            a, b = ab[ts[k]], ab[ts[k - 1]]
            e = noise_of(m, x, ts[k])
            h = [e] + old
            if len(h) == 1:
                mean = (e + noise_of(m, ddim_move(x, e, a, b), ts[k - 1])) / 2
            else:
                mean = {2: lambda: (3 * h[0] - h[1]) / 2, 3: lambda: (23 * h[0] - 16 * h[1] + 5 * h[2]) / 12,
                        4: lambda: (55 * h[0] - 59 * h[1] + 37 * h[2] - 9 * h[3]) / 24}[len(h)]()
            old = h[:3]
            x = ddim_move(x, mean, a, b)
        out[f"{m}.plms.n{n}"] = np.float32(x).reshape(1, -1)
        # UniPC: even steps of t from 1 to 1 / T, log(abar) linear between the training's
        count = len(ts)
        t = np.linspace(T - 1, 0, count + 1)
        sig = np.sqrt(np.expm1(-np.interp(t, np.arange(T), np.log(ab))))
        u = UniPCMultistepScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", solver_order=3, solver_type="bh1",
                                    prediction_type="epsilon" if m == "sd15" else "v_prediction")
        u.set_timesteps(count)
        u.sigmas, u.timesteps = torch.tensor(sig, dtype=torch.float64), torch.tensor(t[:-1])
        u._step_index = 0
        x = torch.randn(SHAPE, generator=torch.Generator("cpu").manual_seed(42)).double()
        for k in range(count):
            x = u.step(x * (t[k] / (t[k] + 1) - 0.5 * t[k] / 1000), u.timesteps[k], x).prev_sample
        out[f"{m}.unipc.n{n}"] = x.float().reshape(1, -1)

# LCM: every 20th step was distilled; the network is told the nearest of them
valid = np.arange(19, T, 20)
logs = np.log(((1 - ab) / ab) ** 0.5)[valid]
for m in models:
    for n in (1, 4, 8):
        sig = np.append(np.exp(np.interp((np.linspace(T - 1, 19, n) - 19) / 20, np.arange(50), logs)), 0)
        g = torch.Generator("cpu").manual_seed(42)
        x = torch.randn(SHAPE, generator=g).double().numpy() * sig[0]
        for k in range(n):
            t = valid[np.abs(np.log(sig[k]) - logs).argmin()]
            c = 1 / (sig[k] ** 2 + 1) ** 0.5
            y = x * c * (t / (t + 1) - 0.5 * t / 1000)
            x0 = x - sig[k] * y
            if m == "sd21":
                x0 = x * c * c - sig[k] * c * y
            x0 = 10.0 * t / ((10.0 * t) ** 2 + 0.25) ** 0.5 * x0 + 0.25 / ((10.0 * t) ** 2 + 0.25) * x
            x = x0 + (sig[k + 1] * torch.randn(SHAPE, generator=g).double().numpy() if sig[k + 1] > 0 else 0)
        out[f"{m}.lcm.n{n}"] = np.float32(x).reshape(1, -1)

# ---- Brownian paths ---------------------------------------------------------------
moves = []
for seed in (0, 42, 2**32 + 5):
    for a, b, small in ((14.614647, 7.3, 0.0291675), (7.3, 7.2999, 0.0291675), (1.0, 0.5, 0.0291675), (0.5, 0.0291675, 0.0291675),
                        (3.1415927, 2.7182817, 0.01), (4096.0, 2000.25, 0.0291675)):
        high_ = max(a, 14.614647)
        s = sampling.BrownianTreeNoiseSampler(torch.zeros(1, 4, 4, 4), torch.tensor(small), torch.tensor(high_), seed=[seed])
        out[f"brownian.{len(moves)}"] = s(torch.tensor(a), torch.tensor(b)).reshape(1, -1)
        moves.append([seed, small, high_, a, b])


# ---- variations: slerp along each channel's columns ---------------------------------
def slerp(share, a, b):
    c = ((a / np.linalg.norm(a, axis=1, keepdims=True)) * (b / np.linalg.norm(b, axis=1, keepdims=True))).sum(1)
    w = np.arccos(c)
    return (np.sin((1 - share) * w) / np.sin(w))[:, None] * a + (np.sin(share * w) / np.sin(w))[:, None] * b


a, b = (torch.randn(4, 6, 5, generator=torch.Generator("cpu").manual_seed(s)).double().numpy() for s in (42, 43))
for share in (0.1, 0.5):
    out[f"slerp.{share}"] = np.float32(slerp(share, a, b))
out["slerp.a"], out["slerp.b"] = np.float32(a), np.float32(b)

save("walks", out, {"versions": versions("torch", "diffusers", "numpy", "scipy"), "k_diffusion": "0.1.1.post1", "torchsde": "0.2.6", "steps": N,
                    "seed": 42, "brownian": moves})
