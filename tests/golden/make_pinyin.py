"""pinyin.json: pinyin to ids as piper does it for Chinese voices (g2pW's answers written by hand).

Versions: piper-tts 1.8.0 (phonemize_chinese.py alone: the model that reads Chinese text is not in the package).
Command: python make_pinyin.py
"""
import importlib.util
import json
import os
import sys
import types

from golden_common import HERE

spec = importlib.util.find_spec("piper")
package = types.ModuleType("piper")  # without its __init__, which wants onnxruntime; the rest is never called
package.__path__ = list(spec.submodule_search_locations)
sys.modules["piper"] = package
for missing in ("unicode_rbnf", "piper.g2pw_onnx"):
    sys.modules[missing] = types.ModuleType(missing)
sys.modules["unicode_rbnf"].RbnfEngine = sys.modules["piper.g2pw_onnx"].G2PWOnnxConverter = None
from piper.phonemize_chinese import PHONEME_TO_ID, _normalize_g2pw_syllable, _split_initial_final_tone, phonemes_to_ids

LINES = ["ni3 hao3 ， shi4 jie4 。", "zhong1 guo2 ren2", "lu:4 se4 de5 nv3 er2 ！", "nü3 lu:e4 ju:an3 xue2", "ai3 e4 an1 yi1 wu3 yu2 weng1",
         "shuang1 chuang2 zhuang4 qiong2 xiong1 kuai4", "r5 xyz3 ni9 ？"]


def parts(syllable):
    initial, final, tone = _split_initial_final_tone(_normalize_g2pw_syllable(syllable))
    return [initial or "Ø", final, tone] if final else [_normalize_g2pw_syllable(syllable)]


out = {"phoneme_id_map": PHONEME_TO_ID, "lines": []}
for line in LINES:
    phonemes = [p for word in line.split() for p in ([word] if word in PHONEME_TO_ID else parts(word))]
    out["lines"].append({"text": line, "ids": phonemes_to_ids(phonemes)})
    print(out["lines"][-1])
with open(os.path.join(HERE, "pinyin.json"), "w", encoding="utf-8") as f:
    json.dump(out, f, ensure_ascii=False)
