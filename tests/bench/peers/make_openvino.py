# SPDX-License-Identifier: MIT
"""OpenVINO's form of the random SD 1.5: the UNet at a 64x64 latent and the VAE's decoder, weights kept in float16.

usage: make_openvino.py SD15_FOLDER OUT_FOLDER
"""
import os
import sys

import openvino
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel


class Unet(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.net = UNet2DConditionModel.from_pretrained(folder + "/unet", torch_dtype=torch.float32).eval()

    def forward(self, latent, step, context):
        return self.net(latent, step, context, return_dict=False)[0]


class Decoder(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.net = AutoencoderKL.from_pretrained(folder + "/vae", torch_dtype=torch.float32).eval()

    def forward(self, latent):
        return self.net.decode(latent, return_dict=False)[0]


def main():
    source, out = sys.argv[1:3]
    os.makedirs(out, exist_ok=True)
    latent = torch.randn(1, 4, 64, 64)
    for name, module, inputs in (("unet", Unet, (latent, torch.tensor([500]), torch.randn(1, 77, 768))), ("decoder", Decoder, (latent,))):
        model = openvino.convert_model(module(source), example_input=inputs, input=[list(i.shape) for i in inputs])
        openvino.save_model(model, f"{out}/{name}.xml", compress_to_fp16=True)


if __name__ == "__main__":
    with torch.no_grad():
        main()
