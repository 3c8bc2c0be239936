"""tokenizer_clip.json: odd strings through CLIPTokenizer (transformers) with the tokenizer files of icons-128.

Versions: transformers 5.23.0, tokenizers 0.23.3; ftfy is NOT installed. Strings: odd_strings.py, random.Random(2).
Command: BOTTEGA_ICONS=<folder icons-128> python make_tokenizer_clip.py
"""
import importlib.util
import os

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
