# SPDX-License-Identifier: MIT
"""hibari "heart" against its own package (onnxruntime, its numpy vocoder with scipy's FFT), from text and from phonemes.

usage: speech_hibari.py [--rounds N] [--threads N] [--only ours|theirs] [--isa ISA]
"""
import sys

import common

VOICE = common.DATA + "/hibari/hibari.onnx"
PHONEMES = ("ʃi sˈɛlz sˈi ʃˈɛlz bI ðə sˈi ʃˈɔɹ, ænd ðə ʃˈɛlz ʃi sˈɛlz ɑɹ sˈi ʃˈɛlz fˈɔɹ ʃˈʊɹ, "
            "ænd ʃi nˈɛvəɹ stˈɑps sˈɛlɪŋ ðˌɛm.")
TEXTS = {"its bench": "The quick brown fox jumps over the lazy dog. She sells sea shells by the sea shore. "
                      "On the 3rd of March 2024, 1,250 people paid $9.99 each to hear it read at 7:30 pm.",
         "30 s": common.TEXTS["30 s"], "phonemes": None}


def worker(threads):
    import hibari
    voice = hibari.Hibari(threads=int(threads))

    def speak(text):
        audio = voice(text) if text else voice.from_phonemes(PHONEMES)
        return len(audio) / voice.sample_rate

    common.serve({name: lambda text=text: speak(text) for name, text in TEXTS.items()}, version=hibari.__version__)


def ours(args, text):
    if text:
        return common.bench(VOICE, args.threads, args.isa, "--text", text)["rtf"]
    return common.bench(VOICE, args.threads, args.isa, "--text", "[[" + PHONEMES + "]]")["rtf"]


def main():
    args = common.arguments()
    common.compare(args, lambda: common.Worker(__file__, args.threads), "hibari-tts", TEXTS,
                   lambda: {name: ours(args, text) for name, text in TEXTS.items()})


if __name__ == "__main__":
    worker(*sys.argv[2:]) if sys.argv[1:2] == ["worker"] else main()
