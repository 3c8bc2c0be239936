"""samplers.safetensors/.json: diffusers' schedulers alone: timesteps, sigmas and traces without a network.

Versions: diffusers 0.42.1, torch 2.15.0, numpy 2.4.6. Seeds: every trace uses torch.Generator('cpu').manual_seed(42):
first the latents randn(1,4,4,4) * init_noise_sigma, then whatever the scheduler draws.
Command: BOTTEGA_ICONS=<folder icons-128> python make_samplers.py
The model's output is f(x, t) = x * float32(t / (t + 1) - 0.5 * t / 1000), x being the scaled input, t the timestep.
"""
import json

import numpy as np

from golden_common import model, save, torch_setup, versions

torch = torch_setup()
import warnings

warnings.filterwarnings("ignore")
import diffusers
from diffusers import (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler,
                       HeunDiscreteScheduler, LCMScheduler, PNDMScheduler, UniPCMultistepScheduler)

diffusers.logging.set_verbosity_error()
ICONS = json.load(open(model("BOTTEGA_ICONS") + "/scheduler/scheduler_config.json"))
SD15 = {"_class_name": "PNDMScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": False,
        "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None}  # as in SD 1.5: epsilon
SD15 = dict(SD15, timestep_spacing="leading", prediction_type="epsilon")
SD21 = dict(SD15, prediction_type="v_prediction")
LINT = dict(SD15, timestep_spacing="linspace")
TRAIL = dict(SD15, timestep_spacing="trailing")
CONFIGS = {"icons": ICONS, "sd15": SD15, "sd21": SD21, "linspace": LINT, "trailing": TRAIL}
D = DPMSolverMultistepScheduler
KINDS = {
    "ddim": (DDIMScheduler, {}, {}), "ddim_eta1": (DDIMScheduler, {}, {"eta": 1.0}), "ddim_eta0.5": (DDIMScheduler, {}, {"eta": 0.5}),
    "euler": (EulerDiscreteScheduler, {}, {}), "euler_karras": (EulerDiscreteScheduler, {"use_karras_sigmas": True}, {}), "euler_exponential": (EulerDiscreteScheduler, {"use_exponential_sigmas": True}, {}),
    "euler_a": (EulerAncestralDiscreteScheduler, {}, {}),
    "dpmpp_2m": (D, {}, {}), "dpmpp_2m_karras": (D, {"use_karras_sigmas": True}, {}), "dpmpp_2m_exponential": (D, {"use_exponential_sigmas": True}, {}),
    "dpmpp_2m_sde": (D, {"algorithm_type": "sde-dpmsolver++"}, {}), "dpmpp_2m_sde_karras": (D, {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}, {}),
    "dpmpp_3m": (D, {"solver_order": 3}, {}),
    "heun": (HeunDiscreteScheduler, {}, {}), "unipc": (UniPCMultistepScheduler, {}, {}), "ddpm": (DDPMScheduler, {}, {}), "lcm": (LCMScheduler, {}, {}), "pndm": (PNDMScheduler, {}, {}),
}


def f(x, t):
    return x * float(np.float32(t / (t + 1) - 0.5 * t / 1000))


def build(kind, cfg):
    cls, extra, step = KINDS[kind]
    return cls.from_config(dict(cfg), **extra), step


out, errors, made = {}, {}, []
for cn, cfg in CONFIGS.items():
    d = DDIMScheduler.from_config(dict(cfg))
    out[f"{cn}.betas"], out[f"{cn}.alphas_cumprod"] = d.betas, d.alphas_cumprod  # diffusers: float32 throughout
    for kind in KINDS:
        for n in ([10, 20] if kind in ("ddim", "euler", "euler_a", "dpmpp_2m") else [10]):
            key = f"{cn}.{kind}.n{n}"
            try:
                s, kw = build(kind, cfg)
                s.set_timesteps(n)
                if hasattr(s, "sigmas"):
                    out[key + ".sigmas"] = s.sigmas.float()
                out[key + ".timesteps"] = s.timesteps.to(torch.float32)
                g = torch.Generator("cpu").manual_seed(42)
                x = torch.randn(1, 4, 4, 4, generator=g)
                sig = float(s.init_noise_sigma)
                x = x * s.init_noise_sigma
                out[key + ".init_noise_sigma"] = np.float32([sig])
                import inspect
                par = inspect.signature(s.step).parameters
                if "generator" in par:
                    kw = dict(kw, generator=g)
                tr, inp = [x.clone()], []
                for t in s.timesteps:
                    xi = s.scale_model_input(x, t)
                    inp.append(xi.clone())
                    x = s.step(f(xi, float(t)), t, x, **kw, return_dict=False)[0]
                    tr.append(x.clone())
                if not torch.isfinite(x).all():
                    raise FloatingPointError("the trace is not finite")
                out[key + ".trace"] = torch.stack(tr).reshape(len(tr), -1)
                made.append(key)
            except Exception as e:
                errors[key] = f"{type(e).__name__}: {e}"
    # schedules only
    for kind in ("ddim", "euler", "euler_a", "dpmpp_2m", "euler_karras", "dpmpp_2m_karras", "euler_exponential", "dpmpp_2m_exponential"):
        for n in (1, 2, 3, 4, 5, 7, 12, 15, 25, 28, 30, 50):
            key = f"{cn}.{kind}.n{n}"
            try:
                s, _ = build(kind, cfg)
                s.set_timesteps(n)
                out[key + ".timesteps"] = s.timesteps.to(torch.float32)
                if hasattr(s, "sigmas"):
                    out[key + ".sigmas"] = s.sigmas.float()
            except Exception as e:
                errors[key] = f"{type(e).__name__}: {e}"

# trailing: np.arange(1000, 0, -1000 / n) may give n + 1 values
wrong = [n for n in range(1, 1001) if len(np.arange(1000, 0, -1000 / n)) != n]
# a check of the noise schedule in plain numpy: linspace as torch's (both halves from the ends), cumprod in double
b0, b1 = np.float32(0.00085**0.5), np.float32(0.012**0.5)
step = np.float32((b1 - b0) / np.float32(999))
i = np.arange(1000, dtype=np.float32)
lin = np.where(np.arange(1000) < 500, b0 + step * i, b1 - step * (np.float32(999) - i)).astype(np.float32)
ab = np.cumprod((np.float32(1) - lin * lin).astype(np.float64)).astype(np.float32)
print("numpy rebuilding, epsilon: betas", np.abs(lin * lin - out["sd15.betas"].numpy()).max(), "alphas_cumprod", np.abs(ab - out["sd15.alphas_cumprod"].numpy()).max())
q = np.sqrt(ab)
q0, qT = q[0], q[-1]
q = (q - qT) * np.float32(q0 / np.float32(q0 - qT))
q = (q * q).astype(np.float32)
al = np.concatenate([q[:1], q[1:] / q[:-1]])
bz = np.float32(1) - al
abz = np.cumprod((np.float32(1) - bz).astype(np.float64)).astype(np.float32)
print("zero SNR: betas", np.abs(bz - out["icons.betas"].numpy()).max(), "alphas_cumprod", np.abs(abz - out["icons.alphas_cumprod"].numpy()).max(), "last", abz[-1])
# DDIM, v prediction, checked in numpy
ac = out["icons.alphas_cumprod"].numpy().astype(np.float64)
x = out["icons.ddim.n10.trace"].numpy()[0].astype(np.float64)
for k, t in enumerate(out["icons.ddim.n10.timesteps"].numpy().astype(int)):
    v = x * (t / (t + 1) - 0.5 * t / 1000)
    p = t - 100
    a, ap = ac[t], ac[p] if p >= 0 else ac[0]
    x = ap**.5 * (a**.5 * x - (1 - a)**.5 * v) + (1 - ap)**.5 * (a**.5 * v + (1 - a)**.5 * x)
print("DDIM in numpy doubles: largest difference", np.abs(x - out["icons.ddim.n10.trace"].numpy()[-1]).max())
print(len(made), "traces;", "errors:", json.dumps(errors, indent=1))
print("trailing lengths differ from n at", wrong[:20], len(wrong))
save("samplers", out, {"versions": versions("torch", "diffusers", "numpy"), "configs": CONFIGS, "kinds": {k: [v[0].__name__, v[1], v[2]] for k, v in KINDS.items()},
                       "f": "x * float32(t / (t + 1) - 0.5 * t / 1000)", "seed": 42, "latents_shape": [1, 4, 4, 4], "traces": made, "errors": errors, "trailing_n_with_extra_step": wrong})
