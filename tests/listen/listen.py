# SPDX-License-Identifier: MIT
"""Does a listener understand us as well as the engine that a voice came with? Fifty sentences, a recogniser.

    python3 -m venv VENV; VENV/bin/pip install -r requirements.txt
    BOTTEGA=build/bottega VENV/bin/python listen.py [--seeds N] [--voice NAME] [--precision NAME] [--quiet] [--keep FOLDER]

Each line of sentences.tsv is spoken by Bottega and by the reference engine: hibari by the package hibari-tts, joe by
piper-tts, Kokoro by onnxruntime on the int8 export and the same phonemes. pocketsphinx (its wheel holds an American
acoustic model, a dictionary and a general trigram model) writes down what it hears; its errors on a good voice are
many, so only the difference between two engines says something. A distance is between spectra of the same sentence,
where both have the same durations; the others are counted. Not a part of ctest: it takes 20 minutes on 2 cores.
Written with the versions in requirements.txt; scripts/check and scripts/get-kokoro install the voices.
"""
import argparse
import functools
import json
import multiprocessing
import os
import pathlib
import random
import re
import subprocess
import tempfile

import numpy as np
import scipy.io.wavfile
import scipy.signal

HERE = pathlib.Path(__file__).resolve().parent
BOTTEGA = os.environ.get("BOTTEGA", str(HERE / "../../build/bottega"))
MODELS = pathlib.Path(os.environ.get("BOTTEGA_DATA", pathlib.Path.home() / ".local/share/bottega")) / "models"
VOICES = {"hibari": ("f32", "int8", "auto"), "en_US-joe-medium": ("f32", "int8", "auto"), "kokoro": ("f32", "auto")}
QUIET = {"en_US-joe-medium": ["--noise-scale", "0", "--noise-w", "0"]}
STYLE = "jf_alpha"


def sentences():
    """(text, the words that are to be heard)"""
    for line in (HERE / "sentences.tsv").read_text().splitlines():
        text, _, spoken = line.partition("\t")
        yield text, re.findall(r"[a-z']+", (spoken or text).lower())


@functools.cache
def hibari():
    import hibari as package
    return package.Hibari()


def in_brackets(text):
    return "[[" + " ".join(hibari().phonemize(text)) + "]]"


# ---- who speaks: each gives (rate, one array of samples for each text) ----------------------------------------------

def ours(voice, precision, texts, seed, *flags):
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "texts").write_text("\n".join(texts) + "\n")
        subprocess.run([BOTTEGA, "speak", "-q", "-m", voice, "--precision", precision, "--seed", str(seed), "--prompts-file", "texts",
                        "-o", "%03d.wav", "--bits", "float", *flags], cwd=folder, check=True)
        return read_all(sorted(pathlib.Path(folder).glob("*.wav")))


def read_all(paths):
    out = []
    for path in paths:
        rate, x = scipy.io.wavfile.read(path)
        out.append(x)
    return rate, out


def theirs_hibari(texts, seed, quiet):
    return hibari().sample_rate, [hibari()(text, seed=seed) for text in texts]


def theirs_joe(texts, seed, quiet):
    import onnxruntime
    import piper
    onnxruntime.set_seed(seed)
    voice = piper.PiperVoice.load(MODELS / "en_US-joe-medium.onnx")
    noise = {"noise_scale": 0.0, "noise_w_scale": 0.0} if quiet else {}
    config = piper.SynthesisConfig(normalize_audio=False, **noise)
    return voice.config.sample_rate, [np.concatenate([c.audio_float_array for c in voice.synthesize(t, config)]) for t in texts]


def theirs_kokoro(texts, seed, quiet):
    import onnxruntime
    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(MODELS / "kokoro/kokoro.onnx", providers=["CPUExecutionProvider"])
    vocab = json.loads((MODELS / "kokoro/vocab.json").read_text())["vocab"]
    styles, out = np.load(MODELS / "kokoro/voices_ja.npz")[STYLE], []
    for text in texts:
        ids = [vocab[c] for c in text[2:-2] if c in vocab]
        feed = {"tokens": np.array([[0, *ids, 0]], np.int64), "style": styles[len(ids) - 1].reshape(1, -1), "speed": np.ones(1, np.float32)}
        out.append(session.run(["audio"], feed)[0].ravel())
    return 24000, out


THEIRS = {"hibari": theirs_hibari, "en_US-joe-medium": theirs_joe, "kokoro": theirs_kokoro}


# ---- who listens ------------------------------------------------------------------------------------------------------

@functools.cache
def recogniser():
    import pocketsphinx
    return pocketsphinx.Decoder(samprate=16000, loglevel="FATAL", beam=1e-80, wbeam=1e-60, lw=6.5)


