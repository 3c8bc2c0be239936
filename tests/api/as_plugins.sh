#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The modules once more, loaded at run time: they take the place of the
# built-in ones and make the same text, picture and sound.
set -euo pipefail
build=$1 src=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export BOTTEGA_DATA=${BOTTEGA_DATA:-$HOME/.local/share/bottega}
names=(text image upscaler audio hibari kokoro vocoder)
loaded=()
for m in "${names[@]}"; do loaded+=(--module "$build/modules/bottega-$m.so"); done
"$build/bottega" doctor "${loaded[@]}" --json >"$dir/doctor.json"
for m in "${names[@]}"; do grep -q "bottega-$m.so\"" "$dir/doctor.json"; done
! grep -q '"file":null' "$dir/doctor.json" # no built-in module is left
both() { # NAME COMMAND...: with and without the plug-ins
    local name=$1
    shift
    (cd "$dir" && "$build/bottega" "$@" -q -o "a_$name")
    (cd "$dir" && "$build/bottega" "$@" -q -o "b_$name" "${loaded[@]}")
    cmp "$dir/a_$name" "$dir/b_$name"
}
both story.txt text -p "Once upon a time" -n 16 --seed 5
both picture.png image -p "a red apple" --seed 7 --steps 2 -W 64 -H 64
both speech.wav speak "Hello from the workshop." --seed 1
both large.png upscale a_picture.png -m "$src/tests/golden/upscaler-x2.safetensors"
vocoder=$src/tests/golden/vocoder-v1.safetensors
"$build/bottega" mel "$dir/a_speech.wav" -m "$vocoder" -q -o "$dir/mel.npy"
both vocoded.wav vocode mel.npy -m "$vocoder"
