# SPDX-License-Identifier: MIT
"""Texts of pictures, read by A1111's documented rule with Python's own regular
expressions, against what `bottega info` reads; and that a PNG's text gives back
what a picture was asked for.

usage: infotext.py BOTTEGA parse FOLDER      odd texts
       infotext.py BOTTEGA fields FILE.png   prints the fields of a file as JSON
       infotext.py BOTTEGA strip IN.png OUT.png   leaves A1111's text alone
"""
import json
import random
import re
import struct
import subprocess
import sys
import zlib

FIELD = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
NEGATIVE = "Negative prompt:"


def parse(text):
    lines = text.strip().split("\n")
    fields = FIELD.findall(lines[-1])
    if len(fields) < 3:
        fields = []
    else:
        lines = lines[:-1]
    texts, to = ["", ""], 0
    for line in lines:
        line = line.strip()
        if line.startswith(NEGATIVE):
            to, line = 1, line[len(NEGATIVE):].strip()
        texts[to] += ("\n" if texts[to] else "") + line
    out = {}
    for name, value in fields:
        if value[:1] == '"' and value[-1:] == '"':
            try:
                value = json.loads(value)
            except ValueError:
                pass
        out[name] = value
    return {"prompt": texts[0], "negative": texts[1], "fields": out}


def chunks(data):
    at = 8
    while at < len(data):
        n, = struct.unpack(">I", data[at:at + 4])
        yield data[at + 4:at + 8], data[at + 8:at + 8 + n]
        at += 12 + n


def png(parts):
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in parts:
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


def text_of(path):
    for kind, body in chunks(open(path, "rb").read()):
        if kind == b"tEXt" and body.startswith(b"parameters\0"):
            return body[11:].decode("latin-1")
        if kind == b"iTXt" and body.startswith(b"parameters\0"):
            return body[15:].decode()
    raise SystemExit(f"{path}: no parameters")


def picture_with(text):
    return png([(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
                (b"iTXt", b"parameters\0\0\0\0\0" + text.encode()),
                (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")])


PIECES = ["Steps: 20", "Sampler: Euler a", 'Model: "a, b: \\"c\\""', "Negative prompt: bad", "\n", ", ", ",",
          ":", '"', "\\", "a", "gr\u00fcn", "Size: 64x64", "CFG scale: 7", "Lora hashes: \"x: 1, y: 2\"",
          "a:1", " ", '"open', 'Empty: "", ', "Seed: 5,", "x-y/z: ", "(cat:1.2)", "Negative prompt:", "\u00e9t\u00e9: 1"]
FIXED = ["", "cat", "Steps: 1, Sampler: x, Seed: 2", "a\n\nSteps: 1, Sampler: x, Seed: 2",
         "a\nNegative prompt: b\nc\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1",
         'a\nSteps: 20, Model: "x, y", Note: "q\\"r", Seed: 1, Odd: "a" b, Seed: 2',
         "a\nSteps: 20, Sampler: x", "Negative prompt: only\nSteps: 1, Seed: 2, Size: 8x8"]


def test_parse(bottega, folder):
    draw = random.Random(1)
    texts = FIXED + ["".join(draw.choices(PIECES, k=draw.randint(1, 14))) for _ in range(150)]
    bad = 0
    for text in texts:
        path = f"{folder}/odd.png"
        open(path, "wb").write(picture_with(text))
        run = subprocess.run([bottega, "info", path, "--json"], capture_output=True, check=True)
        got, want = json.loads(run.stdout), parse(text)
        got = {k: got.get(k) for k in want}
        if got != want:
            bad += 1
            print("text", repr(text), "\nwant", want, "\ngot ", got)
    # What would take hours if each line or field cost as much as all before it.
    long = picture_with("a\n" * 1000000 + "Negative prompt: b\n" + "Steps: 1, " * 300000)
    open(f"{folder}/long.png", "wb").write(long)
    run = subprocess.run([bottega, "info", f"{folder}/long.png", "--json"], capture_output=True, check=True, timeout=100)
    got = json.loads(run.stdout)
    if len(got["prompt"]) != 1999999 or got["negative"] != "b" or got["fields"] != {"Steps": "1"}:
        bad += 1
        print("a long text is read in another way")
    return bad


command, args = sys.argv[2], sys.argv[3:]
if command == "parse":
    sys.exit(test_parse(sys.argv[1], args[0]) > 0)
elif command == "fields":
    print(json.dumps(parse(text_of(args[0]))))
else:
    parts = [p for p in chunks(open(args[0], "rb").read()) if not p[1].startswith(b"bottega\0")]
    open(args[1], "wb").write(png(parts))
