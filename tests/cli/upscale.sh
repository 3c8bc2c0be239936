#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bottega upscale: every form of names, several pictures, sizes, tiles, what is refused.
source "$(dirname "$0")/lib.sh"
golden=$src/tests/golden
x4=$golden/upscaler-x4.safetensors

python3 - "$golden" <<'PY'
import json, struct, sys, zlib

def png(path, w, h):
    rows = b"".join(b"\0" + bytes((x * 5 + y * 3 + c * 40 + (x // 6 + y // 4) % 2 * 60) % 256 for x in range(w) for c in range(3)) for y in range(h))
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    open(path, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) +
                           chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
png("a.png", 70, 45), png("b.png", 9, 12)

def rename(name, to, change):
    data = open(f"{sys.argv[1]}/upscaler-{name}.safetensors", "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.dumps({change(k): v for k, v in json.loads(data[8:8 + n]).items()}).encode()
    open(to, "wb").write(struct.pack("<Q", len(header)) + header + data[8 + n:])

layers = {"conv_first": "model.0", "conv_body": "model.1.sub.1", "conv_up1": "model.3", "conv_up2": "model.6", "conv_hr": "model.8", "conv_last": "model.10"}

def numbered(k):
    layer, kind = k.rsplit(".", 1)
    return f"{layers[layer]}.{kind}" if layer in layers else layer.replace("body", "model.1.sub").replace("rdb", "RDB") + f".0.{kind}"

old = {"body": "RRDB_trunk", "conv_body": "trunk_conv", "conv_up1": "upconv1", "conv_up2": "upconv2", "conv_hr": "HRconv"}
rename("x4", "numbered.safetensors", numbered)
rename("x4", "esrgan.safetensors", lambda k: ".".join([old.get(k.split(".")[0], k.split(".")[0])] + k.split(".")[1:]).replace("rdb", "RDB"))
rename("x4", "ema.safetensors", lambda k: "params_ema." + k)
rename("compact", "module.safetensors", lambda k: "module." + k)
PY
size() { python3 -c 'import struct,sys; print(*struct.unpack(">II", open(sys.argv[1], "rb").read()[16:24]))' "$1"; }

# The same network under every name makes the same bytes, on any number of threads.
expect 0 "$bottega" upscale a.png -m "$x4" -o x4.png -t 1 --json
[ "$(size x4.png)" = "280 180" ] || complain "x4: $(size x4.png)"
[ "$(json out 'd["jobs"][0]["width"], d["files"]')" = "(280, ['x4.png'])" ] || complain "--json: $(cat out)"
for m in numbered esrgan ema; do
    expect 0 "$bottega" upscale a.png -m ./$m.safetensors -o $m.png -t 3
    cmp -s x4.png $m.png || complain "$m differs"
done
expect 0 "$bottega" upscale a.png -m "$golden/upscaler-compact.safetensors" -o compact.png
expect 0 "$bottega" upscale a.png -m ./module.safetensors -o module.png
cmp -s compact.png module.png || complain "a prefix changes the picture"
expect 0 "$bottega" convert "$x4" x4.gguf --type f16 -q
expect 0 "$bottega" upscale a.png -m ./x4.gguf -o gguf.png
cmp -s x4.png gguf.png || complain "the GGUF makes another picture"

# Several pictures with one load; sizes; tiles.
expect 0 "$bottega" upscale a.png b.png -m "$golden/upscaler-x2.safetensors" -o 'up_%d.png' --tile 32
[ "$(size up_1.png) $(size up_2.png)" = "140 90 18 24" ] || complain "two: $(size up_1.png) $(size up_2.png)"
says err "[2/2]"
expect 0 "$bottega" upscale b.png -m "$x4" --scale 1.5 --tile 0 -o small.png
[ "$(size small.png)" = "14 18" ] || complain "--scale 1.5: $(size small.png)"
expect 0 "$bottega" upscale b.png -m "$x4" --dry-run
says out GFLOP
expect 0 "$bottega" info "$x4"
says out RRDBNet

refuse() { # STATUS TEXT COMMAND...
    expect "$1" "$bottega" "${@:3}"
    says err "$2"
    one_line_error
}
printf 'PK\3\4 and so on' >model.pth
head -c 3000 "$x4" >cut.safetensors
refuse 3 "safetensors" upscale a.png -m ./model.pth
refuse 3 "cut.safetensors" upscale a.png -m ./cut.safetensors
refuse 3 "no upscaler" upscale a.png "${image[@]}"
refuse 3 "of kind image" upscale a.png -m "$golden/vocoder-v1.safetensors"
refuse 3 "nowhere.png" upscale nowhere.png -m "$x4"
refuse 3 "x4.gguf" upscale x4.gguf -m "$x4"
refuse 2 "-m FILE" upscale a.png
refuse 2 "needs a picture" upscale -m "$x4"
refuse 2 "tile" upscale a.png -m "$x4" --tile 5000
refuse 2 "scale" upscale a.png -m "$x4" --scale 0
refuse 3 "tile: 20" upscale a.png -m "$x4" --tile 20
refuse 4 "budget" upscale a.png -m "$x4" --memory 1M
refuse 1 "/dev/full" upscale b.png -m "$x4" -o /dev/full
refuse 2 "prompt" image -p cat -m "$x4"
absent out.png
finish
