# SPDX-License-Identifier: MIT
"""Piper joe-medium, 5 s and 30 s of speech, against sherpa-onnx (model loaded; phonemes and network timed).

usage: speech_sherpa.py [--rounds N] [--threads N] [--only ours|theirs] [--isa ISA]
sherpa-onnx 2.0 has no espeak front end of its own for such models: its phonemes come from piper's bridge, about 1 ms.
"""
import sys

import common


def worker(folder, threads):
    import sherpa_onnx as s
    from piper.phonemize_espeak import EspeakPhonemizer
    vits = s.OfflineTtsVitsModelConfig(model=folder + "/model.onnx", tokens=folder + "/tokens.txt", data_dir=folder + "/espeak-ng-data")
    tts = s.OfflineTts(s.OfflineTtsConfig(model=s.OfflineTtsModelConfig(vits=vits, num_threads=int(threads), provider="cpu")))
    espeak = EspeakPhonemizer()

    def speak(text):
        g = s.GenerationConfig()
        g.sid, g.speed, g.silence_scale = 0, 1.0, 0.0
        g.phoneme_codepoints = [[ord(c) for phoneme in sentence for c in phoneme] for sentence in espeak.phonemize("en-us", text)]
        return len(tts.generate(text, g).samples) / tts.sample_rate

    common.serve({name: lambda text=text: speak(text) for name, text in common.TEXTS.items()}, version=s.__version__)


def main():
    args = common.arguments()
    folder = common.sherpa_voice()
    common.compare_speech(args, lambda: common.Worker(__file__, folder, args.threads), "sherpa-onnx")


if __name__ == "__main__":
    worker(*sys.argv[2:]) if sys.argv[1:2] == ["worker"] else main()
