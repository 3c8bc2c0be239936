# SPDX-License-Identifier: MIT
"""pretok.json: how the regular expressions of known tokenizers cut odd strings; byte lengths of the pieces.

Versions: tokenizers 0.23.3 (Oniguruma). Command: python make_pretok.py (writes beside itself).
The expressions are those of the models' own tokenizer.json; "default" is llama.cpp's rule list.
"""
import json
import os
import random

from tokenizers import Regex
from tokenizers.pre_tokenizers import Digits, Sequence, Split

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def split(*rules):
    return Sequence([Split(Regex(r), "isolated") for r in rules])


RULES = {
    "smollm": Sequence([Digits(individual_digits=True), Split(Regex(GPT2), "isolated")]),
    "gpt-2": split(GPT2),
    "llama-bpe": split(CL100K % "{1,3}"),
    "qwen2": split(CL100K % ""),
    "default": split(r"[\p{P}\$\+<=>\^~\|]+", r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
                     r"\p{N}+", r"[0-9][0-9][0-9]"),
}
ALPHABETS = [" ab", " \t\nx", " \r\n\u00a0\u2028.x1", "'stremvldSTREMVLD\u017f ", "0123456789\u00bd\u0661 x", "!?$+<=>^~|_-'\" a1",
             "a\u00e9\u0301\u65e5\U0001f600\u200d \u3000", " '\r\n0a.\u00bd\u20ac\u0085", "<|endoftext|> "]
rng = random.Random(3)
texts = ["".join(rng.choice(a) for _ in range(rng.randint(1, 24))) for _ in range(60) for a in ALPHABETS]
rows = [{"text": t, **{k: [len(p.encode()) for p, _ in r.pre_tokenize_str(t)] for k, r in RULES.items()}} for t in texts]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "pretok.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]\n")
