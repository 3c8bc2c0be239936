# SPDX-License-Identifier: MIT
"""Prompt of 512 tokens and decode of 128 against llama.cpp, the same file and threads.

usage: text_llama.py [--models Q4_0,Q4_K_M,Q8_0,smollm2] [--plain 1] [--rounds N] [--threads N] [--only ours|theirs] [--isa ISA]
--plain: llama.cpp built without AMX instead of with it.
"""
import json

import common

PROMPT, DECODE = 512, 128


def theirs(programs, path, threads):
    """llama-bench warms up, then times one run of each kind: (prompt, decode) in tokens a second."""
    out = common.run([programs + "/llama-bench", "-m", path, "-t", str(threads), "-p", str(PROMPT), "-n", str(DECODE), "-r", "1", "-o", "jsonl"])[2]
    rows = [json.loads(line) for line in out.splitlines()]
    return tuple(next(r["samples_ts"][0] for r in rows if r[key]) for key in ("n_prompt", "n_gen"))


def ours(path, args):
    r = common.bench(path, args.threads, args.isa, "-p", str(PROMPT), "-n", str(DECODE))
    return r["prompt_tps"], r["decode_tps"]


def main():
    args = common.arguments(models="of the random 1.1B, and smollm2", plain="llama.cpp without AMX")
    programs = common.ggml_build("llama", amx=not args.plain)
    for kind in (args.models or "Q4_0,Q4_K_M,Q8_0,smollm2").split(","):
        path = common.SMOLLM2 if kind == "smollm2" else common.llama(kind)
        engines = {"ours": lambda: ours(path, args), "llama.cpp" + (" no AMX" if args.plain else ""): lambda: theirs(programs, path, args.threads)}
        figures = common.alternate(args, engines)
        for i, name in enumerate((f"prompt {PROMPT}", f"decode {DECODE}")):
            common.row(f"{kind} {name}, {args.threads} threads", {e: [pair[i] for pair in v] for e, v in figures.items()}, "tokens/s", rate=True)


if __name__ == "__main__":
    main()
