# SPDX-License-Identifier: MIT
"""SD 1.5-size UNet forward and VAE decode against PyTorch, bf16, channels_last.

usage: image_torch.py [--rounds N] [--threads N] [--only ours|theirs] [--isa ISA]
"""
import sys

import common


def worker(folder, threads):
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    kind = dict(dtype=torch.bfloat16, memory_format=torch.channels_last)
    unet = UNet2DConditionModel.from_pretrained(folder + "/unet", torch_dtype=torch.bfloat16).eval().to(**kind)
    vae = AutoencoderKL.from_pretrained(folder + "/vae", torch_dtype=torch.bfloat16).eval().to(**kind)
    gen = torch.Generator().manual_seed(1)
    latent, context = (torch.randn(s, generator=gen).bfloat16() for s in ((1, 4, 64, 64), (1, 77, 768)))
    latent = latent.to(memory_format=torch.channels_last)

    def finite(t):
        assert torch.isfinite(t).all()

    common.serve({"unet_s": lambda: finite(unet(latent, torch.tensor([500]), context, return_dict=False)[0]),
                  "vae_s": lambda: finite(vae.decode(latent, return_dict=False)[0])}, version=torch.__version__)


def main():
    args = common.arguments()
    folder = common.sd15()
    common.compare_image(args, lambda: common.Worker(__file__, folder, args.threads), "torch bf16 channels_last")


if __name__ == "__main__":
    worker(*sys.argv[2:]) if sys.argv[1:2] == ["worker"] else main()
