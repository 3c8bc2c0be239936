# SPDX-License-Identifier: MIT
"""SD 1.5-size UNet forward and VAE decode against OpenVINO.

usage: image_openvino.py [--precision default|f32|bf16] [--rounds N] [--threads N] [--only ours|theirs] [--isa ISA]
"""
import sys

import common


def worker(folder, precision, threads):
    import numpy as np
    import openvino
    core, rng = openvino.Core(), np.random.default_rng(1)
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": int(threads), "NUM_STREAMS": 1}
    if precision != "default":
        config["INFERENCE_PRECISION_HINT"] = precision
    latent, context = rng.standard_normal((1, 4, 64, 64), dtype=np.float32), rng.standard_normal((1, 77, 768), dtype=np.float32)
    nets = {}

    def call(name, inputs):
        if name not in nets:
            nets[name] = core.compile_model(f"{folder}/{name}.xml", "CPU", config).create_infer_request()
        nets[name].infer(inputs)
        assert np.isfinite(nets[name].get_output_tensor(0).data).all()

    common.serve({"unet_s": lambda: call("unet", [latent, np.array([500], np.int64), context]), "vae_s": lambda: call("decoder", [latent])},
                 version=openvino.__version__)


def main():
    args = common.arguments(precision="OpenVINO's hint: default, f32, bf16")
    folder = common.openvino()
    common.compare_image(args, lambda: common.Worker(__file__, folder, args.precision or "default", args.threads),
                         "openvino " + (args.precision or "default"))


if __name__ == "__main__":
    worker(*sys.argv[2:]) if sys.argv[1:2] == ["worker"] else main()
