"""tokenizer_clip.json: odd strings through CLIPTokenizer (transformers) with the tokenizer files of icons-128;
tokenizer_clip_own.json: with CLIP's own vocabulary, read from bpe_simple_vocab_16e6.txt.gz of open_clip_torch 3.3.0.

Versions: transformers 5.23.0, tokenizers 0.23.3; ftfy is NOT installed. Strings: odd_strings.py, random.Random(2).
Command: BOTTEGA_ICONS=<folder icons-128> BOTTEGA_CLIP_BPE=<that file> python make_tokenizer_clip.py
"""
import gzip
import importlib.util
import json
import os
import tempfile

from golden_common import model, save_json, versions
from odd_strings import odd
from transformers import CLIPTokenizer

tok = CLIPTokenizer.from_pretrained(model("BOTTEGA_ICONS") + "/tokenizer")
print(type(tok).__mro__[:3], "is_fast", tok.is_fast)
b = getattr(tok, "backend_tokenizer", None) or getattr(tok, "_tokenizer", None)
print("normalizer:", b.normalizer, "\npre:", b.pre_tokenizer, "\npost:", b.post_processor, "\nmodel:", str(b.model)[:160])
ICONS = ["red apple", "rocket, noto style", "Sleeping Face, 3D Style, on a blue background", "a picture of grinning cat", "BIRTHDAY cake with 3 candles!!", "four-leaf clover", "man's shoe", "24h store", "E-mail at 10:30", "café & thé"]
rows = []
for s in ICONS + odd(420, 2):
    full = tok(s).input_ids
    cut = tok(s, padding="max_length", max_length=tok.model_max_length, truncation=True).input_ids
    row = {"text": s, "ids": full}
    want = full[:tok.model_max_length]
    if len(full) > tok.model_max_length:
        want[-1] = tok.eos_token_id
    want += [tok.pad_token_id] * (tok.model_max_length - len(want))
    if cut != want:
        row["ids_padded"] = cut
        print("odd padding", ascii(s))
    rows.append(row)
save_json("tokenizer_clip", {"versions": versions("transformers", "tokenizers"), "class": type(tok).__name__, "is_fast": tok.is_fast, "ftfy": importlib.util.find_spec("ftfy") is not None,
          "model_max_length": tok.model_max_length, "bos": tok.bos_token_id, "eos": tok.eos_token_id, "pad": tok.pad_token_id,
          "notes": "ids: bos + text + eos, not cut. Padded to model_max_length: cut to 32 with eos as the last, or filled with pad (ids_padded where another result came out).",
          "strings": rows})
print(len(rows))

# CLIP's own vocabulary, in the order of openai/CLIP's SimpleTokenizer; a file as transformers wants it
lines = gzip.open(model("BOTTEGA_CLIP_BPE"), "rt", encoding="utf-8").read().split("\n")[1:49152 - 256 - 2 + 1]
bs = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
chars = [chr(b) for b in bs] + [chr(256 + i) for i in range(256 - len(bs))]
words = chars + [c + "</w>" for c in chars] + ["".join(l.split()) for l in lines] + ["<|startoftext|>", "<|endoftext|>"]
with tempfile.TemporaryDirectory() as d:
    json.dump({t: i for i, t in enumerate(words)}, open(d + "/vocab.json", "w"), ensure_ascii=False)
    open(d + "/merges.txt", "w", encoding="utf-8").write("#version: 0.2\n" + "\n".join(lines) + "\n")
    own = CLIPTokenizer(d + "/vocab.json", d + "/merges.txt")
assert own("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
save_json("tokenizer_clip_own", {"strings": [{"text": s, "ids": own(s).input_ids} for s in ICONS + odd(140, 3) if "\0" not in s]})
