#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bottega mel and bottega vocode: there and back, both forms, what is refused.
source "$(dirname "$0")/lib.sh"
golden=$src/tests/golden
v1=$golden/vocoder-v1.safetensors
vocos=$golden/vocoder-vocos-same.safetensors

python3 - <<'PY'
import math, struct, wave
with wave.open("in.wav", "wb") as w:
    w.setnchannels(2); w.setsampwidth(2); w.setframerate(44100)
    for i in range(22050):
        v = int(9000 * math.sin(i * 0.06) + 3000 * math.sin(i * 0.4))
        w.writeframes(struct.pack("<hh", v, v))
PY
shape() { python3 -c 'import ast,sys; b = open(sys.argv[1], "rb").read()
print(*ast.literal_eval(b[10:10 + b[8] + 256 * b[9]].decode())["shape"])' "$1"; }

# Half a second is 11025 samples at 22.05 kHz, 12000 at 24 kHz.
expect 0 "$bottega" mel in.wav -o h.npy
[ "$(shape h.npy)" = "80 43" ] || complain "HiFi-GAN's mel: $(shape h.npy)"
expect 0 "$bottega" mel in.wav -o v.npy --form vocos --json
[ "$(shape v.npy)" = "100 47" ] || complain "Vocos's mel: $(shape v.npy)"
[ "$(json out 'd["files"]')" = "['v.npy']" ] || complain "mel --json: $(cat out)"

# There and back with a model's own form; the same bytes on any number of threads.
for m in "$v1:10 43:11008" "$vocos:12 750:12000"; do
    IFS=: read -r model want samples <<<"$m"
    expect 0 "$bottega" mel in.wav -m "$model" -o m.npy
    [ "$(shape m.npy)" = "$want" ] || complain "$model: $(shape m.npy)"
    expect 0 "$bottega" vocode m.npy -m "$model" -o 1.wav -t 1 --json
    [ "$(json out 'd["jobs"][0]["audio"]["samples"]')" = "$samples" ] || complain "$model: $(cat out)"
    expect 0 "$bottega" vocode m.npy -m "$model" -o 3.wav -t 3 --seed 5
    cmp -s 1.wav 3.wav || complain "$model: threads change the sound"
    expect 0 "$bottega" vocode m.npy -m "$model" --dry-run
    says out GFLOP
done
expect 0 "$bottega" vocode m.npy -m "$vocos" -o r.flac --rate 48000
expect 0 "$bottega" info "$v1"
says out "HiFi-GAN, ResBlock1"

# A vocoder as GGUF keeps its settings; weight norm goes along.
expect 0 "$bottega" convert "$v1" v1.gguf --type f32 -q
expect 0 "$bottega" mel in.wav -m "$v1" -o m.npy
expect 0 "$bottega" vocode m.npy -m "$v1" -o 1.wav
expect 0 "$bottega" vocode m.npy -m ./v1.gguf -o 2.wav
cmp -s 1.wav 2.wav || complain "the GGUF sounds different"

refuse() { # STATUS TEXT COMMAND...
    expect "$1" "$bottega" "${@:3}"
    says err "$2"
    one_line_error
}
printf 'PK\3\4 and so on' >generator.pth
refuse 3 "safetensors" vocode m.npy -m ./generator.pth
refuse 3 "10 bands" vocode h.npy -m "$v1"
refuse 3 "not a file of numpy's" vocode in.wav -m "$v1"
refuse 3 "nowhere.npy" vocode nowhere.npy -m "$v1"
refuse 2 "-m FILE" vocode m.npy
refuse 2 "one .npy" vocode -m "$v1"
refuse 2 "rate" vocode m.npy -m "$v1" --rate 7999
refuse 2 "x.aiff" vocode m.npy -m "$v1" -o x.aiff
refuse 1 "/dev/full" vocode m.npy -m "$v1" -o /dev/full --format wav
refuse 3 "bottega vocode" speak hello -m "$v1"
refuse 3 "bottega speak" vocode m.npy "${audio[@]}"
refuse 3 "no vocoder" mel in.wav -o x.npy "${audio[@]}"
refuse 3 "no sound file" mel m.npy -o x.npy
refuse 3 "nowhere.wav" mel nowhere.wav -o x.npy
refuse 2 "not both" mel in.wav -m "$v1" --form vocos
refuse 1 "/dev/full" mel in.wav -o /dev/full
head -c 1000 in.wav >short.wav
refuse 3 "too short" mel short.wav -o x.npy
absent x.npy x.aiff out.wav mel.npy
finish