def hear(job):
    rate, x = job
    gcd = np.gcd(rate, 16000)
    x = scipy.signal.resample_poly(x.astype(np.float64), 16000 // gcd, rate // gcd)
    x *= 0.1 / max(np.sqrt(np.mean(x ** 2)), 1e-9)  # every engine at one level
    quiet = np.random.default_rng(1).normal(0, 1e-4, 3200)
    x = np.concatenate([quiet, x, quiet])
    decoder = recogniser()
    decoder.reinit_feat()  # forget the cepstral mean of the sentence before
    decoder.start_utt()
    decoder.process_raw((np.clip(x, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    return re.findall(r"[a-z']+", decoder.hyp().hypstr.lower()) if decoder.hyp() else []


def errors(want, got):
    """Words substituted, left out and put in: Levenshtein's distance."""
    row = list(range(len(got) + 1))
    for i, w in enumerate(want, 1):
        last, row[0] = row[0], i
        for j, g in enumerate(got, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (w != g))
    return row[-1]


# ---- distances ----------------------------------------------------------------------------------------------------------

def mel_bands(rate, bins, n=80):
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (np.linspace(0, mel(8000), n + 2) / 2595) - 1)
    f = np.arange(bins) * rate / 2 / (bins - 1)
    up = (f - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - f) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(up, down), 0, None)


def power(rate, x):
    return np.abs(scipy.signal.stft(x, rate, "hann", 1024, 768)[2]) ** 2 + 1e-20


def db(p, floor=60):
    """Decibels; what lies `floor` dB under the loudest is not heard."""
    p = 10 * np.log10(p)
    return np.maximum(p, p.max() - floor)


def distances(a, b):
    """Mean |difference| of 80 log-mel bands and log-spectral distance, in dB, over the pairs of one length; how many."""
    rate, mel, lsd = a[0], [], []
    for x, y in zip(a[1], b[1]):
        if abs(len(x) - len(y)) > 1:
            continue
        n = min(len(x), len(y))
        p, q = power(rate, x[:n]), power(rate, y[:n])
        bands = mel_bands(rate, len(p))
        mel.append(np.abs(db(bands @ p) - db(bands @ q)).mean())
        lsd.append(np.sqrt(((db(p) - db(q)) ** 2).mean(0)).mean())
    return (np.mean(mel), np.mean(lsd), len(mel)) if mel else (float("nan"), float("nan"), 0)


# ---- the tables -----------------------------------------------------------------------------------------------------------

def spread(a, b):
    """A 95 % interval of the difference of two word error rates, by drawing sentences again: lists of (errors, words)."""
    draw, n = random.Random(1), len(a)
    rates = []
    for _ in range(2000):
        at = [draw.randrange(n) for _ in range(n)]
        rates.append(100 * sum(a[i][0] - b[i][0] for i in at) / sum(a[i][1] for i in at))
    rates.sort()
    return rates[50], rates[1949]


def flags_of(voice, quiet):
    return (QUIET.get(voice, []) if quiet else []) + (["--speaker", STYLE] if voice == "kokoro" else [])


def table_of_errors(pool, voice, args, texts, want):
    flags = flags_of(voice, args.quiet)
    engines = {"reference": lambda seed: THEIRS[voice](texts, seed, args.quiet)}
    for precision in [args.precision] if args.precision else VOICES[voice]:
        engines[precision] = lambda seed, p=precision: ours(voice, p, texts, seed, *flags)
    counts, total = {}, sum(map(len, want))
    for engine, speak in engines.items():
        each = [[0, 0] for _ in texts]
        for seed in range(1, args.seeds + 1):
            rate, sound = speak(seed)
            for i, got in enumerate(pool.map(hear, [(rate, x) for x in sound], 1)):
                each[i][0] += errors(want[i], got)
                each[i][1] += len(want[i])
                if args.keep and seed == 1:
                    with open(f"{args.keep}/{voice}.{engine}.txt", "a" if i else "w") as f:
                        print(errors(want[i], got), " ".join(want[i]), " ".join(got), sep="\t", file=f)
        counts[engine] = each
        rate = lambda c: 100 * sum(e for e, _ in c) / sum(n for _, n in c)
        line = f"{voice:17} {engine:10} WER {rate(each):5.2f} % of {total} words x {args.seeds}"
        if engine != "reference":
            base = counts["reference"]
            line += "  %+.2f to the reference (95 %%: %+.2f..%+.2f)" % (rate(each) - rate(base), *spread(each, base))
        print(line, flush=True)


def table_of_distances(voice, texts):
    flags = flags_of(voice, True)
    sound = {p: ours(voice, p, texts, 1, *flags) for p in VOICES[voice]}
    sound["reference"], sound["reference'"] = (THEIRS[voice](texts, seed, True) for seed in (1, 2))
    pairs = [(p, "f32") for p in VOICES[voice] if p != "f32"] + [(p, "reference") for p in (*VOICES[voice], "reference'")]
    for a, b in pairs:
        mel, lsd, n = distances(sound[a], sound[b])
        print(f"{voice:17} {a:10} and {b:10}  log-mel {mel:6.3f} dB  log-spectral {lsd:6.3f} dB  ({n} of {len(texts)} of equal length)", flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--voice", choices=VOICES)
    p.add_argument("--precision", help="ours in this one alone")
    p.add_argument("--quiet", action="store_true", help="words without Piper's noise, by which each seed has other durations")
    p.add_argument("--keep", help="a folder for what was heard")
    p.add_argument("--no-words", action="store_true", help="distances alone")
    args = p.parse_args()
    plain, want = zip(*sentences())
    with multiprocessing.get_context("spawn").Pool() as pool:
        for voice in [args.voice] if args.voice else VOICES:
            texts = [in_brackets(t) for t in plain] if voice == "kokoro" else plain
            if not args.no_words:
                table_of_errors(pool, voice, args, texts, want)
            table_of_distances(voice, texts)


if __name__ == "__main__":
    main()
