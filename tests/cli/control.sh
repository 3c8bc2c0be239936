#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bottega image with ControlNets: flags, texts, making a picture again, what is refused.
source "$(dirname "$0")/lib.sh"
model=$src/tests/golden/tiny-sd
python3 "$src/tests/cli/control_net.py" "$model/unet" net || complain "no net"
python3 - <<'PY'
import struct, zlib
def png(path, w, h, at):
    rows = b"".join(b"\0" + b"".join(bytes(at(x, y)) for x in range(w)) for y in range(h))
    chunk = lambda k, b: struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b))
    open(path, "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
png("square.png", 64, 64, lambda x, y: [255 * (20 < x < 44 and 20 < y < 44)] * 3)
png("slope.png", 90, 50, lambda x, y: [2 * x, 255 - 2 * x, 4 * y])
PY
draw() { expect 0 "$bottega" image -m "$model" --steps 2 -W 64 -H 64 -q "$@"; }
refuse() { # STATUS TEXT FLAGS...
    local status=$1 text=$2
    shift 2
    expect "$status" "$bottega" image -m "$model" -p cat --steps 1 -W 64 -H 64 "$@" -o no.png
    one_line_error
    says err "$text"
    absent no.png
}

draw -p cat -o plain.png
draw -p cat --control net --control-image square.png --control-preprocess canny -o canny.png
draw -p cat --control net --control-image square.png -o none.png
draw -p cat --control net:0 --control-image square.png -o zero.png
cmp -s plain.png canny.png && complain "a ControlNet does nothing"
cmp -s canny.png none.png && complain "a preprocessor does nothing"
python3 "$src/tests/cli/infotext.py" "$bottega" fields canny.png >fields
[ "$(json fields 'd["fields"]["ControlNet 0"]')" = "Module: canny, Model: net, Weight: 1, Resize Mode: Just Resize, Threshold A: 100, Threshold B: 200, \
Guidance Start: 0, Guidance End: 1, Pixel Perfect: True, Control Mode: Balanced" ] || complain "fields: $(cat fields)"

# Several; made again by the picture's own text, whose list is exchanged as a whole.
draw -p cat --control net:0.8:0:0.5 --control net:0.5 --control-image square.png --control-image slope.png -o two.png
draw -p cat --control net:0.8:0:0.5,net:0.5 --control-image square.png,slope.png -o list.png
draw --from two.png -o again.png
cmp two.png again.png || complain "--from: two ControlNets"
cmp two.png list.png || complain "a list is not what flags are"
draw --from two.png --control net:0.8:0:0.5 --control net:0.5 --control-image slope.png --control-image slope.png -o other.png
cmp -s two.png other.png && complain "--from: --control-image changes nothing"
mv slope.png away.png
expect 3 "$bottega" image --from two.png -m "$model" -o no.png
one_line_error
says err slope.png
mv away.png slope.png
mv net away
expect 3 "$bottega" image --from two.png -m "$model" -o no.png
one_line_error
says err "net"
mv away net
expect 0 "$bottega" image -m "$model" -p cat -W 256 -H 256 --control net --dry-run --json
cp out with
expect 0 "$bottega" image -m "$model" -p cat -W 256 -H 256 --dry-run --json
[ "$(json with 'd["flops"]' | cut -d. -f1)" -gt "$(json out 'd["flops"]' | cut -d. -f1)" ] || complain "a dry run forgets ControlNets"

refuse 3 "no picture for ControlNet 1 of 1" --control net
refuse 3 "more pictures (1) than ControlNets (0)" --control-image square.png
refuse 3 "no picture for ControlNet 2 of 2" --control net,net --control-image square.png
refuse 3 "no part of 0..1" --control net:1:0.7:0.3 --control-image square.png
refuse 3 "net:heavy" --control net:heavy --control-image square.png
refuse 3 "is not none, canny" --control net --control-image square.png --control-preprocess pose
refuse 3 "no ControlNet that is supported" --control "$src/tests/golden/lora.safetensors" --control-image square.png
refuse 3 "nothere.png" --control net --control-image nothere.png
refuse 2 "no such picture: control9" --control net --control-image "$(printf 'square.png,%.0s' 1 2 3 4 5 6 7 8)square.png"
finish
