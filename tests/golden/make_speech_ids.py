"""speech_ids.json: the sentences of speech.safetensors with their ids, by piper-tts 1.8.0 (its own virtual environment).

Command: BOTTEGA_JOE=<en_US-joe-medium.onnx> python make_speech_ids.py
"""
import json
import os

from piper import PiperVoice

V = PiperVoice.load(os.environ["BOTTEGA_JOE"])
T = ["Yes.", "Good morning!", "Is this a test, or not?", "The quick brown fox jumps over the lazy dog.", "At three in the morning the lights go on, and the first loaves are in the oven before four."]
rows = []
for t in T:
    p = V.phonemize(t)
    assert len(p) == 1
    rows.append({"text": t, "phonemes": "".join(p[0]), "ids": V.phonemes_to_ids(p[0])})
P = os.path.join(os.path.dirname(os.path.abspath(__file__)), "speech_ids.json")
json.dump({"sentences": rows}, open(P, "w"), indent=1)
print([(r["phonemes"], len(r["ids"])) for r in rows])
