# SPDX-License-Identifier: MIT
"""SD 1.5-size UNet forward against stable-diffusion.cpp, in the type given (f16 unless said).

usage: image_sdcpp.py [--type f16|q8_0] [--plain 1] [--rounds N] [--threads N] [--only ours|theirs] [--isa ISA]
A round of theirs is a process of 3 steps at guidance 1, of which the first, which loads the weights, is left out.
--plain: built without AMX instead of with it.
"""
import os
import re
import signal
import subprocess
import time

import common

STEPS = 3


def theirs(programs, path, kind, threads):
    """Seconds a step, from the moments at which the progress line grows; the VAE is not waited for."""
    p = subprocess.Popen([programs + "/sd-cli", "-m", path, "--type", kind, "-p", "a cat", "--steps", str(STEPS), "--cfg-scale", "1", "--sampling-method",
                          "euler", "-W", "512", "-H", "512", "-t", str(threads), "-s", "1", "-o", common.ROOT + "/sd.png", "-v"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    seen = {}
    while len(seen) < STEPS:
        piece = os.read(p.stdout.fileno(), 4096)
        if not piece:
            break
        for step in re.findall(rb"(\d+)/%d - " % STEPS, piece):
            seen.setdefault(int(step), time.perf_counter())
    p.send_signal(signal.SIGTERM)
    p.wait()
    return (seen[STEPS] - seen[1]) / (STEPS - 1)


def main():
    args = common.arguments(type="sd.cpp's weight type", plain="sd.cpp without AMX")
    kind, single = args.type or "f16", common.sd15() + ".safetensors"
    programs = common.ggml_build("sd", amx=not args.plain)
    engines = {"ours": lambda: common.bench(common.sd15(), args.threads, args.isa, *common.PICTURE)["unet_s"], "sd.cpp " + kind: lambda: theirs(programs, single, kind, args.threads)}
    common.row(f"unet, {args.threads} threads", common.alternate(args, engines))


if __name__ == "__main__":
    main()
