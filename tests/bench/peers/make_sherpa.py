# SPDX-License-Identifier: MIT
"""A Piper voice as sherpa-onnx wants it: metadata in the model, tokens.txt, espeak-ng's data.

usage: make_sherpa.py VOICE.onnx OUT_FOLDER
"""
import json
import os
import shutil
import sys

import onnx
import piper


def main():
    source, out = sys.argv[1:3]
    os.makedirs(out)
    with open(source + ".json", encoding="utf-8") as f:
        config = json.load(f)
    model = onnx.load(source)
    facts = {"model_type": "vits", "comment": "piper", "language": "English", "voice": config["espeak"]["voice"], "has_espeak": 1,
             "n_speakers": config["num_speakers"], "sample_rate": config["audio"]["sample_rate"]}
    for key, value in facts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, str(value)
    onnx.save(model, out + "/model.onnx")
    with open(out + "/tokens.txt", "w", encoding="utf-8") as f:
        f.writelines(f"{symbol} {ids[0]}\n" for symbol, ids in config["phoneme_id_map"].items() if symbol != "\n")
    shutil.copytree(os.path.dirname(piper.__file__) + "/espeak-ng-data", out + "/espeak-ng-data")


if __name__ == "__main__":
    main()
