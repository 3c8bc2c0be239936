# SPDX-License-Identifier: MIT
"""Piper joe-medium, 5 s and 30 s of speech, against piper-tts on onnxruntime (model loaded; phonemes and network timed).

usage: speech_ort.py [--rounds N] [--threads N] [--only ours|theirs] [--isa ISA]
"""
import sys

import common


def worker(threads):
    import onnxruntime
    from piper import PiperVoice
    voice = PiperVoice.load(common.VOICE)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = int(threads), 1
    voice.session = onnxruntime.InferenceSession(common.VOICE, sess_options=options, providers=["CPUExecutionProvider"])

    def speak(text):
        return sum(len(c.audio_float_array) for c in voice.synthesize(text)) / voice.config.sample_rate

    common.serve({name: lambda text=text: speak(text) for name, text in common.TEXTS.items()}, version=onnxruntime.__version__)


def main():
    args = common.arguments()
    common.compare_speech(args, lambda: common.Worker(__file__, args.threads), "onnxruntime")


if __name__ == "__main__":
    worker(*sys.argv[2:]) if sys.argv[1:2] == ["worker"] else main()
